"""What crosses between worker, zygote and child: requests, endings and the answer's frame, each bounded by its reader.

A child's frame is a claim. The reader believes no length before it is checked against its bounds.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

REQUEST_BYTES = 128 * 1024
HEADER_BYTES = 1024 * 1024
BLOB_COUNT = 1024
ANSWER_BYTES = 512 * 1024 * 1024

_MAGIC = b"MFJ1"
_HEAD = struct.Struct("<4sBII")
_LENGTH = struct.Struct("<Q")
ANSWERED, REFUSED, BROKEN = 1, 2, 3

# Exit statuses of a child that could not write a frame.
EXIT_MEMORY, EXIT_LOCK = 90, 91


class ProtocolError(Exception):
    """The other side said what it may not; the message is ours."""


@dataclass(frozen=True, kw_only=True)
class Frame:
    kind: int
    header: dict[str, Any]
    blobs: list[bytes]


def pack(message: dict[str, Any]) -> bytes:
    return json.dumps(message, separators=(",", ":"), allow_nan=False).encode()


def unpack(raw: bytes) -> dict[str, Any]:
    """Raises ProtocolError unless `raw` is one JSON object."""
    try:
        message = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise ProtocolError("not JSON") from error
    if not isinstance(message, dict):
        raise ProtocolError("not an object")
    return message


def write_frame(fd: int, kind: int, header: dict[str, Any], blobs: list[bytes]) -> None:
    """The child's side. The blobs are written as they lie, without a copy."""
    packed = pack(header)
    lengths = b"".join(_LENGTH.pack(len(blob)) for blob in blobs)
    for piece in (_HEAD.pack(_MAGIC, kind, len(packed), len(blobs)) + packed + lengths, *blobs):
        view = memoryview(piece)
        while view:
            view = view[os.write(fd, view) :]


class FrameReader:
    """Reads one frame from a non-blocking descriptor, as it comes. More than one frame is a ProtocolError."""

    def __init__(self, *, max_bytes: int = ANSWER_BYTES, max_blobs: int = BLOB_COUNT) -> None:
        self._max_bytes = max_bytes
        self._max_blobs = max_blobs
        self.frame: Frame | None = None
        self._steps = self._read()
        self._want = next(self._steps)

    def feed(self, fd: int) -> bool:
        """Take what is there; False at the end of the stream. Raises ProtocolError, and then nothing more is read."""
        while True:
            try:
                got = os.readv(fd, [self._want])
            except BlockingIOError:
                return True
            if got == 0:
                return False
            if self.frame is not None:
                raise ProtocolError("bytes after the answer")
            self._want = self._want[got:]
            while not self._want and self.frame is None:
                self._advance()

    def _advance(self) -> None:
        try:
            self._want = next(self._steps)
        except StopIteration as done:
            self.frame = done.value
            self._want = memoryview(bytearray(1))  # where a byte too many would land

    def _read(self) -> Generator[memoryview, None, Frame]:
        head = bytearray(_HEAD.size)
        yield memoryview(head)
        magic, kind, header_len, count = _HEAD.unpack(head)
        if magic != _MAGIC or kind not in (ANSWERED, REFUSED, BROKEN):
            raise ProtocolError("not a frame")
        if header_len > HEADER_BYTES or count > self._max_blobs:
            raise ProtocolError("frame over its bounds")
        header = bytearray(header_len)
        yield memoryview(header)
        lengths = bytearray(_LENGTH.size * count)
        yield memoryview(lengths)
        sizes = [size for (size,) in _LENGTH.iter_unpack(lengths)]
        if sum(sizes) > self._max_bytes:
            raise ProtocolError("answer over its bounds")
        blobs: list[bytes] = []
        for size in sizes:
            # Untouched pages of a large bytearray cost nothing, so a lying length takes no memory.
            body = bytearray(size)
            yield memoryview(body)
            blobs.append(bytes(body))
        return Frame(kind=kind, header=unpack(bytes(header)), blobs=blobs)
