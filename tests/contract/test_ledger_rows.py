"""Uploads, holds, requests, receipts and tombstones: what they keep, and what they forget."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.contract import rows
from worker.errors import Defect, NotFound, StateConflict
from worker.ledger import artifacts, days, events, holds, receipts, requests, salts, states, tables, tombstones, uploads
from worker.ledger.database import Ledger, Tx
from worker.model import ArtifactState, NewUpload, Purpose, UploadState, Verdict, new_id


def test_an_upload_comes_back_as_it_was_created(ledger: Ledger) -> None:
    new = NewUpload(app="shop", subject_key=rows.ANNA, purposes=frozenset({Purpose.DISPLAY}), upload_id=new_id("upl"))
    with ledger.begin() as tx:
        made = uploads.create(tx, new, keep_for=timedelta(days=90, microseconds=7), delete_at=tx.now + rows.DAY)
        assert made.created_at == tx.now

    with ledger.read() as tx:
        assert uploads.get(tx, made.id) == made == uploads.find(tx, made.id)
    assert (made.id, made.state, made.fence) == (new.upload_id, UploadState.RECEIVING, 0)
    assert made.keep_for == timedelta(days=90, microseconds=7)
    with pytest.raises(StateConflict) as twice, ledger.begin() as tx:
        uploads.create(tx, new, keep_for=rows.DAY, delete_at=tx.now + rows.DAY)
    assert twice.value.code == "upload_exists"


def test_of_many_who_create_one_id_one_wins(ledger: Ledger) -> None:
    new = NewUpload(app="shop", subject_key=rows.ANNA, purposes=frozenset(Purpose), upload_id=new_id("upl"))

    def create(_number: int) -> str:
        with ledger.begin() as tx:
            return uploads.create(tx, new, keep_for=rows.DAY, delete_at=tx.now + rows.DAY).id

    outcomes = rows.at_once(create)

    assert sum(outcome == new.upload_id for outcome in outcomes) == 1
    assert sum(isinstance(outcome, StateConflict) for outcome in outcomes) == len(outcomes) - 1


def test_what_is_learned_is_added_and_nothing_else_changes(ledger: Ledger) -> None:
    with ledger.begin() as tx:
        upload = rows.upload(tx, UploadState.PROCESSING)
        uploads.progress(tx, upload.id, 40)
        assert uploads.get(tx, upload.id).facts == {"progress": 40}

    with ledger.begin() as tx:
        uploads.describe(tx, upload.id, media_type="image/png", facts={"width": 3}, verdict=Verdict.ALLOW)
        later = uploads.describe(tx, upload.id, delete_at=tx.now + 9 * rows.DAY)
        uploads.describe(tx, upload.id)
        assert later.delete_at == tx.now + 9 * rows.DAY

    assert (later.media_type, later.facts, later.verdict) == ("image/png", {"width": 3}, Verdict.ALLOW)
    with ledger.read() as tx:
        assert events.of_upload(tx, upload.id)[-1].event == "deadline_set"
        with pytest.raises(NotFound):
            uploads.get(tx, new_id("upl"))


def test_a_requeued_upload_starts_without_its_old_verdict(ledger: Ledger) -> None:
    with ledger.begin() as tx:
        upload = rows.upload(tx, UploadState.FAILED)
        uploads.describe(tx, upload.id, code="corrupt", verdict=Verdict.BLOCK)

        again = states.move_upload(tx, upload.id, to=UploadState.QUARANTINED, actor="operator")

    assert (again.code, again.verdict) == (None, None)


def test_the_uploads_of_a_subject_come_in_pages_without_the_erased(ledger: Ledger) -> None:
    with ledger.begin() as tx:
        mine = sorted(rows.upload(tx).id for _ in range(5))
        rows.upload(tx, UploadState.ERASED)
        rows.upload(tx, subject=rows.BERT)

    found: list[str] = []
    with ledger.read() as tx:
        while page := uploads.of_subject(tx, "shop", rows.ANNA, limit=2, after=found[-1] if found else None):
            found += [upload.id for upload in page]
        assert uploads.of_subject(tx, "other", rows.ANNA, limit=9) == []
        assert uploads.counts(tx) == {"erased": 1, "receiving": 6}
    assert found == mine


def test_what_is_erased_is_forgotten(ledger: Ledger) -> None:
    with ledger.begin() as tx:
        upload = rows.upload(tx)
        copy = rows.copy(tx, upload, ArtifactState.PLANNED)
        states.move_artifact(tx, copy.id, to=ArtifactState.PRESENT, actor="t", sha256="f" * 64, bytes=12_345_678)
        uploads.describe(tx, upload.id, media_type="image/heic", facts={"placeholder": "c2VjcmV0"}, code="corrupt")
    with pytest.raises(StateConflict), ledger.begin() as tx:
        uploads.forget(tx, upload.id)

    with ledger.begin() as tx:
        states.move_upload(tx, upload.id, to=UploadState.ERASING, actor="erase")
        uploads.forget(tx, upload.id)
        uploads.forget(tx, upload.id)

    with ledger.read() as tx:
        assert uploads.get(tx, upload.id).subject_key is None
        left = repr([tx.conn.execute(table.select()).all() for table in tables.METADATA.sorted_tables])
    for trace in (rows.ANNA, "f" * 64, "12345678", "image/heic", "c2VjcmV0", "corrupt"):
        assert trace not in left


def test_a_place_has_one_row(ledger: Ledger) -> None:
    with ledger.begin() as tx:
        owner = rows.upload(tx)
        copy = rows.copy(tx, owner)

    with pytest.raises(StateConflict) as taken, ledger.begin() as tx:
        artifacts.plan(
            tx,
            upload_id=owner.id,
            kind=copy.kind,
            name="display",
            location=copy.location,
            retention_class="rendition",
            rule="r",
            delete_at=tx.now + rows.DAY,
            key=copy.key,
            actor="test",
        )
    assert taken.value.code == "key_taken"


def test_holds_are_of_a_case_and_recorded(ledger: Ledger) -> None:
    with ledger.begin() as tx:
        upload = rows.upload(tx)
        first = _hold(tx, upload.id, "c1")
        assert _hold(tx, upload.id, "c1") == first
        second = _hold(tx, upload.id, "c2")

    with ledger.begin() as tx:
        assert holds.active(tx, upload.id) == [first, second] or holds.active(tx, upload.id) == [second, first]
        released = holds.release(tx, upload_id=upload.id, case_ref="c1")
        assert released.released_at == tx.now
        assert holds.active(tx, upload.id) == [second]
    with pytest.raises(NotFound) as none, ledger.begin() as tx:
        holds.release(tx, upload_id=upload.id, case_ref="c1")
    assert none.value.code == "hold_not_found"
    with ledger.begin() as tx:
        assert _hold(tx, upload.id, "c1").id != first.id
        erased = rows.upload(tx, UploadState.ERASED)
    with pytest.raises(StateConflict), ledger.begin() as tx:
        _hold(tx, erased.id, "c1")


def _hold(tx: Tx, upload_id: str, case: str) -> holds.Hold:
    return holds.place(tx, upload_id=upload_id, case_ref=case, reason="court order", authority="court")


def test_one_open_request_for_a_subject_and_a_right(ledger: Ledger) -> None:
    with ledger.begin() as tx:
        upload = rows.upload(tx)
        first = requests.open(tx, app="shop", subject_key=rows.ANNA)
        assert requests.open(tx, app="shop", subject_key=rows.ANNA) == first
        assert requests.open(tx, app="shop", subject_key=rows.ANNA, right="access") != first
        assert requests.open(tx, app="other", subject_key=rows.ANNA) != first
        requests.link(tx, first, upload.id)
        requests.link(tx, first, upload.id)
        assert requests.covered(tx, first, [upload.id, new_id("upl")]) == {upload.id}
        assert requests.open_for(tx, upload.id) == [first]

    with ledger.begin() as tx:
        closed = requests.close(tx, first, state="completed", receipt_id="rcp_1", uploads=1, artifacts=3)
        assert requests.open_for(tx, upload.id) == []

        assert (closed.uploads, closed.artifacts, closed.subject_key, closed.closed_at) == (1, 3, None, tx.now)
        assert requests.open(tx, app="shop", subject_key=rows.ANNA) != first
    with pytest.raises(StateConflict), ledger.begin() as tx:
        requests.close(tx, first, state="completed", receipt_id="rcp_2")
    with pytest.raises(NotFound), ledger.begin() as tx:
        requests.get(tx, new_id("req"))
    with pytest.raises(Defect), ledger.begin() as tx:
        requests.close(tx, first, state="lost", receipt_id=None)


def test_of_many_who_open_a_request_all_get_the_same(ledger: Ledger) -> None:
    def open_one(_number: int) -> str:
        with ledger.begin() as tx:
            return requests.open(tx, app="shop", subject_key=rows.ANNA)

    assert len(set(rows.at_once(open_one))) == 1


def test_the_first_receipt_stays(ledger: Ledger) -> None:
    with ledger.begin() as tx:
        upload = rows.upload(tx)
        request_id = requests.open(tx, app="shop", subject_key=rows.ANNA)
        first = receipts.keep(tx, receipt_id=new_id("rcp"), upload_id=upload.id, body="{}")
        again = receipts.keep(tx, receipt_id=new_id("rcp"), upload_id=upload.id, body="other")
        whole = receipts.keep(tx, receipt_id=new_id("rcp"), request_id=request_id, body="[]")

        assert first == again == receipts.of_upload(tx, upload.id) == receipts.get(tx, first.id)
        assert receipts.of_request(tx, request_id) == whole
        assert receipts.of_upload(tx, new_id("upl")) is None
        with pytest.raises(Defect):
            receipts.keep(tx, receipt_id=new_id("rcp"), upload_id=upload.id, request_id=request_id, body="{}")
        stranger = receipts.keep(tx, receipt_id=new_id("rcp"), body="1")
        assert (stranger.upload_id, stranger.request_id, stranger.body) == (None, None, "1")


def test_the_receipts_of_a_day_come_in_order_and_a_statement_stays(ledger: Ledger) -> None:
    with ledger.begin() as tx:
        today = tx.now.date()
        made = [receipts.keep(tx, receipt_id=new_id("rcp"), body=str(n)).id for n in range(3)]
        days.keep(tx, day=today, body="first")
        days.keep(tx, day=today, body="second")
    with ledger.read() as tx:
        assert [receipt_id for receipt_id, _body in receipts.of_day(tx, today)] == sorted(made)
        assert list(receipts.of_day(tx, today - timedelta(days=1))) == []
        assert (receipts.first_day(tx), days.last(tx), days.find(tx, today)) == (today, today, "first")
        assert list(days.every(tx)) == [(today, "first")]
        assert list(days.every(tx, since=today + timedelta(days=1))) == []


def test_salts_go_with_their_request_and_are_gone_when_handed_over(ledger: Ledger) -> None:
    with ledger.begin() as tx:
        request_id = requests.open(tx, app="shop", subject_key=rows.ANNA)
        whole = receipts.keep(tx, receipt_id=new_id("rcp"), request_id=request_id, body="{}")
        mine = [rows.upload(tx).id for _ in range(2)]
        for upload_id in mine:
            requests.link(tx, request_id, upload_id)
        for upload_id in (*mine, rows.upload(tx).id):
            own = receipts.keep(tx, receipt_id=new_id("rcp"), upload_id=upload_id, body="{}")
            salts.keep(tx, receipt_id=own.id, salt=bytes(32))

        found = salts.of_receipt(tx, whole.id)
        assert [salt.upload_id for salt in found] == sorted(mine)
        assert found[0].salt == "00" * 32
        assert "00" * 32 not in repr(found)
        assert len(salts.of_receipt(tx, own.id)) == 1
        salts.handed_over(tx, [found[0]] * 40_000 + found)
        assert salts.of_receipt(tx, whole.id) == []
        assert len(salts.of_receipt(tx, own.id)) == 1
        assert salts.prune(tx) == 0


def test_a_tombstone_stays_until_its_own_last_day(ledger: Ledger) -> None:
    upload_id = new_id("upl")
    with ledger.begin() as tx:
        for ids in (["art_2", "art_1"], ["art_3"]):
            tombstones.write(
                tx, upload_id=upload_id, artifact_ids=ids, erased_at=tx.now, expires_at=tx.now + 65 * rows.DAY
            )
        assert tombstones.prune(tx) == 0
        stone = tombstones.find(tx, upload_id)
        assert stone is not None
        assert stone.artifact_ids == ("art_1", "art_2")
        assert tombstones.prune(Tx(tx.conn, tx.now + 65 * rows.DAY)) == 1
        assert tombstones.find(tx, upload_id) is None
