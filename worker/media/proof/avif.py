"""Second reader of AVIF: one still picture and at most its alpha, each one AV1 frame; boxes of constants around them.

Boxes: ISO/IEC 23008-12 and 14496-12, and the AVIF specification (aomediacodec.github.io/av1-avif), as libavif writes
them. The bits of the frames are `av1`'s business.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass

from PIL import Image

from worker.media.proof import av1, hidden
from worker.media.proof.boxes import children, named, u16, u32
from worker.media.proof.doubt import Doubt, need

_TYPE = b"avif\0\0\0\0avifmif1miafMA1"
_HANDLER = bytes(8) + b"pict" + bytes(13)
_NAMES = {1: (b"\0", b"Color\0"), 2: (b"\0", b"Alpha\0")}
_ALPHA = bytes(4) + b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0"
# sRGB: primaries and curve, the numbers of the pixels (0 only where there is no chroma to save), full range or not.
_COLOURS = frozenset(b"nclx\0\1\0\x0d\0" + bytes(rest) for rest in ((6, 0x80), (6, 0), (1, 0x80), (1, 0), (0, 0x80)))
# A coder of AV1 ends with bits that a picture may not need, and what it says last may lie outside the picture: measured
# on our own writer's files, six bytes at most make no difference.
_TAIL = 8
# Where one change happens to be read as the same, another is not; what nobody reads stays the same under all.
_MASKS = (0xFF, 0x55, 0xAA, 0x0F, 0xC3, 0x80, 0x31)
_MOST_SIDE = 16_384
_MOST_PIXELS = 40_000_000


@dataclass(frozen=True, kw_only=True)
class _Item:
    """What the properties say of one picture: its size in pixels, its channels, its configuration."""

    size: tuple[int, int]
    channels: int
    av1c: bytes


def check(data: bytes) -> None:
    """Raises `Doubt`."""
    parts = children(data)
    need([kind for kind, _ in parts] == [b"ftyp", b"meta", b"mdat"], "a box at the top that may not be there")
    need(parts[0][1] in (_TYPE + b"A", _TYPE + b"B"), "ftyp")
    meta = parts[1][1]
    need(meta[:4] == bytes(4), "meta")
    count, found = _meta(meta[4:])
    places = _places(found[b"iloc"], count)
    mdat_at = len(data) - len(parts[2][1])
    _owned(places, mdat_at, len(data))
    items = _properties(found[b"iprp"], count)
    for number, item in enumerate(items):
        at, size = places[number]
        frame = av1.read(data[at : at + size], item.av1c)
        need(frame.size == item.size == items[0].size, "size of a frame")
        need(frame.grey == (item.channels == 1) and (number == 0 or frame.grey), "channels of a frame")
    _samples(data, items[0].size, [at + size for at, size in places])


def _meta(body: bytes) -> tuple[int, dict[bytes, bytes]]:
    """How many pictures there are (two with alpha), and the boxes, whose order is the writer's."""
    kinds = [kind for kind, _ in children(body)]
    alpha = b"iref" in kinds
    need(kinds == [b"hdlr", b"pitm", b"iloc", b"iinf", *([b"iref"] if alpha else []), b"iprp"], "meta")
    found = dict(children(body))
    need(found[b"hdlr"] == _HANDLER and found[b"pitm"] == b"\0\0\0\0\0\1", "hdlr or pitm")
    count = 2 if alpha else 1
    infos = found[b"iinf"]
    need(infos[:6] == struct.pack(">IH", 0, count), "iinf")
    entries = children(infos[6:])
    need([kind for kind, _ in entries] == [b"infe"] * count, "iinf")
    for number, (_, entry) in enumerate(entries, 1):
        need(entry[:12] == struct.pack(">IHH4s", 0x02000000, number, 0, b"av01"), "kind of an item")
        need(entry[12:] in _NAMES[number], "name of an item")
    if alpha:
        need(found[b"iref"] == bytes(4) + struct.pack(">I4sHHH", 14, b"auxl", 2, 1, 1), "references")
    return count, found


def _places(body: bytes, count: int) -> list[tuple[int, int]]:
    """Where each picture begins in the file and its bytes: one extent each, of four bytes, from the file's begin."""
    need(body[:8] == struct.pack(">IBBH", 0, 0x44, 0, count) and len(body) == 8 + 14 * count, "iloc")
    found = []
    for number in range(count):
        name, reference, extents, offset, length = struct.unpack_from(">HHHII", body, 8 + 14 * number)
        need((name, reference, extents) == (number + 1, 0, 1), "iloc")
        found.append((int(offset), int(length)))
    return found


def _owned(places: list[tuple[int, int]], begin: int, end: int) -> None:
    at = begin
    for offset, size in sorted(places):
        need(offset == at and size > 0, "bytes that no picture owns")
        at += size
    need(at == end, "bytes that no picture owns")


def _properties(body: bytes, count: int) -> list[_Item]:
    """The properties in the order of the list, each of a kind that one picture has once, and all of them used."""
    parts = named(body, [b"ipco", b"ipma"])
    properties, table = children(parts[b"ipco"]), parts[b"ipma"]
    need(table[:8] == struct.pack(">II", 0, count), "ipma")
    at, used, items = 8, set[int](), []
    for number in range(1, count + 1):
        need(at + 3 <= len(table) and u16(table, at) == number, "ipma")
        marks = table[at + 3 : at + 3 + table[at + 2]]
        at += 3 + table[at + 2]
        # The upper bit says that a reader must know the property; which are marked is the writer's constant.
        indexes = [mark & 0x7F for mark in marks]
        need(all(1 <= index <= len(properties) for index in indexes), "ipma")
        used |= set(indexes)
        chosen = [properties[index - 1] for index in indexes]
        need(all(bool(mark & 0x80) == (kind == b"av1C") for mark, (kind, _) in zip(marks, chosen, strict=True)), "ipma")
        need(len({kind for kind, _ in chosen}) == len(chosen), "ipma")
        items.append(_item(dict(chosen), alpha=number == 2))
    need(at == len(table) and used == set(range(1, len(properties) + 1)), "a property that nothing uses")
    return items


def _item(found: dict[bytes, bytes], *, alpha: bool) -> _Item:
    need(set(found) == {b"ispe", b"pixi", b"av1C", b"auxC" if alpha else b"colr"}, "a property that may not be there")
    ispe, pixi = found[b"ispe"], found[b"pixi"]
    need(len(ispe) == 12 and ispe[:4] == bytes(4), "ispe")
    width, height = u32(ispe, 4), u32(ispe, 8)
    need(0 < width <= _MOST_SIDE and 0 < height <= _MOST_SIDE and width * height <= _MOST_PIXELS, "size")
    need(pixi in (b"\0\0\0\0\1\x08", b"\0\0\0\0\3\x08\x08\x08"), "pixi")
    if alpha:
        need(found[b"auxC"] == _ALPHA and pixi[4] == 1, "auxC")
    else:
        need(found[b"colr"] in _COLOURS, "colr")
    return _Item(size=(width, height), channels=pixi[4], av1c=found[b"av1C"])


def _samples(data: bytes, size: tuple[int, int], ends: list[int]) -> None:
    """It decodes, nothing lies under full transparency, and the last bytes of each frame are not there for nothing."""
    image = _decoded(data)
    if image is None or image.size != size:
        raise Doubt("decoded size")
    seen = image.tobytes()
    need(all(any(_matters(data, end, seen, with_mask) for with_mask in _MASKS) for end in ends), "a frame's tail")
    if image.mode == "RGBA":
        hidden.decoded(image)


def _matters(data: bytes, end: int, seen: bytes, mask: int) -> bool:
    """Whether the picture is another, or none, when the bits of `mask` are turned in the last bytes before `end`."""
    other = bytearray(data)
    other[end - _TAIL : end] = bytes(byte ^ mask for byte in data[end - _TAIL : end])
    changed = _decoded(bytes(other))
    return changed is None or changed.tobytes() != seen


def _decoded(data: bytes) -> Image.Image | None:
    """The only frame, or None where a decoder refuses it."""
    try:
        with Image.open(io.BytesIO(data), formats=("AVIF",)) as image:
            need(getattr(image, "n_frames", 0) == 1 and image.width * image.height <= _MOST_PIXELS, "number of frames")
            image.load()
            return image.copy()
    except (OSError, ValueError, RuntimeError):
        return None
