"""Which colours a picture's own profile stands for, and the constant that says the same; the camera's never stays.

Only matrix profiles (ICC.1:2010, 8.3) are recognised, by their numbers: names in a profile prove nothing.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

from worker.media.colours import declared, icc
from worker.media.colours.spaces import DISPLAY_P3
from worker.media.lossless.declined import Declined
from worker.media.walk.found import Walked

# Columns of the matrix: red, green, blue as XYZ, adapted to D50 (IEC 61966-2-1, SMPTE EG 432-1, ICC.1 annex E). Both
# spaces have the curve of sRGB.
_SRGB = (0.4361, 0.2225, 0.0139, 0.3851, 0.7169, 0.0971, 0.1431, 0.0606, 0.7141)
_P3 = (0.5151, 0.2412, -0.0011, 0.2919, 0.6922, 0.0419, 0.1571, 0.0666, 0.7841)
# How far a number may lie from the table's: profiles are rounded, and adapted to D50 by slightly different matrices.
_NEAR, _NEAR_CURVE = 0.003, 0.004
_STEPS = 33


@dataclass(frozen=True, kw_only=True)
class Stored:
    """Of the picture as stored: Pillow's name of its pixels, and its own profile."""

    mode: str
    profile: bytes | None = None


def kept(walked: Walked, stored: Stored) -> bytes | None:
    """Our profile of the same colours; None where the picture is right as sRGB, which needs none.

    Raises `Declined` (`colour_profile`) for colours that no constant of ours stands for. A profile that does not
    parse, or is of another kind of pixels, counts as none: that is how the other copies and browsers read it.
    """
    for said in declared.profiles(stored.profile, walked):
        if said is None:
            return None
        if said == icc.source(DISPLAY_P3):
            return icc.display_p3()
        tags = _tags(said)
        if tags is not None and said[16:20].rstrip() == _space_of(stored.mode):
            return _of_same_colours(tags)
    return None


def _of_same_colours(tags: dict[bytes, bytes]) -> bytes | None:
    if _is_srgb_curve(tags.get(b"kTRC", b"")) or _matches(tags, _SRGB):
        return None
    if _matches(tags, _P3):
        return icc.display_p3()
    raise Declined("colour_profile")


def _space_of(mode: str) -> bytes:
    if mode == "CMYK":
        return b"CMYK"
    return b"GRAY" if mode in ("1", "L", "LA") or mode.startswith("I") else b"RGB"


def _tags(profile: bytes) -> dict[bytes, bytes] | None:
    """Signature -> content; None for what is no profile."""
    if len(profile) < 132 or profile[36:40] != b"acsp":
        return None
    (count,) = struct.unpack_from(">I", profile, 128)
    if count > 100 or 132 + 12 * count > len(profile):
        return None
    entries = (struct.unpack_from(">4sII", profile, 132 + 12 * number) for number in range(count))
    return {name: profile[at : at + size] for name, at, size in entries}


def _matches(tags: dict[bytes, bytes], columns: tuple[float, ...]) -> bool:
    if any(name in tags for name in (b"A2B0", b"A2B1", b"cicp")):
        return False
    found = [value for name in (b"rXYZ", b"gXYZ", b"bXYZ") for value in _xyz(tags.get(name, b""))]
    near = len(found) == 9 and all(abs(one - other) <= _NEAR for one, other in zip(found, columns, strict=True))
    return near and all(_is_srgb_curve(tags.get(name, b"")) for name in (b"rTRC", b"gTRC", b"bTRC"))


def _xyz(tag: bytes) -> tuple[float, ...]:
    return tuple(value / 65_536 for value in struct.unpack_from(">3i", tag, 8)) if len(tag) >= 20 else ()


def _is_srgb_curve(tag: bytes) -> bool:
    curve = _curve(tag)
    if curve is None:
        return False
    steps = [number / (_STEPS - 1) for number in range(_STEPS)]
    return all(abs(curve(step) - _light(step)) <= _NEAR_CURVE for step in steps)


def _light(value: float) -> float:
    return value / 12.92 if value <= 0.04045 else float(((value + 0.055) / 1.055) ** 2.4)


def _curve(tag: bytes) -> Callable[[float], float] | None:
    """`curv` and `para` (ICC.1:2010, 10.5 and 10.15), or None."""
    if tag[:4] == b"curv" and len(tag) >= 12:
        (count,) = struct.unpack_from(">I", tag, 8)
        if len(tag) < 12 + 2 * count or count < 2:
            return None
        return _table(struct.unpack_from(f">{count}H", tag, 12))
    if tag[:4] == b"para" and len(tag) >= 32 and tag[8:10] == b"\0\3":
        g, a, b, c, d = (value / 65_536 for value in struct.unpack_from(">5i", tag, 12))
        return lambda value: c * value if value < d else max(a * value + b, 0.0) ** g
    return None


def _table(entries: tuple[int, ...]) -> Callable[[float], float]:
    def at(value: float) -> float:
        place = value * (len(entries) - 1)
        below = min(int(place), len(entries) - 2)
        return (entries[below] + (place - below) * (entries[below + 1] - entries[below])) / 65_535

    return at
