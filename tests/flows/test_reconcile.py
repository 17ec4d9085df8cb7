"""Ledger against storage, both ways: strangers seen twice, rows without bytes told, and nothing lost on the way."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from storage_backends.keys import Key
from tests import houses, samples
from tests.buckets import S3Server
from worker.errors import LeaseLost
from worker.flows.reconcile import Report
from worker.ledger import artifacts, cursors, receipts, tables
from worker.ledger.clock import ShiftedClock
from worker.media.jail import Jail
from worker.model import ArtifactState, UploadState, new_id
from worker.places import MEDIA
from worker.privacy.receipt import verify
from worker.wiring import House

HOUR = timedelta(hours=1)
STRANGER = Key.parse("rendition/shop/upl_00000000000000000000000000000000/art_stranger")


def ready(house: House) -> str:
    upload = houses.receive(house, samples.png())
    houses.work(house)
    houses.sweep(house)
    assert houses.upload_of(house, upload.id).state is UploadState.READY
    return upload.id


def put(house: House, key: Key = STRANGER, *, age: timedelta = timedelta(days=3), location: str = MEDIA) -> Path:
    """Bytes that no row names, written `age` ago."""
    storage = house.shelf.locations[location]
    storage.put(key, [b"nobody's"])
    path = storage.path(key)  # type: ignore[attr-defined]
    os.utime(path, (time.time() - age.total_seconds(),) * 2)
    return Path(path)


def run(house: House, *, by: timedelta = timedelta(0), apply: bool = True) -> Report:
    later = houses.at(house, ShiftedClock(by=by)) if by else house
    try:
        return later.reconciling.run(houses.FreeGuard(), apply=apply)
    finally:
        if later is not house:
            later.ledger.close()


def test_what_agrees_is_left_alone(house: House) -> None:
    ready(house)

    report = run(house)

    assert (report.looked_at, report.rows, report.strangers, report.missing) == (3, 3, 0, 0)
    assert report.bytes_stored == report.bytes_of_rows > 0
    assert report.items == []


def test_a_stranger_goes_at_the_second_look_a_day_later_and_with_a_receipt(house: House) -> None:
    ready(house)
    path = put(house)

    first = run(house)
    soon = run(house, by=23 * HOUR)
    dry = run(house, by=25 * HOUR, apply=False)
    assert [r.strangers for r in (first, soon, dry)] == [1, 1, 1]
    assert [r.erased for r in (first, soon, dry)] == [0, 0, 0]
    assert (dry.items[0]["ripe"], dry.items[0]["key"]) == (True, str(STRANGER))
    assert path.exists()

    second = run(house, by=25 * HOUR)

    assert second.erased == 1
    assert not path.exists()
    assert len(houses.files_below(house.settings.home)) == 3
    body = proof(house)
    assert (body["trigger"], body["observation"], body["versions"]) == ("reconcile", "list_absent", 1)


def proof(house: House) -> dict[str, object]:
    """The receipt of the stranger."""
    with house.ledger.begin() as tx:
        query = select(tables.sightings.c.receipt_id).where(tables.sightings.c.key == str(STRANGER))
        kept = receipts.get(tx, tx.conn.execute(query).scalar_one())
    assert kept is not None
    assert str(STRANGER) not in kept.body
    return verify(kept.body, house.signer.public_pem())


def test_a_stranger_that_somebody_may_still_be_writing_stays(house: House) -> None:
    path = put(house, age=timedelta(hours=30))
    run(house)

    assert run(house, by=10 * HOUR).erased == 0
    assert run(house, by=17 * HOUR).erased == 0  # 47 h old, seen 17 h ago
    assert path.exists()
    assert run(house, by=25 * HOUR).erased == 1


def test_one_that_comes_back_is_a_new_one(house: House) -> None:
    put(house)
    run(house)
    run(house, by=25 * HOUR)
    path = put(house)

    assert run(house, by=26 * HOUR).erased == 0
    assert path.exists()
    assert run(house, by=51 * HOUR).erased == 1


def test_an_object_in_the_intake_that_nobody_announced_goes_too(house: House) -> None:
    path = put(house, Key.parse("intake/shop/upl_1/object"), location="intake")
    run(house)
    run(house, by=25 * HOUR)
    assert not path.exists()


def test_a_row_without_bytes_is_told_and_never_called_gone(house: House) -> None:
    upload_id = ready(house)
    lost = next(copy for copy in houses.copies_of(house, upload_id) if copy.name == "display")
    path = house.shelf.path(lost)
    assert path is not None
    path.unlink()

    report = run(house)
    run(house)

    assert (report.missing, report.net_fired) == (1, 0)
    assert report.items == [{"what": "bytes missing", "location": MEDIA, "key": lost.key, "artifact_id": lost.id}]
    row = next(copy for copy in houses.copies_of(house, upload_id) if copy.id == lost.id)
    assert (row.state, row.reason) == (ArtifactState.PRESENT, artifacts.BYTES_MISSING)


def test_what_a_location_took_by_its_own_rule_is_told_as_a_defect(house: House) -> None:
    upload_id = ready(house)
    for path in houses.files_below(house.settings.home):
        path.unlink()

    assert run(house, by=timedelta(days=91)).net_fired == 3
    assert houses.upload_of(house, upload_id).state is UploadState.READY


def test_a_walk_that_is_killed_goes_on_where_it_was(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given more strangers than a page, and a guard that stops it after two pages
    monkeypatch.setattr("worker.flows.reconcile.PAGE", 10)
    for number in range(35):
        put(house, Key.parse(f"rendition/shop/{new_id('upl')}/art_{number:03}"))

    class Stops(houses.FreeGuard):
        left = 4

        def check(self) -> None:
            self.left -= 1
            if not self.left:
                raise LeaseLost("stop")

    with pytest.raises(LeaseLost):
        house.reconciling.run(Stops(), apply=False)
    with house.ledger.read() as tx:
        position = cursors.read(tx, f"strangers:{MEDIA}")

    report = run(house, apply=False)

    assert position
    assert report.looked_at == 15
    assert run(house, apply=False).looked_at == 35


@pytest.mark.slow
def test_a_bucket_is_compared_the_same_way(s3: S3Server, jail: Jail, tmp_path: Path) -> None:
    bucket = s3.bucket("versioned")
    keys = {"s3_access_key": s3.access_key, "s3_secret_key": s3.secret_key, "s3_region": "us-east-1"}
    house = houses.build(tmp_path / "home", jail=jail, s3_bucket=bucket, s3_endpoint=s3.endpoint, **keys)
    upload_id = ready(house)
    s3.client.put_object(Bucket=bucket, Key=str(STRANGER), Body=b"nobody's")
    s3.client.create_multipart_upload(Bucket=bucket, Key=str(STRANGER))
    lost = next(copy for copy in houses.copies_of(house, upload_id) if copy.name == "display")
    s3.client.delete_object(Bucket=bucket, Key=lost.key)

    report = run(house)
    assert (report.strangers, report.missing, report.erased) == (1, 1, 0)
    assert [item["key"] for item in report.items if item["what"] == "no row"] == [str(STRANGER)]
    later = run(house, by=timedelta(hours=49))
    assert (later.strangers, later.erased, later.missing) == (1, 1, 1)
    left = s3.client.list_object_versions(Bucket=bucket)
    assert str(STRANGER) not in {entry["Key"] for entry in left.get("Versions", ())}
    assert "Uploads" not in s3.client.list_multipart_uploads(Bucket=bucket)
    house.ledger.close()
