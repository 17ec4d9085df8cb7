"""Work that is put off, held from its birth, or called back while somebody does it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.contract.timed import Timed
from worker.errors import LeaseLost, StateConflict
from worker.ledger import leases, outbox
from worker.ledger.database import Tx
from worker.model import Job, WorkClass

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)


def held(timed: Timed) -> bool:
    with timed.ledger.read() as tx:
        return leases.held(tx, kind="process", target="t")


def recall(timed: Timed) -> None:
    with timed.ledger.begin() as tx:
        leases.recall(tx, "process", "t")


def test_waiting_is_no_attempt_however_often(timed: Timed) -> None:
    timed.create()
    for waits in range(10):
        job = timed.answer()
        assert (job.attempts, job.waits) == (1, waits)
        with timed.ledger.begin() as tx:
            leases.wait(tx, job, delay=MINUTE, code="storage_unavailable")
        assert timed.take() == []
        timed.go(MINUTE)

    with timed.ledger.read() as tx:
        assert leases.dead(tx) == []


def test_a_duty_that_went_well_has_forgotten_its_waits(timed: Timed) -> None:
    timed.create(every=MINUTE)
    job = timed.answer()
    with timed.ledger.begin() as tx:
        leases.wait(tx, job, delay=SECOND, code="storage_unavailable")
    timed.go(SECOND)
    job = timed.answer()
    with timed.ledger.begin() as tx:
        leases.finish(tx, job)
    timed.go(MINUTE)

    assert timed.answer().waits == 0


def test_a_lasting_job_outlives_every_crash_and_ends_when_it_is_done(timed: Timed) -> None:
    job_id = timed.create(lasting=True)
    for _ in range(6):
        (bell,) = timed.take()
        job = timed.claim(bell.job_id, bell.fence)
        assert job is not None
        assert job.lasting
        with timed.ledger.begin() as tx:
            leases.crashed(tx, job_id, job.fence - 1)
        timed.go(leases.BACK_OFF_LONGEST)

    # Also one whose worker went silent is rung again, and one that is buried only waits
    (bell,) = timed.take()
    silent = timed.claim(bell.job_id, bell.fence)
    assert silent is not None
    timed.go(leases.LEASE + SECOND)
    with timed.ledger.begin() as tx:
        (dead,) = leases.expired(tx, 10)
        assert not dead.exhausted
        leases.bury(tx, dead.job, code="crashed")
        assert leases.dead(tx) == []
    timed.go(leases.BACK_OFF_LONGEST)
    job = timed.answer()
    with timed.ledger.begin() as tx:
        leases.finish(tx, job)
        assert not leases.pending(tx, kinds=("process",))


def test_a_waiting_job_that_is_recalled_is_done_with(timed: Timed) -> None:
    timed.create()

    recall(timed)

    assert timed.take() == []
    with timed.ledger.read() as tx:
        assert not leases.pending(tx, kinds=("process",))


def test_a_running_job_that_is_recalled_is_lost_to_its_holder_and_held_until_it_lets_go(timed: Timed) -> None:
    timed.create()
    job = timed.answer()

    recall(timed)

    # Every verb that needs the lease says that it is lost
    def each(tx: Tx) -> None:
        leases.check(tx, job)

    for verb in (
        each,
        lambda tx: leases.heartbeat(tx, job),
        lambda tx: leases.finish(tx, job),
        lambda tx: leases.wait(tx, job, delay=SECOND, code="x"),
        lambda tx: leases.retry(tx, job, delay=SECOND, code="x"),
        lambda tx: leases.release(tx, job),
        lambda tx: leases.bury(tx, job, code="x"),
    ):
        with pytest.raises(LeaseLost), timed.ledger.begin() as tx:
            verb(tx)
    # And others still see that somebody works on it, until that one lets go
    assert held(timed)
    with timed.ledger.begin() as tx:
        assert leases.let_go(tx, job)
        assert not leases.let_go(tx, job)
    assert not held(timed)


def test_a_recalled_job_whose_holder_died_is_held_to_the_end_of_its_lease_and_never_claimed_again(
    timed: Timed,
) -> None:
    job_id = timed.create()
    job = timed.answer()
    recall(timed)

    timed.go(leases.LEASE + SECOND)

    assert not held(timed)
    assert timed.claim(job_id, job.fence) is None
    with timed.ledger.read() as tx:
        assert leases.expired(tx, 10) == []


def test_the_report_of_a_dead_holder_ends_a_recalled_job(timed: Timed) -> None:
    job_id = timed.create()
    job = timed.answer()
    recall(timed)

    with timed.ledger.begin() as tx:
        leases.crashed(tx, job_id, job.fence - 1)

    assert not held(timed)
    assert timed.take() == []


def test_letting_go_of_a_job_that_nobody_recalled_does_nothing(timed: Timed) -> None:
    timed.create()
    job = timed.answer()

    with timed.ledger.begin() as tx:
        assert not leases.let_go(tx, job)
        leases.check(tx, job)


def hold(timed: Timed) -> Job:
    with timed.ledger.begin() as tx:
        return leases.hold(tx, kind="receive", target="u", work_class=WorkClass.LIFECYCLE)


def test_a_job_in_hand_from_its_birth_rings_no_bell_and_can_be_finished(timed: Timed) -> None:
    job = hold(timed)

    assert timed.take() == []
    with pytest.raises(StateConflict):
        hold(timed)
    with timed.ledger.begin() as tx:
        leases.heartbeat(tx, job)
        leases.finish(tx, job)
        assert not leases.pending(tx, kinds=("receive",))


def test_a_job_in_hand_whose_holder_died_is_rung_like_any_other(timed: Timed) -> None:
    job = hold(timed)
    timed.go(leases.LEASE + SECOND)

    with timed.ledger.begin() as tx:
        (dead,) = leases.expired(tx, 10)
        outbox.put(tx, dead.job_id, tx.now)

    second = timed.answer()
    assert (second.id, second.kind, second.fence) == (job.id, "receive", job.fence + 1)
    with pytest.raises(LeaseLost), timed.ledger.begin() as tx:
        leases.finish(tx, job)
