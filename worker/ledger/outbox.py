"""Bells that were not heard yet: one row for each job that waits to be claimed. The claim removes it.

A bell that was rung is rung again after a while, since brokers lose messages; a spare one falls through at the claim.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, func, literal, select, text, update
from sqlalchemy.dialects import postgresql, sqlite

from worker.ledger import tables
from worker.ledger.database import Tx
from worker.model import WorkClass

# A long backlog is not a loss: ring again after 30 s, then ever later, at most every 10 minutes.
RING_AGAIN = timedelta(seconds=30)
RING_AGAIN_LATEST = timedelta(minutes=10)

_T, _L = tables.outbox, tables.leases


@dataclass(frozen=True, kw_only=True)
class Bell:
    """What a message carries: which job, and the fence it had when it was rung."""

    job_id: str
    kind: str
    work_class: WorkClass
    fence: int


def put(tx: Tx, job_id: str, ring_at: datetime) -> None:
    """Ring for this job at that instant; an older bell of the job is replaced. A job at its end gets none."""
    insert = postgresql.insert(_T) if tx.postgres else sqlite.insert(_T)
    columns = {"ring_at": ring_at, "rings": 0}
    live = select(_L.c.id, literal(ring_at, _T.c.ring_at.type), literal(0)).where(
        _L.c.id == job_id, text(tables.LIVE_JOB)
    )
    tx.conn.execute(
        insert.from_select(["job_id", *columns], live).on_conflict_do_update(
            index_elements=["job_id"], set_={**columns, "rung_at": None}
        )
    )


def bell_of(tx: Tx, kind: str, target: str) -> Bell | None:
    """The bell of the live job of that kind and target, where there is one."""
    mine = (_L.c.kind == kind, _L.c.target == target, text(tables.LIVE_JOB))
    job_id = tx.conn.execute(select(_L.c.id).where(*mine)).scalar_one_or_none()
    return None if job_id is None else _live(tx, [job_id])[job_id]


def remove(tx: Tx, job_id: str) -> None:
    tx.conn.execute(delete(_T).where(_T.c.job_id == job_id))


def take(tx: Tx, *, limit: int) -> list[Bell]:
    """Bells to ring now, the longest waiting first; ring them after the commit. Two takers never get the same bell."""
    due = select(_T.c.job_id, _T.c.rings).where(_T.c.ring_at <= tx.now).order_by(_T.c.ring_at).limit(limit)
    taken = {row.job_id: row.rings for row in tx.conn.execute(due.with_for_update(skip_locked=True))}
    jobs = _live(tx, list(taken))
    # A bell may have been put back in the very moment in which its job ended.
    if ended := [job_id for job_id in taken if job_id not in jobs]:
        tx.conn.execute(delete(_T).where(_T.c.job_id.in_(ended)))
    for rings in set(taken.values()):
        ids = [job_id for job_id, had in taken.items() if had == rings]
        again = min(RING_AGAIN * 2 ** min(rings, 10), RING_AGAIN_LATEST)
        values = {"rung_at": tx.now, "rings": rings + 1, "ring_at": tx.now + again}
        tx.conn.execute(update(_T).where(_T.c.job_id.in_(ids)).values(values))
    return [jobs[job_id] for job_id in taken if job_id in jobs]


def _live(tx: Tx, job_ids: list[str]) -> dict[str, Bell]:
    columns = select(_L.c.id, _L.c.kind, _L.c.work_class, _L.c.fence)
    rows = tx.conn.execute(columns.where(_L.c.id.in_(job_ids), text(tables.LIVE_JOB))) if job_ids else ()
    return {
        row.id: Bell(job_id=row.id, kind=row.kind, work_class=WorkClass(row.work_class), fence=row.fence)
        for row in rows
    }


def ring_all(tx: Tx, work_class: WorkClass) -> int:
    """The queue of that class was lost: what was rung, and is due, is to be rung again now. Returns how many."""
    lost = select(_L.c.id).where(_L.c.work_class == work_class, text(tables.READY_JOB), _L.c.not_before <= tx.now)
    rung = (_T.c.rung_at.is_not(None), _T.c.ring_at > tx.now)
    return tx.conn.execute(update(_T).where(_T.c.job_id.in_(lost), *rung).values(ring_at=tx.now, rings=0)).rowcount


def waiting(tx: Tx) -> dict[WorkClass, int]:
    """How many jobs of each class are due and not claimed (every class is named)."""
    query = select(_L.c.work_class, func.count().label("n")).where(text(tables.READY_JOB), _L.c.not_before <= tx.now)
    found = {row.work_class: row.n for row in tx.conn.execute(query.group_by(_L.c.work_class))}
    return {work_class: found.get(work_class.value, 0) for work_class in WorkClass}
