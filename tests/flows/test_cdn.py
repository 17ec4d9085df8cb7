"""Copies in a CDN: a real nginx before a directory; what it keeps is purged and looked for, or told honestly."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests import houses, samples
from tests.buckets import S3Server
from tests.faults import FaultyS3, Reply, faulty
from tests.webserver import SECRET, Nginx, Origin, nginx, origin
from worker.cli import views
from worker.cli.app import run
from worker.cli.doctor import look_at_cdn
from worker.errors import Refused
from worker.ledger import events, leases, receipts, requests
from worker.ledger.clock import ShiftedClock
from worker.media.jail import Jail
from worker.model import Artifact, ArtifactKind, ArtifactState, Job, Trigger, UploadState
from worker.privacy.receipt import verify
from worker.wiring import House

pytestmark = [pytest.mark.slow, pytest.mark.wide]


@pytest.fixture
def behind(tmp_path: Path) -> Iterator[Origin]:
    (tmp_path / "home" / "media").mkdir(parents=True)
    with origin(tmp_path / "home" / "media") as made:
        yield made


@pytest.fixture(params=["purge", "get"])
def cache(request: pytest.FixtureRequest, behind: Origin, tmp_path: Path) -> Iterator[Nginx]:
    (tmp_path / "nginx").mkdir()
    with nginx(tmp_path / "nginx", behind, way=request.param) as made:
        yield made


@pytest.fixture
def shown(cache: Nginx, tmp_path: Path, jail: Jail) -> Iterator[House]:
    """A house whose media directory stands behind the cache."""
    made = houses.build(tmp_path / "home", jail=jail, **cache.settings)
    yield made
    made.ledger.close()


def ready(house: House) -> str:
    upload = houses.receive(house, samples.png())
    houses.work(house)
    assert houses.upload_of(house, upload.id).state is UploadState.READY
    return upload.id


def fetch(url: str) -> tuple[int, bytes, str]:
    """Status, body, and whether the cache had it."""
    try:
        with urllib.request.urlopen(url) as answer:
            return answer.status, answer.read(), answer.headers["X-Cache"]
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(), error.headers["X-Cache"]


def addresses(house: House, upload_id: str) -> list[str]:
    return [entry["url"] for entry in views.upload_document(house, upload_id)["renditions"]]


def at_cdn(house: House, upload_id: str) -> list[Artifact]:
    return [copy for copy in houses.copies_of(house, upload_id) if copy.kind is ArtifactKind.CDN_COPY]


def receipt_of(house: House, upload_id: str) -> dict[str, Any]:
    with house.ledger.read() as tx:
        kept = receipts.of_upload(tx, upload_id)
    assert kept is not None
    return verify(kept.body, house.signer.public_pem())


def test_what_a_cache_still_shows_is_purged_and_looked_for(shown: House) -> None:
    # Given a published picture whose copies the cache has been asked for
    upload_id = ready(shown)
    urls = addresses(shown, upload_id)
    bodies = [fetch(url)[1] for url in urls]
    assert {copy.state for copy in at_cdn(shown, upload_id)} == {ArtifactState.PRESENT}
    assert {copy.rule for copy in at_cdn(shown, upload_id)} == {"cdn_copy.published"}

    # And the danger is real: with the origin's files gone, the cache shows the person all the same
    files = houses.files_below(shown.settings.home)
    away = {path: path.read_bytes() for path in files}
    for path in files:
        path.unlink()
    assert [fetch(url) for url in urls] == [(200, body, "HIT") for body in bodies]
    for path, body in away.items():
        path.write_bytes(body)

    # When it is erased
    shown.erasing.begin(upload_id, Trigger.USER)
    houses.work(shown)

    # Then no address shows it any more, and the receipt says how that was seen
    assert houses.upload_of(shown, upload_id).state is UploadState.ERASED
    assert [fetch(url)[0] for url in urls] == [404] * len(urls)
    entries = [entry for entry in receipt_of(shown, upload_id)["artifacts"] if entry["kind"] == "cdn_copy"]
    assert len(entries) == len(urls)
    assert {(e["place"], e["method"], e["observation"], e["state"]) for e in entries} == {
        ("cdn", "purge", "probe_404", "gone")
    }
    assert not any(url in json.dumps(entries) or SECRET in json.dumps(entries) for url in urls)


def test_a_cache_that_does_not_answer_keeps_the_erasure_open_and_ends_it_when_it_does(
    cache: Nginx, shown: House
) -> None:
    # Given a published picture in a cache that is down
    upload_id = ready(shown)
    urls = addresses(shown, upload_id)
    bodies = [fetch(url)[1] for url in urls]
    cache.stop()

    # When it is erased, Then the origin's copies are gone, and what blocks is named
    shown.erasing.begin(upload_id, Trigger.USER)
    houses.work(shown, rounds=3)
    assert houses.files_below(shown.settings.home) == []
    assert houses.upload_of(shown, upload_id).state is UploadState.ERASING
    assert {(copy.state, copy.reason) for copy in at_cdn(shown, upload_id)} == {
        (ArtifactState.BLOCKED, "storage_unavailable")
    }
    assert views.upload_document(shown, upload_id)["renditions"] == []

    # When it is back, with all that it kept, Then the erasure ends
    cache.start()
    assert [fetch(url)[:2] for url in urls] == [(200, body) for body in bodies]
    later = houses.at(shown, ShiftedClock(by=timedelta(minutes=6)))
    houses.work(later)
    assert houses.upload_of(later, upload_id).state is UploadState.ERASED
    assert [fetch(url)[0] for url in urls] == [404] * len(urls)
    assert {e["observation"] for e in receipt_of(later, upload_id)["artifacts"] if e["kind"] == "cdn_copy"} == {
        "probe_404"
    }
    later.ledger.close()


@pytest.mark.parametrize("cache", ["purge"], indirect=True)
@pytest.mark.parametrize("step", ["destroyed", "purged", "recorded"])
def test_a_run_that_breaks_at_any_step_leaves_nothing_in_the_cache(shown: House, step: str) -> None:
    upload_id = ready(shown)
    urls = addresses(shown, upload_id)
    assert {fetch(url)[0] for url in urls} == {200}
    shown.erasing.begin(upload_id, Trigger.USER)
    broken: list[str] = []

    def break_once(job: Job, named: str) -> None:
        if job.kind == "erase" and named == step and not broken:
            broken.append(named)
            raise RuntimeError("a worker that stumbles")

    houses.work(shown, observe=break_once)
    with shown.ledger.begin() as tx:
        leases.hurry(tx, "erase", upload_id)
        # A killed run leaves its claims on the copies; their time has passed.
        tx.conn.exec_driver_sql("UPDATE artifacts SET lease_until = NULL, next_attempt_at = delete_at")
    houses.work(shown)

    assert broken == [step]
    assert houses.upload_of(shown, upload_id).state is UploadState.ERASED
    assert [fetch(url)[0] for url in urls] == [404] * len(urls)
    with shown.ledger.read() as tx:
        assert [event.event for event in events.of_upload(tx, upload_id)].count("erased") == 1


@pytest.fixture
def mute(tmp_path: Path) -> Iterator[FaultyS3]:
    """A CDN that takes every purge and answers 403 to everybody."""
    with faulty("http://127.0.0.1:9") as made:
        made.fault = lambda call: Reply(status=200 if call.verb == "PURGE" else 403)
        yield made


def test_what_cannot_be_seen_is_called_unverifiable_and_never_completed(
    mute: FaultyS3, tmp_path: Path, jail: Jail, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given a published picture at that CDN
    house = houses.build(tmp_path / "home", jail=jail, cdn_url=f"{mute.url}/{{key}}")
    upload_id, other = ready(house), ready(house)

    # When the person asks for erasure
    request_id = house.fulfilling.open(houses.APP, houses.ANNA)
    houses.work(house)

    # Then it ends, and upload, receipt and request say that nobody could see whether those copies are gone
    assert houses.upload_of(house, upload_id).state is UploadState.ERASED
    assert {copy.state for copy in at_cdn(house, upload_id)} == {ArtifactState.UNVERIFIABLE}
    entries = receipt_of(house, upload_id)["artifacts"]
    assert {(e["method"], e["observation"], e["looked_at"], e["reason"]) for e in entries if e["place"] == "cdn"} == {
        ("purge", "none", None, "cdn_answers_403_to_everything")
    }
    assert {e["state"] for e in entries if e["place"] != "cdn"} == {"gone"}
    with house.ledger.read() as tx:
        assert requests.get(tx, request_id).state == "partially_completed"
    house.ledger.close()

    # And the command that erases what is erased says so, too
    monkeypatch.setenv("MAYFLY_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MAYFLY_CDN_URL", f"{mute.url}/{{key}}")
    capsys.readouterr()
    assert run(["--json", "erase", "--upload", other]) == 1
    said = capsys.readouterr()
    document = json.loads(said.out)
    assert document["state"] == "partially_completed"
    assert f"{len(at_cdn(house, other))} copies" in said.err
    assert "[unverifiable]" in said.err


def test_a_copy_whose_origin_is_still_there_is_purged_and_not_called_gone(
    mute: FaultyS3, tmp_path: Path, jail: Jail
) -> None:
    # Given a published picture, one copy of which cannot be destroyed, and a CDN that shows nothing just now
    house = houses.build(tmp_path / "home", jail=jail, cdn_url=f"{mute.url}/{{key}}")
    mute.fault = lambda call: Reply(status=200 if call.verb == "PURGE" else 404)
    upload_id = ready(house)
    stuck = next(copy for copy in houses.copies_of(house, upload_id) if copy.kind is ArtifactKind.RENDITION)
    path = house.shelf.path(stuck)
    assert path is not None
    path.unlink()
    path.mkdir()

    # When it is erased, Then that copy was purged all the same, and waits: anybody's question would fetch it again
    house.erasing.begin(upload_id, Trigger.USER)
    houses.work(house, rounds=3)
    assert [call for call in mute.calls if call.verb == "PURGE" and call.path.endswith(stuck.key)]
    waiting = [(copy.key, copy.reason) for copy in at_cdn(house, upload_id) if copy.state is ArtifactState.BLOCKED]
    assert waiting == [(stuck.key, "origin_still_there")]
    assert houses.upload_of(house, upload_id).state is UploadState.ERASING

    # When it can be destroyed, Then both are gone
    path.rmdir()
    later = houses.at(house, ShiftedClock(by=timedelta(minutes=6)))
    houses.work(later)
    assert houses.upload_of(later, upload_id).state is UploadState.ERASED
    house.ledger.close()
    later.ledger.close()


def test_a_copy_from_before_there_was_a_cdn_is_not_shown_by_it(mute: FaultyS3, house: House, tmp_path: Path) -> None:
    """An address without a row would make copies that nothing destroys (P1)."""
    before = ready(house)
    with_cdn = House.build(house.settings.model_copy(update={"cdn_url": f"{mute.url}/{{key}}"}), jail=house.jail)
    after = ready(with_cdn)
    assert all("path" in entry for entry in views.upload_document(with_cdn, before)["renditions"])
    assert all(entry["url"].startswith(mute.url) for entry in views.upload_document(with_cdn, after)["renditions"])
    # Nor is what another CDN may keep called gone by this one.
    house.erasing.begin(after, Trigger.USER)
    houses.work(house, rounds=3)
    assert {copy.state for copy in at_cdn(house, after)} == {ArtifactState.PRESENT}
    assert houses.upload_of(house, after).state is UploadState.ERASING
    with_cdn.ledger.close()


def test_doctor_tells_a_cdn_that_takes_no_purge_and_one_that_nothing_can_be_seen_at(
    mute: FaultyS3, tmp_path: Path
) -> None:
    mute.fault = lambda call: Reply(status=200 if call.verb == "PURGE" else 404)
    house = houses.build(tmp_path / "home", cdn_url=f"{mute.url}/{{key}}")
    edge = house.shelf.cdn
    assert edge is not None
    assert look_at_cdn(edge) == "takes purges, and answers 404 for what never was"
    for purge, look, code in [(405, 404, "purge_refused"), (500, 404, "purge_refused"), (200, 403, "cdn_blind")]:
        mute.fault = lambda call, purge=purge, look=look: Reply(status=purge if call.verb == "PURGE" else look)  # type: ignore[misc]
        with pytest.raises(Refused) as refused:
            look_at_cdn(edge)
        assert refused.value.code == code
    house.ledger.close()


def test_a_bucket_behind_a_cdn_tells_it_to_ask_again_after_a_minute(
    mute: FaultyS3, s3: S3Server, tmp_path: Path, jail: Jail
) -> None:
    bucket = s3.bucket("plain")
    keys = {"s3_access_key": s3.access_key, "s3_secret_key": s3.secret_key, "s3_region": "us-east-1"}
    house = houses.build(
        tmp_path / "home",
        jail=jail,
        cdn_url=f"{mute.url}/{{key}}",
        s3_bucket=bucket,
        s3_endpoint=s3.endpoint,
        **keys,
    )
    upload_id = ready(house)
    assert all(url.startswith(f"{mute.url}/rendition/") for url in addresses(house, upload_id))
    for url in addresses(house, upload_id):
        head = s3.client.head_object(Bucket=bucket, Key=url.removeprefix(f"{mute.url}/"))
        assert head["CacheControl"] == "max-age=60, must-revalidate"
    house.ledger.close()
