"""Colour profiles made from numbers, for pictures that name their colours without carrying a profile.

They are sources to convert from, inside the jail; none is ever embedded.
"""

from __future__ import annotations

import functools
import struct

_ONE = 65_536
# Columns of Adobe RGB (1998), adapted to the white of the connection space, and its gamma, as its specification says.
_ADOBE = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
_ADOBE_GAMMA = 563 / 256
_WHITE = (0.9642, 1.0, 0.8249)


@functools.cache
def adobe_rgb() -> bytes:
    """Adobe RGB (1998), which cameras name in EXIF and leave out of the file."""
    columns = dict(zip((b"rXYZ", b"gXYZ", b"bXYZ"), (_xyz(*column) for column in _ADOBE), strict=True))
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(_ADOBE_GAMMA * 256))
    return _profile({b"wtpt": _xyz(*_WHITE)} | columns | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve))


def _xyz(*values: float) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(value * _ONE) for value in values))


def _profile(tags: dict[bytes, bytes]) -> bytes:
    """A display profile of version 2.4 (ICC.1:2001-04), with these tags and none that only names things."""
    begin = 132 + 12 * len(tags)
    table, body = b"", b""
    for name, data in tags.items():
        table += name + struct.pack(">II", begin + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    head = struct.pack(">I4xI4s4s4s", begin + len(body), 0x02400000, b"mntr", b"RGB ", b"XYZ ")
    head += struct.pack(">6H", 2000, 1, 1, 0, 0, 0) + b"acsp" + bytes(28)
    head += struct.pack(">3i", *(round(value * _ONE) for value in _WHITE)) + bytes(48)
    return head + struct.pack(">I", len(tags)) + table + body
