"""A colour chart as a picture, what littleCMS alone makes of it, and how far two colours are apart to the eye."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Sequence
from functools import cache

from PIL import Image, ImageCms

Colour = tuple[int, ...]
# The 24 fields of the usual chart, in sRGB.
PATCHES: tuple[Colour, ...] = (
    *((115, 82, 68), (194, 150, 130), (98, 122, 157), (87, 108, 67), (133, 128, 177), (103, 189, 170)),
    *((214, 126, 44), (80, 91, 166), (193, 90, 99), (94, 60, 108), (157, 188, 64), (224, 163, 46)),
    *((56, 61, 150), (70, 148, 73), (175, 54, 60), (231, 199, 31), (187, 86, 149), (8, 133, 161)),
    *((243, 243, 242), (200, 200, 200), (160, 160, 160), (122, 122, 121), (85, 85, 85), (52, 52, 52)),
)
FIELD = 32
SIZE = (256, 4 * FIELD + 4 * 16)


@cache
def chart() -> Image.Image:
    """The fields in four rows of six, under them a ramp of grey, red, green and blue, a step a pixel."""
    picture = Image.new("RGB", SIZE, PATCHES[0])
    for number, patch in enumerate(PATCHES):
        row, column = divmod(number, 6)
        picture.paste(patch, (FIELD * column, FIELD * row, FIELD * (column + 1), FIELD * (row + 1)))
    ramp = Image.linear_gradient("L").transpose(Image.Transpose.ROTATE_90).resize((256, 16))
    black = Image.new("L", ramp.size)
    for number, bands in enumerate(((ramp,) * 3, (ramp, black, black), (black, ramp, black), (black, black, ramp))):
        picture.paste(Image.merge("RGB", bands), (0, 4 * FIELD + 16 * number))
    return picture


def fields(picture: Image.Image) -> list[Colour]:
    """The colour in the middle of each field: the mean of sixteen pixels."""
    found = []
    for number in range(len(PATCHES)):
        row, column = divmod(number, 6)
        left, top = FIELD * column + FIELD // 2 - 2, FIELD * row + FIELD // 2 - 2
        part = picture.convert("RGB").crop((left, top, left + 4, top + 4)).resize((1, 1), Image.Resampling.BOX)
        found.append(tuple(part.tobytes()))
    return found


def ramps(picture: Image.Image) -> list[list[Colour]]:
    """The four ramps, 256 colours each."""
    tops = [4 * FIELD + 16 * number + 8 for number in range(4)]
    row = [picture.convert("RGB").crop((0, top, 256, top + 1)).tobytes() for top in tops]
    return [[tuple(line[at : at + 3]) for at in range(0, len(line), 3)] for line in row]


def managed(picture: Image.Image, profile: bytes, *, to: bytes | None = None) -> Image.Image:
    """What littleCMS makes of the pixels with this profile: sRGB, or the pixels of another."""
    target = ImageCms.ImageCmsProfile(io.BytesIO(to)) if to else ImageCms.createProfile("sRGB")
    made = ImageCms.profileToProfile(picture, ImageCms.ImageCmsProfile(io.BytesIO(profile)), target, outputMode="RGB")
    assert made is not None
    return made


def levels(found: Sequence[Colour], wanted: Sequence[Colour]) -> float:
    """The mean difference of a channel, of 255."""
    return mean(abs(a - b) for one, other in zip(found, wanted, strict=True) for a, b in zip(one, other, strict=True))


def apart(found: Sequence[Colour], wanted: Sequence[Colour]) -> float:
    """The mean difference to the eye, CIEDE2000, of colours in sRGB."""
    return mean(de2000(lab(one), lab(other)) for one, other in zip(found, wanted, strict=True))


def mean(values: Iterable[float]) -> float:
    listed = list(values)
    return sum(listed) / len(listed)


def lab(colour: Colour) -> tuple[float, float, float]:
    """CIE 1976 L*a*b* under D65 of an eight-bit sRGB colour."""
    red, green, blue = (
        (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4) for c in (v / 255 for v in colour)
    )
    x = (0.4124564 * red + 0.3575761 * green + 0.1804375 * blue) / 0.95047
    y = 0.2126729 * red + 0.7151522 * green + 0.0721750 * blue
    z = (0.0193339 * red + 0.1191920 * green + 0.9503041 * blue) / 1.08883
    fx, fy, fz = (v ** (1 / 3) if v > 216 / 24_389 else (24_389 / 27 * v + 16) / 116 for v in (x, y, z))
    return 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)


def de2000(one: tuple[float, float, float], other: tuple[float, float, float]) -> float:
    """CIEDE2000 (Sharma, Wu and Dalal 2005), all weights 1."""
    (l1, a1, b1), (l2, a2, b2) = one, other
    middle = (math.hypot(a1, b1) + math.hypot(a2, b2)) / 2
    stretch = 1 + 0.5 * (1 - math.sqrt(middle**7 / (middle**7 + 25**7)))
    c1, c2 = math.hypot(a1 * stretch, b1), math.hypot(a2 * stretch, b2)
    h1, h2 = (math.degrees(math.atan2(b, a * stretch)) % 360 for a, b in ((a1, b1), (a2, b2)))
    turn = 0.0 if not c1 * c2 else (h2 - h1 + 180) % 360 - 180
    light, chroma = l2 - l1, c2 - c1
    hue = 2 * math.sqrt(c1 * c2) * math.sin(math.radians(turn / 2))
    l, c = (l1 + l2) / 2, (c1 + c2) / 2  # noqa: E741 - the names of the paper
    h = h1 + h2 if not c1 * c2 else (h1 + turn / 2) % 360
    weight = 1 - 0.17 * _cos(h - 30) + 0.24 * _cos(2 * h) + 0.32 * _cos(3 * h + 6) - 0.20 * _cos(4 * h - 63)
    sl, sc = 1 + 0.015 * (l - 50) ** 2 / math.sqrt(20 + (l - 50) ** 2), 1 + 0.045 * c
    sh = 1 + 0.015 * c * weight
    twist = -2 * math.sqrt(c**7 / (c**7 + 25**7)) * math.sin(math.radians(60 * math.exp(-(((h - 275) / 25) ** 2))))
    return math.sqrt((light / sl) ** 2 + (chroma / sc) ** 2 + (hue / sh) ** 2 + twist * chroma / sc * hue / sh)


def _cos(degrees: float) -> float:
    return math.cos(math.radians(degrees))
