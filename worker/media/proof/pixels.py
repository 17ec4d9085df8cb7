"""The second reader's whole decode: every frame, and whether a shortened file still decodes (then it had a tail)."""

from __future__ import annotations

import io
import warnings

from PIL import Image, ImageChops

from worker.media.proof.doubt import Doubt, need

_MOST_PIXELS = 40_000_000


def decoded(data: bytes, name: str) -> Image.Image:
    """The only frame of a still file of Pillow's format `name`."""
    with _opened(data, name) as image:
        need(getattr(image, "n_frames", 1) == 1, "more than one frame")
        image.load()
        return image.copy()


def size_and_frames(data: bytes, name: str) -> tuple[tuple[int, int], int]:
    """Canvas in pixels and number of frames, after every frame was decoded."""
    with _opened(data, name) as image:
        count = int(getattr(image, "n_frames", 1))
        for number in range(count):
            image.seek(number)
            image.load()
        return image.size, count


def decodes(data: bytes, name: str) -> bool:
    """Whether a still file decodes without complaint."""
    try:
        with _opened(data, name) as image:
            image.load()
    except Exception:  # noqa: BLE001 - any refusal is the answer
        return False
    return True


def no_hidden_colour(image: Image.Image, *, reach: int = 0, tolerance: int = 0) -> None:
    """Raises `Doubt` when there is colour under alpha 0, further than `reach` pixels from what can be seen."""
    if image.mode != "RGBA":
        return
    hidden = image.getchannel("A").point([255] + [0] * 255)
    if reach:
        hidden = _well_inside(hidden, reach)
    for band in image.split()[:3]:
        _lowest, highest = ImageChops.multiply(band, hidden).getextrema()
        need(isinstance(highest, int) and highest <= tolerance, "colour under transparency")


def _well_inside(mask: Image.Image, reach: int) -> Image.Image:
    """Where a mask is set for `reach` pixels around. Doubling steps: its cost does not grow with the square of it."""
    width, height = mask.size
    # Beyond the border nothing can be seen either; the offsets below wrap around within this margin only.
    wide = Image.new("L", (width + 2 * reach, height + 2 * reach), 255)
    wide.paste(mask, (reach, reach))
    span = 1
    while span < 2 * reach + 1:
        step = min(span, 2 * reach + 1 - span)
        wide = ImageChops.darker(wide, ImageChops.offset(wide, -step, 0))
        wide = ImageChops.darker(wide, ImageChops.offset(wide, 0, -step))
        span += step
    return wide.crop((0, 0, width, height))


def _opened(data: bytes, name: str) -> Image.Image:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = Image.open(io.BytesIO(data), formats=(name,))
    if image.format != name or image.width * image.height > _MOST_PIXELS:
        raise Doubt("not the picture it claims to be")
    return image
