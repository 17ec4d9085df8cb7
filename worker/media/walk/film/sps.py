"""The size in an H.264 sequence parameter set, and how much of it the crop hides (ITU-T H.264, 7.3.2.1.1)."""

from __future__ import annotations

from dataclasses import dataclass

_CHROMA = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135})


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Pixels: coded, and hidden on the left, right, top and below."""

    width: int
    height: int
    hidden: tuple[int, int, int, int]


class _Bits:
    def __init__(self, body: bytes) -> None:
        self._value, self._left = int.from_bytes(body, "big"), 8 * len(body)

    def take(self, count: int) -> int:
        if count > self._left:
            raise ValueError("a parameter set cut short")
        self._left -= count
        return self._value >> self._left & (1 << count) - 1

    def golomb(self) -> int:
        zeros = 0
        while not self.take(1):
            zeros += 1
            if zeros > 32:
                raise ValueError("no number")
        return (1 << zeros) - 1 + self.take(zeros)

    def signed(self) -> int:
        value = self.golomb()
        return (value + 1) // 2 if value & 1 else -(value // 2)


def sizes(unit: bytes) -> Sizes | None:
    """Of a unit with its header; None where it cannot be read, which is the decoder's to judge."""
    try:
        return _read(unit)
    except (ValueError, IndexError):
        return None


def _read(unit: bytes) -> Sizes:
    bits = _Bits(unit[1:512].replace(b"\0\0\3", b"\0\0"))
    profile = bits.take(24) >> 16
    bits.golomb()
    chroma = 1
    if profile in _CHROMA:
        chroma = _chroma(bits)
    bits.golomb()
    _order(bits)
    bits.golomb()
    bits.take(1)
    width, height = 16 * (bits.golomb() + 1), 16 * (bits.golomb() + 1)
    frames_only = bits.take(1)
    height *= 2 - frames_only
    if not frames_only:
        bits.take(1)
    bits.take(1)
    across = 2 if chroma in (1, 2) else 1
    down = (2 if chroma == 1 else 1) * (2 - frames_only)
    crop = [bits.golomb() for _ in range(4)] if bits.take(1) else [0] * 4
    hidden = (crop[0] * across, crop[1] * across, crop[2] * down, crop[3] * down)
    return Sizes(width=width, height=height, hidden=hidden)


def _chroma(bits: _Bits) -> int:
    chroma = bits.golomb()
    if chroma == 3:
        bits.take(1)
    bits.golomb()
    bits.golomb()
    bits.take(1)
    if bits.take(1):
        for index in range(8 if chroma != 3 else 12):
            if bits.take(1):
                _scaling(bits, 16 if index < 6 else 64)
    return chroma


def _scaling(bits: _Bits, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.signed()) % 256
        last = following or last


def _order(bits: _Bits) -> None:
    kind = bits.golomb()
    if kind == 0:
        bits.golomb()
    elif kind == 1:
        bits.take(1)
        bits.signed()
        bits.signed()
        for _ in range(min(bits.golomb(), 255)):
            bits.signed()
