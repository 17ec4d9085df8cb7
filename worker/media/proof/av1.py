"""The second reader's view of one AV1 still: units of the permitted kinds only, headers read to their last bit.

Format: AV1 Bitstream & Decoding Process Specification, 5.3 to 5.11; the sample entry's box: AV1 in ISOBMFF, 2.3.
"""

from __future__ import annotations

from dataclasses import dataclass

from worker.media.proof.doubt import need

_DELIMITER, _SEQUENCE, _FRAME = 0x12, 0x0A, 0x32
# sRGB as numbers: primaries and curve; the matrix may be that of BT.601 or BT.709.
_PRIMARIES, _CURVE, _MATRICES = 1, 13, (1, 6)
_MOST_WIDTH, _MOST_AREA = 4_096, 4_096 * 2_304


@dataclass(frozen=True, kw_only=True)
class Frame:
    """Size in pixels, and whether it has no chroma."""

    size: tuple[int, int]
    grey: bool


class _Bits:
    """Big-endian bits, fixed lengths only."""

    def __init__(self, body: bytes) -> None:
        self._value, self._left = int.from_bytes(body, "big"), 8 * len(body)

    def take(self, count: int) -> int:
        need(count <= self._left, "a header cut short")
        self._left -= count
        return self._value >> self._left & (1 << count) - 1

    def ended(self) -> bool:
        """Whether nothing is left but one bit and the zeros up to the byte (5.3.4)."""
        return 0 < self._left <= 8 and self._value & (1 << self._left) - 1 == 1 << self._left - 1


def read(item: bytes, av1c: bytes) -> Frame:
    """A picture's bytes and its `av1C`: an empty delimiter, one sequence header, one frame; raises `Doubt`."""
    units = _units(item)
    kinds = [kind for kind, _ in units]
    need(kinds == [_DELIMITER, _SEQUENCE, _FRAME] and not units[0][1], "a unit that may not be there")
    sequence = units[1][1]
    profile, level, frame, large_blocks, superres = _sequence(_Bits(sequence))
    # Marker and version, profile and level, depth and sampling; then nothing, or the sequence header once more.
    sampling = 0x1C if frame.grey else 0x0C if profile == 0 else 0
    need(av1c[:4] == bytes((0x81, profile << 5 | level, sampling, 0)), "av1C")
    need(av1c[4:] in (b"", bytes((_SEQUENCE, len(sequence))) + sequence), "bytes in av1C")
    _frame(_Bits(units[2][1][:16]), frame.size, large_blocks=large_blocks, superres=superres)
    return frame


def _units(item: bytes) -> list[tuple[int, bytes]]:
    """The first byte of each unit, which must say its size, and what is in it."""
    found: list[tuple[int, bytes]] = []
    at = 0
    while at < len(item):
        need(len(found) < 4, "too many units")
        kind, size, shift = item[at], 0, 0
        at += 1
        while True:
            need(at < len(item) and shift < 35, "a unit's length")
            size |= (item[at] & 0x7F) << shift
            at, shift = at + 1, shift + 7
            if not item[at - 1] & 0x80:
                break
        # The shortest way of saying it: a longer one has room for bits of its own.
        need(shift == 7 or item[at - 1] > 0, "a unit's length")
        need(at + size <= len(item), "a unit's length")
        found.append((kind, item[at : at + size]))
        at += size
    return found


def _sequence(bits: _Bits) -> tuple[int, int, Frame, int, int]:
    """Profile, level, frame, whether blocks are large, and whether frames may be scaled (5.5.1, 5.5.2)."""
    profile = bits.take(3)
    need(profile in (0, 1) and bits.take(2) == 3, "not a still picture with a short header")
    level = bits.take(5)
    widths = bits.take(4) + 1, bits.take(4) + 1
    size = bits.take(widths[0]) + 1, bits.take(widths[1]) + 1
    need(all(side > 1 << width - 1 or width == 1 for side, width in zip(size, widths, strict=True)), "size")
    large_blocks = bits.take(1)
    bits.take(2)
    superres = bits.take(1)
    bits.take(2)
    need(not bits.take(1), "depth")
    grey = bool(bits.take(1)) if profile == 0 else False
    if bits.take(1):
        said = bits.take(8), bits.take(8), bits.take(8)
        need(said[:2] == (_PRIMARIES, _CURVE) and said[2] in _MATRICES, "colours")
    bits.take(1)
    if not grey:
        if profile == 0:
            bits.take(2)
        bits.take(1)
    need(not bits.take(1), "film grain")
    need(bits.ended(), "bytes after the sequence header")
    return profile, level, Frame(size=size, grey=grey), large_blocks, superres


def _frame(bits: _Bits, size: tuple[int, int], *, large_blocks: int, superres: int) -> None:
    """The frame's header up to its tiles, of which there must be one: another could end early (5.9.2, 5.9.15)."""
    bits.take(1)
    for_screens = bits.take(1)
    if for_screens:
        bits.take(1)
    need(not (superres and bits.take(1)), "a scaled frame")
    need(not bits.take(1), "another size to be shown at")
    if for_screens:
        bits.take(1)
    need(size[0] <= _MOST_WIDTH and size[0] * size[1] <= _MOST_AREA, "a frame that needs more than one tile")
    need(bits.take(1) == 1, "tiles of uneven sizes")
    # Where there is more than one block, a flag says whether there is more than one tile.
    block = 128 if large_blocks else 64
    need(all(side <= block or not bits.take(1) for side in size), "more than one tile")
