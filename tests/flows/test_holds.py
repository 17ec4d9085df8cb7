"""What keeps an upload past its day: holds of one and of two people, evidence out of a bucket's reach, restriction."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests import houses, samples
from tests.buckets import S3Server
from worker.cli import views
from worker.errors import HoldActive, NotFound, Refused, Restricted, StateConflict
from worker.ledger import artifacts, leases, restrictions, uploads
from worker.ledger.clock import FixedClock, ShiftedClock
from worker.media.jail import Jail
from worker.model import ArtifactKind, ArtifactState, Hold, Trigger, UploadState, WorkClass, new_id
from worker.wiring import House

DAY = timedelta(days=1)


def ready(house: House, **named: object) -> str:
    upload = houses.receive(house, samples.png(), **named)
    houses.work(house)
    assert houses.upload_of(house, upload.id).state is UploadState.READY
    return upload.id


def hold(house: House, upload_id: str, case: str = "c1", **named: object) -> Hold:
    given = {"reason": "court order", "authority": "court", **named}
    return house.holding.place(upload_id=upload_id, case_ref=case, **given)  # type: ignore[arg-type]


def restrict(house: House, upload_id: str) -> None:
    with house.ledger.begin() as tx:
        restrictions.place(tx, upload_id=upload_id, reason="accuracy contested")


def lift(house: House, upload_id: str) -> None:
    with house.ledger.begin() as tx:
        restrictions.lift(tx, upload_id=upload_id, actor="operator")


def due_now(house: House, kind: str, target: str) -> bool:
    """Whether the job of that kind may be taken at once; `houses.work` would hurry one that waits."""
    with house.ledger.read() as tx:
        return bool(houses.job_of(tx, kind, target).not_before <= tx.now)


def test_two_holds_keep_and_the_last_release_lets_go(house: House) -> None:
    upload_id = ready(house, keep_for=timedelta(minutes=1))
    hold(house, upload_id, "c1")
    hold(house, upload_id, "c2")
    later = houses.at(house, ShiftedClock(by=DAY))

    houses.sweep(later)
    house.holding.release(upload_id=upload_id, case_ref="c1")
    houses.sweep(later)
    assert houses.upload_of(house, upload_id).state is UploadState.READY
    with later.ledger.read() as tx:
        assert artifacts.oldest_overdue_seconds(tx) == 0

    later.holding.release(upload_id=upload_id, case_ref="c2")
    with later.ledger.read() as tx:
        assert uploads.due(tx, 10) == [upload_id]
    houses.sweep(later)
    assert houses.upload_of(house, upload_id).state is UploadState.ERASED
    assert houses.files_below(house.settings.home) == []
    with pytest.raises(StateConflict) as erased:
        hold(house, upload_id)
    assert erased.value.code == "erased"
    later.ledger.close()


def test_who_asks_for_what_is_held_past_its_day_moves_that_day_no_later(house: House) -> None:
    upload_id = ready(house, keep_for=timedelta(minutes=1))
    hold(house, upload_id)
    day = houses.upload_of(house, upload_id).delete_at
    later = houses.at(house, ShiftedClock(by=DAY))

    with pytest.raises(HoldActive):
        later.erasing.begin(upload_id, Trigger.USER)
    assert houses.upload_of(house, upload_id).delete_at == day
    house.holding.release(upload_id=upload_id, case_ref="c1")
    later.erasing.begin(upload_id, Trigger.USER)
    assert houses.upload_of(house, upload_id).delete_at == day
    later.ledger.close()


def test_an_erasure_that_waits_for_a_hold_goes_on_in_the_moment_of_its_release(house: House) -> None:
    upload_id = ready(house)
    house.erasing.begin(upload_id, Trigger.USER)
    hold(house, upload_id)
    houses.work(house, rounds=3)
    assert houses.upload_of(house, upload_id).state is UploadState.ERASING
    assert not due_now(house, "erase", upload_id)

    house.holding.release(upload_id=upload_id, case_ref="c1")

    assert due_now(house, "erase", upload_id)
    houses.work(house)
    assert houses.upload_of(house, upload_id).state is UploadState.ERASED


def test_a_release_that_is_typed_wrong_releases_nothing(house: House) -> None:
    upload_id = ready(house)
    hold(house, upload_id)

    for upload, case in ((upload_id, "c2"), (new_id("upl"), "c1")):
        with pytest.raises(NotFound):
            house.holding.release(upload_id=upload, case_ref=case)
    with pytest.raises(HoldActive):
        house.erasing.begin(upload_id, Trigger.USER)


def test_what_may_hurt_children_is_released_by_two_people(house: House) -> None:
    upload_id = ready(house)
    hold(house, upload_id, reason="child_safety")

    with pytest.raises(Refused, match="two people"):
        house.holding.release(upload_id=upload_id, case_ref="c1")
    asked = house.holding.release(upload_id=upload_id, case_ref="c1", by="ada")
    with pytest.raises(Refused, match="same person"):
        house.holding.release(upload_id=upload_id, case_ref="c1", by="ada")
    with pytest.raises(HoldActive):
        house.erasing.begin(upload_id, Trigger.USER)

    assert (asked.release_asked, asked.released_at) == (True, None)
    assert house.holding.release(upload_id=upload_id, case_ref="c1", by="grace").released_at is not None
    assert b"ada" not in (house.settings.home / "ledger.db").read_bytes()


@pytest.mark.slow
def test_what_is_held_leaves_the_reach_of_the_buckets_own_rules(s3: S3Server, jail: Jail, tmp_path: Path) -> None:
    # Given a published upload in a bucket that expires by prefix, held
    bucket = s3.bucket("versioned")
    keys = {"s3_access_key": s3.access_key, "s3_secret_key": s3.secret_key, "s3_region": "us-east-1"}
    house = houses.build(tmp_path / "home", jail=jail, s3_bucket=bucket, s3_endpoint=s3.endpoint, **keys)
    upload_id = ready(house)
    houses.sweep(house)
    hold(house, upload_id)

    # When the work is done, also twice
    houses.work(house)
    hold(house, upload_id, "c2")
    houses.work(house)

    # Then each copy has a twin below `evidence`, the same bytes, once
    copies = houses.copies_of(house, upload_id)
    kept = {copy.name: copy for copy in copies if copy.kind is ArtifactKind.EVIDENCE}
    shown = {copy.name: copy for copy in views.published(copies)}
    assert {name: copy.sha256 for name, copy in kept.items()} == {name: copy.sha256 for name, copy in shown.items()}
    assert all(copy.key.startswith("evidence/") for copy in kept.values())
    assert len(kept) == sum(copy.kind is ArtifactKind.EVIDENCE for copy in copies)
    listed = s3.client.list_objects_v2(Bucket=bucket, Prefix="evidence/")["Contents"]
    assert {entry["Key"] for entry in listed} == {copy.key for copy in kept.values()}

    # When the holds end, Then the evidence goes, and what is still shown stays
    for case in ("c1", "c2"):
        house.holding.release(upload_id=upload_id, case_ref=case)
    houses.sweep(house)
    assert "Contents" not in s3.client.list_objects_v2(Bucket=bucket, Prefix="evidence/")
    assert len(views.upload_document(house, upload_id)["renditions"]) == len(shown)
    house.ledger.close()


def test_a_restricted_upload_is_kept_and_not_shown_until_it_is_lifted(house: House) -> None:
    upload_id = ready(house, keep_for=timedelta(minutes=1))
    restrict(house, upload_id)
    restrict(house, upload_id)
    later = houses.at(house, ShiftedClock(by=DAY))

    houses.sweep(later)
    document = views.upload_document(house, upload_id)
    assert (document["state"], document["renditions"], document["restricted"]) == ("ready", [], True)
    with pytest.raises(Restricted):
        later.erasing.begin(upload_id, Trigger.RETENTION)

    lift(later, upload_id)
    houses.sweep(later)
    assert houses.upload_of(house, upload_id).state is UploadState.ERASED
    with pytest.raises(NotFound):
        lift(house, upload_id)
    with pytest.raises(StateConflict):
        restrict(house, upload_id)
    later.ledger.close()


def test_a_restricted_upload_is_not_processed_until_it_is_lifted(house: House) -> None:
    upload = houses.receive(house, samples.png())
    restrict(house, upload.id)

    houses.work(house, rounds=3)
    assert houses.upload_of(house, upload.id).state is UploadState.QUARANTINED
    assert not due_now(house, "process", upload.id)
    lift(house, upload.id)
    assert due_now(house, "process", upload.id)
    houses.work(house)
    assert houses.upload_of(house, upload.id).state is UploadState.READY


def test_copies_that_are_made_only_after_their_time_are_due_at_once(house: House) -> None:
    upload = houses.receive(house, samples.png(), keep_for=timedelta(hours=1))
    restrict(house, upload.id)
    later = houses.at(house, ShiftedClock(by=2 * DAY))
    lift(later, upload.id)

    houses.work(later)

    # The sweep that came with the rest found them due
    assert houses.upload_of(later, upload.id).state is UploadState.ERASED
    made = [copy for copy in houses.copies_of(later, upload.id) if copy.kind is ArtifactKind.RENDITION]
    assert {copy.name for copy in made} == {"display", "share", "thumb"}
    assert all(copy.created_at < copy.delete_at <= copy.created_at + timedelta(milliseconds=1) for copy in made)
    later.ledger.close()


def test_a_restriction_that_comes_in_mid_processing_keeps_it_from_being_published(house: House) -> None:
    upload = houses.receive(house, samples.png())

    houses.work(house, observe=lambda _job, step: restrict(house, upload.id) if step == "stored" else None, rounds=1)
    assert houses.upload_of(house, upload.id).state is UploadState.PROCESSING
    assert views.upload_document(house, upload.id)["renditions"] == []

    lift(house, upload.id)
    houses.work(house)
    assert houses.upload_of(house, upload.id).state is UploadState.READY
    houses.sweep(house)
    present = [copy for copy in houses.copies_of(house, upload.id) if copy.state is ArtifactState.PRESENT]
    assert len(present) == len(views.upload_document(house, upload.id)["renditions"])


def test_the_persons_own_erasure_ends_the_restriction(house: House) -> None:
    upload_id = ready(house)
    restrict(house, upload_id)

    house.erasing.begin(upload_id, Trigger.USER)
    houses.work(house)

    assert houses.upload_of(house, upload_id).state is UploadState.ERASED


def test_evidence_that_a_killed_run_only_planned_is_made_by_the_next(house: House) -> None:
    upload_id = ready(house)
    hold(house, upload_id)
    for copy in houses.copies_of(house, upload_id):
        if copy.kind is ArtifactKind.RENDITION:
            house.shelf.plan(houses.upload_of(house, upload_id), ArtifactKind.EVIDENCE, copy.name)

    house.holding.preserve(upload_id, houses.FreeGuard())

    present = [copy for copy in houses.copies_of(house, upload_id) if copy.state is ArtifactState.PRESENT]
    shown = {copy.name for copy in present if copy.kind is ArtifactKind.RENDITION}
    assert shown
    assert shown <= {copy.name for copy in present if copy.kind is ArtifactKind.EVIDENCE}


def test_an_erasure_waits_for_whoever_still_copies_evidence(house: House) -> None:
    upload_id = ready(house)
    with house.ledger.begin() as tx:
        copying = leases.hold(tx, kind="preserve", target=upload_id, work_class=WorkClass.LIFECYCLE)
    house.erasing.begin(upload_id, Trigger.USER)

    houses.work(house, rounds=2)
    assert houses.upload_of(house, upload_id).state is UploadState.ERASING

    with house.ledger.begin() as tx:
        assert leases.let_go(tx, copying)
    houses.work(house)
    assert houses.upload_of(house, upload_id).state is UploadState.ERASED


def test_a_release_in_the_instant_in_which_evidence_is_planned_makes_it_due(tmp_path: Path, jail: Jail) -> None:
    house = houses.build(tmp_path / "home", clock=FixedClock(at=datetime(2026, 5, 1, tzinfo=UTC)), jail=jail)
    upload = houses.receive(house, samples.png())
    hold(house, upload.id)
    planned = house.shelf.plan(upload, ArtifactKind.EVIDENCE, "original")

    house.holding.release(upload_id=upload.id, case_ref="c1")

    with house.ledger.read() as tx:
        assert artifacts.get(tx, planned.id).next_attempt_at <= tx.now
    house.ledger.close()
