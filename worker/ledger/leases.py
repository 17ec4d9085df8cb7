"""Jobs: one row each, taken by lease, fence and attempt. The broker only rings; what counts is here (P5).

A ready job always has a bell in the outbox, a leased one a lease that runs out, so none can be forgotten. Attempts are
counted at the claim: nobody can die before being counted. What must be done is lasting and is never set aside; a duty
is a lasting job with a period.
Take the lock of a job (`check`, `cancel`) before that of an upload when one transaction needs both.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, case, delete, literal, or_, select, text, update

from worker.errors import LeaseLost, NotFound, StateConflict
from worker.ledger import outbox, tables
from worker.ledger.backlog import Counts, Dead, counts, dead, dead_one, held, pending
from worker.ledger.database import Tx
from worker.ledger.rows import to_job
from worker.ledger.uploads import insert_new
from worker.model import Job, WorkClass, new_id

__all__ = [
    "ATTEMPTS", "HEARTBEAT", "LEASE", "Counts", "Dead", "Expired", "bury", "cancel", "check", "claim", "counts",
    "crashed", "create", "dead", "dead_letter", "dead_one", "expired", "finish", "heartbeat", "held", "hold",
    "hurry",    "let_go", "pending", "prune", "recall", "release", "requeue", "retry", "wait",
]  # fmt: skip

ATTEMPTS = 3
LEASE = timedelta(seconds=30)
HEARTBEAT = timedelta(seconds=10)
# A lasting job whose runs crash waits this long after the third crash, doubling to the longest.
BACK_OFF = timedelta(seconds=30)
BACK_OFF_LONGEST = timedelta(minutes=10)

_T = tables.leases


@dataclass(frozen=True, kw_only=True)
class Expired:
    """A job whose worker went silent. `exhausted`: it had its last attempt and must be given up, not rung again."""

    job_id: str
    kind: str
    target: str
    work_class: WorkClass
    fence: int
    attempts: int
    lease_until: datetime
    exhausted: bool

    @property
    def job(self) -> Job:
        """The job as the silent worker held it, for `bury`."""
        return Job(
            id=self.job_id,
            kind=self.kind,
            target=self.target,
            work_class=self.work_class,
            fence=self.fence,
            attempts=self.attempts,
            lease_until=self.lease_until,
        )


def create(
    tx: Tx,
    *,
    kind: str,
    target: str,
    work_class: WorkClass,
    not_before: datetime | None = None,
    every: timedelta | None = None,
    lasting: bool = False,
) -> str:
    """Have this done, at `not_before` or at once, and again every `every`; returns the job's id. `lasting`: it is never
    set aside, as no duty is.

    One live job for each kind and target: where there is one, its id is returned and it is brought forward; if it is
    running just now it will run once more, since it may have looked too early.
    """
    due_at = not_before or tx.now
    row = _new(tx, kind=kind, target=target, work_class=work_class, not_before=due_at, every=every)
    row["lasting"] = lasting or every is not None
    job_id = str(row["id"])
    while not insert_new(tx, _T, row):
        if (existing := _bring_forward(tx, kind, target, due_at)) is not None:
            if every is not None:
                tx.conn.execute(
                    update(_T).where(_T.c.id == existing, _T.c.every.is_distinct_from(every)).values(every=every)
                )
            return existing
    outbox.put(tx, job_id, due_at)
    return job_id


def hold(tx: Tx, *, kind: str, target: str, work_class: WorkClass, holder: str = "edge") -> Job:
    """A job that is in hand from its birth: work that somebody is doing already, and that others must know of. If its
    holder dies it is rung like any other. Raises `StateConflict` where such a job lives already."""
    row = _new(tx, kind=kind, target=target, work_class=work_class, not_before=tx.now)
    row |= {"state": "leased", "fence": 1, "attempts": 1, "lease_until": tx.now + LEASE, "holder": holder}
    if not insert_new(tx, _T, row):
        raise StateConflict("somebody does that already")
    return to_job(tx.conn.execute(select(_T).where(_T.c.id == row["id"])).one())


def claim(tx: Tx, job_id: str, fence: int, holder: str, *, lease: timedelta = LEASE) -> Job | None:
    """Take a job that a bell with this fence announced. None: a duplicate, a stale bell, done, not due, or worn out;
    leave quietly. One conditional UPDATE; the bell goes with it."""
    ready = and_(_T.c.state == "ready", _T.c.not_before <= tx.now)
    silent = and_(_T.c.state == "leased", _T.c.lease_until <= tx.now, _T.c.recalled.is_(False))
    row = tx.conn.execute(
        update(_T)
        .where(_T.c.id == job_id, _T.c.fence == fence, or_(ready, silent), _has_attempts())
        .values(
            state="leased",
            fence=_T.c.fence + 1,
            attempts=_T.c.attempts + 1,
            lease_until=tx.now + lease,
            holder=holder,
            step=None,
            state_at=tx.now,
        )
        .returning(_T)
    ).one_or_none()
    if row is None:
        return None
    outbox.remove(tx, job_id)
    return to_job(row)


def heartbeat(tx: Tx, job: Job, step: str | None = None, *, lease: timedelta = LEASE) -> None:
    """Still here. Raises `LeaseLost`: stop, discard, say nothing."""
    values: dict[str, Any] = {"lease_until": tx.now + lease}
    if step is not None:
        values["step"] = step
    _mine(tx, job, values)


def check(tx: Tx, job: Job) -> None:
    """Make sure, and keep it so until the commit, that the job is ours. Raises `LeaseLost`."""
    query = select(_T.c.id).where(*_held_by(job)).with_for_update()
    if tx.conn.execute(query).one_or_none() is None:
        raise LeaseLost("another worker holds this job now")


def finish(tx: Tx, job: Job) -> None:
    """It is done; a duty waits for its next time. Raises `LeaseLost`."""
    row = _lock(tx, job)
    if row.again:
        _ready(tx, job, tx.now, attempts=0, waits=0)
    elif row.every is not None:
        _ready(tx, job, tx.now + row.every, attempts=0, waits=0)
    else:
        _mine(tx, job, {"state": "done", "lease_until": None, "holder": None, "step": None, "state_at": tx.now})
        outbox.remove(tx, job.id)


def retry(tx: Tx, job: Job, *, delay: timedelta, code: str) -> bool:
    """Try again after `delay`. False: that was the last attempt, the job is buried. Raises `LeaseLost`."""
    if job.attempts >= ATTEMPTS and not _lock(tx, job).lasting:
        bury(tx, job, code=code)
        return False
    _ready(tx, job, tx.now + delay, code=code)
    return True


def wait(tx: Tx, job: Job, *, delay: timedelta, code: str) -> None:
    """Something it needs is away: look again after `delay`. That is no attempt, so it never buries a job; what an
    upload may wait in all is bounded by its last day. At once where somebody hurried it meanwhile: what it missed may
    have come after it looked. Raises `LeaseLost`."""
    due_at = tx.now if _lock(tx, job).again else tx.now + delay
    _ready(tx, job, due_at, attempts=max(job.attempts - 1, 0), waits=job.waits + 1, code=code)


def release(tx: Tx, job: Job) -> None:
    """Give it back untouched, as at shutdown; the attempt does not count. Raises `LeaseLost`."""
    _ready(tx, job, tx.now, attempts=max(job.attempts - 1, 0))


def bury(tx: Tx, job: Job, *, code: str) -> None:
    """No more attempts: a dead letter that an operator sees and requeues. A lasting job backs off instead. Raises
    `LeaseLost`."""
    row = _lock(tx, job)
    if row.lasting:
        _ready(tx, job, tx.now + _back_off(row.attempts), code=code)
        return
    _mine(tx, job, {"state": "dead", "lease_until": None, "holder": None, "code": code, "state_at": tx.now})
    outbox.remove(tx, job.id)


def dead_letter(tx: Tx, *, kind: str, code: str, detail: str | None = None) -> str:
    """Something that can never become a job, such as a message with bad arguments: a row that an operator sees.
    `detail` is one line of our own words."""
    row = _new(tx, kind=kind, target="", work_class=WorkClass.CONTROL, not_before=tx.now)
    row |= {"target": row["id"], "state": "dead", "code": code, "detail": None if detail is None else detail[:200]}
    insert_new(tx, _T, row)
    return str(row["id"])


def crashed(tx: Tx, job_id: str, message_fence: int) -> None:
    """The worker that answered the bell with this fence is dead: free its lease at once. A second call, or one that
    comes too late, does nothing. A worn-out job stays leased with a lease that is over: see `expired`."""
    guard = (_T.c.id == job_id, _T.c.fence == message_fence + 1, text(tables.LEASED_JOB))
    row = tx.conn.execute(select(_T).where(*guard).with_for_update()).one_or_none()
    if row is None:
        return
    if row.recalled:
        let_go(tx, to_job(row))
        return
    if not row.lasting and row.attempts >= ATTEMPTS:
        tx.conn.execute(update(_T).where(*guard, _T.c.lease_until > tx.now).values(lease_until=tx.now))
        return
    _ready(tx, to_job(row), tx.now + (_back_off(row.attempts) if row.attempts >= ATTEMPTS else timedelta(0)))


def expired(tx: Tx, limit: int) -> list[Expired]:
    """Jobs whose lease has run out, the longest silent first. Free one with `crashed(tx, job_id, fence - 1)`, or give
    an exhausted one up with `bury(tx, expired.job, …)`."""
    query = select(_T).where(text(tables.LEASED_JOB), _T.c.lease_until <= tx.now, _T.c.recalled.is_(False))
    return [
        Expired(
            job_id=row.id,
            kind=row.kind,
            target=row.target,
            work_class=WorkClass(row.work_class),
            fence=row.fence,
            attempts=row.attempts,
            lease_until=row.lease_until,
            exhausted=not row.lasting and row.attempts >= ATTEMPTS,
        )
        for row in tx.conn.execute(query.order_by(_T.c.lease_until).limit(limit))
    ]


def hurry(tx: Tx, kind: str, target: str) -> None:
    """Bring a duty forward to now; nothing when there is none. Running just now: it runs once more."""
    _bring_forward(tx, kind, target, tx.now)


def cancel(tx: Tx, kind: str, target: str) -> None:
    """The live job of that kind and target is no longer wanted; whoever runs it loses its lease."""
    cancelled = tx.conn.execute(
        update(_T)
        .where(_T.c.kind == kind, _T.c.target == target, text(tables.LIVE_JOB))
        .values(state="done", fence=_T.c.fence + 1, lease_until=None, holder=None, code="cancelled", state_at=tx.now)
        .returning(_T.c.id)
    ).scalar_one_or_none()
    if cancelled is not None:
        outbox.remove(tx, cancelled)


def recall(tx: Tx, kind: str, target: str) -> None:
    """The live job of that kind and target is no longer wanted. One that waits is done with; one that runs is lost to
    its holder at the next heartbeat, and counts as `held` until the holder lets go or its lease is over."""
    live = (_T.c.kind == kind, _T.c.target == target, text(tables.LIVE_JOB))
    row = tx.conn.execute(select(_T.c.state).where(*live).with_for_update()).one_or_none()
    if row is not None and row.state == "leased":
        tx.conn.execute(update(_T).where(*live).values(recalled=True))
    elif row is not None:
        cancel(tx, kind, target)


def let_go(tx: Tx, job: Job) -> bool:
    """The holder's last word on a job that was taken from it: nothing of it runs any more. True where it was recalled
    and is done now; False where it went another way."""
    mine = (_T.c.id == job.id, _T.c.fence == job.fence, text(tables.LEASED_JOB), _T.c.recalled.is_(True))
    values = {"state": "done", "lease_until": None, "holder": None, "code": "recalled", "state_at": tx.now}
    return tx.conn.execute(update(_T).where(*mine).values(values)).rowcount == 1


def requeue(tx: Tx, job_id: str) -> None:
    """A dead job gets three new attempts. Raises `NotFound` (`job_not_found`) and `StateConflict` when it is not dead,
    or when another live job does the same."""
    row = tx.conn.execute(select(_T).where(_T.c.id == job_id).with_for_update()).one_or_none()
    if row is None:
        raise NotFound("no such job", code="job_not_found")
    live = select(_T.c.id).where(_T.c.kind == row.kind, _T.c.target == row.target, text(tables.LIVE_JOB))
    if row.state != "dead" or tx.conn.execute(live).first() is not None:
        raise StateConflict("only a dead job without a live twin can be requeued")
    values = {"state": "ready", "attempts": 0, "waits": 0, "code": None, "step": None}
    values |= {"not_before": tx.now, "state_at": tx.now}
    tx.conn.execute(update(_T).where(_T.c.id == job_id).values(values))
    outbox.put(tx, job_id, tx.now)


def prune(tx: Tx, *, before: datetime, limit: int = 1000) -> int:
    """Delete rows of jobs that were done before that instant; returns how many."""
    old = select(_T.c.id).where(text(tables.DONE_JOB), _T.c.state_at < before).limit(limit)
    return tx.conn.execute(delete(_T).where(_T.c.id.in_(old))).rowcount


def _new(tx: Tx, **columns: Any) -> dict[str, Any]:
    """The row of a job that nobody has claimed yet."""
    counters = {"fence": 0, "attempts": 0, "waits": 0, "lasting": False, "again": False, "recalled": False}
    return {"id": new_id("job"), "state": "ready", "created_at": tx.now, "state_at": tx.now, **counters, **columns}


def _bring_forward(tx: Tx, kind: str, target: str, due_at: datetime) -> str | None:
    """The id of the live job, now due at `due_at` at the latest; None when there is none. A row that is as wanted
    already is not written, so that many who hurry the same duty do not wait for each other."""
    live = (_T.c.kind == kind, _T.c.target == target, text(tables.LIVE_JOB))
    late = or_(
        and_(_T.c.state == "leased", _T.c.again.is_(False)),
        and_(_T.c.state == "ready", _T.c.not_before > due_at),
    )
    running = _T.c.state == "leased"
    row = tx.conn.execute(
        update(_T)
        .where(*live, late)
        .values(again=running, not_before=case((running, _T.c.not_before), else_=literal(due_at, _T.c.not_before.type)))
        .returning(_T.c.id, _T.c.state)
    ).one_or_none()
    if row is None:
        return tx.conn.execute(select(_T.c.id).where(*live)).scalar_one_or_none()
    if row.state == "ready":
        outbox.put(tx, row.id, due_at)
    return str(row.id)


def _ready(tx: Tx, job: Job, due_at: datetime, *, code: str | None = None, **counters: int) -> None:
    """Our lease ends; the job is ready at `due_at` and has its bell. `counters`: attempts, waits."""
    values: dict[str, Any] = {
        **counters,
        "state": "ready",
        "lease_until": None,
        "holder": None,
        "step": None,
        "again": False,
        "not_before": due_at,
        "code": code,
        "state_at": tx.now,
    }
    _mine(tx, job, values)
    outbox.put(tx, job.id, due_at)


def _held_by(job: Job) -> tuple[ColumnElement[bool], ...]:
    return (_T.c.id == job.id, _T.c.fence == job.fence, _T.c.state == "leased", _T.c.recalled.is_(False))


def _mine(tx: Tx, job: Job, values: dict[str, Any]) -> None:
    if tx.conn.execute(update(_T).where(*_held_by(job)).values(values)).rowcount != 1:
        raise LeaseLost("another worker holds this job now")


def _lock(tx: Tx, job: Job) -> Any:
    row = tx.conn.execute(select(_T).where(*_held_by(job)).with_for_update()).one_or_none()
    if row is None:
        raise LeaseLost("another worker holds this job now")
    return row


def _has_attempts() -> ColumnElement[bool]:
    return or_(_T.c.attempts < ATTEMPTS, _T.c.lasting.is_(True))


def _back_off(attempts: int) -> timedelta:
    doublings: int = min(max(attempts - ATTEMPTS, 0), 10)
    return min(BACK_OFF * (1 << doublings), BACK_OFF_LONGEST)
