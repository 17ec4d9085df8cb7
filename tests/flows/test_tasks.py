"""The one wrapper around every job: whatever a job does, the worker lives, and the ledger says what became of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest

from tasks.guard import LeaseGuard
from tasks.seat import Drain, Seat
from tasks.task import BACKOFF, JobTask, delay_of, job, judge, perform
from tests.servers import until
from worker.errors import Defect, LeaseLost, Refused, Unavailable
from worker.flows.guard import Guard
from worker.ledger import leases, outbox
from worker.ledger.outbox import Bell
from worker.model import Job, WorkClass, new_id
from worker.wiring import House

Deed = Callable[[House, str, Job, Guard], None]


def task_of(deed: Deed, *, awaited_by: str | None = None) -> JobTask:
    classes = frozenset({WorkClass.LIFECYCLE})
    return JobTask(kind="erase", classes=classes, run=deed, awaited_by=awaited_by)  # type: ignore[arg-type]


def rung(
    house: House, target: str = "t", *, kind: str = "erase", every: timedelta | None = None, lasting: bool = False
) -> Bell:
    with house.ledger.begin() as tx:
        leases.create(tx, kind=kind, target=target, work_class=WorkClass.LIFECYCLE, every=every, lasting=lasting)
        return next(bell for bell in outbox.take(tx, limit=100) if bell.kind == kind)


def ring(house: House, task: JobTask, bell: Bell, seat: Seat | None = None) -> None:
    seat = seat or Seat(house.settings, lambda _settings: house)
    perform(seat, task, bell.job_id, bell.fence)


def state(house: House, job_id: str) -> tuple[str, int, int, str | None]:
    with house.ledger.read() as tx:
        row = tx.conn.exec_driver_sql(f"SELECT state, attempts, waits, code FROM leases WHERE id = '{job_id}'").one()
    return row.state, row.attempts, row.waits, row.code


def raising(error: BaseException) -> Deed:
    def deed(_house: House, _target: str, _job: Job, _guard: Guard) -> None:
        raise error

    return deed


def nothing(_house: House, _target: str, _job: Job, _guard: Guard) -> None:
    """A job that is done at once."""


def test_a_job_that_returns_is_done(house: House) -> None:
    bell = rung(house)
    ring(house, task_of(nothing), bell)
    assert state(house, bell.job_id) == ("done", 1, 0, None)


@pytest.mark.parametrize(
    ("error", "becomes"),
    [
        (Unavailable("away", code="storage_unavailable"), ("ready", 0, 1, "storage_unavailable")),
        (Refused("no", code="bad_thing"), ("dead", 1, 0, "bad_thing")),
        (Defect("broken", code="broken_row"), ("ready", 1, 0, "broken_row")),
        (MemoryError(), ("ready", 1, 0, "out_of_memory")),
        (SystemExit(3), ("ready", 1, 0, "worker_exit")),
        (KeyboardInterrupt(), ("ready", 1, 0, "worker_exit")),
        (RecursionError("anna@example.org"), ("ready", 1, 0, "defect")),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_whatever_a_job_raises_becomes_a_row(
    house: House, error: BaseException, becomes: tuple[str, int, int, str], capfd: pytest.CaptureFixture[str]
) -> None:
    # When a job raises, Then nothing leaves the wrapper, and the row says what became of it
    bell = rung(house)
    ring(house, task_of(raising(error)), bell)
    assert state(house, bell.job_id) == becomes
    # And the text of the error is in no log
    assert "anna" not in "".join(capfd.readouterr())


def test_three_crashes_are_enough(house: House) -> None:
    bell = rung(house)
    for _ in range(3):
        ring(house, task_of(raising(MemoryError())), bell)
        with house.ledger.begin() as tx:
            leases.hurry(tx, "erase", "t")
            bell = next(iter(outbox.take(tx, limit=1)), bell)
    assert state(house, bell.job_id) == ("dead", 3, 0, "out_of_memory")


def test_a_duty_never_dies(house: House) -> None:
    bell = rung(house, "all", kind="reconcile", every=timedelta(hours=1))
    task = JobTask(kind="reconcile", classes=frozenset({WorkClass.LIFECYCLE}), run=raising(Refused("x")))  # type: ignore[arg-type]
    for _ in range(5):
        ring(house, task, bell)
        with house.ledger.begin() as tx:
            leases.hurry(tx, "reconcile", "all")
            bell = next(iter(outbox.take(tx, limit=1)), bell)
    assert state(house, bell.job_id)[0] == "ready"


def test_an_erasure_is_never_set_aside_however_often_its_worker_dies(house: House) -> None:
    bell = rung(house, lasting=True)
    for error in (MemoryError(), Refused("x"), Defect("y"), SystemExit(), RuntimeError(), MemoryError()):
        ring(house, task_of(raising(error)), bell)
        assert state(house, bell.job_id)[0] == "ready"
        with house.ledger.begin() as tx:
            leases.hurry(tx, "erase", "t")
            bell = next(iter(outbox.take(tx, limit=1)), bell)

    ring(house, task_of(nothing), bell)
    assert state(house, bell.job_id)[0] == "done"


@pytest.mark.parametrize(
    "wrong",
    [
        ("nope", 0),
        ("job_1", 0),
        (new_id("upl"), 0),
        (7, 0),
        (new_id("job"), "0"),
        (new_id("job"), True),
        (new_id("job"), -1),
    ],
)
def test_a_message_of_a_wrong_shape_does_nothing(house: House, wrong: tuple[object, object]) -> None:
    called: list[str] = []
    perform(
        Seat(house.settings, lambda _settings: house),
        task_of(lambda _h, target, _j, _g: called.append(target)),
        *wrong,
    )
    assert called == []


def test_a_stale_or_doubled_message_does_nothing(house: House) -> None:
    bell = rung(house)
    called: list[str] = []
    task = task_of(lambda _h, target, _j, _g: called.append(target))
    for _ in range(100):
        ring(house, task, bell)
    assert called == ["t"]


def test_a_message_that_names_another_kind_gives_the_job_back(house: House) -> None:
    bell = rung(house, kind="sweep")
    called: list[str] = []
    ring(house, task_of(lambda _h, target, _j, _g: called.append(target)), bell)
    assert called == []
    assert state(house, bell.job_id)[:2] == ("ready", 0)


def test_a_recalled_job_lets_go_and_wakes_who_waits_for_it(house: House) -> None:
    # Given an erasure that waits, and a job that is recalled while it runs
    with house.ledger.begin() as tx:
        waiting = leases.create(
            tx,
            kind="erase_later",
            target="t",
            work_class=WorkClass.LIFECYCLE,
            not_before=tx.now + timedelta(hours=1),
        )

    def recalled(house: House, target: str, _job: Job, guard: Guard) -> None:
        with house.ledger.begin() as tx:
            leases.recall(tx, "erase", target)
        until(guard.cancelled, within=5, what="the loss of the lease")
        guard.check()

    bell = rung(house)
    settings = house.settings.model_copy(update={"lease_seconds": 0.6})
    ring(
        house,
        task_of(recalled, awaited_by="erase_later"),
        bell,
        Seat(settings, lambda _settings: house),
    )

    # Then it is over at once, and the one that waited is due
    assert state(house, bell.job_id)[0] == "done"
    with house.ledger.begin() as tx:
        assert [bell.job_id for bell in outbox.take(tx, limit=10)] == [waiting]


def test_a_lease_is_kept_while_its_job_runs(house: House) -> None:
    seen: list[bool] = []

    def long(house: House, target: str, _job: Job, guard: Guard) -> None:
        enough = threading.Event()
        for _ in range(6):
            enough.wait(0.2)
            guard.check()
            with house.ledger.read() as tx:
                seen.append(leases.held(tx, kind="erase", target=target))

    bell = rung(house)
    # When a job runs three times as long as its lease
    settings = house.settings.model_copy(update={"lease_seconds": 0.5})
    ring(house, task_of(long), bell, Seat(settings, lambda _settings: house))

    # Then it was its own all the time, and is done
    assert seen == [True] * 6
    assert state(house, bell.job_id)[0] == "done"


def test_a_draining_worker_gives_its_job_back_uncounted(house: House) -> None:
    seat = Seat(house.settings, lambda _settings: house)

    def endless(_house: House, _target: str, _job: Job, guard: Guard) -> None:
        seat.drain.begin(0.0)
        until(guard.cancelled, within=5, what="the end of the lease")
        guard.check()

    bell = rung(house)
    ring(house, task_of(endless), bell, seat)

    assert state(house, bell.job_id)[:2] == ("ready", 0)


def test_a_guard_without_its_ledger_stops_when_its_lease_must_be_over(house: House) -> None:
    # Given a lease whose row is gone
    bell = rung(house)
    with house.ledger.begin() as tx:
        claimed = leases.claim(tx, bell.job_id, bell.fence, "here", lease=timedelta(seconds=0.3))
        assert claimed is not None
        tx.conn.exec_driver_sql("DELETE FROM outbox")
        tx.conn.exec_driver_sql("DELETE FROM leases")
    guard = LeaseGuard(house.ledger, claimed, drain=Drain(), log=house.log, lease_s=0.3, beat_s=10)

    # When its time has passed, Then the job must stop
    with guard:
        until(guard.cancelled, within=5, what="the end of the lease")
        with pytest.raises(LeaseLost):
            guard.check()


def test_misspelt_options_are_refused() -> None:
    with pytest.raises(TypeError):
        job(kind="x", work_class=WorkClass.IMAGE, ignore_results=True)  # type: ignore[call-arg]


def test_waits_grow_are_jittered_and_have_a_ceiling() -> None:
    spans = [delay_of("transient", attempt, chance=0.999).total_seconds() for attempt in range(1, 40)]
    assert spans == sorted(spans)
    assert spans[0] <= BACKOFF["transient"].first_s
    assert spans[-1] <= BACKOFF["transient"].cap_s
    assert delay_of("partner", 1, retry_after_s=600, chance=0.0) == timedelta(seconds=600)
    assert delay_of("partner", 1, retry_after_s=float(10**9), chance=0.0) == timedelta(days=1)


@pytest.mark.parametrize("asked", [float("nan"), float("inf"), -5.0, "soon", None])
def test_a_foolish_retry_after_is_ignored(house: House, asked: object) -> None:
    error = Unavailable("away")
    error.retry_after = asked  # type: ignore[attr-defined]
    with house.ledger.read() as tx:
        now = tx.now
    claimed = Job(
        id=new_id("job"),
        kind="x",
        target="t",
        work_class=WorkClass.PARTNER,
        fence=1,
        attempts=1,
        lease_until=now,
    )
    assert timedelta(0) <= judge(error, claimed).delay <= timedelta(seconds=BACKOFF["partner"].first_s)
