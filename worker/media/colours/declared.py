"""What a file says of its colours, best first: the word of each format's own specification, as browsers take it.

PNG (third edition, 4.3): cICP, then iCCP, then sRGB, then gAMA and cHRM. HEIF and AVIF (ISO/IEC 23000-22, 7.3.6.4):
the profile, then the numbers of `nclx`. Anything else: the profile. Last, where a camera only says it in EXIF, Adobe
RGB.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import replace

from worker.media.colours import icc, spaces
from worker.media.colours.spaces import ADOBE_RGB, SRGB, Space
from worker.media.walk import exif
from worker.media.walk.found import Walked

# What PNG writes for the curve of sRGB (third edition, 11.3.2.5), and the bounds within which a gamma makes sense.
_GAMMA_OF_SRGB, _GAMMA_LEAST, _GAMMA_MOST = 45_455, 10_000, 1_000_000


def profiles(embedded: bytes | None, walked: Walked) -> Iterator[bytes | None]:
    """Profiles to convert from, best first, until one can be used; None where it is plain sRGB that is meant."""
    said = walked.colours
    if b"cICP" in said:
        yield from _made(_coded_png(said[b"cICP"]))
    if embedded:
        yield embedded
    if b"nclx" in said:
        yield from _made(_coded_heif(said[b"nclx"]))
    if b"sRGB" in said:
        yield None
    elif b"gAMA" in said or b"cHRM" in said:
        yield from _made(_measured(said.get(b"gAMA"), said.get(b"cHRM")))
    blocks = (carrier.data for carrier in walked.carriers if carrier.form == "exif")
    if walked.adobe_rgb or any(exif.is_adobe_rgb(block) for block in blocks):
        yield from _made(ADOBE_RGB)


def _made(space: Space | None) -> Iterator[bytes | None]:
    if space is None:
        return
    if space == SRGB:
        yield None
        return
    try:
        yield icc.source(space)
    except (ValueError, ArithmeticError):
        return


def _coded_png(body: bytes) -> Space | None:
    """Primaries, transfer, a matrix that must be none, and whether black is 0."""
    if len(body) != 4 or body[2] or body[3] > 1:
        return None
    return spaces.coded(body[0], body[1], narrow=not body[3])


def _coded_heif(body: bytes) -> Space | None:
    """ISO/IEC 14496-12, 12.1.5; the decoder has already obeyed the matrix and the range. Two twos say nothing."""
    if len(body) < 7:
        return None
    primaries, transfer = struct.unpack_from(">HH", body)
    return None if (primaries, transfer) == (2, 2) else spaces.coded(primaries, transfer)


def _measured(gamma: bytes | None, points: bytes | None) -> Space | None:
    """Gamma and chromaticities as PNG writes them, each over 100,000; what lacks is that of sRGB."""
    space = SRGB
    if points is not None and len(points) == 32:
        numbers = [value / 100_000 for value in struct.unpack(">8I", points)]
        white, red, green, blue = zip(numbers[::2], numbers[1::2], strict=True)
        if not _same(SRGB, (white, red, green, blue)):
            space = replace(SRGB, white=white, red=red, green=green, blue=blue)
    if gamma is None or len(gamma) != 4:
        return space
    value = int.from_bytes(gamma, "big")
    if not _GAMMA_LEAST <= value <= _GAMMA_MOST or (value == _GAMMA_OF_SRGB and space == SRGB):
        return space
    return replace(space, transfer=100_000 / value)


def _same(space: Space, points: tuple[tuple[float, float], ...]) -> bool:
    """Whether these are its white and primaries but for the last digits, which programs round in ways of their own."""
    own = (space.white, space.red, space.green, space.blue)
    pairs = ((a, b) for one, other in zip(own, points, strict=True) for a, b in zip(one, other, strict=True))
    return all(abs(a - b) < 0.001 for a, b in pairs)
