"""Finds a picture's gain map and decodes it: Ultra HDR and Apple JPEGs, and HEICs with Apple's auxiliary image."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pillow_heif
from PIL import Image, ImageChops

from worker.errors import Unprocessable
from worker.media.formats import Format, format_named
from worker.media.image.gainmap import numbers
from worker.media.image.gainmap.numbers import Numbers, Said
from worker.media.image.probe import judge, probe
from worker.media.image.scale import fitted, shrink
from worker.media.limits import MediaLimits
from worker.media.walk import mpf
from worker.media.walk.found import LOOK_BYTES, Data, Walked

_APPLE_URN = "urn:com:apple:photo:2020:aux:hdrgainmap"
# A map is blurred by nature: half the side of the largest base shows all of it.
FIT = 1024


@dataclass(frozen=True, kw_only=True)
class GainMap:
    """Samples (L or RGB, as the base lies in its file, not yet turned) and what they mean."""

    image: Image.Image
    numbers: Numbers


def find(data: Data, fmt: Format, walked: Walked, limits: MediaLimits) -> GainMap | None:
    """The gain map of a still, at most `FIT` pixels a side; None where there is none that we can keep.

    Whatever is wrong with it is no reason to refuse the picture itself.
    """
    makers = {"JPEG": _of_jpeg, "HEIF": _of_heif}
    try:
        for image, said in makers[fmt.decoder](data, walked, limits) if fmt.decoder in makers else ():
            ours = numbers.settled(said)
            if ours is not None and _alike(image.size, (walked.width, walked.height)):
                return GainMap(image=_written(image, said, ours), numbers=ours)
    except (Unprocessable, OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError):
        return None
    return None


def _of_jpeg(data: Data, walked: Walked, limits: MediaLimits) -> Iterator[tuple[Image.Image, Said]]:
    exif = next((carrier.data for carrier in walked.carriers if carrier.form == "exif"), b"")
    for begin, end in mpf.further(data) or _behind(data, walked):
        part = data[begin:end]
        if not part.startswith(b"\xff\xd8\xff"):
            continue
        said = _said(probe(part, format_named("jpeg"), limits), exif)
        if said is not None:
            yield _decoded(part), said


def _behind(data: Data, walked: Walked) -> list[tuple[int, int]]:
    """Without an index: what begins right behind the first picture."""
    tails = [len(carrier.data) for carrier in walked.carriers if carrier.form == "trailing"]
    # Less than was kept of it is no place to count from.
    return [(len(data) - size, len(data)) for size in tails if size < LOOK_BYTES and walked.room]


def _said(walked: Walked, exif: bytes) -> Said | None:
    """By the standard, by Ultra HDR's packet, or by Apple's: the first that makes sense."""
    for carrier in walked.carriers:
        if carrier.form == "gain_map" and (said := numbers.from_iso(carrier.data)):
            return said
    for carrier in walked.carriers:
        if carrier.form == "xmp" and (said := numbers.from_xmp(carrier.data) or numbers.from_apple(carrier.data, exif)):
            return said
    return None


def _decoded(part: bytes) -> Image.Image:
    with Image.open(io.BytesIO(part), formats=("JPEG",)) as image:
        image.draft(None, fitted(image.size, FIT))
        image.load()
        return image.copy()


def _of_heif(data: Data, walked: Walked, limits: MediaLimits) -> Iterator[tuple[Image.Image, Said]]:
    exif = next((carrier.data for carrier in walked.carriers if carrier.form == "exif"), b"")
    packets = [carrier.data for carrier in walked.carriers if carrier.form == "xmp"]
    said = next((said for packet in packets if (said := numbers.from_apple(packet, exif))), None)
    if said is None:
        return
    pillow_heif.options.AUX_IMAGES = True
    opened = pillow_heif.open_heif(io.BytesIO(data[:]))
    primary = opened[opened.primary_index]
    info: dict[str, Any] = primary.info
    for number in info.get("aux", {}).get(_APPLE_URN, ()):
        beside = primary.get_aux_image(number)
        judge(*beside.size, 1, limits)
        yield beside.to_pillow(), said


def _alike(size: tuple[int, int], base: tuple[int, int]) -> bool:
    """Whether a map lies on its picture as it is: the same shape, within its rounding to whole pixels and 2 %."""
    one, other = size[0] * base[1], size[1] * base[0]
    return abs(one - other) <= 0.02 * max(one, other) + max(base)


def _written(image: Image.Image, said: Said, ours: Numbers) -> Image.Image:
    """The samples by our numbers: grey where all channels are the same."""
    small = shrink(image, fitted(image.size, FIT))
    bands = (small if small.mode in ("L", "RGB") else small.convert("RGB")).split()
    channels = said.channels * (3 if len(said.channels) == 1 else 1)
    if len(bands) == 1 and len(said.channels) == 3:
        bands = bands * 3
    tables = [numbers.table(channel, ours, apple=said.apple) for channel in channels]
    mapped = [band.point(table) for band, table in zip(bands, tables, strict=False)]
    if len(mapped) == 1 or all(ImageChops.difference(mapped[0], band).getbbox() is None for band in mapped[1:]):
        return mapped[0]
    return Image.merge("RGB", mapped)
