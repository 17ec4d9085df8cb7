"""Files on a disk: private, never through a link, and whole or not there when a put ends badly."""

from __future__ import annotations

import errno
import os
import resource
import signal
import stat as modes
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage_backends import tree
from storage_backends.errors import NoSpace, ObjectNotFound, ReadOnly, StorageError, StorageUnavailable
from storage_backends.filesystem import FilesystemStorage
from storage_backends.keys import Key
from storage_backends.storage import Erased, Observation
from tests.contract.disks import make_read_only, mounted

KEY = Key.parse("original/shop/upl_1/art_1")
NEIGHBOUR = Key.parse("original/shop/upl_1/art_10")
PROJECT = Path(__file__).parents[2]


@pytest.fixture
def disk(tmp_path: Path) -> FilesystemStorage:
    return FilesystemStorage("disk", tmp_path / "media")


# --- files: modes, names, links ---------------------------------------------------------------------------------------


def test_files_are_private_whatever_the_umask(disk: FilesystemStorage) -> None:
    # Given a careless umask
    before = os.umask(0)
    try:
        # When something is put
        disk.put(KEY, [b"x"])
    finally:
        os.umask(before)
    # Then nobody else can read it, nor look into any directory above it
    path = disk.path(KEY)
    assert modes.S_IMODE(path.stat().st_mode) == 0o600
    assert {modes.S_IMODE(folder.stat().st_mode) for folder in list(path.parents)[:4]} == {0o700}


@pytest.mark.parametrize("kernel", ["openat2", "openat"])
def test_no_link_leads_out_of_the_root(
    disk: FilesystemStorage, tmp_path: Path, kernel: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a kernel with or without openat2, and below the root links to a directory and a file outside it
    if kernel == "openat":
        monkeypatch.setattr(tree, "_SYS_OPENAT2", 100_000)  # ENOSYS, as a kernel before 5.6 says
    secret = tmp_path / "outside" / "upl_1" / "art_1"
    secret.parent.mkdir(parents=True)
    secret.write_bytes(b"secret")
    disk.put(NEIGHBOUR, [b"x"])
    disk.path(KEY).symlink_to(secret)
    (tmp_path / "media" / "original" / "linked").symlink_to(tmp_path / "outside")
    through = Key.parse("original/linked/upl_1/art_1")
    # When each verb is tried through them, Then none follows, and what lies outside is untouched
    for key in (KEY, through):
        for verb in (disk.open, disk.stat):
            with pytest.raises(StorageError):
                verb(key)
    with pytest.raises(StorageError):
        disk.put(through, [b"overwritten"])
    assert next(disk.erase([through])).blocked == "storage_error"
    assert [stat.key for stat in disk.list()] == [NEIGHBOUR]
    assert secret.read_bytes() == b"secret"
    # And a link where the object would lie is itself removed or replaced, not what it names
    assert next(disk.erase([KEY])).observation is Observation.LIST_ABSENT
    disk.path(KEY).symlink_to(secret)
    disk.put(KEY, [b"mine"])
    assert not disk.path(KEY).is_symlink()
    assert secret.read_bytes() == b"secret"


def test_what_is_no_file_is_refused_and_not_waited_for(disk: FilesystemStorage) -> None:
    # Given a pipe where an object would lie
    disk.put(NEIGHBOUR, [b"x"])
    os.mkfifo(disk.path(KEY))
    # When it is opened or listed, Then it is refused at once, and is no object
    with pytest.raises(StorageError):
        disk.open(KEY)
    assert [stat.key for stat in disk.list()] == [NEIGHBOUR]


def test_erasing_the_last_object_leaves_no_directory(disk: FilesystemStorage, tmp_path: Path) -> None:
    # Given two objects of one upload
    disk.put(KEY, [b"x"])
    disk.put(NEIGHBOUR, [b"y"])
    # When one goes, Then the directory stays for the other; when both are gone, only the root is left
    assert [erased.removed for erased in disk.erase([KEY])] == [1]
    assert disk.path(NEIGHBOUR).read_bytes() == b"y"
    assert [erased.removed for erased in disk.erase([NEIGHBOUR])] == [1]
    assert list((tmp_path / "media").iterdir()) == []


def test_errors_name_no_path_and_no_key(disk: FilesystemStorage, tmp_path: Path) -> None:
    # Given a root that is a file
    (tmp_path / "media").write_text("not a directory")
    # When a put fails on it
    with pytest.raises(StorageError) as failed:
        disk.put(KEY, [b"x"])
    # Then the message tells what to do, and nothing of ours (P7)
    assert "remove it" in str(failed.value)
    assert not any(word in str(failed.value) for word in (str(tmp_path), "art_1", "upl_1", "shop"))


# --- puts that end badly ----------------------------------------------------------------------------------------------


_KILLED_PUT = """
import sys
from pathlib import Path
from storage_backends.filesystem import FilesystemStorage
from storage_backends.keys import Key

def chunks():
    yield b"x" * 100_000
    print("writing", flush=True)
    sys.stdin.read()

FilesystemStorage("disk", Path(sys.argv[1])).put(Key.parse(sys.argv[2]), chunks())
"""


def test_what_a_killed_put_left_is_erased_with_its_key(disk: FilesystemStorage, tmp_path: Path) -> None:
    # Given neighbours, and puts of a key that were killed in the middle, twice
    disk.put(NEIGHBOUR, [b"y"])
    for _ in range(2):
        _killed_in_mid_put(tmp_path / "media", KEY)
    left = sorted(path.name for path in disk.path(KEY).parent.iterdir())
    assert len(left) == 3
    assert [modes.S_IMODE(path.stat().st_mode) for path in disk.path(KEY).parent.iterdir()] == [0o600] * 3
    # When the backend is asked, Then the unfinished writes are no objects
    assert [stat.key for stat in disk.list()] == [NEIGHBOUR]
    with pytest.raises(ObjectNotFound):
        disk.stat(KEY)
    # And the neighbour's erasure does not touch them, but that of the key takes both and looks again
    assert [erased.removed for erased in disk.erase([NEIGHBOUR])] == [1]
    (erased,) = disk.erase([KEY])
    assert (erased.removed, erased.observation) == (2, Observation.LIST_ABSENT)
    assert list((tmp_path / "media").iterdir()) == []


def _killed_in_mid_put(root: Path, key: Key) -> None:
    command = [sys.executable, "-c", _KILLED_PUT, str(root), str(key)]
    with subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as putting:
        assert putting.stdout is not None
        assert putting.stdout.readline() == b"writing\n"
        putting.kill()
        assert putting.wait(30) == -signal.SIGKILL


def test_an_erasure_in_mid_put_wins(disk: FilesystemStorage, tmp_path: Path) -> None:
    # Given a put during which its key is erased
    told: list[Erased] = []

    def chunks() -> Iterator[bytes]:
        yield b"x"
        told.extend(disk.erase([KEY]))
        yield b"y"

    # When it comes to its end, Then it fails, and nothing is there
    with pytest.raises(StorageUnavailable):
        disk.put(KEY, chunks())
    assert [(erased.removed, erased.observation) for erased in told] == [(1, Observation.LIST_ABSENT)]
    assert list((tmp_path / "media").iterdir()) == []


def test_big_objects_pass_in_constant_memory(disk: FilesystemStorage) -> None:
    # Given a stream of 64 MB, of which one piece exists at a time
    piece, pieces = bytes(1_000_000), 64
    tracemalloc.start()
    try:
        # When it is put and read again
        stored = disk.put(KEY, (piece for _ in range(pieces)))
        with disk.open(KEY) as stream:
            read = sum(len(part) for part in iter(lambda: stream.read(1_000_000), b""))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Then all of it came through, and never more than a few pieces were held
    assert stored.bytes == read == pieces * len(piece)
    assert peak < 4_000_000


def test_a_full_disk_is_no_space_and_nothing_stays(tmp_path: Path) -> None:
    # Given a disk of 1 MB with an object on it
    with mounted(tmp_path / "small", "size=1m,mode=700"):
        disk = FilesystemStorage("disk", tmp_path / "small")
        disk.put(KEY, [b"old"])
        for key in (KEY, NEIGHBOUR):
            # When a put fills it
            with pytest.raises(NoSpace) as full:
                disk.put(key, (bytes(100_000) for _ in range(20)))
            # Then it says so, retryable, nothing of it stays, what was there is whole, and the room is free again
            assert full.value.retryable
            assert [stat.key for stat in disk.list()] == [KEY]
            assert [path.name for path in disk.path(KEY).parent.iterdir()] == ["art_1"]
            assert disk.path(KEY).read_bytes() == b"old"
        assert disk.put(NEIGHBOUR, [bytes(900_000)]).bytes == 900_000


def test_a_disk_without_inodes_is_no_space(tmp_path: Path) -> None:
    # Given a disk that can hold no more names
    with mounted(tmp_path / "small", "size=1m,nr_inodes=4,mode=700"):
        disk = FilesystemStorage("disk", tmp_path / "small")
        # When a put needs directories and a file, Then it is told as a full disk, and no file stays
        with pytest.raises(NoSpace):
            disk.put(KEY, [b"x"])
        assert not any(path.is_file() for path in (tmp_path / "small").rglob("*"))


def test_a_read_only_disk_is_told_as_such(tmp_path: Path) -> None:
    # Given an object on a disk that is then mounted read-only
    place = tmp_path / "small"
    with mounted(place, "size=1m,mode=700"):
        disk = FilesystemStorage("disk", place)
        disk.put(KEY, [b"old"])
        make_read_only(place)
        # When it is written, Then that is refused as read-only; an erasure is blocked and never said to be done
        with pytest.raises(ReadOnly):
            disk.put(NEIGHBOUR, [b"x"])
        (erased,) = disk.erase([KEY])
        assert (erased.removed, erased.observation, erased.blocked) == (0, None, "storage_read_only")
        # And reading still works
        with disk.open(KEY) as stream:
            assert stream.read() == b"old"


_LIMITED_PUT = """
import resource, sys
from pathlib import Path
from storage_backends.errors import NoSpace
from storage_backends.filesystem import FilesystemStorage
from storage_backends.keys import Key

resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    FilesystemStorage("disk", Path(sys.argv[1])).put(Key.parse(sys.argv[2]), [bytes(70_000), bytes(70_000)])
except NoSpace:
    print("no space")
"""


def test_a_file_that_may_not_grow_is_no_space(disk: FilesystemStorage, tmp_path: Path) -> None:
    # Given a process whose files may not grow beyond 100 kB (needs no root, unlike a full disk)
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
    command = [sys.executable, "-c", _LIMITED_PUT, str(tmp_path / "media"), str(KEY)]
    # When it puts more, Then that is told like a full disk, and nothing stays
    told = subprocess.run(command, cwd=PROJECT, capture_output=True, check=True, timeout=60)
    assert told.stdout == b"no space\n"
    assert list(disk.path(KEY).parent.iterdir()) == []


def test_a_disk_that_errs_is_unavailable_and_an_erasure_blocked(
    disk: FilesystemStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given an object on a disk that fails to sync (the one thing that cannot be had for real without a broken disk)
    disk.put(KEY, [b"x"])

    def failing(file: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", failing)
    # When it is written or erased, Then neither is said to be done
    with pytest.raises(StorageUnavailable):
        disk.put(KEY, [b"new"])
    (erased,) = disk.erase([KEY])
    assert (erased.observation, erased.blocked) == (None, "storage_unavailable")
    # And when the disk is well again, the same erasure ends
    monkeypatch.undo()
    assert next(disk.erase([KEY])).observation is Observation.LIST_ABSENT
