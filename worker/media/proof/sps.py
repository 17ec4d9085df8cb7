"""Reads H.264 parameter sets to their last bit: what size is shown, that the crop hides nothing, and no bit is spare.

Syntax: ITU-T H.264, 7.3.2 and Annex E. Every number has a bound of its own, so that none is wide enough to carry text.
"""

from __future__ import annotations

from worker.media.proof.doubt import Doubt, need

_HIGH = frozenset({100, 110, 122, 244})
_MACROBLOCK = 16
_MOST_BLOCKS = 1_024
_MOST_BYTES = 128


class Bits:
    """Big-endian bits and Exp-Golomb numbers (9.1) of a unit without its header and its emulation bytes."""

    def __init__(self, unit: bytes) -> None:
        need(2 <= len(unit) <= _MOST_BYTES, "length of a parameter set")
        body = unit[1:].replace(b"\0\0\3", b"\0\0")
        self._value = int.from_bytes(body, "big")
        self._left = 8 * len(body)

    def take(self, count: int) -> int:
        need(count <= self._left, "a parameter set cut short")
        self._left -= count
        return self._value >> self._left & (1 << count) - 1

    def number(self, most: int) -> int:
        """An unsigned number, at most `most`."""
        zeros = 0
        while not self.take(1):
            zeros += 1
            need(zeros <= 16, "a number in a parameter set")
        value = (1 << zeros) - 1 + self.take(zeros)
        if value > most:
            raise Doubt("a number in a parameter set")
        return value

    def ended(self) -> bool:
        """Whether nothing is left but the stop bit and the zeros up to the byte."""
        return 0 < self._left <= 8 and self._value & (1 << self._left) - 1 == 1 << self._left - 1


def shown_size(sps: bytes) -> tuple[int, int]:
    """Width and height in pixels after the crop, which must hide less than one macroblock a side; raises `Doubt`."""
    bits = Bits(sps)
    profile = bits.take(8)
    bits.take(16)
    bits.number(0)
    if profile in _HIGH:
        need(bits.number(1) == 1, "chroma format")
        bits.number(0)
        bits.number(0)
        need(not bits.take(2), "scaling lists")
    bits.number(12)
    order = bits.number(2)
    if order == 0:
        bits.number(12)
    need(order in (0, 2), "picture order")
    bits.number(16)
    bits.take(1)
    width, height = ((bits.number(_MOST_BLOCKS) + 1) * _MACROBLOCK for _ in range(2))
    need(bits.take(1) == 1, "interlaced pictures")
    bits.take(1)
    right = bottom = 0
    if bits.take(1):
        left, right, top, bottom = (2 * bits.number(_MACROBLOCK // 2 - 1) for _ in range(4))
        need(not left and not top, "crop")
    if bits.take(1):
        _usability(bits)
    need(bits.ended(), "bytes after a parameter set")
    return width - right, height - bottom


def _usability(bits: Bits) -> None:
    """The VUI: numbers only; no HRD."""
    if bits.take(1):
        need(bits.take(8) == 1, "shape of pixels")
    if bits.take(1):
        bits.take(1)
    if bits.take(1):
        bits.take(4)
        if bits.take(1):
            bits.take(24)
    if bits.take(1):
        bits.number(5)
        bits.number(5)
    if bits.take(1):
        bits.take(65)
    need(not bits.take(2), "HRD")
    bits.take(1)
    if bits.take(1):
        bits.take(1)
        for _ in range(6):
            bits.number(16)


def picture_parameters(pps: bytes) -> None:
    """Raises `Doubt` for a picture parameter set with slice groups, scaling lists, or anything behind its end."""
    bits = Bits(pps)
    bits.number(0)
    bits.number(0)
    bits.take(2)
    need(bits.number(0) == 0, "slice groups")
    bits.number(31)
    bits.number(31)
    bits.take(3)
    for _ in range(3):
        # Signed numbers: quantisers and the offset of chroma, at most 26 either way.
        bits.number(52)
    bits.take(3)
    if not bits.ended():
        bits.take(1)
        need(not bits.take(1), "scaling lists")
        bits.number(24)
    need(bits.ended(), "bytes after a parameter set")
