"""Steps through EBML elements side by side: bounded count, sizes inside their parent (RFC 8794)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from worker.media.codes import unprocessable
from worker.media.walk.film.window import Window


class Element(NamedTuple):
    """`begin` and `end` bound the payload in the file; `end` is None for an element of unknown size."""

    id: int
    begin: int
    end: int | None


# Bytes of a number by its first byte: the zeros before the first set bit, and one; 0 where none is set.
_LENGTHS = bytes((0, *(9 - first.bit_length() for first in range(1, 256))))


class Elements:
    """One file's elements, all of them counted together against `most`."""

    def __init__(self, window: Window, most: int) -> None:
        self.window = window
        self._left = most

    def one(self, at: int, end: int) -> Element:
        """The element at a place. Raises `Unprocessable`: truncated (it reaches over `end`), corrupt, limits:boxes."""
        self._left -= 1
        if self._left < 0:
            raise unprocessable("limits:boxes")
        head = self.window.at(at, 12)
        if at + len(head) > end:
            head = head[: end - at]
        wide = _LENGTHS[head[0]]
        if not 1 <= wide <= 4:
            raise unprocessable("corrupt")
        if len(head) <= wide:
            raise unprocessable("truncated")
        long = _LENGTHS[head[wide]]
        if not long:
            raise unprocessable("corrupt")
        begin = at + wide + long
        if len(head) < wide + long:
            raise unprocessable("truncated")
        value, most = int.from_bytes(head[wide : wide + long], "big"), (1 << 7 * long) - 1
        number, value = int.from_bytes(head[:wide], "big"), value & most
        if value == most:
            return Element(number, begin, None)
        if value > end - begin:
            raise unprocessable("truncated")
        return Element(number, begin, begin + value)

    def level(self, begin: int, end: int) -> Iterator[tuple[int, int, int]]:
        """Number, begin and end of payload of each element between two places; none of unknown size may be there."""
        at = begin
        while at < end:
            found = self.one(at, end)
            if found.end is None:
                raise unprocessable("corrupt")
            yield found.id, found.begin, found.end
            at = found.end

    def whole(self, begin: int, end: int) -> int:
        """An unsigned number of at most eight bytes."""
        return int.from_bytes(self.window.at(begin, min(8, end - begin)), "big")
