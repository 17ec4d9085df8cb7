"""Colour spaces as numbers: primaries, white and transfer, from what formats write instead of a profile.

The code points are those of ITU-T H.273 (2024) tables 2 and 3, which PNG's `cICP` and HEIF's `nclx` carry. What is
unspecified there, or unknown to us, counts as sRGB.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

from worker.media.colours.matrices import Matrix, Row, applied, diagonal, inverse, product, transposed

Point = tuple[float, float]
# A gamma, or the name of a curve.
Transfer = float | str

# White points as CIE 1931 x, y (H.273 table 2), and that of the connection space of ICC.1 as XYZ.
_D65, _C, _E, _DCI = (0.3127, 0.3290), (0.310, 0.316), (1 / 3, 1 / 3), (0.314, 0.351)
D50: Row = (0.9642, 1.0, 0.8249)
# The cone response of Bradford, as ICC.1 annex E uses it.
_BRADFORD: Matrix = ((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296))
# Nits of diffuse white, and of the brightest light that is kept apart from white (ITU-R BT.2408, BT.2100).
_WHITE_NITS, _PEAK_NITS = 203.0, 1000.0
PEAK = _PEAK_NITS / _WHITE_NITS


@dataclass(frozen=True, kw_only=True)
class Space:
    """`red`, `green`, `blue`, `white`: CIE 1931 x, y. `narrow`: black at 16 and white at 235 of 255."""

    red: Point
    green: Point
    blue: Point
    white: Point = _D65
    transfer: Transfer = "srgb"
    narrow: bool = False

    @property
    def hdr(self) -> bool:
        """Whether it goes beyond diffuse white and has to be brought into the range of a plain display."""
        return self.transfer in ("pq", "hlg")


_BT709 = ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060), _D65)
_SMPTE170 = ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65)
_P3 = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
_PRIMARIES: dict[int, tuple[Point, Point, Point, Point]] = {
    1: _BT709,
    2: _BT709,
    4: ((0.67, 0.33), (0.21, 0.71), (0.14, 0.08), _C),
    5: ((0.64, 0.33), (0.29, 0.60), (0.15, 0.06), _D65),
    6: _SMPTE170,
    7: _SMPTE170,
    8: ((0.681, 0.319), (0.243, 0.692), (0.145, 0.049), _C),
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), _D65),
    10: ((1.0, 0.0), (0.0, 1.0), (0.0, 0.0), _E),
    11: (*_P3, _DCI),
    12: (*_P3, _D65),
    22: ((0.630, 0.340), (0.295, 0.605), (0.155, 0.077), _D65),
}
# The camera curves of television count as the curve of sRGB, as Chromium has it: pictures that say so were made from
# sRGB far more often than they were filmed.
_TRANSFERS: dict[int, Transfer] = {
    **dict.fromkeys((1, 2, 6, 11, 12, 13, 14, 15), "srgb"),
    4: 2.2,
    5: 2.8,
    7: "smpte240",
    8: 1.0,
    9: "log100",
    10: "log316",
    16: "pq",
    17: "smpte428",
    18: "hlg",
}

SRGB = Space(red=_BT709[0], green=_BT709[1], blue=_BT709[2])
DISPLAY_P3 = Space(red=_P3[0], green=_P3[1], blue=_P3[2])
# Adobe RGB (1998), 4.3.1: what cameras name in EXIF.
ADOBE_RGB = Space(red=(0.64, 0.33), green=(0.21, 0.71), blue=(0.15, 0.06), transfer=563 / 256)


def coded(primaries: int, transfer: int, *, narrow: bool = False) -> Space | None:
    """The space of a pair of H.273 code points; None where either is reserved."""
    if primaries not in _PRIMARIES or transfer not in _TRANSFERS:
        return None
    red, green, blue, white = _PRIMARIES[primaries]
    return Space(red=red, green=green, blue=blue, white=white, transfer=_TRANSFERS[transfer], narrow=narrow)


def light_at(space: Space, code: float) -> float:
    """The light of one channel at a code of 0 to 1; 1 is diffuse white, which only the curves of HDR exceed."""
    if space.narrow:
        code = min(max((code * 255 - 16) / 219, 0.0), 1.0)
    return _CURVES[space.transfer](code) if isinstance(space.transfer, str) else float(code**space.transfer)


def _srgb(value: float) -> float:
    return value / 12.92 if value <= 0.04045 else float(((value + 0.055) / 1.055) ** 2.4)


def _smpte240(value: float) -> float:
    return value / 4 if value < 0.0912 else float(((value + 0.1115) / 1.1115) ** (1 / 0.45))


def _smpte428(value: float) -> float:
    return min(float(value**2.6) * 52.37 / 48, 1.0)


def _pq(value: float) -> float:
    """SMPTE ST 2084, as nits over those of diffuse white."""
    root = float(value ** (32 / 2523))
    share = float((max(root - 0.8359375, 0.0) / (18.8515625 - 18.6875 * root)) ** (8192 / 1305))
    return 10_000 * share / _WHITE_NITS


def _hlg(value: float) -> float:
    """ITU-R BT.2100 table 5, light of the scene up to 1: `tone` makes a display's light of it."""
    return value * value / 3 if value <= 0.5 else (math.exp((value - 0.55991073) / 0.17883277) + 0.28466892) / 12


_CURVES: dict[str, Callable[[float], float]] = {
    "srgb": _srgb,
    "smpte240": _smpte240,
    "smpte428": _smpte428,
    "log100": lambda value: 10 ** (2 * (value - 1)) if value > 0 else 0.0,
    "log316": lambda value: 10 ** (2.5 * (value - 1)) if value > 0 else 0.0,
    "pq": _pq,
    "hlg": _hlg,
}


@functools.cache
def to_connection(space: Space) -> Matrix:
    """From linear RGB to XYZ under D50 (ICC.1 annex E). Raises ValueError for primaries that span no plane."""
    if not space.white[1]:
        raise ValueError("no white")
    white = _xyz(space.white)
    columns = tuple((x, y, 1 - x - y) for x, y in (space.red, space.green, space.blue))
    plain = transposed(columns)
    shares = applied(inverse(plain), white)
    own = tuple(tuple(value * share for value, share in zip(row, shares, strict=True)) for row in plain)
    old, new = applied(_BRADFORD, white), applied(_BRADFORD, D50)
    gains = diagonal(*(b / a for a, b in zip(old, new, strict=True)))
    return product(product(product(inverse(_BRADFORD), gains), _BRADFORD), own)  # type: ignore[arg-type]


def _xyz(point: Point) -> Row:
    x, y = point
    return x / y, 1.0, (1 - x - y) / y
