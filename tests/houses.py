"""A house on a fresh home, and a hand that does its due work in this process, without a queue in between."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path

from worker.errors import LeaseLost, MayflyError
from worker.ledger import artifacts, leases, outbox, uploads
from worker.ledger.database import Clock
from worker.model import Artifact, Job, NewUpload, Purpose, Upload
from worker.settings import Settings
from worker.wiring import House

APP = "shop"
ANNA = "a" * 64
BERT = "b" * 64


def new_upload(**changes: object) -> NewUpload:
    values: dict[str, object] = {"app": APP, "subject_key": ANNA, "purposes": frozenset(Purpose)}
    return NewUpload(**{**values, **changes})  # type: ignore[arg-type]


def build(home: Path, *, clock: Clock | None = None, **settings: object) -> House:
    return House.build(Settings.model_validate({"home": home, **settings}), clock=clock)


def receive(house: House, body: bytes | Iterable[bytes], **changes: object) -> Upload:
    chunks = [body] if isinstance(body, bytes) else body
    keep_for = changes.pop("keep_for", timedelta(days=90))
    assert isinstance(keep_for, timedelta)
    return house.receive.run(new_upload(**changes), chunks, keep_for=keep_for)


@dataclasses.dataclass
class WatchedGuard:
    """Tells an observer each step; the lease is asked of the ledger, as the queue's own guard does."""

    house: House
    job: Job
    observe: Callable[[str, str], None]

    def step(self, name: str) -> None:
        self.observe(self.job.kind, name)

    def check(self) -> None:
        with self.house.ledger.begin() as tx:
            leases.heartbeat(tx, self.job)

    def cancelled(self) -> bool:
        try:
            self.check()
        except LeaseLost:
            return True
        return False


def unwatched(_kind: str, _step: str) -> None:
    """Steps that nobody asks about."""


def work(house: House, *, observe: Callable[[str, str], None] = unwatched, rounds: int = 20) -> list[str]:
    """Do all that is due until nothing is; returns the kinds of jobs done, in order."""
    done: list[str] = []
    for _ in range(rounds):
        with house.ledger.begin() as tx:
            bells = outbox.take(tx, limit=100)
        if not bells:
            return done
        for bell in bells:
            with house.ledger.begin() as tx:
                job = leases.claim(tx, bell.job_id, bell.fence, "test")
            if job is not None:
                done.append(job.kind)
                _do(house, job, WatchedGuard(house, job, observe))
    return done


def _do(house: House, job: Job, guard: WatchedGuard) -> None:
    verb = {
        "process": house.process,
        "receive": house.end_receiving,
        "erase": house.erase,
        "erase_subject": house.erase_subject,
        "sweep": house.sweep,
    }[job.kind]
    try:
        verb(job.target, job, guard)
    except MayflyError as error:
        with house.ledger.begin() as tx:
            if error.retryable:
                leases.wait(tx, job, delay=timedelta(0), code=error.code)
            else:
                leases.bury(tx, job, code=error.code)
        return
    with house.ledger.begin() as tx:
        leases.finish(tx, job)


def sweep(house: House) -> None:
    """The sweep, now, and the erasures it begins."""
    house.sweeping.run(FreeGuard())
    work(house)


class FreeGuard:
    """For work that no lease guards."""

    def step(self, name: str) -> None:
        """Nobody asks."""

    def check(self) -> None:
        """Nobody can take it away."""

    def cancelled(self) -> bool:
        return False


def upload_of(house: House, upload_id: str) -> Upload:
    with house.ledger.read() as tx:
        return uploads.get(tx, upload_id)


def copies_of(house: House, upload_id: str) -> list[Artifact]:
    with house.ledger.read() as tx:
        return artifacts.of_upload(tx, upload_id)


def files_below(root: Path) -> list[Path]:
    """Every file of user media on disk: in media, intake and scratch."""
    return [
        path
        for place in ("media", "scratch", "intake")
        for path in (root / place).rglob("*")
        if path.is_file() and path.name != ".id"
    ]
