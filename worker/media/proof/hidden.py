"""Whether there is colour where nothing can be seen: what somebody erased must be gone, not only be transparent."""

from __future__ import annotations

from PIL import Image, ImageChops

from worker.media.proof.doubt import need
from worker.media.proof.native.libwebp import Planes, Room

# A cell is 4 pixels wide. A lossy block's colour bleeds into its neighbours; as far from anything visible as this,
# ours is black but for two levels (measured), so more than five are somebody's.
_CELL, _CELLS, _LEVELS = 4, 4, 5
_BLACK, _GREY = 16, 128  # luma and chroma of black


def exactly(image: Image.Image) -> None:
    """Raises `Doubt` for any colour under alpha 0 of an RGBA picture."""
    clear = image.getchannel("A").point([255] + [0] * 255)
    if clear.getbbox() is None:
        return
    # Of every band, how often each level comes under the mask; level 0 is what may be there.
    counts = image.histogram(clear)
    need(not any(any(counts[at + 1 : at + 256]) for at in (0, 256, 512)), "colour under transparency")


def lossy(planes: Planes, clear: Image.Image | None) -> None:
    """Raises `Doubt` for colour under alpha 0 that no block's edge explains, in the cells that are `clear`."""
    width, height = planes.size
    half = (width + 1) // 2, (height + 1) // 2
    luma, *chroma = (_plane(part, size) for part, size in zip(planes.parts[:3], (planes.size, half, half), strict=True))
    _nowhere(clear, [(luma, _CELL, _BLACK), *((plane, _CELL // 2, _GREY) for plane in chroma)])


def alpha_of(planes: Planes) -> Image.Image:
    """Planes that were made with alpha have it last."""
    return _plane(planes.parts[3], planes.size)


def decoded(image: Image.Image) -> None:
    """The same for an RGBA picture that a lossy coder made, whose planes are not to be had."""
    luma, *chroma = image.convert("RGB").convert("YCbCr").split()
    _nowhere(well_inside(image.getchannel("A")), [(luma, _CELL, 0), *((plane, _CELL, _GREY) for plane in chroma)])


def _nowhere(clear: Image.Image | None, planes: list[tuple[Image.Image, int, int]]) -> None:
    """`planes` are samples, how many of them a cell has to a side, and their level in black."""
    if clear is None:
        return
    for plane, scale, level in planes:
        # A cell's mean is above 0 when a single sample of it is set.
        coloured = plane.point([0 if abs(value - level) <= _LEVELS else 255 for value in range(256)]).reduce(scale)
        need(ImageChops.multiply(coloured, clear).getbbox() is None, "colour under transparency")


def _plane(samples: Room, size: tuple[int, int]) -> Image.Image:
    return Image.frombuffer("L", size, samples, "raw", "L", 0, 1)  # type: ignore[arg-type]  # any buffer will do


def well_inside(alpha: Image.Image) -> Image.Image | None:
    """The cells with nothing visible for `_CELLS` around, None for none.

    Doubling steps: the cost does not grow with its square.
    """
    if alpha.getextrema()[0]:
        return None
    cells = alpha.point([255] + [0] * 255).reduce(_CELL).point([0] * 255 + [255])
    # Beyond the border nothing can be seen either; the offsets below wrap around within this margin only.
    wide = Image.new("L", (cells.width + 2 * _CELLS, cells.height + 2 * _CELLS), 255)
    wide.paste(cells, (_CELLS, _CELLS))
    span = 1
    while span < 2 * _CELLS + 1:
        step = min(span, 2 * _CELLS + 1 - span)
        wide = ImageChops.darker(wide, ImageChops.offset(wide, -step, 0))
        wide = ImageChops.darker(wide, ImageChops.offset(wide, 0, -step))
        span += step
    clear = wide.crop((0, 0, *cells.size))
    return clear if clear.getbbox() else None
