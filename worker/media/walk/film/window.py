"""A file seen through a small window: any bytes of it by place, a few kilobytes in memory, whatever its size."""

from __future__ import annotations

from typing import BinaryIO

# One read from the kernel serves the headers that lie close together.
_PAGE = 4096


class Window:
    """`size` is the file's, in bytes; `stream` must be open for reading and seekable."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.size = stream.seek(0, 2)
        self._begin, self._held = 0, b""

    def at(self, begin: int, size: int) -> bytes:
        """So many bytes from a place on; fewer where the file ends."""
        inside = begin - self._begin
        if inside < 0 or inside + size > len(self._held):
            self._stream.seek(begin)
            self._begin, self._held, inside = begin, self._stream.read(max(size, _PAGE)), 0
        return self._held[inside : inside + size]
