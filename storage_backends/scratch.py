"""Private directories on this host for work in progress, one per key, each to be erased like any other copy.

The location's name carries an id of this host, so that no other host takes its scratch for gone. Refuses links.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import stat as modes
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from storage_backends.errors import StorageError
from storage_backends.keys import Key
from storage_backends.storage import Erased, Method, Observation, Place
from storage_backends.tree import Tree, answering

_ID = re.compile(r"[0-9a-f]{8}")
_ID_FILE = ".id"
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_TRIES = 10  # a process that still writes into a directory being removed fills it again


class ScratchStorage:
    """Scratch of one host; many of its processes may share the root. The root is made on first use."""

    place = Place.SCRATCH

    def __init__(self, root: Path) -> None:
        self._tree = Tree(root)

    @cached_property
    def name(self) -> str:
        """`scratch-` and 8 hexadecimal digits, the same for every process and every start on this root."""
        with answering(writing=True):
            found = self._read_id() or self._make_id()
        if not _ID.fullmatch(found):
            raise StorageError("the id file of the scratch directory is damaged; put it back or empty the directory")
        return f"scratch-{found}"

    def path(self, key: Key) -> Path:
        """Where the directory lies, whether or not it is there."""
        return self._tree.root.joinpath(*key.parts)

    def make(self, key: Key) -> Path:
        """An empty private directory (0700), or the one that is already there for that key. Raises `NoSpace`,
        `ReadOnly`, `StorageUnavailable`."""
        with answering(writing=True):
            folder, _ = self._tree.begin(key.parts[:-1], lambda folder: _make_private(folder, key.artifact_id))
            os.close(folder)
        return self.path(key)

    def erase(self, keys: Iterable[Key]) -> Iterator[Erased]:
        """As `Storage.erase`; `removed` counts directories, each with all that lay in it."""
        for key in keys:
            yield self._erased(key)

    def list(self) -> Iterator[Key]:
        """Every key that has a directory here, in key order."""
        found = self._tree.leaves(())
        while True:
            with answering(writing=False):
                parts = next(found, None)
            if parts is None:
                return
            if self.path(Key.of(parts)).is_dir():
                yield Key.of(parts)

    def _erased(self, key: Key) -> Erased:
        removed, blocked = 0, None
        try:
            with answering(writing=True):
                removed = self._destroy(key)
                self._tree.prune(key.parts[:-1])
                blocked = "still_there" if self._is_there(key) else None
        except StorageError as error:
            blocked = error.code
        seen = None if blocked else Observation.LIST_ABSENT
        return Erased(key=key, method=Method.DELETE, removed=removed, observation=seen, blocked=blocked)

    def _destroy(self, key: Key) -> int:
        for attempt in range(_TRIES):
            try:
                with self._tree.opened(key.parts[:-1]) as above:
                    _remove(key.artifact_id, above)
                    os.fsync(above)
                return 1
            except FileNotFoundError:
                if not self._is_there(key):
                    return min(attempt, 1)
            except OSError:
                if attempt == _TRIES - 1:
                    raise
        return 0

    def _is_there(self, key: Key) -> bool:
        try:
            with self._tree.opened(key.parts[:-1]) as above:
                os.stat(key.artifact_id, dir_fd=above, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def _read_id(self) -> str | None:
        try:
            return (self._tree.root / _ID_FILE).read_text("ascii", "replace")
        except FileNotFoundError:
            return None

    def _make_id(self) -> str:
        """Written beside and linked into place, so that of many first users one wins and none reads half an id."""
        beside = f"{_ID_FILE}.{secrets.token_hex(8)}"
        folder, file = self._tree.begin((), lambda folder: os.open(beside, _NEW, 0o600, dir_fd=folder))
        try:
            os.write(file, secrets.token_hex(4).encode())
            os.fsync(file)
            with suppress(FileExistsError):
                os.link(beside, _ID_FILE, src_dir_fd=folder, dst_dir_fd=folder)
            os.fsync(folder)
        finally:
            os.close(file)
            os.unlink(beside, dir_fd=folder)
            os.close(folder)
        return self._read_id() or ""


def _make_private(folder: int, name: str) -> None:
    try:
        os.mkdir(name, mode=0o700, dir_fd=folder)
        os.fsync(folder)
    except FileExistsError:
        if not modes.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            raise


def _remove(name: str, above: int) -> None:
    if modes.S_ISDIR(os.stat(name, dir_fd=above, follow_symlinks=False).st_mode):
        shutil.rmtree(name, dir_fd=above)
    else:
        os.unlink(name, dir_fd=above)
