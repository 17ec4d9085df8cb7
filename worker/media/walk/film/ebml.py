"""Steps through EBML elements side by side: bounded count, sizes inside their parent (RFC 8794)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from worker.media.codes import unprocessable
from worker.media.walk.film.window import Window


@dataclass(frozen=True, kw_only=True)
class Element:
    """`begin` and `end` bound the payload in the file; `end` is None for an element of unknown size."""

    id: int
    begin: int
    end: int | None


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
        head = self.window.at(at, 12)[: end - at]
        wide = _length(head)
        if not 1 <= wide <= 4 or len(head) <= wide:
            raise unprocessable("corrupt" if wide == 0 or wide > 4 else "truncated")
        size, long = head[wide:], _length(head[wide:])
        if long == 0 or len(size) < long:
            raise unprocessable("corrupt" if long == 0 else "truncated")
        value = int.from_bytes(size[:long], "big") & (1 << 7 * long) - 1
        begin = at + wide + long
        number = int.from_bytes(head[:wide], "big")
        if value == (1 << 7 * long) - 1:
            return Element(id=number, begin=begin, end=None)
        if value > end - begin:
            raise unprocessable("truncated")
        return Element(id=number, begin=begin, end=begin + value)

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


def _length(head: bytes) -> int:
    """Bytes of a number, by the zeros before its first set bit; 0 where there is none in the first byte."""
    return 9 - head[0].bit_length() if head and head[0] else 0
