"""Erasing one upload: denied at once, destroyed, looked for, sealed with one receipt; a hold or a lie stops it."""

from __future__ import annotations

import json

import pytest

from tests import houses, samples
from worker.errors import HoldActive, NotFound, StateConflict
from worker.flows.steps import ERASE
from worker.ledger import events, holds, leases, receipts, tombstones
from worker.model import ArtifactState, Job, Trigger, UploadState, new_id
from worker.privacy.receipt import verify
from worker.wiring import House


def ready(house: House) -> str:
    upload = houses.receive(house, samples.png())
    houses.work(house)
    assert houses.upload_of(house, upload.id).state is UploadState.READY
    return upload.id


def hold(house: House, upload_id: str) -> None:
    with house.ledger.begin() as tx:
        holds.place(tx, upload_id=upload_id, case_ref="c1", reason="court order", authority="court")


def release(house: House, upload_id: str) -> None:
    with house.ledger.begin() as tx:
        holds.release(tx, upload_id=upload_id, case_ref="c1")


def test_what_is_erased_is_gone_and_a_receipt_says_what_was_seen(house: House) -> None:
    # Given a published upload
    upload_id = ready(house)

    # When it is erased
    house.erasing.begin(upload_id, Trigger.USER)
    houses.work(house)

    # Then every copy is observed gone, and the ledger knows neither person nor picture any more
    erased = houses.upload_of(house, upload_id)
    assert (erased.state, erased.subject_key, erased.facts, erased.media_type) == (UploadState.ERASED, None, {}, None)
    copies = houses.copies_of(house, upload_id)
    assert {copy.state for copy in copies} == {ArtifactState.GONE}
    assert {copy.sha256 for copy in copies} == {None}
    assert houses.files_below(house.settings.home) == []
    # And the receipt is signed, names each copy with its observation, and no key, place on disk or person
    with house.ledger.read() as tx:
        kept = receipts.of_upload(tx, upload_id)
        stone = tombstones.find(tx, upload_id)
    assert kept is not None
    body = verify(kept.body, house.signer.public_pem())
    assert {entry["artifact_id"] for entry in body["artifacts"]} == {copy.id for copy in copies}
    assert {entry["observation"] for entry in body["artifacts"]} == {"list_absent"}
    assert all(copy.key not in kept.body for copy in copies)
    assert houses.ANNA not in kept.body
    assert stone is not None
    assert set(stone.artifact_ids) == {copy.id for copy in copies}


def test_an_upload_is_hidden_the_moment_its_erasure_begins(house: House) -> None:
    upload_id = ready(house)
    before = houses.upload_of(house, upload_id)

    begun = house.erasing.begin(upload_id, Trigger.USER)

    assert begun.state is UploadState.ERASING
    assert begun.fence > before.fence  # whoever worked on it writes nothing any more, not even were its state put back
    (shown, *_rest) = [c for c in houses.copies_of(house, upload_id) if c.name == "display"]
    assert shown.delete_at >= begun.created_at


def test_erasing_again_changes_nothing(house: House) -> None:
    upload_id = ready(house)
    for _ in range(3):
        house.erasing.begin(upload_id, Trigger.USER)
        houses.work(house)

    with house.ledger.read() as tx:
        story = [event.event for event in events.of_upload(tx, upload_id)]
        assert events.verify(tx, upload_id)
    assert story.count("erasure_began") == story.count("erased") == 1


def test_an_unknown_upload_is_not_found(house: House) -> None:
    with pytest.raises(NotFound) as unknown:
        house.erasing.begin(new_id("upl"), Trigger.USER)
    assert unknown.value.code == "upload_not_found"


def test_a_held_upload_is_not_erased_and_is_when_the_hold_ends(house: House) -> None:
    upload_id = ready(house)
    hold(house, upload_id)

    with pytest.raises(HoldActive):
        house.erasing.begin(upload_id, Trigger.USER)
    houses.work(house)
    assert houses.upload_of(house, upload_id).state is UploadState.READY
    with house.ledger.read() as tx:
        assert not leases.pending(tx, kinds=("erase",))

    # And what was asked for while it was held is not forgotten, nor can the app renew it away
    with pytest.raises(StateConflict) as late:
        house.renew({"app": houses.APP, "upload_id": upload_id, "keep_for_s": 86_400})
    assert late.value.code == "too_late"
    release(house, upload_id)
    houses.sweep(house)
    assert houses.upload_of(house, upload_id).state is UploadState.ERASED


def test_a_hold_that_comes_while_the_erasure_stands_before_its_effect_wins(house: House) -> None:
    # Given an erasure that has begun
    upload_id = ready(house)
    house.erasing.begin(upload_id, Trigger.USER)

    def hold_now(job: Job, step: str) -> None:
        if step == "taken" and job.attempts == 1 and not held:
            held.append(step)
            hold(house, upload_id)

    # When a hold is placed before the first copy is condemned
    held: list[str] = []
    before = houses.files_below(house.settings.home)
    houses.work(house, observe=hold_now, rounds=3)

    # Then no copy is touched, and nobody says "erased"
    assert houses.files_below(house.settings.home) == before
    assert houses.upload_of(house, upload_id).state is UploadState.ERASING
    # And with its release the erasure ends
    release(house, upload_id)
    houses.work(house)
    assert houses.upload_of(house, upload_id).state is UploadState.ERASED
    assert houses.files_below(house.settings.home) == []


@pytest.mark.parametrize("step", ERASE)
def test_a_run_that_breaks_at_any_step_is_made_good_by_the_next(house: House, step: str) -> None:
    upload_id = ready(house)
    house.erasing.begin(upload_id, Trigger.USER)
    broken: list[str] = []

    def break_once(job: Job, named: str) -> None:
        if job.kind == "erase" and named == step and not broken:
            broken.append(named)
            raise RuntimeError("a worker that stumbles")

    houses.work(house, observe=break_once)
    with house.ledger.begin() as tx:
        leases.hurry(tx, "erase", upload_id)
        # A killed run leaves its claims on the copies; their time has passed.
        tx.conn.exec_driver_sql("UPDATE artifacts SET lease_until = NULL, next_attempt_at = delete_at")
    houses.work(house)

    assert broken == [step]
    assert houses.upload_of(house, upload_id).state is UploadState.ERASED
    assert houses.files_below(house.settings.home) == []
    with house.ledger.read() as tx:
        story = [event.event for event in events.of_upload(tx, upload_id)]
        assert receipts.of_upload(tx, upload_id) is not None
    assert story.count("erased") == 1


def test_a_receipt_that_was_changed_is_refused(house: House) -> None:
    upload_id = ready(house)
    house.erasing.begin(upload_id, Trigger.USER)
    houses.work(house)
    with house.ledger.read() as tx:
        kept = receipts.of_upload(tx, upload_id)
    assert kept is not None

    forged = json.loads(kept.body)
    forged["artifacts"] = forged["artifacts"][1:]

    with pytest.raises(Exception, match="changed"):
        verify(json.dumps(forged), house.signer.public_pem())
