"""What the libraries do by themselves, at the versions that are shipped: an upgrade that copies more is noticed here.

Pillow 11.0.0 copied XMP with GPS into JPEG, Pillow up to 9.3 EXIF into PNG, pillow-heif copies all of it into HEIC, and
none of them said so. The workshop does not depend on it, because it builds each picture anew from raw samples; these
tests keep that reason true and tell when the ground moves.
"""

from __future__ import annotations

import io
import struct
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path

import pillow_heif
import pytest
from PIL import Image, ImageCms, ImageOps

from tests import pieces, samples

EXIF, XMP, ICC, COMMENT, TEXT = (f"CANARY_{name}" for name in ("EXIF", "XMP", "ICC", "COMMENT", "TEXT"))
MARKS = {"exif": EXIF, "xmp": XMP, "icc": ICC, "comment": COMMENT, "text": TEXT}
SIZE = (48, 32)


def block(orientation: int = 1) -> bytes:
    return pieces.exif_block({0x010F: EXIF, 0x0112: orientation}, None, dict(samples.GPS))


def packet() -> bytes:
    return samples.xmp(XMP)


def profile() -> bytes:
    return pieces.rgb_profile("p3", text=ICC)


def planted(kind: str) -> bytes:
    """A picture with a mark of its own in every carrier that its format has."""
    pillow_heif.register_heif_opener()
    body, picture = io.BytesIO(), samples.scene(*SIZE)
    if kind == "JPEG":
        picture.save(body, "JPEG", exif=b"Exif\0\0" + block(), xmp=packet(), icc_profile=profile(), comment=COMMENT)
    elif kind == "PNG":
        picture.save(body, "PNG", exif=block(), icc_profile=profile())
        text = pieces.chunk(b"tEXt", f"Comment\0{TEXT}".encode())
        xmp = pieces.chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + packet())
        return pieces.with_chunks(body.getvalue(), text, xmp)
    elif kind == "GIF":
        picture.save(body, "GIF", comment=COMMENT)
    elif kind == "TIFF":
        named = {271: EXIF, 700: packet(), 34675: profile()}
        picture.save(body, "TIFF", compression="tiff_lzw", tiffinfo=named, icc_profile=profile())
    elif kind == "HEIF":
        made = pillow_heif.from_pillow(picture)
        made.info.update(exif=block(), xmp=packet(), icc_profile=profile())
        made.save(body)
    else:
        picture.save(body, kind, exif=b"Exif\0\0" + block(), xmp=packet(), icc_profile=profile())
    return body.getvalue()


def carried(data: bytes) -> set[str]:
    """The carriers whose mark is somewhere in these bytes, packed or not."""
    seen = data
    if data.startswith(pieces.PNG):
        for kind, body in pieces.chunks_of(data):
            if kind in (b"iCCP", b"zTXt"):
                seen += zlib.decompress(body.partition(b"\0")[2][1:])
    return {name for name, mark in MARKS.items() if mark.encode() in seen}


# What a plain `save` of an opened picture takes along, Pillow 13 and pillow-heif 1.8.
TAKEN_ALONG: dict[tuple[str, str], set[str]] = {
    ("JPEG", "JPEG"): {"comment"},
    ("JPEG", "PNG"): {"icc"},
    ("JPEG", "WEBP"): set(),
    ("JPEG", "GIF"): {"comment"},
    ("PNG", "PNG"): {"icc"},
    ("PNG", "JPEG"): set(),
    ("PNG", "WEBP"): set(),
    ("GIF", "GIF"): {"comment"},
    ("GIF", "JPEG"): {"comment"},
    ("WEBP", "WEBP"): set(),
    ("WEBP", "PNG"): {"icc"},
    ("WEBP", "JPEG"): set(),
    ("AVIF", "AVIF"): {"icc"},
    ("AVIF", "JPEG"): set(),
    ("TIFF", "TIFF"): {"exif", "icc", "xmp"},
    ("TIFF", "JPEG"): set(),
    ("HEIF", "HEIF"): {"exif", "icc", "xmp"},
    ("HEIF", "JPEG"): set(),
    ("HEIF", "PNG"): {"icc"},
}


@pytest.mark.parametrize(("source", "target"), TAKEN_ALONG)
def test_a_plain_save_takes_along_what_it_is_known_to(source: str, target: str) -> None:
    data, body = planted(source), io.BytesIO()
    assert carried(data) >= TAKEN_ALONG[source, target]

    with Image.open(io.BytesIO(data)) as image:
        (image.convert("RGB") if image.mode == "P" and target == "JPEG" else image).save(body, target)

    assert carried(body.getvalue()) == TAKEN_ALONG[source, target]


@pytest.mark.parametrize("target", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("source", ["JPEG", "PNG", "GIF", "WEBP", "AVIF", "TIFF", "HEIF"])
def test_a_picture_from_raw_samples_takes_nothing_along(source: str, target: str) -> None:
    body = io.BytesIO()

    with Image.open(io.BytesIO(planted(source))) as image:
        rgb = image.convert("RGB")
        fresh = Image.frombytes(rgb.mode, rgb.size, rgb.tobytes())
    fresh.save(body, target)

    assert fresh.info == {}
    assert not carried(body.getvalue())


STEPS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "copy": lambda image: image.copy(),
    "convert": lambda image: image.convert("L").convert("RGB"),
    "crop": lambda image: image.crop((0, 0, 8, 8)),
    "resize": lambda image: image.resize((8, 8)),
    "merge": lambda image: Image.merge("RGB", image.split()),
    "transpose": lambda image: image.transpose(Image.Transpose.ROTATE_90),
    "exif_transpose": ImageOps.exif_transpose,
}


@pytest.mark.parametrize("step", STEPS)
def test_no_step_of_pillow_cleans_a_picture(step: str) -> None:
    """The reason for raw samples: what was read stays with the picture through every one of these."""
    with Image.open(io.BytesIO(planted("JPEG"))) as image:
        assert STEPS[step](image).info["comment"] == COMMENT.encode()


def test_a_new_picture_stays_empty_when_another_is_laid_on_it() -> None:
    with Image.open(io.BytesIO(planted("JPEG"))) as image:
        paper = Image.new("RGB", image.size)
        paper.paste(image)
        assert paper.info == {}


def test_a_conversion_adds_the_target_profile() -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    step = ImageCms.buildTransform(ImageCms.ImageCmsProfile(io.BytesIO(profile())), srgb, "RGB", "RGB")

    made = ImageCms.applyTransform(samples.scene(*SIZE), step)

    assert made is not None
    assert made.info["icc_profile"] == srgb.tobytes()


def test_who_turns_a_picture_itself() -> None:
    """HEIF and TIFF come upright, the others as they are stored (`worker.media.image.orientation`)."""
    pillow_heif.register_heif_opener()
    stored, body, tiff = samples.corners(), io.BytesIO(), io.BytesIO()
    made = pillow_heif.from_pillow(stored)
    made.info["exif"] = block(6)
    made.save(body, quality=95)
    stored.save(tiff, "TIFF", tiffinfo={0x0112: 6})
    files = [body.getvalue(), tiff.getvalue()]
    for kind in ("JPEG", "PNG", "WEBP", "AVIF"):
        out = io.BytesIO()
        stored.save(out, kind, exif=b"Exif\0\0" + block(6) if kind == "JPEG" else block(6))
        files.append(out.getvalue())

    sizes = []
    for data in files:
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            sizes.append(image.size)

    assert sizes == [(64, 96)] * 2 + [(96, 64)] * 4


def test_sixteen_bits_are_clipped_by_convert() -> None:
    """Why the workshop divides first."""
    grey = Image.frombytes("I;16", (4, 1), struct.pack("<4H", 100, 256, 30_000, 65_535))

    assert list(grey.convert("L").tobytes()) == [100, 255, 255, 255]


@pytest.mark.slow
def test_a_frame_cut_out_by_ffmpeg_has_no_side_data(tmp_path: Path) -> None:
    """The profile goes into PNG in spite of `-map_metadata -1`, EXIF with newer versions too; the filter stops both."""
    source, plain, bare = (tmp_path / name for name in ("in.jpg", "plain.png", "bare.png"))
    source.write_bytes(planted("JPEG"))
    for target, more in ((plain, []), (bare, ["-vf", "sidedata=mode=delete"])):
        command = ["ffmpeg", "-v", "error", "-i", str(source), *more, "-map_metadata", "-1", "-frames:v", "1"]
        subprocess.run([*command, "-y", str(target)], check=True)

    assert "icc" in carried(plain.read_bytes())
    assert not carried(bare.read_bytes())
