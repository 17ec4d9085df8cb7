"""Jobs: one claimer, counted attempts, fences that only grow, bells that are never lost for good."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.contract import rows
from tests.contract.timed import START, Timed
from worker.errors import LeaseLost, NotFound, StateConflict
from worker.ledger import leases, outbox, tables
from worker.ledger.database import Ledger, Tx
from worker.ledger.outbox import Bell
from worker.model import Job, WorkClass, new_id

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)


def _count(tx: Tx, sql: str) -> int:
    return int(tx.conn.exec_driver_sql(sql).scalar_one())


def test_one_of_many_claimers_gets_the_job(ledger: Ledger) -> None:
    with ledger.begin() as tx:
        job_id = leases.create(tx, kind="process", target="t", work_class=WorkClass.IMAGE)

    def claim(number: int) -> Job | None:
        with ledger.begin() as tx:
            return leases.claim(tx, job_id, 0, f"worker-{number}")

    outcomes = rows.at_once(claim)

    assert sum(isinstance(outcome, Job) for outcome in outcomes) == 1
    assert sum(outcome is None for outcome in outcomes) == len(outcomes) - 1


def test_of_many_takers_each_gets_other_bells(ledger: Ledger) -> None:
    with ledger.begin() as tx:
        made = {leases.create(tx, kind="process", target=str(n), work_class=WorkClass.IMAGE) for n in range(40)}

    def take(_number: int) -> list[Bell]:
        with ledger.begin() as tx:
            return outbox.take(tx, limit=10)

    taken = [bell.job_id for bells in rows.at_once(take) for bell in bells]  # type: ignore[union-attr]

    assert sorted(taken) == sorted(set(taken))
    assert set(taken) == made


def test_of_many_creators_one_makes_the_row(ledger: Ledger) -> None:
    def create(_number: int) -> str:
        with ledger.begin() as tx:
            return leases.create(tx, kind="sweep", target="all", work_class=WorkClass.LIFECYCLE, every=MINUTE)

    outcomes = rows.at_once(create)

    assert len(set(outcomes)) == 1
    with ledger.read() as tx:
        assert _count(tx, "SELECT count(*) FROM leases") == _count(tx, "SELECT count(*) FROM outbox") == 1


def test_a_claim_takes_the_bell_with_it_and_a_second_delivery_falls_through(timed: Timed) -> None:
    timed.create()
    (bell,) = timed.take()

    first = timed.claim(bell.job_id, bell.fence)

    assert first is not None
    assert (first.fence, first.attempts, first.lease_until) == (1, 1, START + leases.LEASE)
    assert timed.claim(bell.job_id, bell.fence) is None
    assert timed.claim(bell.job_id, first.fence) is None
    timed.go(timedelta(hours=1))
    assert timed.take() == []


def test_a_job_is_not_due_before_its_time(timed: Timed) -> None:
    job_id = timed.create(not_before=START + MINUTE)

    assert timed.take() == []
    assert timed.claim(job_id, 0) is None
    timed.go(MINUTE)
    assert [bell.job_id for bell in timed.take()] == [job_id]
    assert timed.claim(job_id, 0) is not None


def test_creating_again_brings_it_forward_never_back(timed: Timed) -> None:
    job_id = timed.create(not_before=START + timedelta(hours=1))

    assert timed.create(not_before=START + timedelta(hours=2)) == job_id
    assert timed.take() == []
    assert timed.create() == job_id
    assert [bell.job_id for bell in timed.take()] == [job_id]


def test_asked_for_while_it_runs_it_runs_once_more(timed: Timed) -> None:
    job_id = timed.create()
    job = timed.answer()

    assert timed.create() == job_id
    assert timed.take() == []
    with timed.ledger.begin() as tx:
        leases.finish(tx, job)

    again = timed.answer()
    assert (again.id, again.fence, again.attempts) == (job_id, 2, 1)
    with timed.ledger.begin() as tx:
        leases.finish(tx, again)
    timed.go(MINUTE)
    assert timed.take() == []


def test_a_finished_job_is_over_and_its_name_is_free(timed: Timed) -> None:
    job_id = timed.create()
    job = timed.answer()
    with timed.ledger.begin() as tx:
        leases.finish(tx, job)

    assert timed.claim(job_id, job.fence) is None
    assert timed.create() != job_id


def test_a_lease_that_ran_out_goes_to_another_and_the_first_one_loses(timed: Timed) -> None:
    job_id = timed.create()
    first = timed.answer()
    assert timed.claim(job_id, first.fence) is None
    timed.go(leases.LEASE)

    second = timed.claim(job_id, first.fence)

    assert second is not None
    assert (second.fence, second.attempts) == (2, 2)
    for verb in (
        lambda tx: leases.heartbeat(tx, first),
        lambda tx: leases.check(tx, first),
        lambda tx: leases.finish(tx, first),
        lambda tx: leases.retry(tx, first, delay=SECOND, code="x"),
        lambda tx: leases.release(tx, first),
        lambda tx: leases.bury(tx, first, code="x"),
    ):
        with pytest.raises(LeaseLost), timed.ledger.begin() as tx:
            verb(tx)
    with timed.ledger.begin() as tx:
        leases.check(tx, second)


def test_a_heartbeat_keeps_the_lease_and_names_the_step(timed: Timed) -> None:
    timed.create()
    job = timed.answer()
    for _ in range(6):
        timed.go(leases.HEARTBEAT)
        with timed.ledger.begin() as tx:
            leases.heartbeat(tx, job, "rendered")

    with timed.ledger.begin() as tx:
        assert leases.expired(tx, 10) == []
        assert leases.held(tx, kind="process", target="t")
        leases.bury(tx, job, code="defect")
        assert [letter.step for letter in leases.dead(tx)] == ["rendered"]


def test_three_crashes_and_it_waits_for_a_person(timed: Timed) -> None:
    job_id = timed.create()
    for attempt in (1, 2, 3):
        job = timed.answer()
        assert job.attempts == attempt
        with timed.ledger.begin() as tx:
            leases.crashed(tx, job.id, job.fence - 1)
            leases.crashed(tx, job.id, job.fence - 1)

    assert timed.take() == []
    with timed.ledger.begin() as tx:
        (silent,) = leases.expired(tx, 10)
        assert (silent.job_id, silent.attempts, silent.exhausted) == (job_id, 3, True)
        assert leases.claim(tx, job_id, silent.fence, "here") is None
        leases.bury(tx, silent.job, code="crashed")
        assert [(letter.job_id, letter.code) for letter in leases.dead(tx)] == [(job_id, "crashed")]
        leases.requeue(tx, job_id)

    assert timed.answer().attempts == 1


def test_a_crash_report_that_comes_late_does_nothing(timed: Timed) -> None:
    job_id = timed.create()
    first = timed.answer()
    timed.go(leases.LEASE)
    second = timed.claim(job_id, first.fence)
    assert second is not None

    with timed.ledger.begin() as tx:
        leases.crashed(tx, job_id, first.fence - 1)

        leases.check(tx, second)


def test_a_retry_is_a_row_with_a_time(timed: Timed) -> None:
    timed.create()
    job = timed.answer()
    with timed.ledger.begin() as tx:
        assert leases.retry(tx, job, delay=MINUTE, code="storage_unavailable")

    assert timed.take() == []
    timed.go(MINUTE)
    again = timed.answer()
    assert (again.attempts, again.fence) == (2, 2)


def test_the_last_retry_buries_instead_of_forgetting(timed: Timed) -> None:
    timed.create()
    for more in (True, True, False):
        job = timed.answer()
        with timed.ledger.begin() as tx:
            assert leases.retry(tx, job, delay=timedelta(0), code="storage_unavailable") is more

    with timed.ledger.read() as tx:
        assert [letter.code for letter in leases.dead(tx)] == ["storage_unavailable"]


def test_giving_back_does_not_count(timed: Timed) -> None:
    timed.create()
    for _ in range(5):
        job = timed.answer()
        assert job.attempts == 1
        with timed.ledger.begin() as tx:
            leases.release(tx, job)


def test_a_duty_comes_again_and_never_dies(timed: Timed) -> None:
    timed.create(every=MINUTE)
    job = timed.answer()
    with timed.ledger.begin() as tx:
        leases.finish(tx, job)
    assert timed.take() == []
    timed.go(MINUTE)

    for crash in range(1, 8):
        (bell,) = timed.take()
        crashing = timed.claim(bell.job_id, bell.fence)
        assert crashing is not None
        with timed.ledger.begin() as tx:
            leases.crashed(tx, crashing.id, crashing.fence - 1)
        if crash >= leases.ATTEMPTS:
            assert timed.take() == []
            timed.go(leases.BACK_OFF_LONGEST)

    job = timed.answer()
    with timed.ledger.begin() as tx:
        leases.bury(tx, job, code="defect")
        assert leases.dead(tx) == []
    timed.go(leases.BACK_OFF_LONGEST)
    job = timed.answer()
    with timed.ledger.begin() as tx:
        leases.finish(tx, job)
    timed.go(MINUTE)
    assert timed.answer().attempts == 1


def test_a_duty_can_be_hurried_waiting_or_running(timed: Timed) -> None:
    timed.create(every=timedelta(hours=1), not_before=START + timedelta(hours=1))
    with timed.ledger.begin() as tx:
        leases.hurry(tx, "process", "t")
        leases.hurry(tx, "process", "nobody")
    job = timed.answer()
    with timed.ledger.begin() as tx:
        leases.hurry(tx, "process", "t")
        leases.finish(tx, job)

    job = timed.answer()
    with timed.ledger.begin() as tx:
        leases.finish(tx, job)
    assert timed.take() == []


def test_hurried_while_it_runs_and_then_waiting_it_looks_again_at_once(timed: Timed) -> None:
    timed.create()
    job = timed.answer()
    with timed.ledger.begin() as tx:
        leases.hurry(tx, "process", "t")
        leases.wait(tx, job, delay=timedelta(minutes=5), code="away")

    again = timed.answer()
    assert (again.id, again.waits) == (job.id, 1)
    with timed.ledger.begin() as tx:
        leases.wait(tx, again, delay=timedelta(minutes=5), code="away")
    assert timed.take() == []


def test_a_cancelled_job_is_gone_for_its_worker_too(timed: Timed) -> None:
    timed.create()
    job = timed.answer()
    with timed.ledger.begin() as tx:
        leases.cancel(tx, "process", "t")
        leases.cancel(tx, "process", "t")

    with pytest.raises(LeaseLost), timed.ledger.begin() as tx:
        leases.check(tx, job)
    with timed.ledger.read() as tx:
        assert not leases.pending(tx, kinds=("process",))


def test_a_lost_bell_rings_again_ever_later(timed: Timed) -> None:
    timed.create()
    waits = []
    for _ in range(7):
        (bell,) = timed.take()
        assert bell.fence == 0
        waited = timedelta(0)
        while not _rings(timed):
            timed.go(timedelta(seconds=30))
            waited += timedelta(seconds=30)
        waits.append(waited.total_seconds())

    assert waits == [30, 60, 120, 240, 480, 600, 600]


def _rings(timed: Timed) -> bool:
    with timed.ledger.read() as tx:
        return tx.conn.execute(tables.outbox.select().where(tables.outbox.c.ring_at <= tx.now)).first() is not None


def test_a_lost_queue_is_rung_at_once_and_only_what_was_rung(timed: Timed) -> None:
    mine = timed.create("t")
    timed.create("later", not_before=START + MINUTE)
    timed.take()
    timed.go(SECOND)
    assert timed.take() == []

    with timed.ledger.begin() as tx:
        assert outbox.ring_all(tx, WorkClass.VIDEO) == 0
        assert outbox.ring_all(tx, WorkClass.IMAGE) == 1

    assert [bell.job_id for bell in timed.take()] == [mine]


def test_a_bell_put_back_after_the_end_is_thrown_away(timed: Timed) -> None:
    job_id = timed.create()
    job = timed.answer()
    with timed.ledger.begin() as tx:
        outbox.put(tx, job_id, tx.now)
        leases.finish(tx, job)
        outbox.put(tx, job_id, tx.now)

    with timed.ledger.read() as tx:
        assert _count(tx, "SELECT count(*) FROM outbox") == 0


def test_a_dead_letter_needs_no_job(ledger: Ledger) -> None:
    with ledger.begin() as tx:
        first = leases.dead_letter(tx, kind="mayfly.submit", code="bad_message", detail="app: must not be empty")
        leases.dead_letter(tx, kind="mayfly.submit", code="bad_message")
        assert leases.dead_one(tx, first).detail == "app: must not be empty"
        assert len(leases.dead(tx)) == 2
        assert leases.counts(tx).dead == {"control": 2}
        with pytest.raises(NotFound):
            leases.dead_one(tx, new_id("job"))


def test_only_the_dead_are_requeued(timed: Timed) -> None:
    job_id = timed.create()

    with pytest.raises(StateConflict), timed.ledger.begin() as tx:
        leases.requeue(tx, job_id)
    with pytest.raises(NotFound), timed.ledger.begin() as tx:
        leases.requeue(tx, new_id("job"))
    job = timed.answer()
    with timed.ledger.begin() as tx:
        leases.bury(tx, job, code="defect")
    timed.create()
    with pytest.raises(StateConflict), timed.ledger.begin() as tx:
        leases.requeue(tx, job_id)


def test_figures(timed: Timed) -> None:
    timed.create("a")
    job = timed.answer()
    timed.create("b")
    timed.create("c", not_before=START + timedelta(hours=1))
    timed.go(SECOND * 5)

    with timed.ledger.begin() as tx:
        counts = leases.counts(tx)
        assert (counts.ready, counts.leased, counts.dead) == ({"image": 1}, {"image": 1}, {})
        assert counts.oldest_ready_seconds == 5
        assert outbox.waiting(tx)[WorkClass.IMAGE] == 1
        leases.finish(tx, job)
        assert leases.prune(tx, before=tx.now) == 0
        assert leases.prune(tx, before=tx.now + SECOND) == 1
