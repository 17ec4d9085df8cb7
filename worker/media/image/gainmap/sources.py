"""Finds a picture's gain map and decodes it: Ultra HDR and Apple JPEGs, Apple's HEICs, tone maps in HEIC and AVIF."""

from __future__ import annotations

import io
import math
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
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
from worker.media.walk import mpf, tmap
from worker.media.walk.found import LOOK_BYTES, Data, Walked

_APPLE_URN = "urn:com:apple:photo:2020:aux:hdrgainmap"
# A map is blurred by nature: half the side of the largest base shows all of it.
FIT = 1024
# How many candidates of one file are looked at.
_MOST = 4
_PADDING = 64
Opened = Callable[[], Image.Image | None]


@dataclass(frozen=True, kw_only=True)
class GainMap:
    """Samples (L or RGB, as the base lies in its file, not yet turned) and what they mean."""

    image: Image.Image
    numbers: Numbers


@dataclass(frozen=True, kw_only=True)
class Found:
    """A file and what its walk said; `size` is of the picture as its decoder shows it, in pixels: an AVIF uncropped."""

    data: Data
    walked: Walked
    size: tuple[int, int]
    limits: MediaLimits

    def carried(self, form: str) -> list[bytes]:
        return [carrier.data for carrier in self.walked.carriers if carrier.form == form]

    def fits(self, size: tuple[int, int]) -> None:
        """Raises `Unprocessable` for a map over a limit, ValueError for one that does not lie on its picture as it is:
        the same shape, within its rounding to whole pixels and 2 %."""
        judge(*size, 1, self.limits)
        one, other = size[0] * self.size[1], size[1] * self.size[0]
        if abs(one - other) > 0.02 * max(one, other) + max(*self.size, *size):
            raise ValueError("a map of another shape")

    def shown_of(self, size: tuple[int, int]) -> tuple[int, int, int, int]:
        """What a map's picture shows of it, where the picture is cropped: nothing beside it, to whole pixels."""
        left, top, right, bottom = self.walked.crop or (0, 0, *self.size)
        across, down = size[0] / self.size[0], size[1] / self.size[1]
        begin = math.ceil(left * across), math.ceil(top * down)
        end = math.floor(right * across), math.floor(bottom * down)
        return (*begin, max(end[0], begin[0] + 1), max(end[1], begin[1] + 1))

    def cropped(self) -> bool:
        """Whether more is left out than what an encoder adds to fill its largest blocks."""
        left, top, right, bottom = self.walked.crop or (0, 0, self.walked.width, self.walked.height)
        return max(self.walked.width - (right - left), self.walked.height - (bottom - top)) >= _PADDING


def find(found: Found, fmt: Format) -> GainMap | None:
    """The gain map of a still, at most `FIT` pixels a side; None where there is none that we can keep.

    Whatever is wrong with it is no reason to refuse the picture itself.
    """
    try:
        candidates = _MAKERS[fmt.decoder](found) if fmt.decoder in _MAKERS else iter(())
        for said, opened in islice(candidates, _MOST):
            ours = numbers.settled(said)
            image = _decoded(opened) if ours is not None else None
            if ours is not None and image is not None:
                return GainMap(image=_written(image, said, ours), numbers=ours)
    except (Unprocessable, LookupError, ValueError, struct.error):
        return None
    return None


def _decoded(opened: Opened) -> Image.Image | None:
    try:
        return opened()
    except (Unprocessable, OSError, ValueError, SyntaxError, EOFError, RuntimeError, Image.DecompressionBombError):
        return None


def _of_jpeg(found: Found) -> Iterator[tuple[Said, Opened]]:
    for begin, end in mpf.further(found.data) or _behind(found):
        part = found.data[begin:end]
        if part.startswith(b"\xff\xd8\xff"):
            said = _said(probe(part, format_named("jpeg"), found.limits), b"".join(found.carried("exif")[:1]))
            if said is not None:
                yield said, partial(_opened, part, "JPEG", found)


def _behind(found: Found) -> list[tuple[int, int]]:
    """Without an index: what begins right behind the first picture."""
    size = len(found.data)
    # Less than was kept of it is no place to count from.
    tails = [len(tail) for tail in found.carried("trailing") if len(tail) < LOOK_BYTES and found.walked.room]
    return [(size - tail, size) for tail in tails]


def _said(walked: Walked, exif: bytes) -> Said | None:
    """By the standard, by Ultra HDR's packet, or by Apple's: the first that makes sense."""
    for carrier in walked.carriers:
        if carrier.form == "gain_map" and (said := numbers.from_iso(carrier.data)):
            return said
    for carrier in walked.carriers:
        if carrier.form == "xmp" and (said := numbers.from_xmp(carrier.data) or numbers.from_apple(carrier.data, exif)):
            return said
    return None


def _opened(file: bytes, decoder: str, found: Found) -> Image.Image:
    with Image.open(io.BytesIO(file), formats=(decoder,)) as image:
        found.fits(image.size)
        image.draft(None, fitted(image.size, FIT))
        image.load()
        return image.crop(found.shown_of(image.size)) if decoder == "AVIF" else image.copy()


def _of_boxes(found: Found, decoder: str) -> Iterator[tuple[Said, Opened]]:
    """A tone map made of the picture and its map."""
    for each in tmap.tone_maps(found.data, found.limits):
        said = numbers.from_binary(each.numbers)
        if said is not None:
            yield said, partial(_opened, each.shown(found.data), decoder, found)


def _of_heif(found: Found) -> Iterator[tuple[Said, Opened]]:
    """None of a cropped picture: its decoder crops each item by its own word, and a map may have none."""
    if found.cropped():
        return
    yield from _of_boxes(found, "HEIF")
    exif = b"".join(found.carried("exif")[:1])
    said = next((said for packet in found.carried("xmp") if (said := numbers.from_apple(packet, exif))), None)
    if said is not None:
        yield said, partial(_beside, found)


def _beside(found: Found) -> Image.Image | None:
    """Apple's auxiliary image, turned as its own properties say, as the picture is."""
    pillow_heif.options.AUX_IMAGES = True
    opened = pillow_heif.open_heif(io.BytesIO(found.data[:]))
    primary = opened[opened.primary_index]
    info: dict[str, Any] = primary.info
    for number in info.get("aux", {}).get(_APPLE_URN, ()):
        beside = primary.get_aux_image(number)
        found.fits(beside.size)
        return beside.to_pillow()
    return None


_MAKERS: dict[str, Callable[[Found], Iterator[tuple[Said, Opened]]]] = {
    "JPEG": _of_jpeg,
    "HEIF": _of_heif,
    "AVIF": partial(_of_boxes, decoder="AVIF"),
}


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
