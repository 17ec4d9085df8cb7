"""High dynamic range to a plain display: a table from code values to colours as they are seen.

Light beyond diffuse white is rolled off by the extended curve of Reinhard et al. 2002 (equation 4) on the strongest
channel, so that hues keep. The table goes into a profile (`icc`), so that these pictures take the way of all others.
"""

from __future__ import annotations

import struct

from worker.media.colours import spaces
from worker.media.colours.matrices import Matrix, Row, applied
from worker.media.colours.spaces import PEAK, Space

# Points along each side: between them colours are mixed. 33 is what lcms itself makes of any table.
SIDE = 33
# System gamma of HLG at its nominal 1,000 nits (ITU-R BT.2100, table 5).
_HLG_GAMMA = 1.2


def lab_table(space: Space) -> bytes:
    """For each point of a cube of codes, blue running fastest: L*, a*, b* under D50 as ICC.1:2001 packs them."""
    matrix = spaces.to_connection(space)
    light = [spaces.light_at(space, step / (SIDE - 1)) for step in range(SIDE)]
    made = bytearray()
    for red in light:
        for green in light:
            for blue in light:
                made += _packed(_lab(applied(matrix, _rolled_off((red, green, blue), space, matrix))))
    return bytes(made)


def _rolled_off(light: Row, space: Space, matrix: Matrix) -> Row:
    """Light over that of diffuse white, brought to at most 1."""
    red, green, blue = light
    if space.transfer == "hlg":
        seen = sum(share * part for share, part in zip(matrix[1], light, strict=True))
        gain = PEAK * seen ** (_HLG_GAMMA - 1) if seen > 0 else 0.0
        red, green, blue = gain * red, gain * green, gain * blue
    # Brighter than the peak is the peak, channel by channel: what blinds goes to white.
    red, green, blue = min(red, PEAK), min(green, PEAK), min(blue, PEAK)
    strongest = max(red, green, blue)
    gain = (1 + strongest / PEAK**2) / (1 + strongest)
    return gain * red, gain * green, gain * blue


def _lab(xyz: Row) -> Row:
    """CIE 1976 L*a*b* of a colour under D50."""
    x, y, z = (_root(value / white) for value, white in zip(xyz, spaces.D50, strict=True))
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def _root(value: float) -> float:
    return value ** (1 / 3) if value > 216 / 24_389 else (24_389 / 27 * value + 16) / 116


def _packed(lab: Row) -> bytes:
    steps = (lab[0] * 652.8, (lab[1] + 128) * 256, (lab[2] + 128) * 256)
    return struct.pack(">3H", *(round(min(max(step, 0.0), 65_535.0)) for step in steps))
