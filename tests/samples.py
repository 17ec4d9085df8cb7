"""Real pictures made in code, nothing canned: what cameras, phones and editors hand in. Bombs are in `tests.bombs`.

Every function returns the bytes of one file. `canary` is a text planted wherever that kind of file can hide one.
"""

from __future__ import annotations

import io
import random
import zlib
from functools import lru_cache
from typing import Any

import pillow_heif
from PIL import Image

from tests import pieces

# 48.8577 N, 2.295 E: what the photos say of where they were taken.
GPS = {
    0x0000: b"\2\3\0\0",
    0x0001: "N",
    0x0002: ((48, 1), (51, 1), (2772, 100)),
    0x0003: "E",
    0x0004: ((2, 1), (17, 1), (4200, 100)),
    0x0007: ((12, 1), (34, 1), (56, 1)),
    0x001D: "2024:07:14",
}
SERIAL, OWNER = "SN-7731-4402", "Ada Example"


@lru_cache(maxsize=16)
def scene(width: int = 640, height: int = 480, *, grain: bool = True) -> Image.Image:
    """A picture with slopes, edges and grain, the same at every run."""
    sizes = (width, height)
    bands = [
        Image.linear_gradient("L").resize(sizes),
        Image.linear_gradient("L").rotate(90).resize(sizes),
        Image.radial_gradient("L").resize(sizes),
    ]
    picture = Image.merge("RGB", bands)
    picture.paste((200, 30, 40), (0, 0, width // 2, height // 4))
    picture.paste((20, 120, 220), (width // 8, height // 2, width // 3, height - height // 8))
    if grain:
        tile = Image.frombytes("RGB", (256, 256), random.Random(7).randbytes(3 * 256 * 256))
        noise = Image.new("RGB", sizes)
        for left in range(0, width, 256):
            for top in range(0, height, 256):
                noise.paste(tile, (left, top))
        picture = Image.blend(picture, noise, 0.08)
    return picture


def corners(width: int = 96, height: int = 64) -> Image.Image:
    """Four colours, one a corner: red, green, blue, white by rows. Shows how a picture was turned."""
    picture = Image.new("RGB", (width, height), (255, 0, 0))
    picture.paste((0, 255, 0), (width // 2, 0, width, height // 2))
    picture.paste((0, 0, 255), (0, height // 2, width // 2, height))
    picture.paste((255, 255, 255), (width // 2, height // 2, width, height))
    return picture


def _saved(image: Image.Image, name: str, **more: Any) -> bytes:
    body = io.BytesIO()
    image.save(body, name, **more)
    return body.getvalue()


def exif(*, orientation: int = 1, canary: str | None = None, thumbnail: bool = True) -> bytes:
    """What a camera writes: maker, serials, owner, times, place, maker note, and a thumbnail of another scene."""
    mark = canary or "none"
    small = _saved(Image.linear_gradient("L").resize((160, 120)), "JPEG", comment=mark.encode()) if thumbnail else b""
    main: dict[int, pieces.Value] = {
        0x010F: "Examplecam",
        0x0110: f"EX-1 {mark}",
        0x0112: orientation,
        0x0131: f"Firmware 1.2 {mark}",
        0x0132: "2024:07:14 12:34:56",
        0x013B: f"{OWNER} {mark}",
        0x013C: mark,
        0x010E: mark,
        0x9C9D: mark.encode("utf-16-le"),
    }
    camera: dict[int, pieces.Value] = {
        0x9003: "2024:07:14 12:34:56",
        0x9011: "+02:00",
        0x927C: b"Examplenote\0" + mark.encode(),
        0x9286: b"ASCII\0\0\0" + mark.encode(),
        0xA420: f"{SERIAL}-{mark}",
        0xA430: f"{OWNER} {mark}",
        0xA431: f"{SERIAL} {mark}",
    }
    return pieces.exif_block(main, camera, dict(GPS), small)


def xmp(canary: str | None = None) -> bytes:
    """A packet with a place, a creator, faces and an edit history."""
    mark = canary or "none"
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description exif:GPSLatitude="48,51.46N" '
        f'aux:SerialNumber="{SERIAL}" xmpMM:History="{mark}" mwg-rs:Regions="{mark}">'
        f"<dc:creator>{mark}</dc:creator></rdf:Description></rdf:RDF></x:xmpmeta>"
    ).encode()


def _iptc(mark: str) -> bytes:
    fields = b"".join(b"\x1c\x02" + bytes((n,)) + len(mark).to_bytes(2, "big") + mark.encode() for n in (80, 90, 120))
    return b"Photoshop 3.0\x008BIM\x04\x04\0\0" + len(fields).to_bytes(4, "big") + fields


def photo(
    size: tuple[int, int] = (640, 480),
    *,
    canary: str | None = None,
    orientation: int = 1,
    image: Image.Image | None = None,
    icc: bytes | None = None,
    **save: Any,
) -> bytes:
    """A JPEG as a camera writes it: GPS, serial number, owner, thumbnail, maker note, XMP, IPTC and a comment."""
    mark = canary or "none"
    options = {"quality": 90, "subsampling": "4:2:2", "comment": mark.encode()} | save
    if icc is not None:
        options["icc_profile"] = icc
    body = _saved(image or scene(*size), "JPEG", **options)
    return pieces.with_segments(
        body,
        pieces.segment(0xE1, b"Exif\0\0" + exif(orientation=orientation, canary=canary)),
        pieces.segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp(canary)),
        pieces.segment(0xED, _iptc(mark)),
    )


@lru_cache(maxsize=2)
def camera_photo(megapixels: int = 12) -> bytes:
    """A full-sized camera JPEG, 4:3."""
    width = round((megapixels * 1_000_000 * 4 / 3) ** 0.5) // 4 * 4
    return photo((width, width * 3 // 4))


def motion_photo(canary: str | None = None) -> bytes:
    """A photo with a film and a second photo behind its end."""
    film = pieces.box(b"ftyp", b"mp42\0\0\0\0") + pieces.box(b"mdat", (canary or "none").encode())
    return photo(canary=canary) + film + photo((64, 48), canary=canary)


def png(size: tuple[int, int] = (320, 240), *, canary: str | None = None) -> bytes:
    """An RGB PNG with text, EXIF, XMP and a time."""
    body = _saved(scene(*size), "PNG")
    mark = (canary or "none").encode()
    text = [
        pieces.chunk(b"tEXt", b"Author\0" + mark),
        pieces.chunk(b"zTXt", b"Comment\0\0" + zlib.compress(mark)),
        pieces.chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp(canary)),
        pieces.chunk(b"tIME", b"\x07\xe8\x07\x0e\x0c\x22\x38"),
        pieces.chunk(b"pHYs", b"\0\0\x2e\x23\0\0\x2e\x23\x01"),
        pieces.chunk(b"eXIf", exif(canary=canary)),
    ]
    return pieces.with_chunks(body, *text)


def rgba_png(size: tuple[int, int] = (200, 160)) -> bytes:
    """Clear on its left half, where a picture lies hidden; half seen in a band; solid on the right."""
    return _saved(see_through(size), "PNG")


def see_through(size: tuple[int, int] = (200, 160)) -> Image.Image:
    width, height = size
    picture = scene(width, height).convert("RGBA")
    alpha = Image.new("L", size, 255)
    alpha.paste(0, (0, 0, width // 2, height))
    alpha.paste(128, (width // 2, 0, width // 2 + width // 8, height))
    picture.putalpha(alpha)
    return picture


def deep_png(size: tuple[int, int] = (256, 64)) -> bytes:
    """16-bit grey: a ramp from 0 to 65,535 from left to right."""
    width, height = size
    row = b"".join(int(x * 65_535 / (width - 1)).to_bytes(2, "big") for x in range(width))
    pixels = zlib.compress((b"\0" + row) * height)
    return pieces.PNG + pieces.header(width, height, depth=16, colour=0) + _chunks(pixels)


def _chunks(pixels: bytes) -> bytes:
    return pieces.chunk(b"IDAT", pixels) + pieces.chunk(b"IEND")


def palette_png(size: tuple[int, int] = (120, 90), *, clear: bool = True) -> bytes:
    """Sixteen colours, the first of them clear by tRNS."""
    picture = scene(*size, grain=False).quantize(16)
    return _saved(picture, "PNG", **({"transparency": 0} if clear else {}))


def apng(frames: int = 4, size: tuple[int, int] = (96, 64)) -> bytes:
    """An animated PNG: 70 ms a frame, played three times."""
    return _saved(_moving(frames, size)[0], "PNG", save_all=True, append_images=_moving(frames, size)[1:], **_APNG)


_APNG = {"duration": 70, "loop": 3}


def _moving(frames: int, size: tuple[int, int]) -> list[Image.Image]:
    made = []
    for number in range(frames):
        picture = Image.new("RGB", size, (30, 40 * (number % 6), 200))
        picture.paste((250, 220, 0), (number * 9, 8, number * 9 + 20, 40))
        made.append(picture)
    return made


def animated_gif(frames: int = 5, size: tuple[int, int] = (120, 80), *, loop: int | None = 0) -> bytes:
    """Clear ground, a square that moves; each frame is disposed of to the ground. 40, 80, 120 … ms."""
    made = []
    for number in range(frames):
        picture = Image.new("RGBA", size, (0, 0, 0, 0))
        picture.paste((250, 60, 20, 255), (number * 12, 10, number * 12 + 30, 50))
        made.append(picture)
    more = {} if loop is None else {"loop": loop}
    durations = [40 * (number + 1) for number in range(frames)]
    return _saved(
        made[0], "GIF", save_all=True, append_images=made[1:], duration=durations, disposal=2, comment=b"c", **more
    )


def webp(size: tuple[int, int] = (320, 240), *, canary: str | None = None, alpha: bool = False) -> bytes:
    """A still WebP with EXIF and XMP."""
    picture = see_through(size) if alpha else scene(*size)
    return _saved(picture, "WEBP", quality=80, exif=b"Exif\0\0" + exif(canary=canary), xmp=xmp(canary))


def animated_webp(frames: int = 4, size: tuple[int, int] = (96, 64)) -> bytes:
    """90 ms a frame, played twice."""
    made = _moving(frames, size)
    return _saved(made[0], "WEBP", save_all=True, append_images=made[1:], duration=90, loop=2, quality=80)


def avif(size: tuple[int, int] = (160, 120), *, canary: str | None = None, orientation: int = 1) -> bytes:
    """A still AVIF with EXIF and XMP."""
    return _saved(
        scene(*size), "AVIF", quality=70, speed=10, exif=exif(canary=canary, orientation=orientation), xmp=xmp(canary)
    )


def heic(
    size: tuple[int, int] = (160, 120),
    *,
    canary: str | None = None,
    orientation: int = 1,
    image: Image.Image | None = None,
) -> bytes:
    """A HEIC as a phone writes it: EXIF with GPS, XMP, a thumbnail."""
    body = io.BytesIO()
    made = pillow_heif.from_pillow(image or scene(*size))
    made.info["exif"] = exif(canary=canary, orientation=orientation)
    made.info["xmp"] = xmp(canary)
    made.save(body, quality=70, thumbnails=[64] if min(size) > 64 else [])
    return body.getvalue()


def cmyk_jpeg(size: tuple[int, int] = (120, 90), *, icc: bytes | None = None) -> bytes:
    picture = Image.merge("CMYK", [Image.linear_gradient("L").resize(size), *[Image.new("L", size, 0)] * 3])
    return _saved(picture, "JPEG", quality=95, **({"icc_profile": icc} if icc else {}))


def grey_jpeg(size: tuple[int, int] = (120, 90), *, icc: bytes | None = None) -> bytes:
    return _saved(scene(*size).convert("L"), "JPEG", quality=95, **({"icc_profile": icc} if icc else {}))


def progressive_jpeg(size: tuple[int, int] = (320, 240)) -> bytes:
    return photo(size, progressive=True)


def tiff(size: tuple[int, int] = (120, 90), *, canary: str | None = None, compression: str = "tiff_lzw") -> bytes:
    """A TIFF that says who made it and with what."""
    named = {271: "Examplecam", 315: canary or "none", 316: canary or "none"}
    return _saved(scene(*size), "TIFF", compression=compression, tiffinfo=named)


def bmp(size: tuple[int, int] = (120, 90)) -> bytes:
    return _saved(scene(*size), "BMP")


# Name -> maker, one of every kind that can be taken in; the names begin with the format's name in the table.
KINDS = {
    "jpeg": photo,
    "jpeg-progressive": progressive_jpeg,
    "jpeg-cmyk": cmyk_jpeg,
    "jpeg-grey": grey_jpeg,
    "jpeg-motion": motion_photo,
    "png": png,
    "png-rgba": rgba_png,
    "png-deep": deep_png,
    "png-palette": palette_png,
    "png-animated": apng,
    "gif-animated": animated_gif,
    "webp": webp,
    "webp-animated": animated_webp,
    "avif": avif,
    "heic": heic,
    "tiff": tiff,
    "bmp": bmp,
}
