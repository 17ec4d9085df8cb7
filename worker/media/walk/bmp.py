"""Reads the header of a BMP: size, and where its pixels lie."""

from __future__ import annotations

import struct

from worker.media.codes import unprocessable
from worker.media.limits import MediaLimits
from worker.media.walk.found import Data, Walked

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
    if header == 124 and bytes(data[70:74]) in (b"DEBM", b"KNIL"):
        walked.add("icc")
    return walked
