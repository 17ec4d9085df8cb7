"""Second reader of PNG: eight-bit, not interlaced, IHDR, IDAT, IEND and a constant sRGB, gAMA or iCCP; nothing else."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator

from PIL import Image

from worker.media.proof import hidden, profile
from worker.media.proof.doubt import need

_CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}
_MOST_SIDE = 16_384
_MOST_PIXELS = 40_000_000
# The most bytes of a block that is stored as it is (RFC 1951, 3.2.4).
_STORED = 0xFFFF
# Bytes of samples that are looked at in one go: as much as a processor holds close by.
_BAND = 1 << 16


def check(data: bytes) -> None:
    """Raises `Doubt`."""
    need(data[:8] == b"\x89PNG\r\n\x1a\n", "signature")
    chunks = _chunks(data)
    kinds = [kind for kind, _ in chunks]
    need(kinds[0] == b"IHDR" and kinds[-1] == b"IEND" and not chunks[-1][1], "first or last chunk")
    between = [kind for kind in kinds[1:-1] if kind != b"IDAT"]
    need(between in ([], [b"sRGB"], [b"gAMA"], [b"iCCP"]), "a chunk that may not be there")
    need(kinds[1 + len(between) : -1] == [b"IDAT"] * kinds.count(b"IDAT"), "order of chunks")
    for kind, body in chunks:
        if kind == b"iCCP":
            profile.in_png(bytes(body))
        need(kind != b"sRGB" or bytes(body) == b"\0", "sRGB")
        need(kind != b"gAMA" or bytes(body) == struct.pack(">I", 45_455), "gAMA")
    width, height, channels = _header(chunks[0][1])
    above = bytes(width * channels)
    for rows in _samples((body for kind, body in chunks if kind == b"IDAT"), width * channels + 1, height):
        if channels == 4:
            above = _judged(above, rows, width)


def _chunks(data: bytes) -> list[tuple[bytes, memoryview]]:
    found, at, view = [], 8, memoryview(data)
    while at < len(data):
        need(at + 12 <= len(data), "a chunk's header")
        size, kind = struct.unpack_from(">I4s", data, at)
        need(size <= len(data) - at - 12, "a chunk's length")
        (crc,) = struct.unpack_from(">I", data, at + 8 + size)
        need(zlib.crc32(view[at + 4 : at + 8 + size]) == crc, "a chunk's checksum")
        found.append((kind, view[at + 8 : at + 8 + size]))
        at += 12 + size
        need(kind != b"IEND" or at == len(data), "bytes after the end")
        need(len(found) <= 100_000, "too many chunks")
    need(len(found) >= 3, "too few chunks")
    return found


def _header(body: memoryview) -> tuple[int, int, int]:
    need(len(body) == 13, "IHDR")
    width, height, depth, colour, packing, filtering, interlace = struct.unpack(">IIBBBBB", body)
    need(0 < width <= _MOST_SIDE and 0 < height <= _MOST_SIDE and width * height <= _MOST_PIXELS, "size")
    need(depth == 8 and colour in _CHANNELS and not packing and not filtering and not interlace, "kind of pixels")
    return width, height, _CHANNELS[colour]


def _samples(packed: Iterable[memoryview], row: int, rows: int) -> Iterator[bytes]:
    """Whole rows, some at a time, each with its filter before it.

    The stream ends with its last byte, holds exactly the rows, and each row begins with a filter of the five.
    """
    stream, held, left = zlib.decompressobj(), b"", row * rows
    for number, piece in enumerate(packed):
        need(number > 0 or (len(piece) >= 2 and piece[0] == 0x78 and not piece[1] & 0x20), "zlib header")
        need(not stream.eof, "bytes after the samples")
        # Room for one byte more: as long as that stays free, the whole piece was taken in.
        fresh = stream.decompress(piece, left + 1)
        left -= len(fresh)
        need(left >= 0, "more samples than pixels")
        held += fresh
        if len(held) >= max(row, _BAND) or not left:
            end = len(held) - len(held) % row
            need(max(held[:end:row], default=0) <= 4, "filter of a row")
            yield held[:end]
            held = held[end:]
    need(not left and stream.eof, "number of samples")
    need(not stream.unused_data, "bytes after the samples")


def _judged(above: bytes, rows: bytes, width: int) -> bytes:
    """The last row without its filter, after all have been looked at; `above` is the row before the first."""
    count = len(rows) // (4 * width + 1)
    image = _unfiltered(b"\0" + above + rows, (width, count + 1))
    hidden.exactly(image)
    return image.crop((0, count, width, count + 1)).tobytes()


def _unfiltered(raw: bytes, size: tuple[int, int]) -> Image.Image:
    """RGBA from its filtered rows: packed anew without compression, since Pillow unfilters only what it unpacks."""
    pieces: list[bytes | memoryview] = [b"\x78\x01"]
    for at in range(0, len(raw), _STORED):
        piece = memoryview(raw)[at : at + _STORED]
        pieces += [struct.pack("<BHH", at + _STORED >= len(raw), len(piece), len(piece) ^ _STORED), piece]
    return Image.frombytes("RGBA", size, b"".join(pieces), "zip", "RGBA", 0)
