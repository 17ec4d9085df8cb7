"""Reads the codes of one GIF image without building its strings: which colours it uses, and where its last pixel is.

GIF89a, appendix F: codes of growing width, least bit first, a clear code and an end code.
"""

from __future__ import annotations

from worker.media.lossless.declined import Declined

_WIDEST = 12


def trimmed(packed: bytes, minimum: int, pixels: int) -> tuple[bytes, set[int]]:
    """The codes up to the last of `pixels` pixels, an end code and zero bits; and the colour numbers that occur.

    A number occurs as a code of its own before any longer code can stand for it. Raises `Declined` for codes that
    make no sense, or that stand for more or fewer pixels.
    """
    clear = 1 << minimum
    table = [1] * clear + [0, 0]
    used: set[int] = set()
    width, left, bits, held, at, last = minimum + 1, pixels, 0, 0, 0, 0
    while left > 0:
        while held < width:
            if at >= len(packed):
                raise Declined("unusual_coding")
            bits |= packed[at] << held
            at, held = at + 1, held + 8
        code, bits, held = bits & ((1 << width) - 1), bits >> width, held - width
        if code == clear:
            table, width, last = [1] * clear + [0, 0], minimum + 1, 0
            continue
        if code < clear:
            used.add(code)
        # `last` is the length of the string before; right after a clear code there is none to make longer.
        if last and len(table) < 1 << _WIDEST:
            table.append(last + 1)
            if len(table) == 1 << width and width < _WIDEST:
                width += 1
        if code == clear + 1 or code >= len(table):
            raise Declined("unusual_coding")
        last = table[code]
        left -= last
    if left:
        raise Declined("unusual_coding")
    return _ended(packed, 8 * at - held, clear + 1, width), used


def _ended(packed: bytes, taken: int, end: int, width: int) -> bytes:
    """The first `taken` bits, then the end code."""
    whole, spare = divmod(taken, 8)
    rest = (packed[whole] & ((1 << spare) - 1) if spare else 0) | end << spare
    return packed[:whole] + rest.to_bytes((spare + width + 7) // 8, "little")
