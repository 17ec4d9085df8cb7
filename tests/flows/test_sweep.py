"""What is due goes, what is not stays, and whoever runs it, whenever, the end is the same."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from storage_backends.keys import Key
from tests import houses, samples
from worker.ledger import artifacts, events, holds, leases, tombstones
from worker.ledger.clock import ShiftedClock
from worker.ledger.database import Tx
from worker.model import ArtifactKind, ArtifactState, UploadState
from worker.wiring import House

DAY = timedelta(days=1)


def later(house: House, by: timedelta) -> House:
    return houses.at(house, ShiftedClock(by=by))


def ready(house: House, **wishes: object) -> str:
    upload = houses.receive(house, samples.png(), **wishes)
    houses.work(house)
    assert houses.upload_of(house, upload.id).state is UploadState.READY
    return upload.id


def test_an_upload_lives_as_long_as_was_asked_and_no_longer(house: House) -> None:
    # Given one upload for thirty days and one for ninety
    short, long = ready(house, keep_for=30 * DAY), ready(house, keep_for=90 * DAY)

    # When the sweep comes a minute before the first one's last day, Then nothing goes
    houses.sweep(later(house, 30 * DAY - timedelta(minutes=1)))
    assert houses.upload_of(house, short).state is UploadState.READY

    # And after it, that one goes whole, with its receipt, and the other stays
    houses.sweep(later(house, 30 * DAY + timedelta(minutes=1)))
    assert houses.upload_of(house, short).state is UploadState.ERASED
    assert houses.upload_of(house, long).state is UploadState.READY
    assert len(houses.files_below(house.settings.home)) == 3


def test_an_upload_that_never_was_processed_goes_after_a_day(house: House) -> None:
    upload = houses.receive(house, samples.png())

    houses.sweep(later(house, DAY + timedelta(minutes=1)))

    assert houses.upload_of(house, upload.id).state is UploadState.ERASED
    assert houses.files_below(house.settings.home) == []


def test_the_evidence_of_a_failed_upload_goes_after_seven_days(house: House) -> None:
    upload = houses.receive(house, samples.photo()[:9_000])
    houses.work(house)
    assert len(houses.files_below(house.settings.home)) == 1

    houses.sweep(later(house, 7 * DAY - timedelta(minutes=1)))
    assert len(houses.files_below(house.settings.home)) == 1

    houses.sweep(later(house, 7 * DAY + timedelta(minutes=1)))
    assert houses.files_below(house.settings.home) == []
    assert houses.upload_of(house, upload.id).state is UploadState.ERASED


def test_a_hold_keeps_what_is_due_and_its_release_lets_it_go(house: House) -> None:
    upload_id = ready(house, keep_for=DAY)
    with house.ledger.begin() as tx:
        holds.place(tx, upload_id=upload_id, case_ref="c1", reason="court order", authority="court")
    after = later(house, 2 * DAY)

    houses.sweep(after)

    assert houses.upload_of(house, upload_id).state is UploadState.READY
    assert len(houses.files_below(house.settings.home)) == 3
    with after.ledger.begin() as tx:
        # Kept on purpose is not overdue.
        assert artifacts.oldest_overdue_seconds(tx) == 0
        holds.release(tx, upload_id=upload_id, case_ref="c1")
    houses.sweep(after)
    assert houses.upload_of(house, upload_id).state is UploadState.ERASED


def test_the_working_copy_of_a_killed_run_is_swept_by_its_row(house: House) -> None:
    # Given a run that was killed: its working copy lies in scratch
    upload = houses.receive(house, samples.png())
    work = house.shelf.plan(upload, ArtifactKind.SCRATCH, "work")
    room = house.shelf.scratch.make(Key.parse(work.key))
    (room / "frame").write_bytes(b"pixels of somebody")

    # When its hour is over, Then it is gone, and looked for
    houses.sweep(later(house, timedelta(hours=1, minutes=1)))
    assert not room.exists()
    states = {c.id: c.state for c in houses.copies_of(house, upload.id) if c.kind is ArtifactKind.SCRATCH}
    assert states[work.id] is ArtifactState.GONE


def test_a_sweep_that_finds_nothing_writes_nothing(house: House) -> None:
    upload_id = ready(house)
    with house.ledger.read() as tx:
        before = len(events.of_upload(tx, upload_id))

    for _ in range(3):
        houses.sweep(house)

    with house.ledger.read() as tx:
        assert len(events.of_upload(tx, upload_id)) == before


def test_many_sweeps_at_once_erase_each_copy_once(house: House) -> None:
    for _ in range(6):
        houses.receive(house, samples.png((16, 16)))
    after = later(house, 2 * DAY)
    # Given six uploads that are due, When four sweeps run at the same time
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _n: after.sweeping.run(houses.FreeGuard()), range(4)))
    houses.work(after)

    # Then each is erased once
    with house.ledger.read() as tx:
        gone = artifacts.counts(tx)
        assert gone == {"gone": 6}
        assert not leases.pending(tx, kinds=("erase",))
    assert houses.files_below(house.settings.home) == []


def test_the_ledger_forgets_jobs_after_a_week_and_tombstones_when_no_backup_can_be_older(house: House) -> None:
    upload_id = ready(house, keep_for=DAY)
    houses.sweep(later(house, 2 * DAY))
    with house.ledger.read() as tx:
        assert tombstones.find(tx, upload_id) is not None
        assert jobs_done(tx) > 0

    houses.sweep(later(house, 20 * DAY))
    with house.ledger.read() as tx:
        assert tombstones.find(tx, upload_id) is not None
        assert jobs_done(tx) == 0

    houses.sweep(later(house, 70 * DAY))
    with house.ledger.read() as tx:
        assert tombstones.find(tx, upload_id) is None


def jobs_done(tx: Tx) -> int:
    return int(tx.conn.exec_driver_sql("SELECT count(*) FROM leases WHERE state = 'done'").scalar_one())
