"""Steps through ISO base media boxes, level by level: bounded depth and count, sizes inside the file."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from worker.media.codes import unprocessable
from worker.media.limits import MediaLimits
from worker.media.walk.found import Data, passed

# Of a mapped file, the bytes that are stepped over before their memory is given back.
_WINDOW = 1 << 20

# Payload bytes before the children, of boxes that are both.
_CONTAINERS = {
    b"moov": 0,
    b"trak": 0,
    b"mdia": 0,
    b"minf": 0,
    b"stbl": 0,
    b"edts": 0,
    b"dinf": 0,
    b"udta": 0,
    b"iprp": 0,
    b"ipco": 0,
    b"meta": 4,
    b"iref": 4,
}


class Box(NamedTuple):
    """`path` is the kinds from the top, `begin` and `end` bound the payload in the file."""

    path: tuple[bytes, ...]
    begin: int
    end: int

    @property
    def kind(self) -> bytes:
        return self.path[-1]


def boxes(data: Data, limits: MediaLimits) -> Iterator[Box]:
    """Every box, parents before children, in the order of the file.

    Raises `Unprocessable`: truncated (a box reaches over its parent), corrupt, limits:boxes.
    """
    levels: list[tuple[int, int, tuple[bytes, ...]]] = [(0, len(data), ())]
    count = clear = 0
    while levels:
        at, end, path = levels.pop()
        if at + 8 > end:
            # Less than a header at a level's end: QuickTime ends `udta` with four zero bytes.
            continue
        if at - clear > _WINDOW:
            passed(data, clear, at)
            clear = at
        box, after = _box(data, at, end, path)
        count += 1
        if count > limits.boxes or len(box.path) > limits.box_depth:
            raise unprocessable("limits:boxes")
        levels.append((after, end, path))
        skip = _CONTAINERS.get(box.kind)
        if skip is not None and box.end - box.begin >= skip:
            # In QuickTime files `meta` has no version field before its children.
            plain = box.kind == b"meta" and data[box.begin + 4 : box.begin + 8] == b"hdlr"
            levels.append((box.begin + (0 if plain else skip), box.end, box.path))
        yield box


def _box(data: Data, at: int, end: int, path: tuple[bytes, ...]) -> tuple[Box, int]:
    size, kind = struct.unpack_from(">I4s", data, at)
    begin = at + 8
    if size == 1:
        if at + 16 > end:
            raise unprocessable("truncated")
        size = int(struct.unpack_from(">Q", data, begin)[0])
        begin += 8
    elif size == 0:
        size = end - at
    if size < begin - at:
        raise unprocessable("corrupt")
    if size > end - at:
        raise unprocessable("truncated")
    return Box(path=(*path, kind), begin=begin, end=at + size), at + size
