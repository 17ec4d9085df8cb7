"""Prints what erasing costs and how it grows: `python -m tests.bench.erasing [--large] [--only rate|claim|subject]`.

rate     due copies destroyed and proven a second, with the calls that a bucket gets (moto's server on loopback)
claim    a sweep's first statement with 1,000 copies due, over 10,000 rows and over 1,000,000
subject  the most memory of a fresh process that erases one person with 1,000, 10,000 and 50,000 copies
"""

from __future__ import annotations

import argparse
import contextlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import text

from storage_backends.filesystem import FilesystemStorage
from storage_backends.memory import MemoryStorage
from storage_backends.s3 import S3Storage
from storage_backends.storage import Storage
from tests import houses
from tests.bench import due
from tests.bench.report import MIB
from tests.buckets import s3_server
from tests.servers import fresh_database, postgres_server
from worker.ledger import artifacts
from worker.ledger.database import Ledger, Tx
from worker.media.jail import Jail
from worker.settings import Settings
from worker.wiring import House

PLACE = "place"
DUE = 1_000
CLAIMS = 15


def rate(sizes: list[int]) -> None:
    print(f"{'place':12} {'copies due':>10} {'seconds':>8} {'a second':>9} {'CPU s':>7}  calls to the bucket for 1,000")
    with s3_server({}) as server:
        for kind in ("memory", "filesystem", "s3 plain", "s3 versioned"):
            for size in sizes:
                with tempfile.TemporaryDirectory(prefix="mayfly-bench-") as home:
                    if kind.startswith("s3"):
                        storage: Storage = S3Storage(PLACE, server.connect(server.bucket(kind[3:])))
                    elif kind == "memory":
                        storage = MemoryStorage(PLACE)
                    else:
                        storage = FilesystemStorage(PLACE, Path(home) / "place")
                    _rate(kind, size, storage, Path(home))


def _rate(kind: str, size: int, storage: Storage, home: Path) -> None:
    house = _house(home / "home", storage)
    for key in due.fill(house.ledger, uploads=size // due.COPIES, copies=due.COPIES, location=PLACE, due=True):
        storage.put(key, [b""])
    calls = _counted(storage)
    begun, spent = time.perf_counter(), time.process_time()
    house.sweeping.run(houses.FreeGuard())
    houses.work(house, rounds=size)
    took, spent = time.perf_counter() - begun, time.process_time() - spent
    with house.ledger.read() as tx:
        left = artifacts.counts(tx)
    if left != {"gone": size}:
        raise SystemExit(f"not everything is gone: {left}")
    told = ", ".join(f"{name} {n * 1000 / size:.0f}" for name, n in sorted(calls.items()))
    print(f"{kind:12} {size:10,} {took:8.1f} {size / took:9.0f} {spent:7.1f}  {told}", flush=True)
    house.ledger.close()


def _house(home: Path, storage: Storage) -> House:
    """One whose sweep has no brake to stop it at, and whose copies lie at `storage`."""
    policy = home.parent / "policy.toml"
    policy.write_text("[brakes]\nleast = 1000000000\nshare = 1.0\n", encoding="utf-8")
    house = House.build(Settings.model_validate({"home": home, "policy": policy}), jail=Jail())
    shelf = replace(house.shelf, locations={**house.shelf.locations, storage.name: storage})
    erase = replace(house.erasing, shelf=shelf)
    return replace(
        house,
        shelf=shelf,
        erasing=erase,
        sweeping=replace(house.sweeping, shelf=shelf, erase=erase),
        fulfilling=replace(house.fulfilling, erase=erase),
    )


def _counted(storage: Storage) -> dict[str, int]:
    """The calls that the bucket's client makes from now on, by name."""
    calls: dict[str, int] = {}
    if isinstance(storage, S3Storage):

        def count(model: Any, **_: Any) -> None:
            calls[model.name] = calls.get(model.name, 0) + 1

        storage._bucket.client.meta.events.register("before-call.s3", count)
    return calls


def claim(large: bool) -> None:
    print(f"\nclaiming {DUE:,} due copies, the quickest of {CLAIMS}, milliseconds")
    sizes = (10_000, 1_000_000 if large else 100_000)
    with tempfile.TemporaryDirectory(prefix="mayfly-bench-") as home, postgres_server() as url:
        for name in ("sqlite", "postgresql"):
            ledgers = [_filled(_database(name, Path(home), url, rows), rows) for rows in sizes]
            # In turn, so that what else the machine does meets both alike.
            rounds = [[_timed(ledger, _take) for ledger in ledgers] for _ in range(CLAIMS + 1)][1:]
            few, many = (min(took) * 1000 for took in zip(*rounds, strict=True))
            print(f"{name:12} {few:8.1f} of {sizes[0]:,} rows {many:8.1f} of {sizes[1]:,} rows {many / few:8.2f} times")
            for ledger in ledgers:
                ledger.close()


def _database(name: str, home: Path, url: str, rows: int) -> Ledger:
    ledger = Ledger(f"sqlite:///{home}/{rows}.db" if name == "sqlite" else fresh_database(url, f"bench_{rows}"))
    ledger.migrate()
    return ledger


class _Undone(Exception):
    """Rolled back, so that the next claim finds the same rows due."""


def _filled(ledger: Ledger, rows: int) -> Ledger:
    due.fill(ledger, uploads=DUE // due.COPIES, copies=due.COPIES, location=PLACE, due=True)
    left = (rows - DUE) // due.COPIES
    while left > 0:
        due.fill(ledger, uploads=min(left, 10_000), copies=due.COPIES, location=PLACE, due=False)
        left -= 10_000
    with ledger.begin() as tx:
        if tx.postgres:  # it does so by itself after a while; SQLite never does
            tx.conn.execute(text("ANALYZE"))
    return ledger


def _take(tx: Tx) -> None:
    taken = artifacts.claim_due(tx, limit=DUE, lease=due.DAY, locations=[PLACE])
    if len(taken) != DUE:
        raise SystemExit(f"{len(taken)} were due, not {DUE}")


def _timed(ledger: Ledger, work: Callable[[Tx], None]) -> float:
    begun = time.perf_counter()
    with contextlib.suppress(_Undone), ledger.begin() as tx:
        work(tx)
        raise _Undone
    return time.perf_counter() - begun


def subject(sizes: list[int]) -> None:
    print("\nerasing one person, in a process of its own")
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="mayfly-bench-") as home:
            told = [_child(home, size, step) for step in ("prepare", "erase")][1]
        print(
            f"{size:10,} copies {told['seconds']:8.1f} s {told['peak'] / MIB:7.1f} MiB at most, "
            f"{told['before'] / MIB:.1f} before, receipt {told['receipt']:,} bytes",
            flush=True,
        )


def _child(home: str, size: int, step: str) -> dict[str, Any]:
    argv = [sys.executable, "-m", "tests.bench.erasing", "--child", step, "--home", home, "--size", str(size)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def _prepare(home: Path, size: int) -> dict[str, Any]:
    house = _house(home / "home", FilesystemStorage(PLACE, home / "place"))
    keys = due.fill(house.ledger, uploads=size // due.COPIES, copies=due.COPIES, location=PLACE, due=False)
    due.lay(home / "place", keys)
    return {}


def _erase(home: Path, size: int) -> dict[str, Any]:
    house = _house(home / "home", FilesystemStorage(PLACE, home / "place"))
    before, begun = _peak(), time.perf_counter()
    request_id = house.fulfilling.open(due.APP, due.SUBJECT)
    houses.work(house, rounds=size)
    with house.ledger.read() as tx:
        row = tx.conn.execute(
            text("SELECT artifacts, length(body) FROM requests JOIN receipts ON request_id = requests.id")
        ).one()
    if row[0] != size or any(path.is_file() for path in (home / "place").rglob("*") if "rendition" in path.parts):
        raise SystemExit(f"{request_id}: {row[0]} of {size} copies are in the receipt")
    return {"before": before, "peak": _peak(), "seconds": time.perf_counter() - begun, "receipt": row[1]}


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--large", action="store_true", help="100,000 due, 1,000,000 rows, 50,000 copies of a person")
    parser.add_argument("--only", choices=("rate", "claim", "subject"))
    parser.add_argument("--sizes", help="so many copies instead: 1000,10000")
    parser.add_argument("--child", choices=("prepare", "erase"), help=argparse.SUPPRESS)
    parser.add_argument("--home", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--size", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        print(json.dumps({"prepare": _prepare, "erase": _erase}[given.child](given.home, given.size)))
        return
    named = [int(each) for each in given.sizes.split(",")] if given.sizes else None
    if given.only in (None, "rate"):
        rate(named or [1_000, 10_000, *([100_000] if given.large else [])])
    if given.only in (None, "claim"):
        claim(given.large)
    if given.only in (None, "subject"):
        subject(named or [1_000, 10_000, *([50_000] if given.large else [])])


if __name__ == "__main__":
    main()
