"""Finds the further pictures of a JPEG by its multi-picture index (CIPA DC-007, 5.2)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from worker.media.walk.found import Data

_MOST_PICTURES = 16
_MOST_SEGMENTS = 1_000
_LIST = 0xB002
_ENTRY = 16


def further(data: Data) -> list[tuple[int, int]]:
    """Begin and end in the file of each picture after the first; none where the index is absent or makes no sense."""
    at = _index(data)
    if at is None:
        return []
    try:
        return list(_places(data, at))
    except struct.error:
        return []


def _index(data: Data) -> int | None:
    """Where the index's TIFF header lies, from which its offsets count."""
    at = 2
    for _ in range(_MOST_SEGMENTS):
        if at + 4 > len(data) or data[at] != 0xFF or data[at + 1] == 0xDA:
            return None
        if data[at + 1] == 0xE2 and data[at + 4 : at + 8] == b"MPF\0":
            return at + 8
        at += 2 + int(struct.unpack_from(">H", data, at + 2)[0])
    return None


def _places(data: Data, base: int) -> Iterator[tuple[int, int]]:
    order = {b"MM\0*": ">", b"II*\0": "<"}.get(data[base : base + 4])
    if order is None:
        return
    directory = base + int(struct.unpack_from(order + "I", data, base + 4)[0])
    count = int(struct.unpack_from(order + "H", data, directory)[0])
    for entry in range(directory + 2, directory + 2 + 12 * min(count, _MOST_PICTURES), 12):
        tag, _kind, size, where = struct.unpack_from(order + "HHII", data, entry)
        if tag != _LIST:
            continue
        for number in range(1, min(size // _ENTRY, _MOST_PICTURES)):
            length, offset = struct.unpack_from(order + "4xII", data, base + where + _ENTRY * number)
            begin = base + int(offset)
            if offset and begin + length <= len(data):
                yield begin, begin + int(length)
