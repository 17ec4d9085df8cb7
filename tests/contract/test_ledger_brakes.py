"""What the brakes remember: tallies by day, one brake a trigger, and exactly what waits behind it."""

from __future__ import annotations

from datetime import timedelta

from tests.contract import rows
from tests.contract.timed import START, Timed
from worker.ledger import brakes, uploads
from worker.ledger.database import Ledger
from worker.model import UploadState

HOUR = timedelta(hours=1)
KEPT = "retention"


def test_erasures_are_tallied_by_day_and_what_was_released_does_not_count_again(timed: Timed) -> None:
    for day, times in enumerate((3, 0, 2)):
        with timed.ledger.begin() as tx:
            for _ in range(times):
                brakes.tally(tx, KEPT)
            if day == 2:
                brakes.tally(tx, KEPT, released=40)
                brakes.tally(tx, "other")
        timed.go(rows.DAY)
    timed.go(-rows.DAY)

    with timed.ledger.begin() as tx:
        assert brakes.begun_today(tx, KEPT) == 2
        assert brakes.history(tx, KEPT, days=14) == (3,)
        assert brakes.history(tx, KEPT, days=1) == ()
        brakes.prune(tx, older=rows.DAY)
        assert brakes.history(tx, KEPT, days=14) == ()
    timed.go(rows.DAY)
    with timed.ledger.begin() as tx:
        assert brakes.begun_today(tx, KEPT) == 0
        assert brakes.history(tx, KEPT, days=14) == (42,)


def test_many_hands_tally_every_one(ledger: Ledger) -> None:
    def add(_hand: int) -> None:
        for _ in range(5):
            with ledger.begin() as tx:
                brakes.tally(tx, KEPT)

    assert rows.at_once(add, hands=4) == [None] * 4
    with ledger.read() as tx:
        assert brakes.begun_today(tx, KEPT) == 20


def test_a_brake_trips_once_and_again_only_after_its_end(timed: Timed) -> None:
    with timed.ledger.begin() as tx:
        assert brakes.trip(tx, KEPT, reason="first", amount=101, permitted=100)
        assert not brakes.trip(tx, KEPT, reason="second", amount=102, permitted=100)
        assert [(brake.reason, brake.amount) for brake in brakes.all_on(tx)] == [("first", 101)]
        brakes.end(tx, KEPT)
        assert brakes.all_on(tx) == []
        ended = brakes.find(tx, KEPT)
        assert ended is not None
        assert ended.ended_at == START
    timed.go(HOUR)
    with timed.ledger.begin() as tx:
        assert brakes.trip(tx, KEPT, reason="third", amount=7, permitted=3)
        (on,) = brakes.all_on(tx)
        assert (on.tripped_at, on.ended_at, on.released_count) == (START + HOUR, None, None)


def test_a_release_lets_go_what_waits_for_as_long_as_it_counts(timed: Timed) -> None:
    with timed.ledger.begin() as tx:
        brakes.trip(tx, KEPT, reason="many", amount=101, permitted=100)
        first, second, third = (rows.upload(tx, UploadState.ERASING).id for _ in range(3))
        for upload_id in (first, second):
            brakes.hold_back(tx, upload_id)
        assert (brakes.waiting(tx), brakes.waits(tx, third)) == (2, False)
        assert not brakes.let_through(tx, first)

        assert brakes.release(tx, count=2, lasts=HOUR) == 2

        brakes.hold_back(tx, third)
        assert brakes.waiting(tx) == 1
        assert brakes.released(tx, after="", limit=9) == sorted([first, second])
        assert brakes.released(tx, after=min(first, second), limit=9) == [max(first, second)]
        recorded = brakes.find(tx, KEPT)
        assert recorded is not None
        assert (recorded.released_count, recorded.released_until) == (2, START + HOUR)
        # One that went through is not asked again, and what fell due later waits
        assert brakes.let_through(tx, first)
        assert not brakes.let_through(tx, third)
    timed.go(HOUR)
    with timed.ledger.begin() as tx:
        # An hour later the word counts no more
        assert brakes.let_through(tx, first)
        assert not brakes.let_through(tx, second)
        assert brakes.waiting(tx) == 2
        assert brakes.let_through(tx, second, always=True)
        assert brakes.waiting(tx) == 1


def test_what_is_due_and_what_lives_are_counted_and_no_more_than_asked(timed: Timed) -> None:
    with timed.ledger.begin() as tx:
        for state in (UploadState.READY, UploadState.FAILED, UploadState.RECEIVING, UploadState.ERASING):
            rows.upload(tx, state, lives=HOUR)
        rows.upload(tx, lives=2 * HOUR)
        assert uploads.count_due(tx) == 0
    timed.go(HOUR)

    with timed.ledger.read() as tx:
        assert uploads.count_due(tx) == 3 == len(uploads.due(tx, 9))
        assert [uploads.count_living(tx, at_most=most) for most in (0, 3, 9)] == [0, 3, 4]


def test_the_last_sweep_is_remembered_by_the_databases_clock(timed: Timed) -> None:
    with timed.ledger.begin() as tx:
        assert brakes.last_sweep(tx) is None
        brakes.swept(tx)
    timed.go(HOUR)
    with timed.ledger.begin() as tx:
        assert brakes.last_sweep(tx) == START
        brakes.swept(tx)
        assert brakes.last_sweep(tx) == START + HOUR
