"""Colours as the file means them, to sRGB, or to Display P3 where that is wanted and the picture needs it.

A profile that does not parse, or is of another colour space than the pixels, counts as sRGB. Runs in the jail only.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Iterable

from PIL import Image, ImageChops, ImageCms

from worker.media.colours import icc

_SPACES = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK", "LAB": "Lab"}
# Steps of 255 in Display P3 that make a gamut wide: P3's own red loses 50 in sRGB, television's green 12.
_LOST = 24
_ERRORS = (ImageCms.PyCMSError, OSError, ValueError, TypeError)


class Converter:
    """Made once a picture, used for every frame: a parsed profile and one transform for each kind of pixels."""

    def __init__(self, said: Iterable[bytes | None], *, wide: bool = False) -> None:
        """`said`: profiles, best first, None for sRGB; the first that parses is taken. `wide`: keep a wide gamut."""
        self._source = _first(said)
        keep = wide and self._source is not None and _is_wide(self._source)
        # The profile that has to go with the pixels; none for sRGB.
        self.embedded = icc.display_p3() if keep else None
        self._target = _own_p3() if keep else _srgb()
        self._transforms: dict[str, ImageCms.ImageCmsTransform | None] = {}

    def __call__(self, image: Image.Image) -> Image.Image:
        """RGB, or RGBA where there was alpha. `image` is L, LA, RGB, RGBA, CMYK or LAB; its own info is not read."""
        alpha = image.getchannel("A") if image.mode in ("LA", "RGBA") else None
        core = image
        if alpha is not None:
            core = image.getchannel("L") if image.mode == "LA" else Image.merge("RGB", image.split()[:3])
        core = self._converted(core)
        if alpha is not None:
            core.putalpha(alpha)
        return core

    def _converted(self, core: Image.Image) -> Image.Image:
        space = "RGB" if self._source is None else str(self._source.profile.xcolor_space).strip()
        if space == "RGB" and core.mode == "L":
            core = core.convert("RGB")
        elif space == "GRAY" and core.mode == "RGB" and _is_grey(core):
            core = core.getchannel(0)
        if core.mode not in self._transforms:
            self._transforms[core.mode] = self._transform(core.mode, space)
        transform = self._transforms[core.mode]
        if transform is None:
            return core.convert("RGB")
        made = ImageCms.applyTransform(core, transform)
        assert made is not None  # it is new, and not in place
        return made

    def _transform(self, mode: str, space: str) -> ImageCms.ImageCmsTransform | None:
        """None where plain arithmetic has to do: no profile, or one of another kind than the pixels."""
        source = self._source if space == _SPACES[mode] else _lab() if mode == "LAB" else None
        if source is None:
            return None
        try:
            return ImageCms.buildTransform(source, self._target, mode, "RGB")
        except _ERRORS:
            return None


def _first(said: Iterable[bytes | None]) -> ImageCms.ImageCmsProfile | None:
    for profile in said:
        if profile is None:
            return None
        try:
            return ImageCms.ImageCmsProfile(io.BytesIO(profile))
        except _ERRORS:
            continue
    return None


def _is_wide(source: ImageCms.ImageCmsProfile) -> bool:
    """Whether pure red, green or blue would lose something on its way through sRGB; grey and inks never do."""
    if str(source.profile.xcolor_space).strip() != "RGB":
        return False
    pure = Image.frombytes("RGB", (3, 1), bytes((255, 0, 0, 0, 255, 0, 0, 0, 255)))
    try:
        kept = _through(pure, source, _own_p3())
        lost = _through(_through(pure, source, _srgb()), _srgb(), _own_p3())
    except _ERRORS:
        return False
    return max(ImageChops.difference(kept, lost).tobytes()) > _LOST


def _through(image: Image.Image, source: ImageCms.ImageCmsProfile, target: ImageCms.ImageCmsProfile) -> Image.Image:
    made = ImageCms.applyTransform(image, ImageCms.buildTransform(source, target, "RGB", "RGB"))
    assert made is not None
    return made


def _is_grey(core: Image.Image) -> bool:
    """Whether a picture without colour was decoded as RGB."""
    red, green, blue = core.split()
    return all(ImageChops.difference(red, other).getextrema() == (0, 0) for other in (green, blue))


# Targets only, never embedded: their headers hold the current second.
@functools.cache
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


@functools.cache
def _lab() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))


@functools.cache
def _own_p3() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(io.BytesIO(icc.display_p3()))
