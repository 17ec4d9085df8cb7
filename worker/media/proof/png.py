"""Second reader of PNG: eight-bit, not interlaced, IHDR, IDAT, IEND and a constant sRGB, gAMA or iCCP; nothing else."""

from __future__ import annotations

import struct
import zlib

from worker.media.proof import pixels, profile
from worker.media.proof.doubt import need

_CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}
_MOST_SIDE = 16_384
_MOST_PIXELS = 40_000_000


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
            profile.in_png(body)
        need(kind != b"sRGB" or body == b"\0", "sRGB")
        need(kind != b"gAMA" or body == struct.pack(">I", 45_455), "gAMA")
    width, height, channels = _header(chunks[0][1])
    _samples(b"".join(body for kind, body in chunks if kind == b"IDAT"), width * channels + 1, height)
    image = pixels.decoded(data, "PNG")
    need(image.size == (width, height), "decoded size")
    pixels.no_hidden_colour(image)


def _chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    found, at = [], 8
    while at < len(data):
        need(at + 12 <= len(data), "a chunk's header")
        size, kind = struct.unpack_from(">I4s", data, at)
        need(size <= len(data) - at - 12, "a chunk's length")
        (crc,) = struct.unpack_from(">I", data, at + 8 + size)
        need(zlib.crc32(data[at + 4 : at + 8 + size]) == crc, "a chunk's checksum")
        found.append((kind, data[at + 8 : at + 8 + size]))
        at += 12 + size
        need(kind != b"IEND" or at == len(data), "bytes after the end")
        need(len(found) <= 100_000, "too many chunks")
    need(len(found) >= 3, "too few chunks")
    return found


def _header(body: bytes) -> tuple[int, int, int]:
    need(len(body) == 13, "IHDR")
    width, height, depth, colour, packing, filtering, interlace = struct.unpack(">IIBBBBB", body)
    need(0 < width <= _MOST_SIDE and 0 < height <= _MOST_SIDE and width * height <= _MOST_PIXELS, "size")
    need(depth == 8 and colour in _CHANNELS and not packing and not filtering and not interlace, "kind of pixels")
    return width, height, _CHANNELS[colour]


def _samples(packed: bytes, row: int, rows: int) -> None:
    """The stream ends with its last byte, holds exactly the rows, and each row begins with a filter of the five."""
    need(len(packed) >= 6 and packed[0] == 0x78 and not packed[1] & 0x20, "zlib header")
    stream = zlib.decompressobj()
    raw = stream.decompress(packed, row * rows + 1)
    need(len(raw) == row * rows, "number of samples")
    # The end of the stream may still be unread when the last sample is out.
    need(not stream.decompress(stream.unconsumed_tail, 1) and stream.eof, "more samples than pixels")
    need(not stream.unused_data, "bytes after the samples")
    need(max(raw[::row]) <= 4, "filter of a row")
