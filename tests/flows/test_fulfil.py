"""A person asks to be erased: everything of theirs in that app, also what is in flight, and nothing of anybody else."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import select

from tests import clips, houses, samples
from worker.ledger import holds, receipts, requests, tables
from worker.model import Job, UploadState, new_id
from worker.privacy import merkle
from worker.privacy.receipt import verify
from worker.wiring import House


def body_of(house: House, request_id: str) -> dict[str, object]:
    with house.ledger.read() as tx:
        kept = receipts.of_request(tx, request_id)
    assert kept is not None
    return verify(kept.body, house.signer.public_pem())


def test_everything_of_the_person_goes_and_nothing_of_anybody_else(house: House) -> None:
    # Given uploads of Anna in two apps, in several states, and one of Bert
    mine = [houses.receive(house, samples.png()).id for _ in range(2)]
    houses.work(house)
    mine.append(houses.receive(house, b"no picture").id)
    mine.append(houses.receive(house, samples.png()).id)
    elsewhere = houses.receive(house, samples.png(), app="forum").id
    of_bert = houses.receive(house, samples.png(), subject_key=houses.BERT).id

    # When Anna asks the shop to erase her
    request_id = house.fulfilling.open(houses.APP, houses.ANNA)
    houses.work(house)

    # Then all of hers there is erased, with one receipt that covers each
    assert {houses.upload_of(house, upload_id).state for upload_id in mine} == {UploadState.ERASED}
    body = body_of(house, request_id)
    assert body["state"] == "completed"
    assert {entry["upload_id"] for entry in body["uploads"]} == set(mine)  # type: ignore[index,attr-defined]
    # And nothing else was touched
    assert houses.upload_of(house, elsewhere).state is UploadState.READY
    assert houses.upload_of(house, of_bert).state is UploadState.READY
    # And the closed request knows no person any more
    with house.ledger.read() as tx:
        assert requests.get(tx, request_id).subject_key is None


def test_the_last_upload_that_goes_wakes_the_request_and_no_other_does(house: House) -> None:
    for _ in range(6):
        houses.receive(house, b"no picture")

    request_id = house.fulfilling.open(houses.APP, houses.ANNA)
    done = houses.work(house)

    covered = body_of(house, request_id)["covered"]
    assert covered == {"uploads": 6, "artifacts": 0, "unverifiable": 0, "root": root_of(house)}
    assert done.count("erase") == 6
    assert done.count("erase_subject") == 2


def root_of(house: House) -> str:
    with house.ledger.read() as tx:
        query = select(tables.receipts.c.body).where(tables.receipts.c.upload_id.is_not(None))
        bodies = list(tx.conn.execute(query.order_by(tables.receipts.c.upload_id)).scalars())
    return merkle.root(merkle.leaf(body.encode()) for body in bodies)[1].hex()


def test_a_person_without_uploads_gets_a_receipt_all_the_same(house: House) -> None:
    request_id = house.fulfilling.open(houses.APP, "c" * 64)

    houses.work(house)

    assert (body_of(house, request_id)["state"], body_of(house, request_id)["uploads"]) == ("completed", [])


def test_asking_twice_is_one_request(house: House) -> None:
    first = house.fulfilling.open(houses.APP, houses.ANNA)
    assert house.fulfilling.open(houses.APP, houses.ANNA) == first


def test_a_clip_in_the_middle_of_its_encoding_is_stopped_and_erased(house: House, tmp_path: Path) -> None:
    upload = houses.receive(house, clips.mp4(tmp_path, seconds=1).read_bytes())
    asked: list[str] = []

    def ask(job: Job, step: str) -> None:
        if job.kind == "process" and step == "fetched":
            asked.append(house.fulfilling.open(houses.APP, houses.ANNA))

    # When the person asks while the clip is being encoded
    houses.work(house, observe=ask)

    # Then the request ends completed, and nothing of the clip was ever published or stays
    assert body_of(house, asked[0])["state"] == "completed"
    assert houses.upload_of(house, upload.id).state is UploadState.ERASED
    assert houses.files_below(house.settings.home) == []


def test_what_comes_in_while_the_erasure_runs_goes_too(house: House) -> None:
    houses.receive(house, samples.png())
    late: list[str] = []

    def one_more(job: Job, step: str) -> None:
        if job.kind == "erase" and step == "taken" and not late:
            late.append(houses.receive(house, samples.png(), upload_id=new_id("upl")).id)

    request_id = house.fulfilling.open(houses.APP, houses.ANNA)
    houses.work(house, observe=one_more)

    assert houses.upload_of(house, late[0]).state is UploadState.ERASED
    assert body_of(house, request_id)["state"] == "completed"


def test_what_a_hold_keeps_is_said_and_not_called_erased(house: House) -> None:
    kept, free = (houses.receive(house, samples.png()).id for _ in range(2))
    with house.ledger.begin() as tx:
        holds.place(tx, upload_id=kept, case_ref="c1", reason="court order", authority="court")

    request_id = house.fulfilling.open(houses.APP, houses.ANNA)
    houses.work(house)

    assert houses.upload_of(house, free).state is UploadState.ERASED
    assert houses.upload_of(house, kept).state is not UploadState.ERASED
    body = body_of(house, request_id)
    assert body["state"] == "partially_completed"
    assert [entry["upload_id"] for entry in body["uploads"]] == [free]  # type: ignore[index,attr-defined]
    # And with the release of the hold the rest goes, without asking again
    with house.ledger.begin() as tx:
        holds.release(tx, upload_id=kept, case_ref="c1")
    houses.sweep(house)
    assert houses.upload_of(house, kept).state is UploadState.ERASED
