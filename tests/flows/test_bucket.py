"""An upload in a bucket: published at a signed address, erased with every version, locks waited for."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests import houses, samples
from tests.buckets import S3Server
from tests.faults import Call, FaultyS3, Reply, faulty, refusal
from tests.servers import until
from worker.cli import views
from worker.ledger import artifacts, receipts
from worker.ledger.clock import ShiftedClock
from worker.media.jail import Jail
from worker.model import ArtifactState, Trigger, UploadState
from worker.places import BUCKET
from worker.privacy.receipt import verify
from worker.wiring import House

pytestmark = [pytest.mark.slow, pytest.mark.wide]


def build(home: Path, jail: Jail, server: S3Server, bucket: str, *, endpoint: str | None = None) -> House:
    return houses.build(
        home,
        jail=jail,
        s3_bucket=bucket,
        s3_prefix="mayfly",
        s3_endpoint=endpoint or server.endpoint,
        s3_region="us-east-1",
        s3_access_key=server.access_key,
        s3_secret_key=server.secret_key,
    )


@pytest.fixture(params=["plain", "versioned"])
def bucket(request: pytest.FixtureRequest, s3: S3Server) -> str:
    return s3.bucket(request.param)


@pytest.fixture
def proxy(s3: S3Server) -> Iterator[FaultyS3]:
    with faulty(s3.endpoint) as made:
        yield made


def lying(server: S3Server, bucket: str) -> list[str]:
    found = server.client.list_object_versions(Bucket=bucket)
    uploads = server.client.list_multipart_uploads(Bucket=bucket).get("Uploads", ())
    return [each["Key"] for each in (*found.get("Versions", ()), *found.get("DeleteMarkers", ()), *uploads)]


def ready(house: House) -> str:
    upload = houses.receive(house, samples.png())
    houses.work(house)
    assert houses.upload_of(house, upload.id).state is UploadState.READY
    return upload.id


def test_from_upload_to_observed_erasure(s3: S3Server, bucket: str, jail: Jail, tmp_path: Path) -> None:
    # Given a house that keeps its media in a bucket
    house = build(tmp_path / "home", jail, s3, bucket)

    # When a picture comes in, Then its renditions are served at signed addresses, under names of ours
    upload_id = ready(house)
    houses.sweep(house)
    document = views.upload_document(house, upload_id)
    for entry in document["renditions"]:
        with urllib.request.urlopen(entry["url"]) as answer:
            assert len(answer.read()) == entry["bytes"]
            assert answer.headers["Content-Type"] == entry["media_type"]
    assert "path" not in document["renditions"][0]
    assert houses.files_below(house.settings.home) == []
    assert sorted(lying(s3, bucket)) == sorted(
        f"mayfly/{copy.key}" for copy in houses.copies_of(house, upload_id) if copy.state is ArtifactState.PRESENT
    )

    # When it is erased, Then nothing of it lies in the bucket, and the receipt says how that was seen
    house.erasing.begin(upload_id, Trigger.USER)
    houses.work(house)
    assert houses.upload_of(house, upload_id).state is UploadState.ERASED
    assert lying(s3, bucket) == []
    with house.ledger.read() as tx:
        kept = receipts.of_upload(tx, upload_id)
    assert kept is not None
    seen = verify(kept.body, house.signer.public_pem())["artifacts"]
    assert {entry["observation"] for entry in seen if entry["location"] == BUCKET} == {"list_versions_empty"}
    with pytest.raises(urllib.error.HTTPError, match=r"40[34]"):
        urllib.request.urlopen(document["renditions"][0]["url"])
    house.ledger.close()


def test_a_lock_is_waited_for_and_told_with_its_day(s3: S3Server, jail: Jail, tmp_path: Path) -> None:
    # Given a published picture, one rendition of which somebody locked for a month
    bucket = s3.bucket("locked")
    house = build(tmp_path / "home", jail, s3, bucket)
    upload_id = ready(house)
    copy = next(copy for copy in houses.copies_of(house, upload_id) if copy.name == "display")
    day = datetime.now(UTC).replace(microsecond=0) + timedelta(days=30)
    lock = {"Mode": "GOVERNANCE", "RetainUntilDate": day}
    s3.client.put_object_retention(Bucket=bucket, Key=f"mayfly/{copy.key}", Retention=lock)

    # When it is erased
    house.erasing.begin(upload_id, Trigger.USER)
    houses.work(house, rounds=3)

    # Then the others are gone, and it is blocked until then, shown with its day, and never called erased
    assert houses.upload_of(house, upload_id).state is UploadState.ERASING
    states = {c.name: c for c in houses.copies_of(house, upload_id)}
    blocked = states["display"]
    assert blocked.state is ArtifactState.BLOCKED
    assert blocked.reason == f"object_lock until {day:%Y-%m-%dT%H:%M:%SZ}"
    assert {c.state for c in states.values() if c.name != "display"} == {ArtifactState.GONE}
    with house.ledger.read() as tx:
        assert artifacts.oldest_overdue_seconds(tx) >= 0
        job = houses.job_of(tx, "erase", upload_id)
    assert job.not_before is not None
    assert job.not_before > datetime.now(UTC) + timedelta(hours=20)

    # When the lock is lifted and its day has come, Then it goes
    soon = datetime.now(UTC) + timedelta(seconds=1)
    lifted = {"Mode": "GOVERNANCE", "RetainUntilDate": soon}
    s3.client.put_object_retention(
        Bucket=bucket, Key=f"mayfly/{copy.key}", Retention=lifted, BypassGovernanceRetention=True
    )
    later = houses.at(house, ShiftedClock(by=timedelta(days=31)))
    assert lying(s3, bucket) != []
    until(lambda: datetime.now(UTC) > soon, what="the end of the lock")
    houses.sweep(later)
    assert houses.upload_of(later, upload_id).state is UploadState.ERASED
    assert lying(s3, bucket) == []
    house.ledger.close()
    later.ledger.close()


@pytest.mark.parametrize("status", [500, 503, 403])
def test_a_bucket_that_fails_loses_nothing(
    s3: S3Server, bucket: str, jail: Jail, proxy: FaultyS3, tmp_path: Path, status: int
) -> None:
    # Given a bucket that refuses from the moment when the renditions are to be written
    house = build(tmp_path / "home", jail, s3, bucket, endpoint=proxy.url)
    upload = houses.receive(house, samples.png())

    def refuses(call: object) -> Reply | None:
        return refusal(status, "AccessDenied" if status == 403 else "SlowDown") if "/rendition/" in str(call) else None

    proxy.fault = refuses
    houses.work(house, rounds=2)
    assert houses.upload_of(house, upload.id).state is UploadState.PROCESSING

    # When it works again, Then the upload is ready, and only what has a row lies there
    proxy.heal()
    houses.work(house)
    houses.sweep(house)
    assert houses.upload_of(house, upload.id).state is UploadState.READY
    rows = {f"mayfly/{c.key}" for c in houses.copies_of(house, upload.id) if c.state is ArtifactState.PRESENT}
    assert set(lying(s3, bucket)) == rows
    house.ledger.close()


def test_a_sweep_asks_for_all_that_is_due_in_one_call_and_proves_each(
    s3: S3Server, bucket: str, jail: Jail, proxy: FaultyS3, tmp_path: Path
) -> None:
    # Given a dozen uploads whose day has come
    house = build(tmp_path / "home", jail, s3, bucket, endpoint=proxy.url)
    ids = [houses.receive(house, samples.png((16, 16))).id for _ in range(12)]
    later = houses.at(house, ShiftedClock(by=timedelta(days=2)))

    # When they are swept
    houses.sweep(later)

    # Then one call named them all, and each has its receipt with what was seen
    assert sum(call.is_delete for call in proxy.calls) == 1
    assert lying(s3, bucket) == []
    with later.ledger.read() as tx:
        bodies = [receipts.of_upload(tx, upload_id) for upload_id in ids]
    for kept in bodies:
        assert kept is not None
        (copy,) = verify(kept.body, house.signer.public_pem())["artifacts"]
        assert (copy["state"], copy["versions"], copy["observation"]) == ("gone", 1, "list_versions_empty")
    house.ledger.close()
    later.ledger.close()


def test_one_key_of_many_that_is_not_deleted_keeps_its_own_upload_and_no_other(
    s3: S3Server, bucket: str, jail: Jail, proxy: FaultyS3, tmp_path: Path
) -> None:
    house = build(tmp_path / "home", jail, s3, bucket, endpoint=proxy.url)
    ids = [houses.receive(house, samples.png((16, 16))).id for _ in range(4)]
    later = houses.at(house, ShiftedClock(by=timedelta(days=2)))
    (spared,) = houses.copies_of(house, ids[2])

    def leaves_out_one(call: Call, _body: bytes) -> bytes:
        if not call.is_delete:
            return call.body
        return re.sub(
            rb"<Object>(?:(?!</Object>).)*" + re.escape(spared.key.encode()) + rb".*?</Object>", b"", call.body
        )

    proxy.change = leaves_out_one
    later.sweeping.run(houses.FreeGuard())
    houses.work(later, rounds=1)

    states = [houses.upload_of(house, upload_id).state for upload_id in ids]
    assert states.count(UploadState.ERASED) == 3
    assert states[2] is UploadState.ERASING
    assert lying(s3, bucket) == [f"mayfly/{spared.key}"]
    proxy.heal()
    houses.sweep(houses.at(house, ShiftedClock(by=timedelta(days=3))))
    assert lying(s3, bucket) == []
    house.ledger.close()
    later.ledger.close()
