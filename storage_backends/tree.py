"""Directories under one root on this host, reached without ever following a link and without leaving the root.

Shared by the backends that keep files. Refuses symbolic links below the root; the root itself may be one, it is the
operator's. Other processes may make and remove the same directories at the same time.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TypeVar

from storage_backends.errors import NoSpace, ReadOnly, StorageError, StorageUnavailable
from storage_backends.keys import DEPTH, SEGMENT

Made = TypeVar("Made")

_ROOT = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FOLDER = _ROOT | os.O_NOFOLLOW
_RACES = 100  # a put loses a directory to a concurrent erase at most so often before it gives up

# openat2(2): one number on every architecture; flags of <linux/openat2.h>.
_SYS_OPENAT2 = 437
_NO_MAGICLINKS, _NO_SYMLINKS, _BENEATH = 0x02, 0x04, 0x08

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_FORBIDDEN = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})
_FOREIGN = frozenset({errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.EXDEV})


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


class Tree:
    """A root and what lies below it. Verbs raise `OSError`; `answering` turns those into errors of this room."""

    def __init__(self, root: Path) -> None:
        self.root = Path(os.path.abspath(root))

    @contextmanager
    def opened(self, parts: tuple[str, ...]) -> Iterator[int]:
        """A descriptor of the directory at `parts`, for as long as the block lasts. Raises `FileNotFoundError`."""
        root = os.open(self.root, _ROOT)
        try:
            folder = open_beneath(root, parts)
        finally:
            os.close(root)
        try:
            yield folder
        finally:
            os.close(folder)

    def begin(self, parts: tuple[str, ...], act: Callable[[int], Made]) -> tuple[int, Made]:
        """Make the directory at `parts` (0700) and `act` in it; gives its descriptor, which the caller closes, and what
        `act` made. Both are done again when a concurrent `prune` took the directory in between."""
        for _ in range(_RACES):
            try:
                folder = self._make(parts)
            except FileNotFoundError:
                continue
            try:
                return folder, act(folder)
            except FileNotFoundError:
                os.close(folder)
            except BaseException:
                os.close(folder)
                raise
        raise StorageUnavailable("the storage directory keeps vanishing; check what else removes files there")

    def prune(self, parts: tuple[str, ...]) -> None:
        """Remove the directory at `parts` and those above it, up to the root, as far as they are empty."""
        for depth in range(len(parts), 0, -1):
            try:
                with self.opened(parts[: depth - 1]) as above:
                    os.rmdir(parts[depth - 1], dir_fd=above)
            except FileNotFoundError:
                continue
            except OSError:
                return  # in use again, or not ours to remove: an empty directory is no copy

    def leaves(self, parts: tuple[str, ...], depth: int = DEPTH) -> Iterator[tuple[str, ...]]:
        """The parts of every entry at a depth (of a key), at or below `parts`, in the order of their keys as text.
        Names that cannot be part of a key are left out; so is what is no directory where one must be."""
        if len(parts) >= depth:
            yield parts
            return
        try:
            with self.opened(parts) as folder:
                names = [name for name in os.listdir(folder) if SEGMENT.fullmatch(name)]
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            if error.errno == errno.ELOOP:
                return
            raise
        # "a-b/…" sorts before "a/…" as text, so a directory sorts with its slash.
        tail = "" if len(parts) == DEPTH - 1 else "/"
        for name in sorted(names, key=lambda name: name + tail):
            yield from self.leaves((*parts, name), depth)

    def _make(self, parts: tuple[str, ...]) -> int:
        if not self.root.is_dir():
            _make_root(self.root)
        folder = os.open(self.root, _ROOT)
        for part in parts:
            try:
                below = _step(folder, part)
            finally:
                os.close(folder)
            folder = below
        return folder


def open_beneath(root: int, parts: tuple[str, ...]) -> int:
    """A descriptor of the directory `parts` below `root`: by openat2 where the kernel lets us, else part by part."""
    if not parts:
        return os.dup(root)
    folder = _openat2(root, "/".join(parts))
    return _by_parts(root, parts) if folder is None else folder


@contextmanager
def answering(*, writing: bool) -> Iterator[None]:
    """Turn the system's refusals inside the block into errors of this room, none of which names a path."""
    try:
        yield
    except OSError as error:
        raise _told(error, writing=writing) from None


def _told(error: OSError, *, writing: bool) -> StorageError:
    sign = errno.errorcode.get(error.errno or 0, "unknown")
    if error.errno in _FULL:
        return NoSpace(f"the storage is full; free space or enlarge it ({sign})")
    if error.errno in _FORBIDDEN and writing:
        return ReadOnly(f"the storage may not be written; check its mount and its owner ({sign})")
    if error.errno in _FOREIGN:
        return StorageError(f"something that is not ours lies in the storage directory; look and remove it ({sign})")
    return StorageUnavailable(f"the storage did not answer; check its mount, its disk and its owner ({sign})")


def _make_root(root: Path) -> None:
    for folder in (*reversed(root.parents), root):
        if not folder.is_dir():
            folder.mkdir(mode=0o700, exist_ok=True)


def _step(folder: int, part: str) -> int:
    with suppress(FileExistsError):  # the usual case; whether it is a directory of ours, the open finds out
        os.mkdir(part, mode=0o700, dir_fd=folder)
        os.fsync(folder)
    return os.open(part, _FOLDER, dir_fd=folder)


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _openat2(root: int, path: str) -> int | None:
    """None where the kernel or a filter of system calls does not know the call."""
    how = _OpenHow(flags=_FOLDER, mode=0, resolve=_BENEATH | _NO_SYMLINKS | _NO_MAGICLINKS)
    found = _libc().syscall(_SYS_OPENAT2, root, os.fsencode(path), ctypes.byref(how), ctypes.sizeof(how))
    if found >= 0:
        return int(found)
    number = ctypes.get_errno()
    if number in (errno.ENOSYS, errno.EPERM, errno.EAGAIN):
        return None
    raise OSError(number, os.strerror(number))


def _by_parts(root: int, parts: tuple[str, ...]) -> int:
    folder = os.dup(root)
    for part in parts:
        try:
            below = os.open(part, _FOLDER, dir_fd=folder)
        finally:
            os.close(folder)
        folder = below
    return folder
