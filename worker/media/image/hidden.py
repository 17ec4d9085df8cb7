"""Tells what lies in the samples themselves and is never shown: pictures under full transparency, bytes behind a PNG's
stream. Asked once the picture is decoded; nothing here removes, since only what is shown goes on."""

from __future__ import annotations

import struct
import zlib

from PIL import Image

from worker.media.walk.found import Data

# A picture under alpha has many colours; what an encoder leaves there has one, or a few.
_FEW_COLOURS = 16
_LOOK_SIDE = 256
# The most bytes of samples that are inflated once more, over all frames, and a piece of them.
_MOST, _PIECE = 256 << 20, 1 << 18
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# First column and row, and steps, of the seven passes of an interlaced PNG (PNG 3rd edition, 8.1).
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def under_alpha(image: Image.Image) -> bool:
    """Whether there is more than plain colour where a decoded picture is clear, by a sample of its pixels.

    Only for formats that keep samples as they are: a lossy codec leaves colours of its own there.
    """
    if "A" not in image.getbands() and "transparency" not in image.info:
        return False
    small = image.resize((min(image.width, _LOOK_SIDE), min(image.height, _LOOK_SIDE)), Image.Resampling.NEAREST)
    colours = small.convert("RGBA").getcolors(_LOOK_SIDE * _LOOK_SIDE) or []
    return sum(1 for _, colour in colours if isinstance(colour, tuple) and colour[3] == 0) > _FEW_COLOURS


def behind_samples(data: Data) -> int:
    """How many streams of a good PNG go on after their picture: bytes behind the end, or more rows than it has."""
    width, height, depth, colour, _packing, _filter, interlace = struct.unpack_from(">IIBBBBB", data, 16)
    bits = depth * _CHANNELS.get(colour, 4)
    stream, left, tails, at = _Stream(_size(width, height, bits, interlace)), _MOST, 0, 8
    while at + 12 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        begin = at + 8
        if kind == b"fcTL" and size == 26 and stream.begun:
            tails, left = tails + stream.tail, left - stream.size
            width, height = struct.unpack_from(">II", data, begin + 4)
            stream = _Stream(_size(width, height, bits, interlace))
        elif kind in (b"IDAT", b"fdAT") and stream.size <= left:
            skip = 4 if kind == b"fdAT" else 0
            stream.feed(memoryview(data)[begin + skip : begin + size])
        at = begin + size + 4
    return tails + stream.tail


def _size(width: int, height: int, bits: int, interlace: int) -> int:
    """Bytes of all rows, each with the number of its filter."""
    if not interlace:
        return (1 + (width * bits + 7) // 8) * height
    total = 0
    for left, top, across, down in _PASSES:
        columns, rows = -(-(width - left) // across), -(-(height - top) // down)
        if columns > 0 and rows > 0:
            total += (1 + (columns * bits + 7) // 8) * rows
    return total


class _Stream:
    """A zlib stream that is inflated and dropped, and never much further than its picture needs."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.begun = self.tail = self._broken = False
        self._made = 0
        self._unpacker = zlib.decompressobj()

    def feed(self, body: memoryview) -> None:
        self.begun = True
        rest: bytes | memoryview = body
        while len(rest) and not (self.tail or self._broken or self._unpacker.eof):
            try:
                self._made += len(self._unpacker.decompress(rest, _PIECE))
            except zlib.error:
                self._broken = True
                return
            rest = self._unpacker.unused_data if self._unpacker.eof else self._unpacker.unconsumed_tail
            self.tail = self._made > self.size
        if self._unpacker.eof and bytes(rest).strip(b"\0"):
            self.tail = True
