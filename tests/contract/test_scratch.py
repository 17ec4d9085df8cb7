"""Scratch directories: private, of one host, and gone whole."""

from __future__ import annotations

import stat as modes
import threading
from pathlib import Path

import pytest

from storage_backends.errors import ReadOnly, StorageError
from storage_backends.keys import Key
from storage_backends.scratch import ScratchStorage
from storage_backends.storage import Observation
from tests.contract.disks import make_read_only, mounted

KEY = Key.parse("original/shop/upl_1/art_1")
NEIGHBOUR = Key.parse("original/shop/upl_1/art_10")
PROJECT = Path(__file__).parents[2]


@pytest.fixture
def scratch(tmp_path: Path) -> ScratchStorage:
    return ScratchStorage(tmp_path / "scratch")


def test_a_host_keeps_its_scratch_name(scratch: ScratchStorage, tmp_path: Path) -> None:
    # Given many first users of one root at the same time
    names: list[str] = []
    users = [threading.Thread(target=lambda: names.append(ScratchStorage(tmp_path / "scratch").name)) for _ in range(8)]
    for user in users:
        user.start()
    for user in users:
        user.join(30)
    # When each asks for its name, Then all have the same, now and later, and only the id file is there
    assert len(names) == 8
    assert {*names, scratch.name} == {names[0]}
    assert names[0].startswith("scratch-")
    assert len(names[0]) == len("scratch-") + 8
    (id_file,) = (tmp_path / "scratch").iterdir()
    assert modes.S_IMODE(id_file.stat().st_mode) == 0o600
    # And another host has another
    assert ScratchStorage(tmp_path / "elsewhere").name != names[0]


def test_a_damaged_scratch_id_is_told(scratch: ScratchStorage, tmp_path: Path) -> None:
    # Given an id file that says something else
    (tmp_path / "scratch").mkdir()
    (tmp_path / "scratch" / ".id").write_text("../../x")
    # When the name is asked, Then it is refused
    with pytest.raises(StorageError):
        _ = scratch.name


def test_scratch_is_private_and_goes_whole(scratch: ScratchStorage, tmp_path: Path) -> None:
    # Given two directories with work in them, one with a link out of it
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("kept")
    for key in (KEY, NEIGHBOUR):
        made = scratch.make(key)
        assert made == scratch.path(key)
        assert modes.S_IMODE(made.stat().st_mode) == 0o700
        (made / "deep").mkdir()
        (made / "deep" / "frame").write_bytes(b"x" * 1000)
        (made / "link").symlink_to(outside)
    assert scratch.make(KEY) == scratch.path(KEY)
    assert list(scratch.list()) == [KEY, NEIGHBOUR]
    # When one is erased, Then it is gone with all in it, and only it
    (erased,) = scratch.erase([KEY])
    assert (erased.removed, erased.observation, erased.blocked) == (1, Observation.LIST_ABSENT, None)
    assert list(scratch.list()) == [NEIGHBOUR]
    assert (outside / "kept").read_text() == "kept"
    # And once more, with the other, leaves nothing; a key that is not there is a success
    assert [erased.removed for erased in scratch.erase([KEY, NEIGHBOUR])] == [0, 1]
    assert not any((tmp_path / "scratch").glob("[!.]*"))


def test_scratch_that_cannot_be_made_or_erased_is_told(tmp_path: Path) -> None:
    # Given scratch on a disk that is then mounted read-only
    place = tmp_path / "small"
    with mounted(place, "size=1m,mode=700"):
        scratch = ScratchStorage(place)
        scratch.make(KEY)
        make_read_only(place)
        # When a directory is made or erased, Then each says so
        with pytest.raises(ReadOnly):
            scratch.make(NEIGHBOUR)
        assert next(scratch.erase([KEY])).blocked == "storage_read_only"
        assert list(scratch.list()) == [KEY]
