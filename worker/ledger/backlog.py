"""Jobs as the operator and other flows see them: what waits, what runs, what is dead. Changes nothing."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, exists, func, select, text

from worker.errors import NotFound
from worker.ledger import tables
from worker.ledger.database import Tx
from worker.model import WorkClass

_T = tables.leases


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Jobs by class; a job that waits for its time is not `ready`. Seconds since the oldest ready job became due."""

    ready: dict[str, int]
    leased: dict[str, int]
    dead: dict[str, int]
    oldest_ready_seconds: int


@dataclass(frozen=True, kw_only=True)
class Dead:
    """One dead letter: what was tried, how often, and the code it ended with."""

    job_id: str
    kind: str
    target: str
    work_class: WorkClass
    attempts: int
    code: str | None
    step: str | None
    detail: str | None
    at: datetime


def dead(tx: Tx) -> list[Dead]:
    """Every dead letter, oldest first."""
    rows = tx.conn.execute(select(_T).where(text(tables.DEAD_JOB)).order_by(_T.c.state_at, _T.c.id))
    return [_dead(row) for row in rows]


def dead_one(tx: Tx, job_id: str) -> Dead:
    """Raises `NotFound` (`job_not_found`) when that job is not a dead letter."""
    row = tx.conn.execute(select(_T).where(_T.c.id == job_id, text(tables.DEAD_JOB))).one_or_none()
    if row is None:
        raise NotFound("no dead letter with that id; `mayfly dead list` shows them", code="job_not_found")
    return _dead(row)


def _dead(row: Row[Any]) -> Dead:
    return Dead(
        job_id=row.id,
        kind=row.kind,
        target=row.target,
        work_class=WorkClass(row.work_class),
        attempts=row.attempts,
        code=row.code,
        step=row.step,
        detail=row.detail,
        at=row.state_at,
    )


def held(tx: Tx, *, kind: str, target: str) -> bool:
    """Whether a worker holds that job just now: its lease still runs."""
    query = exists().where(_T.c.kind == kind, _T.c.target == target, text(tables.LEASED_JOB), _T.c.lease_until > tx.now)
    return bool(tx.conn.execute(select(query)).scalar_one())


def pending(tx: Tx, *, kinds: Collection[str], due_only: bool = False) -> bool:
    """Whether a job of these kinds is unfinished; `due_only` leaves out those that wait for a later time."""
    query = exists().where(_T.c.kind.in_(list(kinds)), text(tables.LIVE_JOB))
    if due_only:
        query = query.where((_T.c.state == "leased") | (_T.c.not_before <= tx.now))
    return bool(tx.conn.execute(select(query)).scalar_one())


def counts(tx: Tx) -> Counts:
    """How much there is to do."""
    by_state: dict[str, dict[str, int]] = {"ready": {}, "leased": {}, "dead": {}}
    due = (_T.c.state != "ready") | (_T.c.not_before <= tx.now)
    query = select(_T.c.state, _T.c.work_class, func.count().label("n")).where(_T.c.state != "done", due)
    for row in tx.conn.execute(query.group_by(_T.c.state, _T.c.work_class)):
        by_state[row.state][row.work_class] = row.n
    oldest = tx.conn.execute(
        select(func.min(_T.c.not_before)).where(text(tables.READY_JOB), _T.c.not_before <= tx.now)
    ).scalar_one_or_none()
    age = 0 if oldest is None else int((tx.now - oldest).total_seconds())
    return Counts(**by_state, oldest_ready_seconds=age)
