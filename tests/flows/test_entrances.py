"""What an app asks for by message: submit, renew, erase; idempotent, its own uploads only, never past the maximum."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from storage_backends.keys import Key
from tests import houses, samples
from worker.errors import NotFound, Refused, StateConflict
from worker.flows.submit import intake_key
from worker.ledger import leases
from worker.ledger.clock import ShiftedClock
from worker.media.jail import Jail
from worker.model import ArtifactKind, ArtifactState, UploadState, new_id
from worker.wiring import House

DAY = timedelta(days=1)


def put(house: House, upload_id: str, body: bytes) -> Path:
    """What the app does itself: its object in the intake location."""
    path = house.settings.intake_root() / intake_key(houses.APP, upload_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)
    return path


def submission(upload_id: str, /, **changes: Any) -> dict[str, Any]:
    said = {"upload_id": upload_id, "app": houses.APP, "subject_key": houses.ANNA, "purposes": ["display", "sharing"]}
    return {**said, **changes}


def test_a_submitted_object_is_processed_like_any_other_and_leaves_the_intake(house: House) -> None:
    upload_id = new_id("upl")
    path = put(house, upload_id, samples.photo())

    # When it is announced, three times
    for _ in range(3):
        house.submit(submission(upload_id))
    done = houses.work(house)

    # Then it was processed once, and the object in the intake is gone
    assert done.count("process") == 1
    assert houses.upload_of(house, upload_id).state is UploadState.READY
    assert not path.exists()
    (original,) = [c for c in houses.copies_of(house, upload_id) if c.kind is ArtifactKind.ORIGINAL]
    assert (original.location, original.state) == ("intake", ArtifactState.GONE)


def test_an_object_of_no_format_that_is_taken_is_rejected(house: House) -> None:
    upload_id = new_id("upl")
    put(house, upload_id, b"no picture")

    house.submit(submission(upload_id))

    assert houses.upload_of(house, upload_id).code == "unsupported_type"


def test_an_object_over_the_limit_is_rejected(house: House) -> None:
    upload_id = new_id("upl")
    path = put(house, upload_id, samples.photo())
    os.truncate(path, house.receive.limits.image_bytes + 1)

    house.submit(submission(upload_id))
    houses.work(house)

    assert (houses.upload_of(house, upload_id).state, houses.upload_of(house, upload_id).code) == (
        UploadState.REJECTED,
        "limits:bytes",
    )


def test_an_object_that_is_not_there_is_refused_and_may_be_announced_again(house: House) -> None:
    upload_id = new_id("upl")
    with pytest.raises(Refused) as missing:
        house.submit(submission(upload_id))
    assert missing.value.code == "object_missing"

    put(house, upload_id, samples.png())
    house.submit(submission(upload_id))
    houses.work(house)
    assert houses.upload_of(house, upload_id).state is UploadState.READY


@pytest.mark.parametrize(
    "changes",
    [
        {"upload_id": "holiday.jpg"},
        {"upload_id": None},
        {"subject_key": "anna@example.org"},
        {"app": "no such App"},
        {"purposes": []},
        {"purposes": ["training"]},
        {"purposes": "display"},
        {"keep_for_s": "30d"},
        {"keep_for_s": -1},
        {"keep_for_s": 10**12},
        {"declared_type": "image/png; charset=anna"},
        {"file_name": "anna-at-the-beach.jpg"},
    ],
    ids=str,
)
def test_a_bad_message_is_refused_without_its_values(house: House, changes: dict[str, Any]) -> None:
    with pytest.raises(Refused) as refused:
        house.submit(submission(new_id("upl"), **changes))

    assert refused.value.code == "bad_message"
    assert "anna" not in str(refused.value)
    assert "beach" not in str(refused.value)


def test_the_upload_of_another_app_or_person_cannot_be_taken_over(house: House) -> None:
    upload_id = new_id("upl")
    put(house, upload_id, samples.png())
    house.submit(submission(upload_id))

    with pytest.raises(StateConflict) as taken:
        house.submit(submission(upload_id, subject_key=houses.BERT))
    assert taken.value.code == "upload_exists"
    for verb, payload in (
        (house.renew, {"app": "forum", "upload_id": upload_id, "keep_for_s": 60}),
        (house.erase_upload, {"app": "forum", "upload_id": upload_id}),
    ):
        with pytest.raises(NotFound) as foreign:
            verb(payload)
        assert foreign.value.code == "upload_not_found"


def test_a_renewed_upload_lives_longer_never_past_the_maximum(house: House) -> None:
    upload = houses.receive(house, samples.png(), keep_for=10 * DAY)
    houses.work(house)

    def last_days() -> set[timedelta]:
        copies = houses.copies_of(house, upload.id)
        shown = [c for c in copies if c.state is ArtifactState.PRESENT]
        return {c.delete_at - upload.created_at for c in shown}

    # When it is renewed for twenty days on its ninth
    ninth = houses.at(house, ShiftedClock(by=9 * DAY))
    ninth.renew({"app": houses.APP, "upload_id": upload.id, "keep_for_s": 20 * 86_400})

    # Then all its copies live until about its twenty-ninth
    assert all(28.9 * DAY < age < 29.1 * DAY for age in last_days())
    # And on its tenth day it is still there
    houses.sweep(houses.at(house, ShiftedClock(by=11 * DAY)))
    assert houses.upload_of(house, upload.id).state is UploadState.READY
    # And no renewal goes past two years from its birth
    house.renew({"app": houses.APP, "upload_id": upload.id, "keep_for_s": 730 * 86_400})
    assert last_days() == {730 * DAY}


def test_no_renewal_goes_past_what_its_app_may_keep(tmp_path: Path, jail: Jail) -> None:
    house = houses.build(tmp_path / "home", jail=jail, keep_for=DAY, keep_for_most=20 * DAY)
    upload = houses.receive(house, samples.png(), keep_for=10 * DAY)
    houses.work(house)
    ninth = houses.at(house, ShiftedClock(by=9 * DAY))

    ninth.renew({"app": houses.APP, "upload_id": upload.id, "keep_for_s": 20 * 86_400})

    shown = [copy for copy in houses.copies_of(house, upload.id) if copy.state is ArtifactState.PRESENT]
    days = {copy.delete_at for copy in shown} | {houses.upload_of(house, upload.id).delete_at}
    assert days == {upload.created_at + 20 * DAY}


def test_what_is_not_ready_is_not_renewed(house: House) -> None:
    upload = houses.receive(house, samples.png())

    with pytest.raises(StateConflict) as early:
        house.renew({"app": houses.APP, "upload_id": upload.id, "keep_for_s": 60})

    assert early.value.code == "not_ready"


def test_an_erased_upload_may_be_asked_for_again_and_submitted_no_more(house: House) -> None:
    upload_id = new_id("upl")
    put(house, upload_id, samples.png())
    house.submit(submission(upload_id))
    for _ in range(2):
        house.erase_upload({"app": houses.APP, "upload_id": upload_id})
        houses.work(house)

    with pytest.raises(StateConflict) as gone:
        house.submit(submission(upload_id))
    assert gone.value.code == "erased"
    assert not (house.settings.intake_root() / intake_key(houses.APP, upload_id)).exists()


def test_the_place_in_the_intake_is_a_key_like_any_other() -> None:
    assert Key.parse(intake_key("shop", new_id("upl"))).retention_class == "intake"


def stumbled(house: House) -> str:
    """The id of an upload that failed because its worker stumbled three times."""
    upload = houses.receive(house, samples.png())

    def stumble(_job: object, step: str) -> None:
        if step == "fetched":
            raise RuntimeError("no luck")

    for _ in range(3):
        houses.work(house, observe=stumble)
        with house.ledger.begin() as tx:
            leases.hurry(tx, "process", upload.id)
    assert houses.upload_of(house, upload.id).state is UploadState.FAILED
    return upload.id


def only_letter(house: House) -> str:
    with house.ledger.read() as tx:
        (letter,) = leases.dead(tx)
    return letter.job_id


def test_an_operator_tries_a_failed_upload_again(house: House) -> None:
    upload_id = stumbled(house)

    house.requeue(only_letter(house))
    houses.work(house)

    assert houses.upload_of(house, upload_id).state is UploadState.READY


def test_a_file_that_is_too_old_is_not_tried_again(house: House) -> None:
    upload_id = stumbled(house)
    after = houses.at(house, ShiftedClock(by=2 * DAY))

    with pytest.raises(StateConflict) as old:
        after.requeue(only_letter(after))

    assert old.value.code == "too_old"
    assert houses.upload_of(house, upload_id).state is UploadState.FAILED


def test_a_wrong_message_is_not_tried_again(house: House) -> None:
    house.dead_letter("mayfly.submit", "bad_message", "app: must not be empty")

    with pytest.raises(Refused) as refused:
        house.requeue(only_letter(house))

    assert refused.value.code == "not_a_job"
    assert houses.work(house) == []
