"""Objects in this process's memory: a shipped fake under the same contract, for tests and for trying things out.

Everything is gone with the process. May be given a capacity, to be full like a disk.
"""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import BinaryIO

from storage_backends.errors import NoSpace, ObjectNotFound, TooLarge
from storage_backends.keys import Key, prefix_parts
from storage_backends.storage import Capabilities, Erased, Method, Observation, Place, Stat, Stored, Unfinished


@dataclass(frozen=True, kw_only=True)
class _Object:
    body: bytes
    modified_at: datetime


class MemoryStorage:
    """A backend in a dictionary, safe for threads; `capacity` is in bytes over all objects, None for no limit."""

    place = Place.MEMORY

    def __init__(self, name: str, *, capacity: int | None = None) -> None:
        self.name = name
        self._capacity = capacity
        self._lock = threading.Lock()
        self._objects: dict[Key, _Object] = {}

    def capabilities(self) -> Capabilities:
        return Capabilities()

    def put(self, key: Key, chunks: Iterable[bytes], *, most_bytes: int | None = None) -> Stored:
        body = bytearray()
        for chunk in chunks:
            body += chunk
            if most_bytes is not None and len(body) > most_bytes:
                raise TooLarge(f"the stream is longer than its limit of {most_bytes} bytes; send a smaller one")
            self._make_sure_of_room(key, len(body))
        with self._lock:
            self._objects[key] = _Object(body=bytes(body), modified_at=_now())
        return Stored(bytes=len(body), sha256=hashlib.sha256(body).hexdigest())

    def open(self, key: Key) -> BinaryIO:
        return io.BytesIO(self._object(key).body)

    def stat(self, key: Key) -> Stat:
        found = self._object(key)
        return Stat(key=key, bytes=len(found.body), modified_at=found.modified_at)

    def list(self, prefix: str = "", *, after: str = "") -> Iterator[Stat]:
        parts = prefix_parts(prefix)
        with self._lock:
            held = sorted(self._objects.items(), key=lambda item: str(item[0]))
        return iter(
            [
                Stat(key=key, bytes=len(found.body), modified_at=found.modified_at)
                for key, found in held
                if key.parts[: len(parts)] == parts and str(key) > after
            ]
        )

    def unfinished(self, prefix: str = "") -> Iterator[Unfinished]:
        """None, ever: a put that breaks off has written nothing."""
        prefix_parts(prefix)
        return iter(())

    def erase(self, keys: Iterable[Key]) -> Iterator[Erased]:
        for key in keys:
            with self._lock:
                removed = self._objects.pop(key, None) is not None
                blocked = "still_there" if key in self._objects else None
            yield Erased(
                key=key,
                method=Method.DELETE,
                removed=int(removed),
                observation=None if blocked else Observation.LIST_ABSENT,
                blocked=blocked,
            )

    def _make_sure_of_room(self, key: Key, wanted: int) -> None:
        if self._capacity is None:
            return
        with self._lock:
            others = sum(len(found.body) for held, found in self._objects.items() if held != key)
        if others + wanted > self._capacity:
            raise NoSpace("the storage is full; free space or enlarge it")

    def _object(self, key: Key) -> _Object:
        with self._lock:
            found = self._objects.get(key)
        if found is None:
            raise ObjectNotFound("nothing lies under that key; it was never put, or it is erased")
        return found


def _now() -> datetime:
    # Not banned by a clock of the ledger: this is the fake's own file time, and no deadline is reckoned from it.
    return datetime.now(UTC)
