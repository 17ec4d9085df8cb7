"""Objects as files under one directory of this host, whole or not there at all, and durable when a verb returns.

A put writes a temp file beside its object, named after it, so that the erasure of a key finds what a killed put left.
Refuses to follow links. Directories are 0700, files 0600.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import stat as modes
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from storage_backends.errors import BadKey, ObjectNotFound, StorageError, StorageUnavailable, TooLarge
from storage_backends.keys import DEPTH, Key, prefix_parts
from storage_backends.storage import Capabilities, Erased, Method, Observation, Place, Stat, Stored, Unfinished
from storage_backends.tree import Tree, answering

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a planted pipe must not make us wait
_SUFFIX = ".part"
_NO_FILE = "something that is no file of ours lies under that key; look at the storage directory"


class FilesystemStorage:
    """A backend in a directory; many processes may use the same one. The directory is made by the first put."""

    place = Place.DISK

    def __init__(self, name: str, root: Path) -> None:
        self.name = name
        self._tree = Tree(root)

    def capabilities(self) -> Capabilities:
        return Capabilities(local_paths=True)

    def path(self, key: Key) -> Path:
        """Where the object lies on this host, whether or not it is there."""
        return self._tree.root.joinpath(*key.parts)

    def put(self, key: Key, chunks: Iterable[bytes], *, most_bytes: int | None = None) -> Stored:
        """See `Storage.put`. A put whose key is erased meanwhile fails with `StorageUnavailable`: the erasure wins."""
        with answering(writing=True):
            incoming = _Incoming.begin(self._tree, key)
        with incoming:
            for chunk in chunks:
                incoming.write(chunk, most_bytes)
            return incoming.keep()

    def open(self, key: Key) -> BinaryIO:
        with self._beside(key) as folder:
            opened = os.open(key.artifact_id, _READ, dir_fd=folder)
            if modes.S_ISREG(os.fstat(opened).st_mode):
                return os.fdopen(opened, "rb")
            os.close(opened)
        raise _Foreign(_NO_FILE)

    def stat(self, key: Key) -> Stat:
        with self._beside(key) as folder:
            found = os.stat(key.artifact_id, dir_fd=folder, follow_symlinks=False)
        if not modes.S_ISREG(found.st_mode):
            raise _Foreign(_NO_FILE)
        return Stat(key=key, bytes=found.st_size, modified_at=datetime.fromtimestamp(found.st_mtime, UTC))

    def list(self, prefix: str = "", *, after: str = "") -> Iterator[Stat]:
        return self._stats(prefix_parts(prefix), after)

    def unfinished(self, prefix: str = "") -> Iterator[Unfinished]:
        parts = prefix_parts(prefix)
        for above in self._tree.leaves(parts[: DEPTH - 1], DEPTH - 1):
            for key, begun_at in self._begun(above):
                if key.parts[: len(parts)] == parts:
                    yield Unfinished(key=key, begun_at=begun_at)

    def erase(self, keys: Iterable[Key]) -> Iterator[Erased]:
        for key in keys:
            yield self._erased(key)

    def _stats(self, parts: tuple[str, ...], after: str) -> Iterator[Stat]:
        found = self._tree.leaves(parts)
        while True:
            with answering(writing=False):
                below = next(found, None)
            if below is None:
                return
            if "/".join(below) <= after:
                continue
            try:
                yield self.stat(Key.of(below))
            except (ObjectNotFound, _Foreign):
                continue  # erased since its directory was read, or no file and so no object of ours

    def _begun(self, above: tuple[str, ...]) -> Iterator[tuple[Key, datetime]]:
        with answering(writing=False), suppress(FileNotFoundError), self._tree.opened(above) as folder:
            for name in os.listdir(folder):
                if name.startswith(".") and name.endswith(_SUFFIX):
                    with suppress(FileNotFoundError, BadKey):
                        begun = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mtime
                        yield Key.of((*above, name.split(".")[1])), datetime.fromtimestamp(begun, UTC)

    def _erased(self, key: Key) -> Erased:
        removed = 0
        try:
            with answering(writing=True):
                removed = self._destroy(key)
                self._tree.prune(key.parts[:-1])
                still_there = self._is_there(key)
        except StorageError as error:
            return Erased(key=key, method=Method.DELETE, removed=removed, observation=None, blocked=error.code)
        if still_there:
            return Erased(key=key, method=Method.DELETE, removed=removed, observation=None, blocked="still_there")
        return Erased(key=key, method=Method.DELETE, removed=removed, observation=Observation.LIST_ABSENT)

    def _destroy(self, key: Key) -> int:
        removed = 0
        with suppress(FileNotFoundError), self._tree.opened(key.parts[:-1]) as folder:
            for name in _copies(folder, key):
                with suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=folder)
                    removed += 1
            # A receipt must not outrun the disk; also where an earlier try unlinked and was killed before it got here.
            os.fsync(folder)
        return removed

    def _is_there(self, key: Key) -> bool:
        try:
            with self._tree.opened(key.parts[:-1]) as folder:
                return bool(_copies(folder, key))
        except FileNotFoundError:
            return False

    @contextmanager
    def _beside(self, key: Key) -> Iterator[int]:
        with answering(writing=False):
            try:
                with self._tree.opened(key.parts[:-1]) as folder:
                    yield folder
            except FileNotFoundError:
                raise ObjectNotFound("nothing lies under that key; it was never put, or it is erased") from None


class _Foreign(StorageError):
    """Where a file of ours would lie, lies something else."""


@dataclass(kw_only=True)
class _Incoming:
    """One unfinished write. As a context it leaves nothing behind unless `keep` was reached."""

    folder: int
    file: int
    name: str
    target: str
    count: int = 0
    hashed: hashlib._Hash = field(default_factory=hashlib.sha256)

    @classmethod
    def begin(cls, tree: Tree, key: Key) -> _Incoming:
        # No part of a key begins with a dot, so the name is never an object's, and never another key's.
        name = f".{key.artifact_id}.{secrets.token_hex(8)}{_SUFFIX}"
        folder, file = tree.begin(key.parts[:-1], lambda folder: os.open(name, _NEW, 0o600, dir_fd=folder))
        return cls(folder=folder, file=file, name=name, target=key.artifact_id)

    def write(self, chunk: bytes, most_bytes: int | None) -> None:
        self.count += len(chunk)
        if most_bytes is not None and self.count > most_bytes:
            raise TooLarge(f"the stream is longer than its limit of {most_bytes} bytes; send a smaller one")
        self.hashed.update(chunk)
        rest = memoryview(chunk)
        with answering(writing=True):
            while rest:
                rest = rest[os.write(self.file, rest) :]

    def keep(self) -> Stored:
        with answering(writing=True):
            os.fsync(self.file)
            try:
                os.rename(self.name, self.target, src_dir_fd=self.folder, dst_dir_fd=self.folder)
            except FileNotFoundError:
                raise StorageUnavailable("the object was erased while it was written; put it again") from None
            os.fsync(self.folder)
        return Stored(bytes=self.count, sha256=self.hashed.hexdigest())

    def __enter__(self) -> _Incoming:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.file)
        try:
            with suppress(FileNotFoundError):  # renamed, or erased: either way it is no leftover
                os.unlink(self.name, dir_fd=self.folder)
        finally:
            os.close(self.folder)


def _copies(folder: int, key: Key) -> list[str]:
    """The object and its unfinished writes, as names in their directory."""
    unfinished = f".{key.artifact_id}."
    return [
        name
        for name in os.listdir(folder)
        if name == key.artifact_id or (name.startswith(unfinished) and name.endswith(_SUFFIX))
    ]
