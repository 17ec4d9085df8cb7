"""Second reader of a rewritten GIF: screen, palettes, timing, images; every image decoded to its last pixel.

What follows the last pixel must be the end code, in the last byte; a palette entry that no pixel shows must be black.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from worker.media.proof.doubt import need

_LOOP = b"\x21\xff\x0bNETSCAPE2.0\x03\x01"
_TABLE, _INTERLACED, _RESOLUTION = 0x80, 0x40, 0x70
_MOST_IMAGES = 10_000


@dataclass(kw_only=True)
class _Colours:
    entries: bytes
    shown: set[int] = field(default_factory=set)

    def judge(self) -> None:
        for number in range(len(self.entries) // 3):
            blank = self.entries[3 * number : 3 * number + 3] == b"\0\0\0"
            need(blank or number in self.shown, "a palette entry that nothing uses")


class _Reading:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, size: int) -> bytes:
        self.at += size
        need(self.at <= len(self.data), "a block's length")
        return self.data[self.at - size : self.at]

    def colours(self, flags: int) -> _Colours | None:
        return _Colours(entries=self.take(3 << ((flags & 7) + 1))) if flags & _TABLE else None


def check(data: bytes) -> None:
    """Raises `Doubt`."""
    reading = _Reading(data)
    need(reading.take(6) == b"GIF89a", "signature")
    width, height, flags, background, aspect = struct.unpack("<HHBBB", reading.take(7))
    need(width > 0 and height > 0 and not aspect, "screen")
    need(
        flags & _RESOLUTION == _RESOLUTION and not flags & 0x08 and (flags & _TABLE or not flags & 7), "screen's flags"
    )
    common = reading.colours(flags)
    need(background < len(common.entries) // 3 if common else background == 0, "background")
    if common:
        common.shown.add(background)
    if data[reading.at : reading.at + len(_LOOP)] == _LOOP:
        reading.take(len(_LOOP) + 2)
        need(reading.take(1) == b"\0", "loop")
    images = 0
    while (kind := reading.take(1)) != b"\x3b":
        images += 1
        need(images <= _MOST_IMAGES, "too many images")
        clear = None
        if kind == b"\x21":
            clear = _control(reading)
            kind = reading.take(1)
        need(kind == b"\x2c", "a block that may not be there")
        _image(reading, (width, height), common, clear)
    need(images > 0 and reading.at == len(data), "bytes after the end")
    if common:
        common.judge()


def _control(reading: _Reading) -> int | None:
    """The number that is clear in the next image."""
    body = reading.take(7)
    need(body[:2] == b"\xf9\x04" and body[6] == 0 and not body[2] & 0xE2, "graphic control")
    need(bool(body[2] & 1) or not body[5], "graphic control")
    return body[5] if body[2] & 1 else None


def _image(reading: _Reading, screen: tuple[int, int], common: _Colours | None, clear: int | None) -> None:
    left, top, width, height, flags = struct.unpack("<4HB", reading.take(9))
    need(0 < width <= screen[0] - left and 0 < height <= screen[1] - top, "an image outside the screen")
    need(not flags & 0x38 and (flags & _TABLE or not flags & 7), "an image's flags")
    own = reading.colours(flags)
    colours = own or common
    minimum = reading.take(1)[0]
    need(colours is not None and 1 < minimum < 9, "an image without colours")
    shown = _pixels(b"".join(_blocks(reading)), minimum, width * height)
    if colours is None:
        return
    need(max(shown) < len(colours.entries) // 3, "a colour that is not there")
    colours.shown |= shown - {clear}
    if own:
        own.judge()


def _blocks(reading: _Reading) -> Iterator[bytes]:
    """All but the last are full: their lengths say nothing."""
    full = True
    while size := reading.take(1)[0]:
        need(full, "a short block before the last")
        full = size == 255
        yield reading.take(size)


def _pixels(packed: bytes, minimum: int, wanted: int) -> set[int]:
    """Decodes an image (GIF89a, appendix F); returns the numbers of its pixels."""
    clear = 1 << minimum
    roots = [bytes((number,)) for number in range(clear)] + [b"", b""]
    strings, width, before = list(roots), minimum + 1, b""
    shown: set[int] = set()
    stream, position, bits = int.from_bytes, 0, 8 * len(packed)
    done = 0
    while True:
        need(position + width <= bits, "codes that lack")
        at = position >> 3
        code = stream(packed[at : at + 3], "little") >> (position & 7) & ((1 << width) - 1)
        position += width
        if code == clear + 1:
            break
        need(done < wanted, "codes after the last pixel")
        if code == clear:
            strings, width, before = list(roots), minimum + 1, b""
            continue
        if before and len(strings) < 4096:
            strings.append(before + (strings[code][:1] if code < len(strings) else before[:1]))
            if len(strings) == 1 << width and width < 12:
                width += 1
        need(code < len(strings), "a code that is not there")
        before = strings[code]
        if len(before) == 1:
            shown.add(before[0])
        done += len(before)
    need(done == wanted, "number of pixels")
    need(bits - position < 8 and stream(packed, "little") >> position == 0, "bytes after the last pixel")
    return shown
