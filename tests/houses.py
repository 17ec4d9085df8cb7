"""A house on a fresh home, and a hand that does its due work in this process, without a queue in between."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Row, select

from tasks.app import JOBS
from tasks.schedule import DUTIES
from tasks.seat import Observer, Seat
from tasks.task import perform
from worker.ledger import artifacts, leases, outbox, tables, uploads
from worker.ledger.database import Clock, Tx
from worker.media.jail import Jail
from worker.model import Artifact, Job, NewUpload, Purpose, Upload
from worker.settings import Settings
from worker.wiring import House

APP = "shop"
ANNA = "a" * 64
BERT = "b" * 64


def new_upload(**changes: object) -> NewUpload:
    values: dict[str, object] = {"app": APP, "subject_key": ANNA, "purposes": frozenset(Purpose)}
    return NewUpload(**{**values, **changes})  # type: ignore[arg-type]


def build(home: Path, *, clock: Clock | None = None, jail: Jail | None = None, **settings: object) -> House:
    house = House.build(Settings.model_validate({"home": home, **settings}), clock=clock, jail=jail)
    # The duties that a relay would keep; none is due before somebody hurries it.
    with house.ledger.begin() as tx:
        for duty in DUTIES:
            leases.create(
                tx,
                kind=duty.kind,
                target=duty.target,
                work_class=duty.work_class,
                not_before=tx.now + duty.every,
                every=duty.every,
            )
    return house


def at(house: House, clock: Clock) -> House:
    """The same house at another time; only for one that keeps its ledger in a file."""
    return House.build(house.settings, clock=clock, jail=house.jail)


def receive(house: House, body: bytes | Iterable[bytes], **changes: object) -> Upload:
    chunks = [body] if isinstance(body, bytes) else body
    keep_for = changes.pop("keep_for", timedelta(days=90))
    assert isinstance(keep_for, timedelta)
    return house.receive.run(new_upload(**changes), chunks, keep_for=keep_for)


def unwatched(_job: Job, _step: str) -> None:
    """Steps that nobody asks about."""


def work(house: House, *, observe: Observer = unwatched, rounds: int = 20) -> list[str]:
    """Do all that is due, by the queue's own wrapper and without a queue, until nothing is; returns the kinds of jobs
    done, in order. What was put off is not waited for: it is due again in the next round."""
    seat = Seat(house.settings, lambda _settings: house, observer=observe)
    tasks = {task.kind: task for task in JOBS}
    done: list[str] = []
    for _ in range(rounds):
        with house.ledger.begin() as tx:
            hurry(tx)
            bells = outbox.take(tx, limit=100)
        if not bells:
            return done
        for bell in bells:
            done.append(bell.kind)
            perform(seat, tasks[bell.kind], bell.job_id, bell.fence)
    return done


def hurry(tx: Tx) -> None:
    put_off = tables.leases.c.state == "ready", tables.leases.c.waits > 0, tables.leases.c.not_before > tx.now
    for row in tx.conn.execute(select(tables.leases).where(*put_off)):
        leases.hurry(tx, row.kind, row.target)


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


def job_of(tx: Tx, kind: str, target: str) -> Row[Any]:
    """The live job of that kind for that target."""
    c = tables.leases.c
    return tx.conn.execute(select(tables.leases).where(c.kind == kind, c.target == target, c.state != "done")).one()


def upload_of(house: House, upload_id: str) -> Upload:
    with house.ledger.read() as tx:
        return uploads.get(tx, upload_id)


def copies_of(house: House, upload_id: str) -> list[Artifact]:
    with house.ledger.read() as tx:
        return artifacts.of_upload(tx, upload_id)


def files_below(root: Path) -> list[Path]:
    """Every file of user media on disk: in media, intake and scratch."""
    return [
        Path(folder, name)
        for place in ("media", "scratch", "intake")
        for folder, _folders, names in os.walk(root / place)  # walks on when a folder goes meanwhile
        for name in names
        if name != ".id"
    ]
