"""Receipts through the commands: one for an erasure however often it runs, and a salt that only the requester gets."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from tests import houses, samples, verifier
from tests.commands import InProcess
from worker.ledger import holds, receipts, salts
from worker.ledger.clock import ShiftedClock
from worker.model import Job, Trigger, UploadState, WorkClass
from worker.privacy.receipt import verify
from worker.privacy.subject import subject_key
from worker.wiring import House

pytestmark = [pytest.mark.slow, pytest.mark.wide]

PHOTO = samples.png()


def ready(house: House, **changes: object) -> str:
    upload = houses.receive(house, PHOTO, **changes)
    houses.work(house)
    assert houses.upload_of(house, upload.id).state is UploadState.READY
    return upload.id


def erased(house: House) -> str:
    upload_id = ready(house)
    house.erasing.begin(upload_id, Trigger.USER)
    houses.work(house)
    return upload_id


def receipt_of(house: House, upload_id: str) -> receipts.Receipt:
    with house.ledger.read() as tx:
        kept = receipts.of_upload(tx, upload_id)
    assert kept is not None
    return kept


@pytest.fixture
def run(house: House, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> InProcess:
    monkeypatch.setenv("MAYFLY_HOME", str(house.settings.home))
    return InProcess(captured=capsys)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    path.write_bytes(PHOTO)
    return path


def test_a_hundred_runs_of_one_erasure_leave_one_receipt(house: House) -> None:
    upload_id = ready(house)
    house.erasing.begin(upload_id, Trigger.USER)
    houses.work(house)
    first = receipt_of(house, upload_id)
    with house.ledger.read() as tx:
        job = Job(
            id="job_" + "0" * 32,
            kind="erase",
            target=upload_id,
            work_class=WorkClass.LIFECYCLE,
            fence=1,
            attempts=1,
            lease_until=tx.now,
        )

    for _ in range(100):
        house.erasing.begin(upload_id, Trigger.USER)
        house.erase(upload_id, job, houses.FreeGuard())

    assert receipt_of(house, upload_id) == first
    with house.ledger.read() as tx:
        assert len(salts.of_receipt(tx, first.id)) == 1


def test_a_receipt_says_when_each_copy_was_asked_for_and_where_it_lay(house: House) -> None:
    kept = receipt_of(house, erased(house))

    body = verify(kept.body, house.signer.public_pem())

    assert verifier.holds(kept.body.encode(), house.signer.public_pem())
    assert {entry["place"] for entry in body["artifacts"]} == {"disk", "scratch"}
    for entry in body["artifacts"]:
        assert entry["asked_at"] <= entry["looked_at"] <= body["completed_at"]
        # The working copy was destroyed by the run itself; its row then found nothing.
        assert entry["versions"] == (0 if entry["place"] == "scratch" else 1)


def test_the_salt_is_handed_over_once_and_shows_which_file_it_was(house: House, run: InProcess, photo: Path) -> None:
    upload_id = ready(house)

    # When an upload is erased by command
    first = run("erase", "--upload", upload_id)

    # Then the salt lies beside the receipt, for its owner alone, and nowhere else any more
    salt = Path(first["receipt"]).with_suffix(".salt")
    assert salt.stat().st_mode & 0o777 == 0o600
    with house.ledger.read() as tx:
        assert salts.of_receipt(tx, salt.stem) == []
    secret = salt.read_text().split()[1]
    assert secret not in Path(first["receipt"]).read_text()
    # And the same receipt comes again, without it
    again = run("erase", "--upload", upload_id)
    assert again["receipt"] == first["receipt"]
    # And receipt, salt and file together show what was erased
    shown = run("verify", first["receipt"], "--salt", salt, "--original", photo)
    assert (shown["valid"], shown["about"]) == (True, upload_id)
    photo.write_bytes(PHOTO + b"\0")
    assert run.refused("verify", first["receipt"], "--salt", salt, "--original", photo) == "not_this_file"
    salt.write_text(salt.read_text().replace(secret, "00" * 32))
    photo.write_bytes(PHOTO)
    assert run.refused("verify", first["receipt"], "--salt", salt, "--original", photo) == "not_this_file"
    assert run.refused("verify", first["receipt"], "--salt", photo, "--original", photo) == "file_not_readable"
    assert run.refused("verify", first["receipt"], "--salt", salt, status=2) == "usage"


def test_a_person_gets_the_salts_of_all_uploads_and_reads_what_is_kept(
    house: House, run: InProcess, photo: Path
) -> None:
    anna = subject_key(house.subject_secret, houses.APP, "anna")
    gone, kept = (ready(house, subject_key=anna) for _ in range(2))
    with house.ledger.begin() as tx:
        holds.place(tx, upload_id=kept, case_ref="case-7", reason="court order", authority="a court")

    document = run("erase", "--subject", "anna", "--app", houses.APP, status=1)

    receipt = Path(document["receipt"])
    body = json.loads(receipt.read_text())
    assert body["state"] == "partially_completed"
    assert body["kept"] == [{"upload_id": kept, "reason": "kept because the law requires it"}]
    assert not {"case-7", "court", "anna", anna} & set(receipt.read_text().split('"'))
    shown = run("verify", receipt, "--salt", receipt.with_suffix(".salt"), "--original", photo)
    assert shown["about"] == gone


def test_a_salt_that_nobody_asked_for_is_gone_after_a_week(house: House) -> None:
    kept = receipt_of(house, erased(house))

    for days, left in ((6.9, 1), (7.1, 0)):
        later = houses.at(house, ShiftedClock(by=timedelta(days=days)))
        houses.sweep(later)
        with later.ledger.read() as tx:
            assert len(salts.of_receipt(tx, kept.id)) == left
        later.ledger.close()


def test_what_never_arrived_has_no_commitment_and_no_salt(house: House) -> None:
    upload = houses.receive(house, b"no picture")
    house.erasing.begin(upload.id, Trigger.USER)
    houses.work(house)

    kept = receipt_of(house, upload.id)

    assert json.loads(kept.body)["commitment"] is None
    with house.ledger.read() as tx:
        assert salts.of_receipt(tx, kept.id) == []


def test_a_receipt_from_another_key_is_told_as_such(house: House, run: InProcess, tmp_path: Path) -> None:
    kept = receipt_of(house, erased(house))
    stranger = houses.build(tmp_path / "other", jail=house.jail)
    body = json.loads(kept.body)
    del body["signature"]
    path = tmp_path / "receipt.json"

    path.write_text(stranger.signer.sign(body))
    stranger.ledger.close()

    assert run.refused("verify", path) == "other_key"
    own = house.settings.home / "receipts" / "keys" / f"{house.signer.kid}.pem"
    assert run.refused("verify", path, "--public-key", own) == "other_key"
    path.write_text(kept.body)
    assert run("verify", path)["valid"]
    path.write_text(kept.body + "\n")
    assert run.refused("verify", path) == "bad_signature"
