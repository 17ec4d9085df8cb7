"""Steps through the directories of a TIFF structure, as EXIF uses it and as a TIFF file is one (TIFF 6.0, CIPA DC-008).

Tells what a picture needs of it: its orientation, and whether its colours are Adobe RGB.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from worker.media.walk.found import Data

SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_MOST_ENTRIES = 5_000
_DIRECTORIES = {0x8769: "exif", 0x8825: "gps", 0xA005: "interop", 0x014A: "sub", 0x0190: "sub"}


class Entry(NamedTuple):
    """One tag. `where` is `ifd0`, `ifd1` (every further one of the chain), `exif`, `gps`, `interop` or `sub`.

    `at` and `size` bound its value in the block, wherever the file says that it lies; `value` is that of a short, of a
    long or of four letters, else 0. Each directory's own bytes come before its tags, as an entry of tag -1.
    """

    where: str
    tag: int
    kind: int
    at: int
    size: int
    value: int


def entries(block: Data | memoryview) -> Iterator[Entry]:
    """Every tag, each directory once; a broken block gives what could be read."""
    if len(block) < 8 or bytes(block[:2]) not in (b"II", b"MM"):
        return
    order = "<" if bytes(block[:2]) == b"II" else ">"
    todo = deque([("ifd0", int(struct.unpack_from(order + "I", block, 4)[0]))])
    seen: set[int] = set()
    left = _MOST_ENTRIES
    while todo:
        where, at = todo.popleft()
        if at in seen or not 8 <= at <= len(block) - 2:
            continue
        seen.add(at)
        count = int(struct.unpack_from(order + "H", block, at)[0])
        end = at + 2 + 12 * count
        yield Entry(where=where, tag=-1, kind=0, at=at, size=2 + 12 * count + 4, value=0)
        for place in range(at + 2, min(end, len(block) - 11), 12):
            left -= 1
            if left < 0:
                return
            entry = _entry(block, place, order, where)
            yield entry
            if entry.tag in _DIRECTORIES:
                todo.extend((_DIRECTORIES[entry.tag], begin) for begin in _pointers(block, entry, order))
        if where in ("ifd0", "ifd1") and end + 4 <= len(block):
            todo.append(("ifd1", int(struct.unpack_from(order + "I", block, end)[0])))


def orientation(block: bytes) -> int:
    """The orientation 1 to 8 of the first directory; 0 where it is absent or makes no sense."""
    for entry in entries(block):
        if entry.where == "ifd0" and entry.tag == 0x0112:
            return entry.value if 1 <= entry.value <= 8 else 0
    return 0


def is_adobe_rgb(block: Data | memoryview) -> bool:
    """Whether a camera says Adobe RGB without a profile: ColorSpace 2, or Interop index R03 with it uncalibrated."""
    tags = {(entry.where, entry.tag): entry.value for entry in entries(block)}
    space = tags.get(("exif", 0xA001))
    return space == 2 or (space == 0xFFFF and tags.get(("interop", 0x0001)) == int.from_bytes(b"R03\0", "big"))


def _entry(block: Data | memoryview, place: int, order: str, where: str) -> Entry:
    tag, kind, amount = struct.unpack_from(order + "HHI", block, place)
    size = SIZES.get(kind, 0) * amount
    at = place + 8 if size <= 4 else int(struct.unpack_from(order + "I", block, place + 8)[0])
    return Entry(where=where, tag=tag, kind=kind, at=at, size=size, value=_value(block, place, order, kind, amount))


def _value(block: Data | memoryview, place: int, order: str, kind: int, amount: int) -> int:
    if kind == 3 and amount == 1:
        return int(struct.unpack_from(order + "H", block, place + 8)[0])
    if kind in (4, 13) and amount == 1:
        return int(struct.unpack_from(order + "I", block, place + 8)[0])
    return int.from_bytes(block[place + 8 : place + 12], "big") if kind == 2 and amount == 4 else 0


def _pointers(block: Data | memoryview, entry: Entry, order: str) -> list[int]:
    """Where the directories lie that an entry points to: one, or up to sixteen for sub-pictures."""
    if entry.size <= 4:
        return [entry.value]
    count = min(entry.size // 4, 16)
    return list(struct.unpack_from(f"{order}{count}I", block, entry.at)) if entry.at + 4 * count <= len(block) else []
