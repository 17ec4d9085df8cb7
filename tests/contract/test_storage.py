"""Every backend keeps the contract, and the contract catches backends that do not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from storage_backends.contract import CHECKS, Check, run, run_check
from storage_backends.errors import NoSpace, ObjectNotFound
from storage_backends.filesystem import FilesystemStorage
from storage_backends.keys import Key
from storage_backends.memory import MemoryStorage
from storage_backends.storage import Erased, Stat, Storage, Stored
from tests import buckets

KEY = Key.parse("original/shop/upl_1/art_1")
NEIGHBOUR = Key.parse("original/shop/upl_1/art_10")
PROJECT = Path(__file__).parents[2]

BACKENDS: dict[str, Callable[[Path], Storage]] = {
    "filesystem": lambda place: FilesystemStorage("disk", place / "media"),
    "memory": lambda place: MemoryStorage("memory"),
}


# More than one page of any store; the disk syncs each object, so it gets fewer than memory. A bucket's pages are the
# same whatever it keeps, so one kind lists more than one.
LISTED = {"disk": 1_100, "memory": 2_500, "versioned": 1_001}


@pytest.fixture(
    params=[*BACKENDS, *(pytest.param(kind, marks=[pytest.mark.slow, pytest.mark.wide]) for kind in buckets.KINDS)]
)
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    if request.param in BACKENDS:
        return BACKENDS[request.param](tmp_path)
    server: buckets.S3Server = request.getfixturevalue("s3")
    return server.storage(request.param)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_a_backend_keeps_the_contract(check: Check, storage: Storage) -> None:
    # When one check of the contract runs on a fresh backend
    outcome = run_check(check, storage, "doctor", listed=LISTED.get(storage.name, 50))
    # Then it passes, and nothing of it stays
    assert outcome.passed, outcome.detail
    assert list(storage.list()) == []


def test_an_exhausted_capacity_is_no_space() -> None:
    # Given a memory backend with room for ten bytes
    storage = MemoryStorage("memory", capacity=10)
    storage.put(KEY, [b"12345678"])
    # When more comes, Then it is refused, the first stays, and replacing it is still possible
    with pytest.raises(NoSpace):
        storage.put(NEIGHBOUR, [b"123"])
    assert [stat.key for stat in storage.list()] == [KEY]
    assert storage.put(KEY, [b"1234567890"]).bytes == 10


# --- the contract is able to fail -------------------------------------------------------------------------------------


class _PrefixTakesNeighbours(MemoryStorage):
    def list(self, prefix: str = "", *, after: str = "") -> Iterator[Stat]:
        return (stat for stat in super().list(after=after) if str(stat.key).startswith(prefix))


class _FirstPageOnly(MemoryStorage):
    def list(self, prefix: str = "", *, after: str = "") -> Iterator[Stat]:
        return iter([*super().list(prefix, after=after)][:1000])


class _BeginsAnew(MemoryStorage):
    def list(self, prefix: str = "", *, after: str = "") -> Iterator[Stat]:
        return super().list(prefix)


class _ErasesByPrefix(MemoryStorage):
    def erase(self, keys: Iterable[Key]) -> Iterator[Erased]:
        for key in keys:
            near = [stat.key for stat in super().list() if str(stat.key).startswith(str(key))]
            yield next(iter(super().erase([key])))
            _ = [*super().erase(near)]


class _SaysGone(MemoryStorage):
    def erase(self, keys: Iterable[Key]) -> Iterator[Erased]:
        for erased in super().erase(keys):
            self.put(erased.key, [b"still here"])
            yield erased


class _KeepsHalfAPut(MemoryStorage):
    def put(self, key: Key, chunks: Iterable[bytes], *, most_bytes: int | None = None) -> Stored:
        got: list[bytes] = []
        try:
            for chunk in chunks:
                got.append(chunk)
                super().put(key, got, most_bytes=most_bytes)
        finally:
            stored = super().put(key, got)
        return stored


class _HashesTheLastChunk(MemoryStorage):
    def put(self, key: Key, chunks: Iterable[bytes], *, most_bytes: int | None = None) -> Stored:
        held = [*chunks] if most_bytes is None else chunks
        stored = super().put(key, held, most_bytes=most_bytes)
        last = MemoryStorage("aside").put(key, list(held)[-1:])
        return Stored(bytes=stored.bytes, sha256=last.sha256)


class _MissingIsEmpty(MemoryStorage):
    def stat(self, key: Key) -> Stat:
        try:
            return super().stat(key)
        except ObjectNotFound:
            self.put(key, [])
            return super().stat(key)


@pytest.mark.parametrize(
    "broken",
    [
        _PrefixTakesNeighbours,
        _FirstPageOnly,
        _BeginsAnew,
        _ErasesByPrefix,
        _SaysGone,
        _KeepsHalfAPut,
        _HashesTheLastChunk,
        _MissingIsEmpty,
    ],
)
def test_the_contract_catches_a_broken_backend(broken: type[MemoryStorage]) -> None:
    # Given a backend with one fault that was seen in public code, When the contract runs on it
    failures = [outcome.detail for outcome in run(broken("broken")) if not outcome.passed]
    # Then at least one check fails, and each failure is a sentence that names no key
    assert failures
    assert all("scratch/" not in failure and len(failure) > 20 for failure in failures)
