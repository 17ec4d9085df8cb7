"""Pictures whose headers are the bomb: as many bytes, segments, chunks, blocks or entries as fit into a given size.

Each maker takes the size of the file in bytes. `PICTURES` maps a name to (maker, the codes that are right for it); ""
stands for a picture that is taken. What a decoder would choke on is in `tests.bombs`.
"""

from __future__ import annotations

import functools
import io
import random
import struct
from collections.abc import Callable

from PIL import Image

from tests import bombs, pieces, samples

Flood = tuple[Callable[[int], bytes], frozenset[str]]

# Ten levels of ten: what an XML parser would make of it is ten gigabytes.
ENTITIES = (
    b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a0 "lol">'
    + b"".join(b'<!ENTITY a%d "%s">' % (level, b"&a%d;" % (level - 1) * 10) for level in range(1, 11))
    + b'<!ENTITY file SYSTEM "file:///etc/passwd">]><x:xmpmeta>&a10;&file;</x:xmpmeta>'
)
_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_EXTENDED = b"http://ns.adobe.com/xmp/extension/\0"
_MOST_SEGMENT = 65_533


@functools.cache
def _jpeg() -> bytes:
    body = io.BytesIO()
    Image.new("L", (16, 16), 90).save(body, "JPEG")
    return body.getvalue()


def _segments(size: int, marker: int, head: bytes, filling: bytes) -> bytes:
    """A JPEG with full segments of one kind, up to the size."""
    room = _MOST_SEGMENT - len(head)
    one = pieces.segment(marker, head + (filling * (room // len(filling) + 1))[:room])
    return pieces.with_segments(_jpeg(), one * (size // len(one)))


def _in_scan(size: int, filling: bytes) -> bytes:
    at = _jpeg().index(b"\xff\xda") + 10
    return _jpeg()[:at] + filling * (size // len(filling)) + b"\xff\xd9"


def _before_frame(size: int, filling: bytes) -> bytes:
    return _jpeg()[:20] + filling * (size // len(filling)) + _jpeg()[20:]


def _noise(size: int) -> bytes:
    """Samples without a pattern, as a camera writes them."""
    noise = random.Random(5).randbytes(1 << 20).replace(b"\xff", b"\xff\0")
    return _in_scan(size, noise)


def _png(kind: bytes, body: bytes, count: int = 1) -> bytes:
    return bombs.png_with(pieces.chunk(kind, body) * count)


def _inflating(size: int, head: bytes = b"Comment\0\0", kind: bytes = b"zTXt") -> bytes:
    """As many texts as may be there, four megabytes each once they are inflated."""
    one = pieces.chunk(kind, head + pieces.zeros(4 << 20))
    return bombs.png_with(one * min(size // len(one), 9_900))


def _raw_profile(size: int) -> bytes:
    return _png(b"tEXt", b"Raw profile type exif\0\nexif\n  9\n" + b"4 " * (size // 2))


def _gif(blocks: bytes) -> bytes:
    whole = bombs.gif(4, 1)
    return whole[:19] + blocks + whole[19:]


def _sub_blocks(size: int, length: int, kind: bytes = b"\x21\xfe") -> bytes:
    one = bytes((length,)) + b"c" * length
    return _gif(kind + one * (size // len(one)) + b"\0")


def _gif_frame(size: int) -> bytes:
    """One frame whose samples fill the file."""
    image = b"\x2c" + struct.pack("<HHHHB", 0, 0, 4, 4, 0) + b"\x02" + (b"\xff" + b"\x44" * 255) * (size // 256) + b"\0"
    return bombs.gif(4, 1)[:-1] + image + b"\x3b"


def _gif_strays(size: int) -> bytes:
    """Stray bytes between empty comments, and then nothing that a search for the other blocks would find."""
    return _gif(b"\0\x21\xfe\0" * 4_900) + bytes(size)


def _webp(chunk: bytes, count: int) -> bytes:
    whole = io.BytesIO()
    Image.new("RGB", (16, 16), (9, 9, 9)).save(whole, "WEBP")
    return pieces.extended(whole.getvalue(), flags=0x0C, size=(16, 16), more=[chunk * count])


def _full(name: bytes, *bodies: bytes, version: int = 0) -> bytes:
    return pieces.box(name, bytes((version, 0, 0, 0)), *bodies)


def _heif(*inside: bytes, after: bytes = b"") -> bytes:
    """An AVIF head of the boxes given; its picture is of 64 squared."""
    ispe = _full(b"ispe", struct.pack(">II", 64, 64))
    item = _full(b"infe", struct.pack(">HH4s", 1, 0, b"av01"), b"\0", version=2)
    base = [_full(b"pitm", b"\0\1"), _full(b"iinf", b"\0\1", item), pieces.box(b"iprp", pieces.box(b"ipco", ispe))]
    ipma = _full(b"ipma", struct.pack(">IHBB", 1, 1, 1, 1))
    return pieces.box(b"ftyp", b"avif\0\0\0\0avifmif1") + _full(b"meta", *base, ipma, *inside) + after


def _infos(first: int, count: int, kind: bytes) -> bytes:
    items = [_full(b"infe", struct.pack(">HH4s", first + n, 0, kind), b"\0", version=2) for n in range(count)]
    return _full(b"iinf", struct.pack(">H", count), *items)


def _places(count: int, extents: int) -> bytes:
    """`iloc`: each item has as many extents, each of them the whole file."""
    one = struct.pack(">HHH", 0, 0, extents) + struct.pack(">II", 0, 1 << 30) * extents
    items = b"".join(struct.pack(">H", 2 + n) + one[2:] for n in range(count))
    return _full(b"iloc", b"\x44\x00", struct.pack(">H", count), items)


def _exif_items(size: int) -> bytes:
    """Thousands of items that all say the same bytes are their EXIF."""
    return _heif(_infos(2, 2_500, b"Exif"), _places(2_500, 1), after=pieces.box(b"mdat", bytes(size - 300_000)))


def _many_infos(size: int) -> bytes:
    one = _infos(2, 9_000, b"mime")
    return _heif(*[one] * (size // len(one)))


def _associations(size: int) -> bytes:
    """`ipma`: items with 255 properties each."""
    count = size // 258
    return _heif(_full(b"ipma", struct.pack(">I", count), (struct.pack(">HB", 9, 255) + b"\1" * 255) * count))


def _properties(size: int, kind: bytes) -> bytes:
    each = pieces.box(kind, b"prof" + b"A" * (size // 3_300))
    return _heif(pieces.box(b"iprp", pieces.box(b"ipco", each * (size // len(each)))))


def _tiff_entries(size: int) -> bytes:
    """Directories of 65,535 entries that lie over each other, as many as pages may be."""
    count = min(size // 12 - 10, 65_535)
    directory = struct.pack("<H", count) + struct.pack("<HHII", 256, 4, 1, 8) * count
    return b"II*\0" + struct.pack("<I", 8) + directory + struct.pack("<I", 0)


def _tiff_overlapping(size: int) -> bytes:
    """Pages whose directories are the same bytes, one entry later each."""
    entries, pages = min(size // 12 - 200, 60_000), 90
    body = bytearray(b"II*\0" + struct.pack("<I", 8))
    body += struct.pack("<H", entries) + struct.pack("<HHII", 256, 4, 1, 8) * entries + struct.pack("<I", 0)
    ends = []
    for page in range(pages):
        at = 8 + 12 * page
        struct.pack_into("<H", body, at, entries - page)
        ends.append(at)
    struct.pack_into("<I", body, len(body) - 4, ends[1])
    return bytes(body)


def _tiff_strips(size: int) -> bytes:
    count = size // 8
    tags = [(256, 4, 1, 64), (257, 4, 1, 64), (259, 3, 1, 1), (273, 4, count, 100), (279, 4, count, 100 + 4 * count)]
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags) + bytes(4)
    return (b"II*\0" + struct.pack("<I", 8) + directory).ljust(100, b"\0") + bytes(8 * count)


def _bmp_gap(size: int) -> bytes:
    """Zeros between the header and the pixels."""
    body = bytearray(samples.bmp((16, 16)))
    at = int.from_bytes(body[10:14], "little")
    struct.pack_into("<I", body, 10, at + size)
    return bytes(body[:at]) + bytes(size) + bytes(body[at:])


def _codes(*codes: str) -> frozenset[str]:
    return frozenset(codes)


_TAKEN, _TEXT, _SEGMENTS = _codes(""), _codes("limits:text"), _codes("limits:segments")

PICTURES: dict[str, Flood] = {
    "jpeg-noise": (_noise, _TAKEN),
    "jpeg-stuffed": (lambda size: _in_scan(size, b"\xff\0"), _codes("limits:markers")),
    "jpeg-restarts": (lambda size: _in_scan(size, b"\xff\xd0"), _codes("limits:markers")),
    "jpeg-fill": (lambda size: _in_scan(size, b"\xff\xff"), _codes("limits:markers")),
    "jpeg-stuffed-head": (lambda size: _before_frame(size, b"\xff\0"), _codes("corrupt")),
    "jpeg-fill-head": (lambda size: _before_frame(size, b"\xff\xff"), _codes("corrupt")),
    "jpeg-zeros-head": (lambda size: _before_frame(size, b"\0"), _codes("corrupt")),
    "jpeg-soi": (lambda size: _before_frame(size, b"\xff\xd8"), _SEGMENTS),
    "jpeg-exif": (lambda size: _segments(size, 0xE1, b"Exif\0\0", samples.exif()), _TEXT),
    "jpeg-xmp": (lambda size: _segments(size, 0xE1, _XMP, ENTITIES), _TAKEN),
    "jpeg-extended-xmp": (lambda size: _segments(size, 0xE1, _EXTENDED + b"0" * 32 + bytes(8), ENTITIES), _TAKEN),
    "jpeg-icc": (lambda size: _segments(size, 0xE2, b"ICC_PROFILE\0\1\1", b"A"), _TAKEN),
    "jpeg-comments": (lambda size: _segments(size, 0xFE, b"", b"c"), _TAKEN),
    "jpeg-iptc": (lambda size: _segments(size, 0xED, b"Photoshop 3.0\x008BIM\4\4\0\0\0\0\xff\xff", b"\x1c\2Z"), _TAKEN),
    "jpeg-resources": (lambda size: _segments(size, 0xED, b"Photoshop 3.0\0", b"8BIM\4\x0c"), _TAKEN),
    "jpeg-tail": (lambda size: samples.photo((64, 48)) + b"\xff\xd8" * (size // 2), _TAKEN),
    "jpeg-tiny-segments": (lambda size: pieces.with_segments(_jpeg(), b"\xff\xe9\0\2" * (size // 4)), _SEGMENTS),
    "png-tiny-chunks": (lambda size: bombs.png_with(pieces.chunk(b"teSt") * (size // 12)), _codes("limits:chunks")),
    "png-text": (lambda size: _png(b"tEXt", b"Comment\0" + b"x" * size), _TEXT),
    "png-texts": (lambda size: _png(b"tEXt", b"Comment\0" + b"x" * (size // 9_900), 9_900), _codes("limits:text", "")),
    "png-inflating": (_inflating, _TEXT),
    "png-inflating-xmp": (lambda size: _inflating(size, b"XML:com.adobe.xmp\0\1\0\0\0", b"iTXt"), _TEXT),
    "png-inflating-icc": (lambda size: _inflating(size, b"icc\0\0", b"iCCP"), _TEXT),
    "png-raw-profile": (_raw_profile, _TEXT),
    "png-entities": (lambda size: _png(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + ENTITIES), _TAKEN),
    "png-exif": (lambda size: _png(b"eXIf", samples.exif() + bytes(size)), _TAKEN),
    "png-unknown": (lambda size: _png(b"teSt", bytes(size)), _TAKEN),
    "png-tail": (lambda size: samples.png((64, 48)) + bytes(size), _TAKEN),
    "gif-comments": (lambda size: _gif(b"\x21\xfe\1c\0" * min(size // 5, 9_000)), _TAKEN),
    "gif-long-comment": (lambda size: _sub_blocks(size, 255), _TAKEN),
    "gif-tiny-blocks": (lambda size: _sub_blocks(size, 1), _codes("limits:chunks", "")),
    "gif-frame": (_gif_frame, _TAKEN),
    "gif-strays": (_gif_strays, _codes("limits:chunks", "corrupt", "")),
    "webp-chunks": (lambda size: _webp(pieces.riff(b"teSt", b""), size // 8), _codes("limits:chunks")),
    "webp-exif": (lambda size: _webp(pieces.riff(b"EXIF", samples.exif() + bytes(size)), 1), _TAKEN),
    "webp-exifs": (lambda size: _webp(pieces.riff(b"EXIF", samples.exif()), min(size // 5_000, 9_000)), _TAKEN),
    "webp-xmp": (lambda size: _webp(pieces.riff(b"XMP ", ENTITIES * (size // len(ENTITIES))), 1), _TAKEN),
    "avif-exif-items": (_exif_items, _TAKEN),
    "avif-infos": (_many_infos, _codes("limits:boxes")),
    "avif-extents": (lambda size: _heif(_places(min(size // 800, 790), 100)), _codes("limits:boxes", "")),
    "avif-associations": (_associations, _codes("limits:boxes")),
    "avif-profiles": (lambda size: _properties(size, b"colr"), _TAKEN),
    "avif-auxiliaries": (lambda size: _properties(size, b"auxC"), _TAKEN),
    "avif-tail": (lambda size: _heif(after=pieces.box(b"mdat", b"x") + bytes(size)), _codes("corrupt", "")),
    "avif-free": (lambda size: _heif(after=pieces.box(b"free", bytes(size))), _codes("corrupt", "")),
    "avif-loose": (lambda size: _heif(after=pieces.box(b"mdat", bytes(size))), _TAKEN),
    "avif-handler": (lambda size: _heif(_full(b"hdlr", bytes(size))), _TAKEN),
    "avif-boxes-loose": (lambda size: _heif(after=pieces.box(b"mdat", b"x" * (size // 9_000)) * 8_900), _TAKEN),
    "bmp-gap": (_bmp_gap, _TAKEN),
    "tiff-gap": (lambda size: bombs.tiff_of_pages(1) + bytes(size), _TAKEN),
    "tiff-many-strips": (lambda size: _tiff_strips(min(size, 8 * 39_000)), _TAKEN),
    "tiff-entries": (_tiff_entries, _codes("limits:tags")),
    "tiff-overlapping": (_tiff_overlapping, _codes("limits:tags")),
    "tiff-strips": (_tiff_strips, _codes("limits:chunks")),
}
