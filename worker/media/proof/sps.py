"""Reads an H.264 sequence parameter set to its last bit: what size is shown, and that the crop hides nothing."""

from __future__ import annotations

from worker.media.proof.doubt import Doubt, need

_HIGH = frozenset({100, 110, 122, 244})
_MACROBLOCK = 16


class Bits:
    """Big-endian bits and Exp-Golomb numbers (ITU-T H.264, 9.1)."""

    def __init__(self, body: bytes) -> None:
        self._value = int.from_bytes(body, "big")
        self.left = 8 * len(body)

    def take(self, count: int) -> int:
        if count > self.left:
            raise Doubt("a parameter set cut short")
        self.left -= count
        return self._value >> self.left & (1 << count) - 1

    def number(self) -> int:
        zeros = 0
        while not self.take(1):
            zeros += 1
            need(zeros <= 32, "a number in a parameter set")
        return (1 << zeros) - 1 + self.take(zeros)


def shown_size(sps: bytes) -> tuple[int, int]:
    """Width and height in pixels after the crop, which must hide less than one macroblock a side; raises `Doubt`."""
    need(len(sps) <= 128, "length of a parameter set")
    bits = Bits(sps[1:].replace(b"\0\0\3", b"\0\0"))
    profile = bits.take(8)
    bits.take(16)
    bits.number()
    if profile in _HIGH:
        need(bits.number() == 1, "chroma format")
        need(bits.number() == 0 and bits.number() == 0, "bit depth")
        need(not bits.take(2), "scaling lists")
    bits.number()
    order = bits.number()
    if order == 0:
        bits.number()
    need(order in (0, 2), "picture order")
    bits.number()
    bits.take(1)
    width, rows = (bits.number() + 1) * _MACROBLOCK, bits.number() + 1
    frames_only = bits.take(1)
    if not frames_only:
        bits.take(1)
    height = rows * _MACROBLOCK * (2 - frames_only)
    bits.take(1)
    left = right = top = bottom = 0
    if bits.take(1):
        left, right, top, bottom = (bits.number() for _ in range(4))
    unit = 2 * (2 - frames_only)
    need(not left and not top and 2 * right < _MACROBLOCK and unit * bottom < _MACROBLOCK * (2 - frames_only), "crop")
    if bits.take(1):
        _usability(bits)
    last = bits.left
    need(0 < last <= 8 and bits.take(last) == 1 << last - 1, "bytes after a parameter set")
    return width - 2 * right, height - unit * bottom


def _usability(bits: Bits) -> None:
    """The VUI (Annex E): numbers only; no HRD."""
    if bits.take(1) and bits.take(8) == 255:
        bits.take(32)
    if bits.take(1):
        bits.take(1)
    if bits.take(1):
        bits.take(4)
        if bits.take(1):
            bits.take(24)
    if bits.take(1):
        bits.number()
        bits.number()
    if bits.take(1):
        bits.take(65)
    need(not bits.take(2), "HRD")
    bits.take(1)
    if bits.take(1):
        bits.take(1)
        for _ in range(6):
            bits.number()
