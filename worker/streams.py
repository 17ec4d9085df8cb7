"""Bytes in pieces, from memory and from files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from worker.errors import Unprocessable

CHUNK = 1 << 20


def chunks_of(body: bytes | Path) -> Iterator[bytes]:
    """The bytes themselves, or those of a file, a mebibyte at a time."""
    if isinstance(body, bytes):
        yield body
        return
    with body.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            yield chunk


def copy_to(stream: BinaryIO, target: Path, *, most_bytes: int) -> tuple[int, str]:
    """Copy a stream into a new private file; returns its size in bytes and its SHA-256 (hex).

    Raises `Unprocessable` (`limits:bytes`) past `most_bytes`.
    """
    digest, size = hashlib.sha256(), 0
    with target.open("xb") as out:
        while chunk := stream.read(CHUNK):
            size += len(chunk)
            if size > most_bytes:
                raise Unprocessable("the file is larger than permitted", code="limits:bytes")
            digest.update(chunk)
            out.write(chunk)
    return size, digest.hexdigest()
