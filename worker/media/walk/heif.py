"""Walks a HEIF or AVIF: the primary picture's size, its items, and what lies beside it."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from worker.errors import Unprocessable
from worker.media.codes import unprocessable
from worker.media.limits import MediaLimits
from worker.media.walk.boxes import Box, boxes
from worker.media.walk.found import LOOK_BYTES, Data, Walked, passed

_C2PA = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
_XMP = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_TOP = frozenset({b"ftyp", b"meta", b"mdat", b"moov", b"free", b"skip", b"styp", b"wide", b"idat"})
# Items that only carry the pixels of another.
_PARTS = frozenset({b"hvc1", b"av01", b"grid", b"iden", b"iovl", b"jpeg", b"unci", b"vvc1", b"j2k1", b"avc1", b"mski"})
# Of an item's content, and of a property that is only a label, the bytes that are looked into.
_ITEM, _LABEL = 1 << 20, 128
_WINDOW = 1 << 20

_DERIVED = frozenset({b"grid", b"iden", b"iovl"})


@dataclass(kw_only=True)
class _Items:
    """What `meta` says: item -> type, extents, property indices; the list of properties; references."""

    primary: int = 0
    kinds: dict[int, bytes] = field(default_factory=dict)
    types: dict[int, bytes] = field(default_factory=dict)
    extents: dict[int, tuple[int, list[tuple[int, int]]]] = field(default_factory=dict)
    properties: list[tuple[bytes, int, int]] = field(default_factory=list)
    of: dict[int, list[int]] = field(default_factory=dict)
    references: list[tuple[bytes, int]] = field(default_factory=list)
    idat: int = 0
    left: int

    def count(self, entries: int = 1) -> None:
        """Entries of tables are as many boxes more. Raises `Unprocessable` (`limits:boxes`)."""
        self.left -= entries
        if self.left < 0:
            raise unprocessable("limits:boxes")


def walk(data: Data, limits: MediaLimits) -> Walked:
    """Raises `Unprocessable`: truncated, corrupt, unsupported_codec, limits:boxes, limits:frames, limits:side."""
    walked, items = Walked(), _Items(left=limits.boxes)
    for box in _boxes_and_tail(data, limits, walked):
        if len(box.path) == 1:
            _top(data, box, walked)
        elif box.path[0] == b"meta":
            _meta(data, box, items)
        elif box.kind == b"stsz" and box.end - box.begin >= 12:
            # An image sequence: its longest track is the animation.
            count = int(struct.unpack_from(">I", data, box.begin + 8)[0])
            walked.frames = max(walked.frames, count)
        elif box.kind == b"tkhd" and box.end - box.begin >= 84:
            width, height = struct.unpack_from(">II", data, box.end - 8)
            walked.width, walked.height = max(walked.width, width >> 16), max(walked.height, height >> 16)
    if walked.frames > limits.frames:
        raise unprocessable("limits:frames")
    _primary(data, items, walked, limits)
    # What the bundled decoders know: HEVC in HEIF, AV1 in AVIF. An image sequence says its codec in `moov`.
    if walked.frames == 1 and not {b"hvc1", b"av01"} & set(items.kinds.values()):
        raise unprocessable("unsupported_codec")
    _carriers(data, items, walked)
    _colours(data, items, walked)
    return walked


def _boxes_and_tail(data: Data, limits: MediaLimits, walked: Walked) -> Iterator[Box]:
    """The boxes; bytes after the last whole one at the top are a tail, once the pictures were there."""
    seen, last = False, 0
    try:
        for box in boxes(data, limits):
            if len(box.path) == 1:
                seen, last = seen or box.kind == b"mdat", box.end
            yield box
    except Unprocessable:
        if not seen or data[last + 4 : last + 8] in _TOP:
            raise
    if last < len(data):
        walked.add("trailing", memoryview(data)[last:])


def _top(data: Data, box: Box, walked: Walked) -> None:
    body = memoryview(data)[box.begin : box.end]
    if box.kind == b"uuid":
        form = {_C2PA: "c2pa", _XMP: "xmp"}.get(bytes(body[:16]), "unknown")
        walked.add(form, body[16:])
    elif box.kind == b"mpvd":
        walked.add("embedded_video", body)
    elif box.kind in (b"free", b"skip"):
        if bytes(body[:4096]).strip(b"\0"):
            walked.add("hidden", body)
    elif box.kind not in _TOP:
        walked.add("unknown", body)


def _meta(data: Data, box: Box, items: _Items) -> None:
    try:
        if box.kind == b"pitm":
            wide = data[box.begin] > 0
            items.primary = int(struct.unpack_from(">I" if wide else ">H", data, box.begin + 4)[0])
        elif box.kind == b"iinf":
            _item_infos(data, box, items)
        elif box.kind == b"iloc":
            _item_places(data, box, items)
        elif box.kind == b"idat":
            items.idat = box.begin
        elif box.kind == b"ipma":
            _associations(data, box, items)
        elif box.path[-2:-1] == (b"ipco",):
            items.count(2)
            items.properties.append((box.kind, box.begin, box.end))
        elif box.path[-2:-1] == (b"iref",):
            source = int(struct.unpack_from(">H", data, box.begin)[0])
            items.references.append((box.kind, source))
    except (struct.error, IndexError):
        raise unprocessable("corrupt") from None


def _item_infos(data: Data, box: Box, items: _Items) -> None:
    wide = data[box.begin] > 0
    at = box.begin + (8 if wide else 6)
    while at + 12 <= box.end:
        size, kind, version = struct.unpack_from(">I4sB", data, at)
        items.count()
        if size < 12 or at + size > box.end or kind != b"infe":
            raise unprocessable("corrupt")
        if version >= 2:
            item = int(struct.unpack_from(">I" if version == 3 else ">H", data, at + 12)[0])
            name = at + 12 + (4 if version == 3 else 2) + 2
            items.kinds[item] = data[name : name + 4]
            items.types[item] = data[name + 4 : at + size]
        at += size


def _item_places(data: Data, box: Box, items: _Items) -> None:
    version, sizes, base_index = data[box.begin], data[box.begin + 4], data[box.begin + 5]
    offset_size, length_size, base_size = sizes >> 4, sizes & 15, base_index >> 4
    index_size = base_index & 15 if version else 0
    if not {offset_size, length_size, base_size, index_size} <= {0, 4, 8}:
        raise unprocessable("corrupt")
    wide = version == 2
    count = int(struct.unpack_from(">I" if wide else ">H", data, box.begin + 6)[0])
    at = box.begin + (10 if wide else 8)
    for _ in range(count):
        items.count()
        if at >= box.end:
            raise unprocessable("corrupt")
        item = int(struct.unpack_from(">I" if wide else ">H", data, at)[0])
        at += 4 if wide else 2
        method = 0
        if version:
            method = data[at + 1] & 15
            at += 2
        at += 2
        base = int.from_bytes(data[at : at + base_size], "big")
        extents = int(struct.unpack_from(">H", data, at + base_size)[0])
        at += base_size + 2
        items.count(extents)
        places = []
        for _extent in range(extents):
            at += index_size
            offset = int.from_bytes(data[at : at + offset_size], "big")
            length = int.from_bytes(data[at + offset_size : at + offset_size + length_size], "big")
            at += offset_size + length_size
            places.append((base + offset, length))
        items.extents[item] = (method, places)


def _associations(data: Data, box: Box, items: _Items) -> None:
    version, flags = data[box.begin], data[box.begin + 3]
    count = int(struct.unpack_from(">I", data, box.begin + 4)[0])
    at = box.begin + 8
    for _ in range(count):
        if at >= box.end:
            raise unprocessable("corrupt")
        item = int(struct.unpack_from(">I" if version else ">H", data, at)[0])
        at += 4 if version else 2
        amount = data[at]
        items.count(1 + amount // 8)
        at += 1
        if flags & 1:
            indices = [value & 0x7FFF for value in struct.unpack_from(f">{amount}H", data, at)]
        else:
            indices = [value & 0x7F for value in data[at : at + amount]]
        items.of[item] = indices
        at += amount * (2 if flags & 1 else 1)


def _properties(items: _Items, item: int) -> Iterator[tuple[bytes, int, int]]:
    for index in items.of.get(item, ()):
        if 0 < index <= len(items.properties):
            yield items.properties[index - 1]


def _primary(data: Data, items: _Items, walked: Walked, limits: MediaLimits) -> None:
    """The size of the primary item by `ispe` and, for a grid, by its descriptor: the larger is judged."""
    if items.kinds and items.primary not in items.kinds:
        raise unprocessable("corrupt")
    for kind, begin, end in items.properties:
        if kind == b"ispe" and end - begin >= 12 and max(struct.unpack_from(">II", data, begin + 4)) > limits.side:
            raise unprocessable("limits:side")
    for kind, begin, end in _properties(items, items.primary):
        if kind == b"ispe" and end - begin >= 12:
            width, height = struct.unpack_from(">II", data, begin + 4)
            walked.width, walked.height = max(walked.width, width), max(walked.height, height)
    if items.kinds.get(items.primary) == b"grid":
        body = _content(data, items, items.primary, 16)
        if len(body) >= 8:
            width, height = struct.unpack_from(">II" if body[1] & 1 and len(body) >= 12 else ">HH", body, 4)
            walked.width, walked.height = max(walked.width, width), max(walked.height, height)
    if not walked.width or not walked.height:
        raise unprocessable("corrupt")


def _colours(data: Data, items: _Items, walked: Walked) -> None:
    """The numbers of the primary item; those of its first tile where a grid has none."""
    tiles = [item for item, kind in items.kinds.items() if kind in (b"hvc1", b"av01")]
    derived = items.kinds.get(items.primary) in _DERIVED
    for item in [items.primary, *(tiles[:1] if derived else [])]:
        for kind, begin, end in _properties(items, item):
            if kind == b"colr" and data[begin : begin + 4] == b"nclx":
                walked.colours.setdefault(b"nclx", bytes(data[begin + 4 : min(end, begin + 11)]))


def _content(data: Data, items: _Items, item: int, most: int) -> bytes:
    method, places = items.extents.get(item, (0, []))
    if method > 1:
        return b""
    base = items.idat if method else 0
    parts, size = [], 0
    for offset, length in places:
        parts.append(data[base + offset : base + offset + (min(length, most - size) if length else most - size)])
        size += len(parts[-1])
        if size >= most:
            break
    return b"".join(parts)


def _carriers(data: Data, items: _Items, walked: Walked) -> None:
    for item, kind in items.kinds.items():
        if kind == b"Exif":
            body = _content(data, items, item, min(_ITEM, walked.room))
            skip = 4 + int.from_bytes(body[:4], "big")
            walked.add("exif", body[skip:])
        elif kind == b"mime":
            xmp = b"rdf+xml" in items.types.get(item, b"")
            walked.add("xmp" if xmp else "unknown", _content(data, items, item, min(_ITEM, walked.room)))
        elif kind not in _PARTS:
            walked.add("gain_map" if kind == b"tmap" else "unknown")
    for reference, _source in items.references:
        if reference == b"thmb":
            walked.add("thumbnail")
    clear = items.properties[0][1] if items.properties else 0
    for kind, begin, end in items.properties:
        body = data[begin : min(end, begin + max(min(LOOK_BYTES, walked.room), _LABEL))]
        if kind == b"colr" and body[:4] in (b"prof", b"rICC"):
            walked.add("icc", body[4:])
        elif kind == b"auxC":
            walked.add(_auxiliary(body[:_LABEL]))
        elif kind == b"udes":
            walked.add("text", body)
        if not clear <= begin <= clear + _WINDOW:
            passed(data, clear, begin)
            clear = begin
    walked.carriers = [carrier for carrier in walked.carriers if carrier.form]


def _auxiliary(body: bytes) -> str:
    """Alpha is part of the picture; anything else is a second picture of some kind."""
    if b"alpha" in body or b":auxid:1\0" in body:
        return ""
    if b"depth" in body or b"disparity" in body or b":auxid:2\0" in body:
        return "depth_map"
    return "gain_map" if b"gainmap" in body.lower() else "second_picture"
