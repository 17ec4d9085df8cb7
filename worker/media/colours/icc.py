"""Colour profiles made from numbers: those to convert from, and the one that may be embedded.

A picture that names its colours without carrying a profile gets one here, inside the jail; none of these is ever
embedded. The only profile that can leave is `display_p3`, the same bytes at every run, with nobody's name in it.
"""

from __future__ import annotations

import functools
import struct

from worker.media.colours import spaces, tone
from worker.media.colours.matrices import transposed
from worker.media.colours.spaces import DISPLAY_P3, Space

_ONE, _FULL = 65_536, 65_535
# Steps of a curve that has no formula of its own in ICC.1: fine enough that no eight-bit value falls between two.
_STEPS = 4096
# Steps of the embedded curve: with these its straight pieces stay within a fifth of an eight-bit step.
_FEW_STEPS = 72
_PRIMARIES, _CURVES = (b"rXYZ", b"gXYZ", b"bXYZ"), (b"rTRC", b"gTRC", b"bTRC")


@functools.cache
def source(space: Space) -> bytes:
    """A profile to convert from: columns and curves (ICC.1:2010), or a table where the range is high.

    Raises ValueError for primaries that span no plane.
    """
    if space.hdr:
        return _profile(0x02400000, {b"wtpt": _xyz(*spaces.D50), b"A2B0": _cube(space)}, b"Lab ")
    return _profile(0x04200000, _columns(space) | dict.fromkeys(_CURVES, _curve(space)))


@functools.cache
def display_p3() -> bytes:
    """Display P3 for pictures that leave: version 2 (ICC.1:2001-04), which every reader knows, under 600 bytes."""
    name = b"P3\0"
    said = b"desc" + bytes(4) + struct.pack(">I", len(name)) + name + bytes(78)
    named = {b"desc": said, b"cprt": b"text" + bytes(4) + b"CC0\0"}
    curve = _table(DISPLAY_P3, _FEW_STEPS)
    return _profile(0x02100000, named | _columns(DISPLAY_P3) | dict.fromkeys(_CURVES, curve))


def _columns(space: Space) -> dict[bytes, bytes]:
    columns = transposed(spaces.to_connection(space))
    return {b"wtpt": _xyz(*spaces.D50)} | {name: _xyz(*each) for name, each in zip(_PRIMARIES, columns, strict=True)}


def _curve(space: Space) -> bytes:
    if isinstance(space.transfer, float) and not space.narrow:
        return _formula(0, space.transfer)
    if space.transfer == "srgb" and not space.narrow:
        return _formula(3, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
    return _table(space, _STEPS)


def _formula(kind: int, *numbers: float) -> bytes:
    """A parametric curve (ICC.1:2010, 10.16)."""
    return b"para" + bytes(4) + struct.pack(">HH", kind, 0) + _fixed(*numbers)


def _table(space: Space, steps: int) -> bytes:
    light = (spaces.light_at(space, step / (steps - 1)) for step in range(steps))
    return b"curv" + bytes(4) + struct.pack(f">I{steps}H", steps, *(round(_FULL * min(each, 1.0)) for each in light))


def _cube(space: Space) -> bytes:
    """A table of 16-bit points with straight curves before and behind it (ICC.1:2001-04, 6.5.9)."""
    head = b"mft2" + bytes(4) + struct.pack(">4B", 3, 3, tone.SIDE, 0)
    head += _fixed(1, 0, 0, 0, 1, 0, 0, 0, 1) + struct.pack(">HH", 2, 2)
    straight = struct.pack(">6H", *(0, _FULL) * 3)
    return head + straight + tone.lab_table(space) + straight


def _xyz(*values: float) -> bytes:
    return b"XYZ " + bytes(4) + _fixed(*values)


def _fixed(*values: float) -> bytes:
    try:
        return struct.pack(f">{len(values)}i", *(round(value * _ONE) for value in values))
    except (struct.error, OverflowError):
        raise ValueError("a number that no profile can hold") from None


def _profile(version: int, tags: dict[bytes, bytes], connection: bytes = b"XYZ ") -> bytes:
    """A display profile with these tags; equal ones share their bytes. Its date is fixed: nothing tells of a time."""
    begin = 132 + 12 * len(tags)
    table, body, places = b"", b"", dict[bytes, int]()
    for name, data in tags.items():
        if data not in places:
            places[data] = begin + len(body)
            body += data + bytes(-len(data) % 4)
        table += name + struct.pack(">II", places[data], len(data))
    head = struct.pack(">I4xI4s4s4s", begin + len(body), version, b"mntr", b"RGB ", connection)
    head += struct.pack(">6H", 2000, 1, 1, 0, 0, 0) + b"acsp" + bytes(28)
    head += _fixed(*spaces.D50) + bytes(48)
    return head + struct.pack(">I", len(tags)) + table + body
