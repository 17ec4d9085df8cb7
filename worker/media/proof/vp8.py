"""Shows that a lossy WebP picture takes every byte of its two partitions: what follows its last symbol is refused.

Format: RFC 6386. A coder ends with a few bits more than its last symbol needs (`_FLUSH`), and these are zero. So a
partition without its last byte that is not zero, or without one byte more than the flush, must not suffice.
"""

from __future__ import annotations

from worker.media.proof.doubt import need

# Zero bytes that a coder leaves behind its last needed byte, measured: 1 to 3 behind samples, 1 or 2 behind modes.
_FLUSH = 3
_HEADER = 10
_BLOCK = 16
_FLAGS_FROM = 32
_WHOLE, _HALF = 255, 128
# The most that zero bits can be drawn from of one block of samples: 25 flags of at most 7 bits each.
_ZEROS_A_BLOCK = 22


def size_of(body: bytes) -> tuple[int, int]:
    """Of a key frame that is shown, of one partition for its samples, not to be scaled (9.1). Raises `Doubt`."""
    need(len(body) > _HEADER, "VP8")
    tag = int.from_bytes(body[:3], "little")
    need(not tag & 1 and bool(tag & 0x10) and body[3:6] == b"\x9d\x01\x2a", "VP8 header")
    need(_HEADER + (tag >> 5) < len(body), "first partition")
    width, height = (int.from_bytes(body[at : at + 2], "little") for at in (6, 8))
    need(0 < width < 1 << 14 and 0 < height < 1 << 14, "scaling")
    need(_partitions(_Flags(body[_HEADER : _HEADER + (tag >> 5)])) == 1, "partitions")
    return width, height


def samples_end(body: bytes) -> int:
    """How many bytes at the end the picture must not do without: the last that is not zero, or more than a flush."""
    return _needed(body[_HEADER + (int.from_bytes(body[:3], "little") >> 5) :])


def modes_end(body: bytes, size: tuple[int, int]) -> bytes:
    """The same picture without the end of its first partition, its samples all zero bits; it must not decode.

    It costs little: a zero bit says that a block holds nothing. There are more of them than can be used up, so that
    the first partition alone can be what lacks.
    """
    tag = int.from_bytes(body[:3], "little")
    first = body[_HEADER : _HEADER + (tag >> 5)]
    first = first[: -_needed(first)]
    blocks = -(-size[0] // _BLOCK) * -(-size[1] // _BLOCK)
    head = (tag & 0x1F | len(first) << 5).to_bytes(3, "little")
    return head + body[3:_HEADER] + first + bytes(_ZEROS_A_BLOCK * blocks + 64)


def _needed(partition: bytes) -> int:
    need(len(partition) > 0, "an empty partition")
    return min(len(partition) - len(partition.rstrip(b"\0")), _FLUSH) + 1


class _Flags:
    """The boolean decoder (7.3) at even odds, for the first numbers of a frame: fewer than a hundred flags.

    Whatever its first flag is, the range is the same before each later one, so a number is a quotient.
    """

    def __init__(self, coded: bytes) -> None:
        self._value = int.from_bytes(coded[:_FLAGS_FROM].ljust(_FLAGS_FROM, b"\0"), "big")
        self._at = 8 * _FLAGS_FROM - 8
        first = _HALF << self._at
        if self._value >= first:
            self._value, self._at, self._range = self._value - first, self._at - 1, 2 * (_WHOLE - _HALF)
        else:
            self._range = _HALF

    def take(self, count: int) -> int:
        """The next flags as a number; the very first flag of all is gone."""
        self._at -= count
        unit = self._range << self._at
        # No coder writes more than the range; where it stands there all the same, every flag is set.
        number = min(self._value // unit, (1 << count) - 1)
        self._value -= number * unit
        return number


def _partitions(flags: _Flags) -> int:
    """How many partitions of samples there are: what comes before that number (9.2 to 9.5) is stepped over."""
    flags.take(1)
    if flags.take(1):
        moved, levels = flags.take(1), flags.take(1)
        if levels:
            flags.take(1)
            _optional(flags, (8,) * 4 + (7,) * 4)
        if moved:
            _optional(flags, (8,) * 3)
    flags.take(10)
    if flags.take(1) and flags.take(1):
        _optional(flags, (7,) * 8)
    return 1 << flags.take(2)


def _optional(flags: _Flags, widths: tuple[int, ...]) -> None:
    """Numbers that a flag before each says are there, their signs counted in."""
    for width in widths:
        if flags.take(1):
            flags.take(width)
