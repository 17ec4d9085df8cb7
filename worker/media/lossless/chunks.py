"""The chunks of a PNG: taken apart, put together, and what its header says of its samples (PNG, third edition)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# First column and row of each pass of Adam7, and the steps between (PNG, 8.2).
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


@dataclass(frozen=True, kw_only=True)
class Header:
    """IHDR, and the chunks without which samples mean nothing."""

    width: int
    height: int
    depth: int
    colour: int
    interlaced: bool
    palette: bytes = b""
    clear: bytes = b""

    def chunk(self) -> bytes:
        return chunk(b"IHDR", self.body())

    def body(self) -> bytes:
        return struct.pack(">IIBBBBB", self.width, self.height, self.depth, self.colour, 0, 0, self.interlaced)

    def of_frame(self, width: int, height: int) -> Header:
        return replace(self, width=width, height=height)

    def row_bytes(self, width: int) -> int:
        """With the filter byte in front."""
        return (width * _CHANNELS[self.colour] * self.depth + 7) // 8 + 1

    def samples(self) -> int:
        """Bytes of all rows after inflating."""
        if not self.interlaced:
            return self.row_bytes(self.width) * self.height
        sizes = ((-(-(self.width - x) // dx), -(-(self.height - y) // dy)) for x, y, dx, dy in _PASSES)
        return sum(self.row_bytes(width) * height for width, height in sizes if width > 0 and height > 0)


def chunk(kind: bytes, body: bytes) -> bytes:
    return b"".join((struct.pack(">I", len(body)), kind, body, struct.pack(">I", zlib.crc32(body, zlib.crc32(kind)))))


def chunks_of(data: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Kind and body of each, the last one IEND; lengths were judged by the walk before."""
    view, at = memoryview(data), 8
    while True:
        size, kind = struct.unpack_from(">I4s", data, at)
        yield kind, view[at + 8 : at + 8 + size]
        at += 12 + size
        if kind == b"IEND":
            return


def samples_of(data: bytes) -> bytes:
    """The packed samples of a still PNG."""
    return b"".join(body for kind, body in chunks_of(data) if kind == b"IDAT")
