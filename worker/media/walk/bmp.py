"""Reads the header of a BMP: size, and where its pixels lie."""

from __future__ import annotations

import struct

from worker.media.codes import unprocessable
from worker.media.limits import MediaLimits
from worker.media.walk.found import Data, Walked, speaks

_HEADERS = frozenset({12, 40, 52, 56, 64, 108, 124})
_BITS = frozenset({1, 2, 4, 8, 16, 24, 32})


def walk(data: Data, _limits: MediaLimits) -> Walked:
    """Raises `Unprocessable`: truncated, corrupt."""
    if len(data) < 26:
        raise unprocessable("truncated")
    offset, header = struct.unpack_from("<II", data, 10)
    if header not in _HEADERS:
        raise unprocessable("corrupt")
    if header == 12:
        width, height, _planes, bits = struct.unpack_from("<HHHH", data, 18)
    elif len(data) < 54:
        raise unprocessable("truncated")
    else:
        width, height, _planes, bits = struct.unpack_from("<iiHH", data, 18)
    if width <= 0 or not height or bits not in _BITS:
        raise unprocessable("corrupt")
    if offset > len(data):
        raise unprocessable("truncated")
    walked = Walked(width=width, height=abs(height))
    begin, end = 14 + header, _end(data, offset, width, abs(height), bits, header)
    if header == 124 and bytes(data[70:74]) in (b"DEBM", b"KNIL"):
        walked.add("icc")
        at, size = struct.unpack_from("<II", data, 126)
        profile = (14 + at, 14 + at + size)
        if profile[0] >= end:
            end = max(end, profile[1])
    if speaks(data, begin + _tables(data, header, bits), offset):
        walked.add("hidden_data")
    if speaks(data, end, len(data)):
        walked.add("trailing", memoryview(data)[end:])
    return walked


def _tables(data: Data, header: int, bits: int) -> int:
    """Bytes of the channel masks that stand behind the oldest header, and of the palette."""
    if header == 12:
        return 3 << bits if bits <= 8 else 0
    packing, used = struct.unpack_from("<I", data, 30)[0], struct.unpack_from("<I", data, 46)[0]
    masks = {3: 12, 6: 16}.get(packing, 0) if header == 40 else 0
    return masks + 4 * min(used or (1 << bits if bits <= 8 else 0), 256)


def _end(data: Data, offset: int, width: int, height: int, bits: int, header: int) -> int:
    """Where the pixels end: rows are padded to four bytes; packed ones say their size themselves."""
    packing, size = struct.unpack_from("<II", data, 30) if header >= 40 else (0, 0)
    if packing in (1, 2):
        return offset + size if size else len(data)
    return offset + (width * bits + 31) // 32 * 4 * height
