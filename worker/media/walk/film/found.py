"""What a walker of clips fills in: size, streams, length, and what carries metadata, told as it is met."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from worker.media.codes import unprocessable
from worker.media.limits import MediaLimits
from worker.media.walk.boxes import Box
from worker.media.walk.film.window import Window
from worker.media.walk.found import Carrier

# The most bytes of one carrier, of a tail, and of all carriers together that are looked into: what lies behind them is
# counted by its place alone.
_LOOK_BYTES, _TAIL_BYTES, _LOOK_BYTES_ALL = 256 << 10, 64 << 10, 1 << 20
# How many table entries of all tracks are added up to find bytes that no sample owns: more than an hour.
_ENTRIES = 250_000
# Of what should be empty, so many bytes are looked at on either end.
_EMPTY_BYTES = 16 << 10
_NAME_BYTES = 128
_EXIF, _XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
# ISO base media: boxes that hold nothing by their own definition.
EMPTY = frozenset({b"free", b"skip", b"wide"})
_EXTENDED = {
    bytes.fromhex("be7acfcb97a942e89c71999491e3afac"): "xmp",
    bytes.fromhex("d8fec3d61b0e483c92975828877ec481"): "c2pa",
    bytes.fromhex("0537cdab9d0c4431a72afa561f2a113e"): "exif",
    # Canon's and Sony's (PSP) own.
    bytes.fromhex("85c0b687820f11e08111f4ce462b6a48"): "maker_notes",
    bytes.fromhex("50524f4621d24fcebb88695cfac9c740"): "maker_notes",
    bytes.fromhex("55534d5421d24fcebb88695cfac9c740"): "caption",
    # Spherical video, version 1: XML that names the program which stitched it.
    bytes.fromhex("ffcc8263f8554a938814587a02521fdd"): "software",
}


@dataclass(kw_only=True)
class Film:
    """`width` and `height` are the largest of its pictures as stored; `duration_s` as the container says, or None.

    `tell` hears each carrier: its form is a kind, or a syntax that `worker.media.video.tags` reads.
    """

    window: Window
    limits: MediaLimits
    tell: Callable[[Carrier], None]
    width: int = 0
    height: int = 0
    pictures: int = 0
    duration_s: float | None = None
    entries: int = _ENTRIES
    _left: int = _LOOK_BYTES_ALL

    def add(self, form: str, data: bytes = b"") -> None:
        self.tell(Carrier(form=form, data=data))

    def named(self, name: bytes) -> None:
        """A tag of which the name says what it is."""
        self.add("named", name[:_NAME_BYTES])

    def look(self, begin: int, end: int, most: int = _LOOK_BYTES) -> bytes:
        """The beginning of a carrier, out of what may be looked into in all."""
        size = max(0, min(end - begin, most, self._left))
        self._left -= size
        return self.window.at(begin, size)

    def sized(self, width: int, height: int) -> None:
        """A picture of the film. Raises `Unprocessable` (limits:pixels, limits:side)."""
        self.width, self.height = max(self.width, width), max(self.height, height)
        if width * height > self.limits.video_pixels:
            raise unprocessable("limits:pixels")
        if max(width, height) > self.limits.side:
            raise unprocessable("limits:side")

    def lasts(self, seconds: float) -> None:
        """Raises `Unprocessable` (limits:duration)."""
        self.duration_s = seconds
        if seconds > self.limits.duration_s:
            raise unprocessable("limits:duration")

    def tail(self, begin: int) -> None:
        """Everything behind the film."""
        self.add("trailing", self.look(begin, self.window.size, _TAIL_BYTES))

    def empty(self, begin: int, end: int) -> None:
        """A place that should hold zeros."""
        head = self.look(begin, end, _EMPTY_BYTES)
        tail = self.look(max(begin, end - _EMPTY_BYTES), end, _EMPTY_BYTES)
        if any(head) or any(tail):
            # Dash cameras hide their route here.
            if head.startswith(b"GPS "):
                self.add("location")
            self.add("hidden_data")

    def extended(self, box: Box) -> None:
        """A `uuid` box: 16 bytes say what follows."""
        head = self.window.at(box.begin, 16)
        form = _EXTENDED.get(head)
        if form in ("xmp", "c2pa", "exif"):
            self.add(form, self.look(box.begin + 16, box.end))
        else:
            self.add(form or "unknown_block")

    def loose(self, box: Box) -> None:
        """A box that may stand anywhere, or one that nobody knows."""
        if box.kind in EMPTY:
            self.empty(box.begin, box.end)
        elif box.kind == b"uuid":
            self.extended(box)
        else:
            self.add("unknown_block")

    def cover(self, begin: int, end: int) -> None:
        """A picture beside the film, with its own metadata."""
        self.add("thumbnail")
        body = self.look(begin, end)
        for mark, form in ((_EXIF, "exif"), (_XMP, "xmp")):
            at = body.find(mark)
            if at >= 0:
                size = int.from_bytes(body[at - 2 : at], "big")
                self.add(form, body[at + len(mark) : at - 2 + size])
