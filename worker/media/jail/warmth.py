"""Everything the zygote must have loaded before its children are locked in: they can import and open nothing.

Pillow loads plugins, codecs and even `copy` late, so each format is written, opened, sought, read and saved once.
"""

from __future__ import annotations

import base64
import contextlib
import io

import pillow_heif
import thumbhash
from PIL import Image, ImageCms, ImageOps, ImageSequence, features

from worker.media import proof
from worker.media.lossless import turbojpeg

FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "AVIF")
_ANIMATED = ("GIF", "WEBP", "PNG", "AVIF")
_SIDE = 16
# Each is a module of its own, read when it is first used: those in which packets of XMP are written.
_ENCODINGS = ("latin-1", "utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")


def warm() -> None:
    """Touch every codec. Raises what a codec raises: a host that cannot decode its own picture must not start."""
    Image.init()
    pillow_heif.register_heif_opener()
    picture = Image.linear_gradient("L").resize((_SIDE, _SIDE)).convert("RGB")
    for name in FORMATS:
        if name != "AVIF" or features.check("avif"):
            _round_trip(picture, name)
    _warm_heif()
    _warm_colour(picture)
    for mode in ("RGBA", "L", "P", "CMYK", "I;16"):
        Image.new(mode, (4, 4)).convert("RGB" if mode != "I;16" else "L").resize((2, 2), Image.Resampling.LANCZOS)
    ImageOps.exif_transpose(picture)
    thumbhash.rgba_to_thumb_hash(_SIDE, _SIDE, list(picture.convert("RGBA").tobytes()))
    base64.b64encode(b"warm")
    for encoding in _ENCODINGS:
        bytes(4).decode(encoding)
    turbojpeg.load()
    proof.warm()


def _round_trip(picture: Image.Image, name: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    more = {"save_all": True, "append_images": [picture.rotate(90)]} if name in _ANIMATED else {}
    body = io.BytesIO()
    picture.save(body, name, **({"exif": exif} if name in ("JPEG", "PNG", "WEBP") else {}), **more)
    body.seek(0)
    with Image.open(body, formats=(name,)) as opened:
        opened.getexif()
        for frame in ImageSequence.Iterator(opened):
            frame.load()
        opened.seek(0)
        opened.convert("RGBA" if name != "JPEG" else "RGB").save(io.BytesIO(), name)


def _warm_heif() -> None:
    body = io.BytesIO()
    heif = pillow_heif.from_pillow(Image.new("RGB", (64, 64), (200, 30, 30)))
    try:
        heif.save(body, quality=50)
    except (RuntimeError, ValueError, OSError):
        return  # a libheif without an encoder: its decoder loads nothing late
    body.seek(0)
    with Image.open(body, formats=("HEIF",)) as opened:
        opened.load()


def _warm_colour(picture: Image.Image) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    ImageCms.profileToProfile(picture, srgb, srgb, outputMode="RGB")
    with contextlib.suppress(ImageCms.PyCMSError):
        ImageCms.getOpenProfile(io.BytesIO(srgb.tobytes()))
        ImageCms.getOpenProfile(io.BytesIO(b"no profile"))
