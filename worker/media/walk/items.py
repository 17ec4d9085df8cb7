"""Reads the tables of a HEIF's `meta` box: which items there are, where each lies, what it has and refers to
(ISO/IEC 14496-12, 8.11; ISO/IEC 23008-12)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from worker.media.codes import unprocessable
from worker.media.walk.boxes import Box
from worker.media.walk.found import Data


@dataclass(kw_only=True)
class Items:
    """What `meta` says: item -> type, name (with a MIME type behind it), extents, property indices; the list of
    properties, each with where it lies; references as (kind, from, to).

    `mdat` bounds the boxes of pixels; `movie`: samples of a sequence lie there, too; `left` is how many more entries of
    tables are borne.
    """

    primary: int = 0
    kinds: dict[int, bytes] = field(default_factory=dict)
    names: dict[int, bytes] = field(default_factory=dict)
    extents: dict[int, tuple[int, list[tuple[int, int]]]] = field(default_factory=dict)
    properties: list[tuple[bytes, int, int]] = field(default_factory=list)
    of: dict[int, list[int]] = field(default_factory=dict)
    references: list[tuple[bytes, int, int]] = field(default_factory=list)
    idat: int = 0
    wide: bool = False
    mdat: list[tuple[int, int]] = field(default_factory=list)
    movie: bool = False
    left: int

    def count(self, entries: int = 1) -> None:
        """Entries of tables are as many boxes more. Raises `Unprocessable` (`limits:boxes`)."""
        self.left -= entries
        if self.left < 0:
            raise unprocessable("limits:boxes")


def note(data: Data, box: Box, items: Items) -> None:
    """Take in what one box below `meta` says. Raises `Unprocessable`: corrupt, limits:boxes."""
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
        elif box.kind == b"iref":
            items.wide = data[box.begin] > 0
        elif box.kind == b"ipma":
            _associations(data, box, items)
        elif box.path[-2:-1] == (b"ipco",):
            # It is looked at when it is met, and again beside the others.
            items.count(3)
            items.properties.append((box.kind, box.begin, box.end))
        elif box.path[-2:-1] == (b"iref",):
            _references(data, box, items)
    except (struct.error, IndexError):
        raise unprocessable("corrupt") from None


def _references(data: Data, box: Box, items: Items) -> None:
    size, form = (4, "I") if items.wide else (2, "H")
    source, count = struct.unpack_from(f">{form}H", data, box.begin)
    items.count(count)
    targets = struct.unpack_from(f">{count}{form}", data, box.begin + size + 2)
    items.references.extend((box.kind, source, target) for target in targets)


def _item_infos(data: Data, box: Box, items: Items) -> None:
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
            items.names[item] = data[name + 4 : at + size]
        at += size


def _item_places(data: Data, box: Box, items: Items) -> None:
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


def _associations(data: Data, box: Box, items: Items) -> None:
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


def properties_of(items: Items, item: int) -> Iterator[tuple[bytes, int, int]]:
    """Kind, begin and end of each property of an item."""
    for index in items.of.get(item, ()):
        if 0 < index <= len(items.properties):
            yield items.properties[index - 1]


def content(data: Data, items: Items, item: int, most: int) -> bytes:
    """The first bytes of an item, `most` of them."""
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
