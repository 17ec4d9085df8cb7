"""Second reader of a rewritten PNG or APNG: any depth, interlaced or not, nothing that is not a sample or its meaning.

Order: IHDR, acTL, one word of colour, PLTE, tRNS, the frames, IEND. Every stream inflates to exactly its rows.
"""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass

from PIL import Image, ImageChops

from worker.media.proof import profile
from worker.media.proof.doubt import need

_MAGIC = b"\x89PNG\r\n\x1a\n"
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_MOST_SIDE, _MOST_CHUNKS = 16_384, 100_000
_READ = 1 << 20
# x and y of the first sample of each pass of Adam7, and its steps.
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


@dataclass(frozen=True, kw_only=True)
class _Head:
    width: int
    height: int
    depth: int
    colour: int
    interlaced: bool
    palette: bytes
    clear: bytes


def check(data: bytes) -> None:
    """Raises `Doubt`."""
    need(data[:8] == _MAGIC, "signature")
    chunks = _chunks(data)
    need(chunks[0][0] == b"IHDR" and chunks[-1] == (b"IEND", b""), "first or last chunk")
    at, before = 1, dict[bytes, bytes]()
    for kinds in ((b"acTL",), (b"sRGB", b"iCCP"), (b"PLTE",), (b"tRNS",)):
        if chunks[at][0] in kinds:
            before[chunks[at][0]] = chunks[at][1]
            at += 1
    _colour(before)
    head = _head(chunks[0][1], before)
    frames = _animated(chunks[at:-1], head, before[b"acTL"]) if b"acTL" in before else _still(chunks[at:-1], head)
    used: set[int] = set()
    for width, height, packed in frames:
        _rows(packed, width, height, head)
        used |= _samples(packed, width, height, head)
    _palette(head, used)


def _chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    found: list[tuple[bytes, bytes]] = []
    at = 8
    while at < len(data):
        need(at + 12 <= len(data) and len(found) < _MOST_CHUNKS, "a chunk's header")
        size, kind = struct.unpack_from(">I4s", data, at)
        need(size <= len(data) - at - 12, "a chunk's length")
        (crc,) = struct.unpack_from(">I", data, at + 8 + size)
        need(zlib.crc32(data[at + 4 : at + 8 + size]) == crc, "a chunk's checksum")
        found.append((kind, data[at + 8 : at + 8 + size]))
        at += 12 + size
        need(kind != b"IEND" or at == len(data), "bytes after the end")
    need(len(found) >= 3, "too few chunks")
    return found


def _colour(before: dict[bytes, bytes]) -> None:
    need(before.get(b"sRGB", b"\0") == b"\0", "sRGB")
    if b"iCCP" in before:
        profile.in_png(before[b"iCCP"])


def _head(body: bytes, before: dict[bytes, bytes]) -> _Head:
    need(len(body) == 13, "IHDR")
    width, height, depth, colour, packing, filtering, interlaced = struct.unpack(">IIBBBBB", body)
    need(0 < width <= _MOST_SIDE and 0 < height <= _MOST_SIDE, "size")
    need(depth in _DEPTHS.get(colour, ()) and not packing and not filtering and interlaced < 2, "kind of pixels")
    palette, clear = before.get(b"PLTE", b""), before.get(b"tRNS", b"")
    need((colour == 3) == bool(palette) and len(palette) % 3 == 0, "a palette")
    need(len(palette) // 3 <= 1 << depth if palette else True, "a palette's length")
    if b"tRNS" in before:
        need(
            len(clear) == {0: 2, 2: 6}.get(colour, -1) or (colour == 3 and 0 < len(clear) <= len(palette) // 3), "tRNS"
        )
        keys = struct.unpack(f">{len(clear) // 2}H", clear) if colour != 3 else ()
        need(all(key < 1 << depth for key in keys), "tRNS")
    return _Head(
        width=width,
        height=height,
        depth=depth,
        colour=colour,
        interlaced=bool(interlaced),
        palette=palette,
        clear=clear,
    )


def _still(chunks: list[tuple[bytes, bytes]], head: _Head) -> list[tuple[int, int, bytes]]:
    need(len(chunks) > 0 and {kind for kind, _ in chunks} == {b"IDAT"}, "a chunk that may not be there")
    return [(head.width, head.height, b"".join(body for _, body in chunks))]


def _animated(chunks: list[tuple[bytes, bytes]], head: _Head, animation: bytes) -> list[tuple[int, int, bytes]]:
    """Each fcTL, then its samples; the first frame is the default image; sequence numbers without a gap."""
    need(len(animation) == 8 and chunks[0][0] == b"fcTL", "acTL")
    frames: list[tuple[int, int, list[bytes]]] = []
    sequence = 0
    for kind, body in chunks:
        need(kind == (b"IDAT" if len(frames) == 1 else b"fdAT") or kind == b"fcTL", "a chunk that may not be there")
        if kind != b"IDAT":
            need(int.from_bytes(body[:4], "big") == sequence and len(body) > 4, "sequence number")
            sequence += 1
        if kind == b"fcTL":
            frames.append((*_place(body, head, first=not frames), []))
        else:
            frames[-1][2].append(body if kind == b"IDAT" else body[4:])
    need(int.from_bytes(animation[:4], "big") == len(frames), "number of frames")
    return [(width, height, b"".join(parts)) for width, height, parts in frames]


def _place(body: bytes, head: _Head, *, first: bool) -> tuple[int, int]:
    need(len(body) == 26 and body[24] < 3 and body[25] < 2, "fcTL")
    width, height, x, y = struct.unpack_from(">4I", body, 4)
    need(0 < width <= head.width - x and 0 < height <= head.height - y, "a frame outside the canvas")
    need(not first or (width, height) == (head.width, head.height), "the first frame's size")
    return width, height


def _rows(packed: bytes, width: int, height: int, head: _Head) -> None:
    """The stream ends with its last byte and holds exactly the rows; each begins with a filter of the five."""
    need(len(packed) >= 6 and not packed[1] & 0x20, "zlib header")
    passes = _ADAM7 if head.interlaced else ((0, 0, 1, 1),)
    sizes = ((-(-(width - x) // dx), -(-(height - y) // dy)) for x, y, dx, dy in passes)
    stream, rest = zlib.decompressobj(), packed
    for columns, rows in sizes:
        if columns <= 0 or rows <= 0:
            continue
        row = (columns * _SAMPLES[head.colour] * head.depth + 7) // 8 + 1
        need(columns * rows > 0, "a pass")
        left = rows
        while left:
            take = min(left, max(1, _READ // row))
            raw = b""
            while len(raw) < take * row:
                more = stream.decompress(rest, take * row - len(raw))
                rest = stream.unconsumed_tail
                need(bool(more), "number of samples")
                raw += more
            need(max(raw[::row]) <= 4, "filter of a row")
            left -= take
    need(not stream.decompress(rest, 1) and stream.eof and not stream.unused_data, "more than the samples")


def _samples(packed: bytes, width: int, height: int, head: _Head) -> set[int]:
    """The palette's numbers that occur; raises `Doubt` for colour under alpha 0."""
    if head.colour not in (3, 4, 6):
        return set()
    image = _decoded(packed, width, height, head)
    if head.colour == 3:
        need(image.mode == "P", "a palette's samples")
        return {number for number, count in enumerate(image.histogram()[:256]) if count}
    need(image.mode in ("LA", "RGBA"), "samples with alpha")
    alpha = image.getchannel("A")
    need(head.depth == 8 or alpha.getextrema()[0] != 0, "deep samples under transparency")
    hidden = alpha.point([255] + [0] * 255)
    for band in image.split()[:-1]:
        need(ImageChops.multiply(band, hidden).getbbox() is None, "colour under transparency")
    return set()


def _decoded(packed: bytes, width: int, height: int, head: _Head) -> Image.Image:
    ihdr = struct.pack(">IIBBBBB", width, height, head.depth, head.colour, 0, 0, head.interlaced)
    parts = [(b"IHDR", ihdr), (b"PLTE", head.palette), (b"IDAT", packed), (b"IEND", b"")]
    whole = _MAGIC + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in parts
        if body or kind == b"IEND"
    )
    with Image.open(io.BytesIO(whole), formats=("PNG",)) as image:
        image.load()
        return image.copy()


def _palette(head: _Head, used: set[int]) -> None:
    """No entry behind the last that occurs, and those between that do not occur are black and opaque."""
    if head.colour != 3:
        return
    entries = [head.palette[3 * number : 3 * number + 3] for number in range(len(head.palette) // 3)]
    need(max(used) == len(entries) - 1, "palette entries that nothing uses")
    need(not head.clear.endswith(b"\xff"), "tRNS")
    for number, entry in enumerate(entries):
        blank = entry == b"\0\0\0" and head.clear[number : number + 1] in (b"", b"\xff")
        need(number in used or blank, "a palette entry that nothing uses")
