"""Finds what hides inside a still's coded stream: metadata and padding among AV1 units, messages among HEVC ones.

Only headers are read; the samples themselves are the decoder's. What a stream needs for its light levels is let pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

_MOST_UNITS = 2_000
# AV1 specification 5.5 and 6.7: a metadata unit's type is said first; 1 and 2 are light levels.
_METADATA, _PLAIN_UNITS, _LIGHT = 5, frozenset({1, 2, 3, 4, 6, 7, 8}), (1, 2)
# H.265, 7.4.2.2 and annex D.
_SEI, _REGISTERED, _UNREGISTERED = (39, 40), 4, 5
_MOST_KNOWN_NAL = 40


def av1(body: bytes) -> Iterator[str]:
    """`hidden_data` for each unit of an AV1 stream that no picture needs."""
    at = 0
    for _ in range(_MOST_UNITS):
        if at >= len(body):
            return
        head = body[at]
        begin = at + (2 if head & 4 else 1)
        size, begin = _leb128(body, begin) if head & 2 else (len(body) - begin, begin)
        kind = head >> 3 & 15
        if kind == _METADATA:
            if body[begin : begin + 1] and body[begin] not in _LIGHT:
                yield "hidden_data"
        elif kind not in _PLAIN_UNITS:
            yield "hidden_data"
        at = begin + size


def _leb128(body: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(8):
        byte = body[at + shift] if at + shift < len(body) else 0
        value |= (byte & 0x7F) << 7 * shift
        if not byte & 0x80:
            return value, at + shift + 1
    return value, at + 8


def hevc(body: bytes) -> Iterator[str]:
    """What messages and unknown units of an HEVC stream with lengths of four bytes stand for."""
    at = 0
    for _ in range(_MOST_UNITS):
        if at + 6 > len(body):
            return
        size = int.from_bytes(body[at : at + 4], "big")
        yield from _nal(body[at + 4 : at + 4 + min(size, 64)])
        at += 4 + size


def _nal(unit: bytes) -> Iterator[str]:
    kind = unit[0] >> 1 & 0x3F if unit else 0
    if kind > _MOST_KNOWN_NAL or kind == 38:
        yield "hidden_data"
    elif kind in _SEI and len(unit) > 3 and unit[2] in (_REGISTERED, _UNREGISTERED):
        # An encoder's banner names itself behind sixteen bytes of its UUID.
        yield "software" if b"x265" in unit else "hidden_data"


def _av1_configuration(body: bytes) -> Iterator[str]:
    yield from av1(body[4:])


def _hevc_configuration(body: bytes) -> Iterator[str]:
    """ISO/IEC 14496-15, 8.3.3.1: arrays of units, each with its length in two bytes."""
    at = 23
    for _ in range(body[22] if len(body) > 22 else 0):
        if at + 3 > len(body):
            return
        count, at = int.from_bytes(body[at + 1 : at + 3], "big"), at + 3
        for _unit in range(min(count, _MOST_UNITS)):
            size = int.from_bytes(body[at : at + 2], "big")
            yield from _nal(body[at + 2 : at + 2 + min(size, 64)])
            at += 2 + size


READERS: dict[bytes, Callable[[bytes], Iterator[str]]] = {b"av01": av1, b"hvc1": hevc}
CONFIGURATIONS: dict[bytes, Callable[[bytes], Iterator[str]]] = {
    b"av1C": _av1_configuration,
    b"hvcC": _hevc_configuration,
}
