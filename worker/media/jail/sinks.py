"""Where a tool's output goes: a store with a lid, lines for a listener, or a ring that keeps the end."""

from __future__ import annotations

import os
from collections.abc import Callable

from worker.media.jail.wire import ProtocolError

STORE_BYTES = 4 * 1024 * 1024
RING_BYTES = 64 * 1024
LINE_BYTES = 64 * 1024
_CHUNK = 64 * 1024


class Store:
    """Keeps all, up to `limit` bytes; more is a ProtocolError."""

    def __init__(self, limit: int = STORE_BYTES) -> None:
        self._limit = limit
        self._kept = bytearray()

    def feed(self, fd: int) -> bool:
        return _drain(fd, self._take)

    def _take(self, chunk: bytes) -> None:
        self._kept += chunk
        if len(self._kept) > self._limit:
            raise ProtocolError("output over its bounds")

    def kept(self) -> bytes:
        return bytes(self._kept)


class Ring:
    """Keeps the last `limit` bytes, however much comes."""

    def __init__(self, limit: int = RING_BYTES) -> None:
        self._limit = limit
        self._kept = bytearray()

    def feed(self, fd: int) -> bool:
        return _drain(fd, self._take)

    def _take(self, chunk: bytes) -> None:
        self._kept += chunk
        del self._kept[: -self._limit]

    def kept(self) -> bytes:
        return bytes(self._kept)


class Lines:
    """Calls `on_line` for each line, without its end; keeps nothing. A line over 64 KiB is a ProtocolError."""

    def __init__(self, on_line: Callable[[str], None]) -> None:
        self._on_line = on_line
        self._rest = b""

    def feed(self, fd: int) -> bool:
        more = _drain(fd, self._take)
        if not more and self._rest:
            self._on_line(self._rest.decode("utf-8", "replace"))
            self._rest = b""
        return more

    def _take(self, chunk: bytes) -> None:
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        if len(self._rest) > LINE_BYTES:
            raise ProtocolError("a line over its bounds")
        for line in lines:
            self._on_line(line.decode("utf-8", "replace"))

    def kept(self) -> bytes:
        return b""


def _drain(fd: int, take: Callable[[bytes], None]) -> bool:
    """Read once; False at the end. One read a turn, so that a flood cannot keep the deadline from being looked at."""
    try:
        chunk = os.read(fd, _CHUNK)
    except BlockingIOError:
        return True
    take(chunk)
    return bool(chunk)
