"""The behaviour that every backend must show, as plain functions: run by pytest, and by `mayfly doctor` on a live one.

Everything is written under class `scratch`, the given app and random upload ids, and erased at the end. A failure is a
sentence that names no key.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar

from storage_backends.errors import BadKey, ObjectNotFound, StorageError, TooLarge
from storage_backends.keys import Key
from storage_backends.storage import Erased, Stat, Storage, Stored

Item = TypeVar("Item")
Result = TypeVar("Result")

LISTED = 1_100  # more than one page of any store we know (S3: 1,000)
_THREADS = 8
_COMING = 24  # neighbours that come and go, three for each thread


class ContractBroken(AssertionError):
    """A backend did not do what it must; the message says what."""


@dataclass(frozen=True, kw_only=True)
class Bench:
    """One backend under test, and the keys that a check may use."""

    storage: Storage
    app: str
    listed: int = LISTED
    upload: str = field(default_factory=lambda: f"check-{secrets.token_hex(8)}")

    def key(self, artifact: str, *, upload: str = "") -> Key:
        return Key(retention_class="scratch", app=self.app, upload_id=self.upload + upload, artifact_id=artifact)

    def put(self, key: Key, *chunks: bytes) -> Stored:
        return self.storage.put(key, chunks)

    def read(self, key: Key) -> bytes:
        with self.storage.open(key) as stream:
            return stream.read()

    def erase(self, *keys: Key) -> tuple[Erased, ...]:
        return tuple(self.storage.erase(keys))

    def is_there(self, key: Key) -> bool:
        try:
            self.storage.stat(key)
        except ObjectNotFound:
            return False
        return True

    def listing(self, prefix: str) -> tuple[Stat, ...]:
        return tuple(self.storage.list(prefix))

    def clear(self) -> None:
        """Erase what this bench put, its neighbours' directories included."""
        around = self.storage.list(f"scratch/{self.app}")
        mine = [stat.key for stat in around if stat.key.upload_id.startswith(self.upload)]
        for erased in self.storage.erase(mine):
            expect(erased.blocked is None, "what a check put could not be erased again")


@dataclass(frozen=True, kw_only=True)
class Check:
    """One promise of the contract: its name is the sentence, `run` raises `ContractBroken` where it is not kept."""

    name: str
    run: Callable[[Bench], None]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """`detail` is one sentence where the check failed, else empty."""

    name: str
    passed: bool
    detail: str


def expect(kept: bool, otherwise: str) -> None:
    if not kept:
        raise ContractBroken(otherwise)


def run(storage: Storage, prefix_app: str = "doctor", *, listed: int = LISTED) -> list[Outcome]:
    """Every check in turn, none skipped because another failed; `listed` objects are put for the listing check."""
    return [run_check(check, storage, prefix_app, listed=listed) for check in CHECKS]


def run_check(check: Check, storage: Storage, prefix_app: str, *, listed: int = LISTED) -> Outcome:
    """One check, and the erasure of what it put. An error of the backend is a failed check, a foreign one passes on."""
    bench = Bench(storage=storage, app=prefix_app, listed=listed)
    failure = ""
    try:
        check.run(bench)
    except ContractBroken as broken:
        failure = str(broken)
    except StorageError as error:
        failure = f"the backend raised {type(error).__name__} where it must not: {error}"
    try:
        bench.clear()
    except (ContractBroken, StorageError) as error:
        failure = failure or f"cleaning up failed: {error}"
    return Outcome(name=check.name, passed=not failure, detail=failure)


def what_was_put_comes_back(bench: Bench) -> None:
    key, body = bench.key("art"), secrets.token_bytes(3_000_000)
    stored = bench.put(key, body[:1], b"", body[1:1_000_000], body[1_000_000:])
    expect(stored.bytes == len(body), "put miscounted its bytes")
    expect(stored.sha256 == hashlib.sha256(body).hexdigest(), "put did not give the SHA-256 of the bytes")
    expect(bench.read(key) == body, "the bytes came back changed")
    with bench.storage.open(key) as stream:
        pieces = iter(lambda: stream.read(700_001), b"")
        expect(b"".join(pieces) == body, "read piece by piece, the bytes came back changed")


def an_empty_object_is_an_object(bench: Bench) -> None:
    key = bench.key("art")
    stored = bench.put(key)
    expect(stored == Stored(bytes=0, sha256=hashlib.sha256().hexdigest()), "an empty put was miscounted")
    expect(bench.read(key) == b"" and bench.storage.stat(key).bytes == 0, "an empty object did not come back empty")


def stat_tells_size_and_time(bench: Bench) -> None:
    key = bench.key("art")
    bench.put(key, b"12345")
    stat = bench.storage.stat(key)
    expect(stat.key == key and stat.bytes == 5, "stat told another key or size")
    expect(stat.modified_at.utcoffset() == timedelta(0), "stat's time is not in UTC")


def a_put_replaces(bench: Bench) -> None:
    key = bench.key("art")
    bench.put(key, b"a longer first body")
    bench.put(key, b"second")
    expect(bench.read(key) == b"second", "a second put did not replace the first whole")
    expect(len(bench.listing(str(key))) == 1, "a replaced object is listed more than once")


def what_is_not_there_is_not_found(bench: Bench) -> None:
    bench.put(bench.key("other"), b"x")
    for missing in (bench.key("art"), bench.key("art", upload="-none")):
        for verb in (bench.storage.open, bench.storage.stat):
            try:
                verb(missing)
            except ObjectNotFound:
                continue
            raise ContractBroken("open or stat of a missing key did not raise ObjectNotFound")
        expect(bench.listing(str(missing)) == (), "a missing key is listed")


def too_large_leaves_nothing(bench: Bench) -> None:
    fresh, old = bench.key("fresh"), bench.key("old")
    bench.put(old, b"old")
    for key in (fresh, old):
        try:
            bench.storage.put(key, _endless(), most_bytes=200_000)
        except TooLarge:
            continue
        raise ContractBroken("a stream beyond its limit did not raise TooLarge")
    expect(not bench.is_there(fresh), "a stream beyond its limit left something")
    expect(bench.read(old) == b"old", "a stream beyond its limit damaged what was there")
    stored = bench.storage.put(fresh, (b"12", b"345"), most_bytes=5)
    expect(stored.bytes == 5, "a stream of exactly its limit was not taken")


def a_broken_stream_leaves_nothing(bench: Bench) -> None:
    fresh, old = bench.key("fresh"), bench.key("old")
    bench.put(old, b"old")
    for key in (fresh, old):
        for kind in (ConnectionResetError, _Interrupted):
            try:
                bench.storage.put(key, _breaking(kind))
            except kind:
                continue
            raise ContractBroken("an error out of the stream did not pass through put")
    expect(not bench.is_there(fresh), "a broken stream left something")
    expect(bench.read(old) == b"old", "a broken stream damaged what was there")
    expect(len(bench.listing(f"scratch/{bench.app}/{bench.upload}")) == 1, "a broken stream is listed")


def an_unfinished_write_is_no_object(bench: Bench) -> None:
    key, seen = bench.key("art"), list[bool]()

    def watched() -> Iterator[bytes]:
        yield b"x" * 100_000
        seen.append(bench.is_there(key) or bench.listing(f"scratch/{bench.app}/{bench.upload}") != ())
        yield b"y"

    bench.storage.put(key, watched())
    expect(seen == [False], "an unfinished write can be seen as an object")
    expect(bench.is_there(key), "a finished write cannot be seen")


def a_prefix_ends_at_a_slash(bench: Bench) -> None:
    near = [bench.key(art, upload=upload) for upload in ("-1", "-10", "-1-0", "-1_") for art in ("a", "a1", "a-1")]
    for key in near:
        bench.put(key, b"x")
    for prefix in (f"scratch/{bench.app}/{bench.upload}-1", str(near[0])):
        told = [str(stat.key) for stat in bench.storage.list(prefix)]
        meant = sorted(str(key) for key in near if str(key) == prefix or str(key).startswith(f"{prefix}/"))
        expect(told == meant, "a prefix took its neighbours, or not all that is its own, or not in key order")
    around = [stat.key for stat in bench.storage.list(f"scratch/{bench.app}")]
    told = [str(key) for key in around if key.upload_id.startswith(bench.upload)]
    expect(told == sorted(str(key) for key in near), "a listing is not in key order")


def a_listing_goes_on_where_one_ended(bench: Bench) -> None:
    around = f"scratch/{bench.app}"
    for art in ("a", "a-1", "a1", "b"):
        bench.put(bench.key(art), b"x")
        bench.put(bench.key(art, upload="-x"), b"x")
    whole = [str(stat.key) for stat in bench.storage.list(around) if stat.key.upload_id.startswith(bench.upload)]
    for number, name in enumerate(whole):
        rest = [str(stat.key) for stat in bench.storage.list(around, after=name) if str(stat.key) in whole]
        expect(rest == whole[number + 1 :], "a listing did not go on right behind the key it was given")


def half_a_prefix_is_refused(bench: Bench) -> None:
    for prefix in ("/", "a/", "/a", "a//b", "..", "a/../b", "A", "a/b/c/d/e", "a\n", "."):
        try:
            tuple(bench.storage.list(prefix))
        except BadKey:
            continue
        raise ContractBroken("a malformed prefix was not refused with BadKey")


def a_listing_is_whole(bench: Bench) -> None:
    keys = [bench.key(f"art-{number}") for number in range(bench.listed)]
    _at_once(lambda key: bench.put(key, b"x"), keys)
    told = [str(stat.key) for stat in bench.storage.list(f"scratch/{bench.app}/{bench.upload}")]
    expect(len(told) == len(keys), f"a listing of {len(keys)} objects told {len(told)}")
    expect(told == sorted(str(key) for key in keys), "a long listing is out of order or doubled")
    gone = bench.erase(*keys)
    expect(sum(erased.removed for erased in gone) == len(keys), "erasing many keys at once left some")
    expect(bench.listing(f"scratch/{bench.app}/{bench.upload}") == (), "something is listed after its erasure")


def erase_is_observed(bench: Bench) -> None:
    key = bench.key("art")
    bench.put(key, b"x")
    (erased,) = bench.erase(key)
    expect(erased.key == key and erased.removed >= 1, "erase did not say what it removed")
    expect(erased.observation is not None and erased.blocked is None, "erase did not look again")
    expect(not bench.is_there(key), "an erased object can still be seen")


def erase_may_be_repeated(bench: Bench) -> None:
    key, never = bench.key("art"), bench.key("art", upload="-never")
    bench.put(key, b"x")
    bench.erase(key)
    for again in bench.erase(key, never, key):
        expect(again.removed == 0, "erase of what is not there says that it removed something")
        expect(again.observation is not None and again.blocked is None, "erase of what is not there is no success")


def erase_takes_exactly_its_keys(bench: Bench) -> None:
    keys = {name: bench.key(name) for name in ("a", "a1", "a-1", "a_part", "b")}
    for key in (*keys.values(), bench.key("a", upload="0")):
        bench.put(key, b"x")
    wanted = (keys["b"], bench.key("missing"), keys["a"])
    told = bench.erase(*wanted)
    expect([erased.key for erased in told] == list(wanted), "erase did not answer once for each key, in their order")
    left = {str(stat.key) for stat in bench.storage.list(f"scratch/{bench.app}/{bench.upload}")}
    expect(left == {str(keys[name]) for name in ("a1", "a-1", "a_part")}, "erase took a neighbour, or left its own")
    expect(bench.is_there(bench.key("a", upload="0")), "erase took from a neighbouring upload")


def a_put_after_an_erase_counts(bench: Bench) -> None:
    key = bench.key("art")
    bench.put(key, b"first")
    bench.erase(key)
    bench.put(key, b"again")
    expect(bench.read(key) == b"again", "a key cannot be used again after its erasure")


def concurrent_puts_end_whole(bench: Bench) -> None:
    key, bodies = bench.key("art"), [bytes([number]) * 50_000 for number in range(24)]
    _at_once(lambda body: bench.storage.put(key, (body[:7], body[7:])), bodies)
    expect(bench.read(key) in bodies, "concurrent puts of one key mixed their bytes")
    expect(len(bench.listing(str(key))) == 1, "concurrent puts of one key made more than one object")


def puts_and_erases_do_not_disturb_each_other(bench: Bench) -> None:
    """Neighbours in one upload come and go, so that what holds them (a directory) comes and goes as well."""

    def come_and_go(number: int) -> bool:
        going, staying = bench.key(f"going-{number}"), bench.key(f"staying-{number}")
        bench.put(going, b"x")
        gone = all(erased.removed and erased.observation for erased in bench.erase(going))
        bench.put(staying, b"y")
        whole = bench.read(staying) == b"y"
        return gone and whole and (number % 2 == 0 or all(erased.removed for erased in bench.erase(staying)))

    kept = _at_once(come_and_go, range(_COMING))
    expect(all(kept), "an erase beside a put lost an object, or did not erase its own")
    left = {stat.key.artifact_id for stat in bench.storage.list(f"scratch/{bench.app}/{bench.upload}")}
    expect(left == {f"staying-{number}" for number in range(0, _COMING, 2)}, "puts beside erases lost objects")


def local_paths_are_true(bench: Bench) -> None:
    key = bench.key("art")
    bench.put(key, b"x")
    path = getattr(bench.storage, "path", None)
    if bench.storage.capabilities().local_paths:
        expect(path is not None and path(key).read_bytes() == b"x", "local paths are promised, but give another file")


CHECKS: tuple[Check, ...] = tuple(
    Check(name=check.__name__, run=check)
    for check in (
        what_was_put_comes_back,
        an_empty_object_is_an_object,
        stat_tells_size_and_time,
        a_put_replaces,
        what_is_not_there_is_not_found,
        too_large_leaves_nothing,
        a_broken_stream_leaves_nothing,
        an_unfinished_write_is_no_object,
        a_prefix_ends_at_a_slash,
        a_listing_goes_on_where_one_ended,
        half_a_prefix_is_refused,
        a_listing_is_whole,
        erase_is_observed,
        erase_may_be_repeated,
        erase_takes_exactly_its_keys,
        a_put_after_an_erase_counts,
        concurrent_puts_end_whole,
        puts_and_erases_do_not_disturb_each_other,
        local_paths_are_true,
    )
)


class _Interrupted(BaseException):
    """Like the end of a process: no `Exception`, and so easily missed by a clean-up."""


def _endless() -> Iterator[bytes]:
    while True:
        yield b"x" * 64_000


def _breaking(kind: type[BaseException]) -> Iterator[bytes]:
    yield b"x" * 100_000
    raise kind


def _at_once(act: Callable[[Item], Result], items: Iterable[Item]) -> tuple[Result, ...]:
    with ThreadPoolExecutor(_THREADS) as pool:
        return tuple(pool.map(act, items))
