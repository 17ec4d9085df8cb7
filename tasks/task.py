"""The one wrapper around every job: claim or leave quietly, keep the lease, run the flow, settle by fence.

Nothing leaves it: a `MemoryError` or `SystemExit` that reached Celery would kill the worker and travel on to the next.
Retry lives here and nowhere else, as a row with a time. Refuses misspelt options and messages of a wrong shape.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, TypeAlias

from tasks.guard import LeaseGuard, code_of
from tasks.seat import House, Seat
from worker.errors import Defect, LeaseLost, MayflyError
from worker.ledger import leases
from worker.model import Job, WorkClass, is_id

if TYPE_CHECKING:
    from worker.flows.guard import Guard
    from worker.ledger.database import Tx

PREFIX = "mayfly.job."
# A third of the lease: two lost beats are survived.
_BEATS_A_LEASE = 3
_ENTROPY = random.SystemRandom()

Run: TypeAlias = "Callable[[House, str, Job, Guard], None]"
ErrorClass: TypeAlias = Literal["transient", "partner", "crash"]


@dataclass(frozen=True, kw_only=True)
class JobTask:
    """A kind of job and the plain callable that does it; calling it needs no queue.

    `classes` are the queues that may carry it. `awaited_by` is the kind of job that waits until a recalled one of these
    has let go of the same target.
    """

    kind: str
    classes: frozenset[WorkClass]
    run: Run
    awaited_by: str | None = None

    @property
    def name(self) -> str:
        return f"{PREFIX}{self.kind}"

    def __call__(self, house: House, target: str, job: Job, guard: Guard) -> None:
        self.run(house, target, job, guard)


def job(
    *, kind: str, work_class: WorkClass | tuple[WorkClass, ...], awaited_by: str | None = None
) -> Callable[[Run], JobTask]:
    """Declare a job. Keyword options only, and only these: Celery would swallow a misspelt one in silence."""
    classes = frozenset(work_class if isinstance(work_class, tuple) else (work_class,))
    return lambda run: JobTask(kind=kind, classes=classes, run=run, awaited_by=awaited_by)


@dataclass(frozen=True, kw_only=True)
class Backoff:
    """Seconds: the ceiling of the first wait, and the ceiling of all waits; it doubles in between."""

    first_s: float
    cap_s: float


BACKOFF: Mapping[ErrorClass, Backoff] = MappingProxyType(
    {
        # A database or a bucket that is away for a moment.
        "transient": Backoff(first_s=2, cap_s=300),
        # Another company's service: they count our calls.
        "partner": Backoff(first_s=30, cap_s=3_600),
        # We died of it; the next try must not come while the cause (memory, disk) is still there.
        "crash": Backoff(first_s=5, cap_s=120),
    }
)


def delay_of(
    error_class: ErrorClass, attempt: int, *, retry_after_s: float = 0.0, chance: float | None = None
) -> timedelta:
    """Exponential with full jitter; never earlier than the other side asked for.

    `attempt` counts from 1; `chance` in [0, 1) replaces the dice in tests. At most a day, whatever a partner asks.
    """
    backoff = BACKOFF[error_class]
    ceiling = min(backoff.cap_s, backoff.first_s * 2.0 ** min(max(attempt, 1) - 1, 30))
    jitter = ceiling * (_ENTROPY.random() if chance is None else chance)
    return timedelta(seconds=min(86_400.0, max(0.0, retry_after_s) + jitter))


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What becomes of the job: `done`, `quiet` (not ours any more), `wait` (something is away), `retry` (after a
    crash) or `dead`."""

    verb: Literal["done", "quiet", "wait", "retry", "dead"]
    code: str = ""
    delay: timedelta = timedelta(0)


DONE = Outcome(verb="done")
QUIET = Outcome(verb="quiet")
_DEATHS: tuple[tuple[str, str], ...] = (
    ("MemoryError", "out_of_memory"),
    ("SoftTimeLimitExceeded", "time_limit"),
    ("SystemExit", "worker_exit"),
    ("KeyboardInterrupt", "worker_exit"),
)


def judge(error: BaseException, claimed: Job) -> Outcome:
    """The one question a failure answers: would trying again help?

    What is away comes back: such a job waits, however often, and its upload's last day bounds that. What is not of our
    error trees is a crash: tried again, but at most `leases.ATTEMPTS` times in all. A lasting job is tried for ever.
    """
    if isinstance(error, LeaseLost):
        return QUIET
    known = isinstance(getattr(error, "retryable", None), bool) and not isinstance(error, Defect)
    if known and getattr(error, "retryable", False):
        error_class: ErrorClass = "partner" if claimed.work_class is WorkClass.PARTNER else "transient"
        delay = delay_of(error_class, claimed.waits + 1, retry_after_s=_asked(error))
        return Outcome(verb="wait", code=code_of(error), delay=delay)
    code = code_of(error) if known or isinstance(error, MayflyError) else _death(error)
    if (known or claimed.attempts >= leases.ATTEMPTS) and not claimed.lasting:
        return Outcome(verb="dead", code=code)
    return Outcome(verb="retry", code=code, delay=delay_of("crash", claimed.attempts))


def perform(seat: Seat, task: JobTask, row_id: object, fence: object) -> None:
    """One delivery of one message, from claim to settlement; returns in every case and raises nothing."""
    try:
        house = seat.open()
        house.permit()
        if not is_id(row_id, "job") or type(fence) is not int or fence < 0:
            house.log.warning("message_refused", kind=task.kind, code="bad_arguments")
            return
        claimed = _claim(seat, house, task, str(row_id), fence)
        if claimed is not None:
            _settle(house, task, claimed, _attempt(seat, house, task, claimed))
    except BaseException as error:  # noqa: BLE001  the lease runs out by itself; the worker must live
        _whisper(seat, error)


def _claim(seat: Seat, house: House, task: JobTask, row_id: str, fence: int) -> Job | None:
    """None = duplicate, done, stale, not due, or held by another: leave quietly."""
    with house.ledger.begin() as tx:
        lease = timedelta(seconds=seat.settings.lease_seconds)
        claimed = leases.claim(tx, row_id, fence, seat.holder(), lease=lease)
        if claimed is not None and claimed.kind != task.kind:
            # The message named another kind than the row: only a stranger on the broker does that.
            leases.release(tx, claimed)
            house.log.warning("message_refused", job_id=row_id, kind=task.kind, code="wrong_kind")
            return None
    return claimed


def _attempt(seat: Seat, house: House, task: JobTask, claimed: Job) -> Outcome:
    lease_s = seat.settings.lease_seconds
    guard = LeaseGuard(
        house.ledger,
        claimed,
        drain=seat.drain,
        log=house.log,
        lease_s=lease_s,
        beat_s=lease_s / _BEATS_A_LEASE,
        observer=seat.observer,
    )
    try:
        with guard:
            task(house, claimed.target, claimed, guard)
    except BaseException as error:  # noqa: BLE001  MemoryError and SystemExit become a row, not a dead worker
        return QUIET if guard.cancelled() else judge(error, claimed)
    return DONE


def _settle(house: House, task: JobTask, claimed: Job, outcome: Outcome) -> None:
    """Write the outcome under our fence; where the fence is no longer ours, only that nothing of it runs any more."""
    if outcome.verb == "dead":
        house.give_up(task.kind, claimed.target, outcome.code)
    try:
        if outcome.verb == "quiet":
            raise LeaseLost("this job is not ours any more")
        with house.ledger.begin() as tx:
            _write(tx, claimed, outcome)
    except LeaseLost:
        _let_go(house, task, claimed)
        return
    if outcome.verb != "done":
        say = house.log.info if outcome.verb == "wait" else house.log.warning
        say(f"job_{outcome.verb}", job_id=claimed.id, kind=claimed.kind, attempts=claimed.attempts, code=outcome.code)


def _write(tx: Tx, claimed: Job, outcome: Outcome) -> None:
    if outcome.verb == "done":
        leases.finish(tx, claimed)
    elif outcome.verb == "wait":
        leases.wait(tx, claimed, delay=outcome.delay, code=outcome.code)
    elif outcome.verb == "retry":
        leases.retry(tx, claimed, delay=outcome.delay, code=outcome.code)
    else:
        leases.bury(tx, claimed, code=outcome.code)


def _let_go(house: House, task: JobTask, claimed: Job) -> None:
    """Whoever recalled the job need not wait for the end of its lease."""
    with house.ledger.begin() as tx:
        if leases.let_go(tx, claimed) and task.awaited_by is not None:
            leases.hurry(tx, task.awaited_by, claimed.target)


def _death(error: BaseException) -> str:
    names = {base.__name__ for base in type(error).__mro__}
    return next((code for name, code in _DEATHS if name in names), "defect")


def _asked(error: BaseException) -> float:
    """Seconds the other side asked us to wait (`retry_after`), or 0; anything else than a number counts as 0."""
    asked = getattr(error, "retry_after", None)
    if isinstance(asked, timedelta):
        return asked.total_seconds()
    return float(asked) if isinstance(asked, int | float) and math.isfinite(asked) else 0.0


def _whisper(seat: Seat, error: BaseException) -> None:
    """Say that a delivery failed, if anything can still be said."""
    try:
        seat.open().log.error("delivery_failed", code=code_of(error))
    except BaseException:  # noqa: BLE001  no house, no log: the relay rings again, and the lease runs out
        return
