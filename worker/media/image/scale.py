"""Shrinks a decoded picture in bands, so that beside the decoded frame nothing full-sized is ever held."""

from __future__ import annotations

import math

from PIL import Image

from worker.media.image import colour

# Output rows of one band, and the filter's reach in output pixels on either side (Lanczos: 3).
_BAND = 64
_REACH = 3


def fitted(size: tuple[int, int], fit: int) -> tuple[int, int]:
    """`size` scaled to fit a square of side `fit`, in pixels: never enlarged, no side below 1."""
    width, height = size
    ratio = min(1.0, fit / max(width, height))
    return max(1, round(width * ratio)), max(1, round(height * ratio))


def shrink(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """`image` at `size` in L, LA, RGB, RGBA or CMYK, a new picture without any of its info.

    Each band takes as many rows beyond its edges as the filter reaches, so the seams do not show: the result is that
    of one resize. Raises `Unprocessable` (`unsupported_codec`).
    """
    mode = colour.open_mode(image)
    made = Image.new(mode, size)
    width, height = image.size
    step = height / size[1]
    for top in range(0, size[1], _BAND):
        bottom = min(top + _BAND, size[1])
        reach = math.ceil(_REACH * step) + 1
        first = max(0, math.floor(top * step) - reach)
        last = min(height, math.ceil(bottom * step) + reach)
        band = colour.opened(image.crop((0, first, width, last)), mode)
        if size != image.size:
            box = (0.0, top * step - first, float(width), min(bottom * step - first, float(last - first)))
            band = band.resize((size[0], bottom - top), Image.Resampling.LANCZOS, box=box)
        else:
            band = band.crop((0, top - first, width, bottom - first))
        made.paste(band, (0, top))
    return colour.closed(made)


def smaller(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """An RGB or RGBA picture at `size`, by the same filter."""
    return image if image.size == size else image.resize(size, Image.Resampling.LANCZOS)
