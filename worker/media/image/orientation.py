"""Which way up a picture is, and turning it: as its format says it, once."""

from __future__ import annotations

import re

from PIL import Image

from worker.media.formats import Format
from worker.media.walk import exif
from worker.media.walk.found import Walked

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Decoders that turn the picture themselves (HEIF; TIFF since Pillow 9.4), or whose formats know no orientation.
_TURNED = frozenset({"HEIF", "TIFF", "GIF", "BMP"})
# A property of XMP's `tiff` schema, as an attribute or as an element.
_IN_XMP = re.compile(rb"tiff:Orientation\s*(?:=\s*[\"']|>)\s*([1-8])\s*[\"'<]")


def orientation(image: Image.Image, fmt: Format, walked: Walked) -> int:
    """1 to 8 as in EXIF, 1 where nothing sensible is said; bad EXIF is no bad picture.

    By our own walk: EXIF, and XMP where EXIF is silent (XMP part 3: the native value comes first). AVIF says it by
    its boxes alone (ISO/IEC 23000-22, 7.3.6.7), which Pillow puts into its EXIF.
    """
    if fmt.decoder in _TURNED:
        return 1
    if fmt.decoder == "AVIF":
        return exif.orientation(image.info.get("exif", b"").removeprefix(b"Exif\0\0")) or 1
    blocks = [carrier.data for carrier in walked.carriers if carrier.form == "exif"]
    return (exif.orientation(blocks[0]) if blocks else 0) or _in_xmp(walked) or 1


def turned(image: Image.Image, orientation: int) -> Image.Image:
    """The picture upright."""
    return image.transpose(_TURNS[orientation]) if orientation in _TURNS else image


def _in_xmp(walked: Walked) -> int:
    found = (_IN_XMP.search(carrier.data) for carrier in walked.carriers if carrier.form == "xmp")
    return next((int(match[1]) for match in found if match), 0)
