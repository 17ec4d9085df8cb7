"""Bombs: small files that cost a plain decoder memory or minutes, and files that pretend to be pictures.

All are made within moments. `PICTURES` maps a name to (maker, the codes that are right for it).
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

from PIL import Image

from tests import pieces, samples

Bomb = tuple[Callable[[], bytes], frozenset[str]]


def _saved(image: Image.Image, name: str, **more: object) -> bytes:
    body = io.BytesIO()
    image.save(body, name, **more)
    return body.getvalue()


def jpeg_claiming(width: int, height: int) -> bytes:
    """A small grey JPEG whose header claims another size."""
    body = bytearray(_saved(Image.new("L", (8, 8), 90), "JPEG"))
    at = body.index(b"\xff\xc0")
    struct.pack_into(">HH", body, at + 5, height, width)
    return bytes(body)


def png_of_zeros(width: int, height: int, *, colour: int = 0, spare: int = 0) -> bytes:
    """A whole PNG of black pixels, and `spare` bytes beyond them in its stream."""
    channels = {0: 1, 2: 3, 6: 4}[colour]
    pixels = pieces.zeros((width * channels + 1) * height + spare)
    head = pieces.header(width, height, colour=colour)
    return pieces.PNG + head + pieces.chunk(b"IDAT", pixels) + pieces.chunk(b"IEND")


def png_with(chunks: bytes) -> bytes:
    return pieces.with_chunks(_saved(Image.new("L", (8, 8)), "PNG"), chunks)


def png_inflating(kind: bytes) -> bytes:
    """200 MB of text or profile in a PNG of 64 pixels."""
    head = {b"zTXt": b"Comment\0\0", b"iTXt": b"Comment\0\1\0\0\0", b"iCCP": b"profile\0\0"}[kind]
    return png_with(pieces.chunk(kind, head + pieces.zeros(200_000_000)))


def apng_claiming(frames: int, *, side: int = 16, real: int = 1) -> bytes:
    """An APNG that says `frames` and has `real`, each of one pixel."""
    pixels = pieces.zeros((side + 1) * side)
    one = zlib.compress(b"\0\0")
    parts = [pieces.PNG + pieces.header(side, side, colour=0), pieces.chunk(b"acTL", struct.pack(">II", frames, 0))]
    parts += [_control(0, side), pieces.chunk(b"IDAT", pixels)]
    for number in range(1, real):
        parts += [_control(2 * number - 1, 1), pieces.chunk(b"fdAT", struct.pack(">I", 2 * number) + one)]
    return b"".join(parts) + pieces.chunk(b"IEND")


def _control(sequence: int, side: int) -> bytes:
    return pieces.chunk(b"fcTL", struct.pack(">IIIIIHHBB", sequence, side, side, 0, 0, 1, 10, 0, 0))


def gif(side: int, frames: int, *, frame_side: int = 1) -> bytes:
    """A GIF canvas of `side` squared with many frames, each claiming `frame_side` and holding one pixel."""
    head = b"GIF89a" + struct.pack("<HHBBB", side, side, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, frame_side, frame_side, 0) + b"\x02\x02\x44\x01\0"
    return head + frame * frames + b"\x3b"


def webp_claiming(width: int, height: int) -> bytes:
    """A lossless WebP of one colour: no bits a pixel, so any size costs the same few bytes."""
    body = bytearray(_saved(Image.new("RGB", (16, 16), (9, 9, 9)), "WEBP", lossless=True))
    at = body.index(b"VP8L") + 9
    struct.pack_into("<I", body, at, (width - 1) | (height - 1) << 14)
    return bytes(body)


def avif_claiming(width: int, height: int, *, real: tuple[int, int] = (64, 64)) -> bytes:
    """An AVIF whose boxes say one size and whose stream has another."""
    body = bytearray(_saved(Image.new("RGB", real, (9, 9, 9)), "AVIF", speed=10))
    at = body.index(b"ispe") + 8
    struct.pack_into(">II", body, at, width, height)
    return bytes(body)


def heic_claiming(width: int, height: int) -> bytes:
    body = samples.heic((64, 64)).replace(struct.pack(">II", 64, 64), struct.pack(">II", width, height))
    assert struct.pack(">II", width, height) in body
    return body


def jpeg_of_scans(scans: int, side: int = 6000) -> bytes:
    """A progressive JPEG whose last scan is there again and again."""
    body = _saved(Image.new("L", (side, side), 90), "JPEG", progressive=True)
    at = body.rindex(b"\xff\xda")
    return body[:at] + body[at:-2] * scans + b"\xff\xd9"


def tiff_of_zeros(width: int, height: int) -> bytes:
    """A grey TIFF of one deflated strip."""
    return _tiff([_page(width, height, 8)], pieces.zeros(width * height))


def tiff_of_pages(count: int) -> bytes:
    """A chain of directories that all show the same pixel."""
    return _tiff([_page(1, 1, 1)] * count, b"\0")


def tiff_loop() -> bytes:
    """A directory that names itself as the next."""
    body = bytearray(tiff_of_pages(1))
    struct.pack_into("<I", body, len(body) - 4, 9)
    struct.pack_into("<I", body, 4, 9)
    return bytes(body)


def _page(width: int, height: int, packing: int) -> list[tuple[int, int, int]]:
    return [
        (256, 4, width),
        (257, 4, height),
        (258, 3, 8),
        (259, 3, packing),
        (262, 3, 1),
        (273, 4, 8),
        (278, 4, height),
    ]


def _tiff(pages: list[list[tuple[int, int, int]]], strip: bytes) -> bytes:
    out = b"".join((b"II*\0", struct.pack("<I", 8 + len(strip)), strip))
    parts, at = [out], len(out)
    for number, page in enumerate(pages):
        tags = [*page[:6], page[6], (279, 4, len(strip))]
        size = 6 + 12 * len(tags)
        following = at + size if number + 1 < len(pages) else 0
        entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
        parts.append(struct.pack("<H", len(tags)) + entries + struct.pack("<I", following))
        at += size
    return b"".join(parts)


def bmp_rle(width: int, height: int) -> bytes:
    """A run-length BMP header with almost nothing behind it."""
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, 4, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 58, 0, 0, 54) + head + b"\0\1\0\0"


def jpeg_with_profile_of(megabytes: int) -> bytes:
    """As many ICC segments as that takes; a profile has at most 255."""
    body, part = _saved(Image.new("L", (8, 8)), "JPEG"), bytes(65_519)
    count = min(megabytes * (1 << 20) // len(part), 255)
    segments = [pieces.segment(0xE2, b"ICC_PROFILE\0" + bytes((n + 1, count)) + part) for n in range(count)]
    return pieces.with_segments(body, *segments)


def jpeg_with_comments_of(megabytes: int) -> bytes:
    """Few segments, each as long as one can be."""
    part = pieces.segment(0xFE, bytes(65_000))
    return pieces.with_segments(_saved(Image.new("L", (8, 8)), "JPEG"), part * (megabytes * 1_000_000 // len(part)))


def webp_of_frames(count: int) -> bytes:
    """An animation whose frames are all the same pixel."""
    pixel = _saved(Image.new("RGB", (1, 1), (9, 9, 9)), "WEBP", lossless=True)
    frame = bytes(12) + (10).to_bytes(3, "little") + b"\0"
    frame += b"".join(pieces.riff(*part) for part in pieces.riff_chunks(pixel))
    head = pieces.riff(b"VP8X", b"\2" + bytes(9))
    return pieces.webp_of(head, pieces.riff(b"ANIM", bytes(6)), pieces.riff(b"ANMF", frame) * count)


def ff_pairs(size: int, second: int) -> bytes:
    """A JPEG whose scan is made of `FF xx` pairs."""
    body = _saved(Image.new("L", (8, 8), 90), "JPEG")
    at = body.index(b"\xff\xda") + 10
    return body[:at] + bytes((0xFF, second)) * (size // 2) + b"\xff\xd9"


def comments(count: int) -> bytes:
    return pieces.with_segments(_saved(Image.new("L", (8, 8)), "JPEG"), b"\xff\xfe\0\x02" * count)


def nested_boxes(depth: int) -> bytes:
    """A HEIC whose boxes lie in each other."""
    inner = b""
    for _ in range(depth):
        inner = pieces.box(b"moov", inner)
    return pieces.box(b"ftyp", b"heic\0\0\0\0heicmif1") + inner


def many_boxes(count: int) -> bytes:
    return pieces.box(b"ftyp", b"avif\0\0\0\0avifmif1") + pieces.box(b"free") * count


def _codes(*codes: str) -> frozenset[str]:
    return frozenset(codes)


_PIXELS, _SIDE, _CHUNKS = _codes("limits:pixels"), _codes("limits:side"), _codes("limits:chunks")
_FRAMES, _GOOD = _codes("limits:frames"), _codes("")

PICTURES: dict[str, Bomb] = {
    "jpeg-65500": (lambda: jpeg_claiming(65_500, 65_500), _SIDE),
    "jpeg-13300": (lambda: jpeg_claiming(13_300, 13_300), _PIXELS),
    "jpeg-narrow": (lambda: jpeg_claiming(16_000, 10), _codes("limits:aspect")),
    "png-13300-grey": (lambda: png_of_zeros(13_300, 13_300), _PIXELS),
    "png-13300-rgba": (lambda: png_of_zeros(13_300, 13_300, colour=6), _PIXELS),
    "tiff-13300": (lambda: tiff_of_zeros(13_300, 13_300), _PIXELS),
    "webp-88-megapixels": (lambda: webp_claiming(16_383, 5_400), _PIXELS),
    "avif-9000": (lambda: avif_claiming(9_000, 9_000), _PIXELS),
    "avif-20000": (lambda: avif_claiming(20_000, 20), _SIDE),
    "avif-lying": (lambda: avif_claiming(64, 64, real=(5_000, 5_000)), _codes("corrupt", "")),
    "heic-9000": (lambda: heic_claiming(9_000, 9_000), _PIXELS),
    "gif-9000-frames": (lambda: gif(9_000, 1_000), _codes("limits:frames", "limits:pixels")),
    "gif-frames": (lambda: gif(1, 60_000), _FRAMES),
    "gif-full-claims": (lambda: gif(2_000, 200, frame_side=2_000), _codes("limits:frame_pixels")),
    "apng-9000": (lambda: apng_claiming(500, side=9_000, real=500), _codes("limits:frames", "limits:pixels")),
    "apng-2-billion": (lambda: apng_claiming(2_000_000_000), _FRAMES),
    "apng-lying": (lambda: apng_claiming(200, real=2), _codes("corrupt", "truncated")),
    "jpeg-scans": (lambda: jpeg_of_scans(2_000), _codes("limits:scans")),
    "jpeg-scans-allowed": (lambda: jpeg_of_scans(90, 2_500), _GOOD),
    "tiff-pages": (lambda: tiff_of_pages(5_000), _codes("limits:pages")),
    "tiff-loop": (tiff_loop, _codes("corrupt")),
    "png-empty-chunks": (lambda: png_with(pieces.chunk(b"teSt") * 80_000), _CHUNKS),
    "png-text-chunks": (lambda: png_with(pieces.chunk(b"tEXt", b"Comment\0x") * 20_000), _CHUNKS),
    "png-ztxt": (lambda: png_inflating(b"zTXt"), _codes("limits:text")),
    "png-itxt": (lambda: png_inflating(b"iTXt"), _codes("limits:text")),
    "png-iccp": (lambda: png_inflating(b"iCCP"), _codes("limits:text")),
    "png-beyond": (lambda: png_of_zeros(64, 64, spare=1_000_000_000), _codes("", "corrupt")),
    "jpeg-comments": (lambda: comments(240_000), _codes("limits:segments")),
    "jpeg-profile": (lambda: jpeg_with_profile_of(16), _GOOD),
    "bmp-rle": (lambda: bmp_rle(8_000, 8_000), _codes("corrupt", "truncated")),
    "heic-deep": (lambda: nested_boxes(40), _codes("limits:boxes")),
    "avif-many-boxes": (lambda: many_boxes(100_000), _codes("limits:boxes")),
    "jpeg-cut": (lambda: samples.photo((320, 240))[:9_000], _codes("truncated")),
    "png-cut": (lambda: samples.png()[:20_000], _codes("truncated")),
    "webp-cut": (lambda: samples.webp()[:2_000], _codes("truncated")),
    "gif-cut": (lambda: samples.animated_gif()[:300], _codes("truncated")),
    "heic-cut": (lambda: samples.heic()[:4_000], _codes("truncated")),
    "avif-cut": (lambda: samples.avif()[:1_500], _codes("truncated")),
}

# The same as large as they come, up to the bytes that are taken and beyond: for figures, not for the daily tests.
FULL_SIZE: dict[str, Bomb] = {
    "gif-200000-frames": (lambda: gif(1, 200_000), _FRAMES),
    "webp-100000-frames": (lambda: webp_of_frames(100_000), _codes("limits:frames", "limits:chunks")),
    "avif-8000-whole": (lambda: avif_claiming(8_000, 8_000, real=(8_000, 8_000)), _GOOD),
    "webp-8000": (lambda: webp_claiming(8_000, 8_000), _GOOD),
    "jpeg-20000-scans": (lambda: jpeg_of_scans(20_000, 9_000), _codes("limits:pixels", "limits:scans")),
    "jpeg-20000-scans-small": (lambda: jpeg_of_scans(20_000, 2_000), _codes("limits:scans")),
    "tiff-100000-pages": (lambda: tiff_of_pages(100_000), _codes("limits:pages")),
    "png-million-chunks": (lambda: png_with(pieces.chunk(b"teSt") * 1_000_000), _CHUNKS),
    "png-200000-texts": (lambda: png_with(pieces.chunk(b"tEXt", b"Comment\0x") * 200_000), _CHUNKS),
    "jpeg-million-comments": (lambda: comments(1_000_000), _codes("limits:segments")),
    "jpeg-49-mb-of-comments": (lambda: jpeg_with_comments_of(49), _GOOD),
    "jpeg-64-mb-of-comments": (lambda: jpeg_with_comments_of(64), _codes("limits:bytes")),
    "jpeg-20-mb-of-ff00": (lambda: ff_pairs(20_000_000, 0x00), _codes("limits:markers")),
    "jpeg-20-mb-of-ffd0": (lambda: ff_pairs(20_000_000, 0xD0), _codes("limits:markers")),
    "avif-million-boxes": (lambda: many_boxes(1_000_000), _codes("limits:boxes")),
}

# Polyglots are good pictures with something else hidden in them; nothing of it may come out.
POLYGLOTS: dict[str, Callable[[], bytes]] = {
    "gif-js": lambda: samples.animated_gif() + b"=1;alert('CANARY')",
    "jpeg-html": lambda: pieces.with_segments(
        samples.photo((64, 48)), pieces.segment(0xFE, b"<script>CANARY</script>")
    ),
    "jpeg-pdf": lambda: pieces.with_segments(samples.photo((64, 48)), pieces.segment(0xFE, b"%PDF-1.4 CANARY")),
    "jpeg-zip": lambda: samples.photo((64, 48)) + b"PK\3\4CANARY" + b"PK\5\6" + bytes(18),
    "png-php": lambda: png_with(pieces.chunk(b"tEXt", b"Comment\0<?php CANARY ?>")),
    "png-tail": lambda: samples.png((64, 48)) + b"CANARY",
    "webp-tail": lambda: samples.webp((64, 48)) + b"CANARY",
}

# What is no picture of ours, and must be refused by its first bytes.
STRANGERS: dict[str, bytes] = {
    "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n0 0 moveto showpage\n",
    "svg": b'<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    b'<svg xmlns="http://www.w3.org/2000/svg"><text>&x;</text></svg>',
    "pdf": b"%PDF-1.7\n1 0 obj<<>>endobj\n%%EOF\n",
    "text": b"this is a photo, honestly\n" * 20,
    "psd": b"8BPS\0\1" + bytes(40),
    "jpeg-2000": bytes.fromhex("0000000c6a5020200d0a870a") + bytes(40),
    "playlist": b"#EXTM3U\n#EXT-X-TARGETDURATION:1\nfile:///etc/passwd\n",
    "one-byte": b"\xff",
    "zeros": bytes(4096),
    "audio": pieces.box(b"ftyp", b"M4A \0\0\0\0M4A mp42"),
    "ico": b"\0\0\1\0\1\0\x10\x10" + bytes(40),
}
