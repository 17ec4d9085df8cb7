"""One upload from quarantine to published; whatever comes in between, it ends where it should and never twice."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from tests import clips, houses, samples
from worker.flows.steps import PROCESS
from worker.ledger import events, leases
from worker.ledger.clock import ShiftedClock
from worker.media.jail import Jail
from worker.model import ArtifactKind, ArtifactState, Job, Trigger, UploadState
from worker.wiring import House

PICTURES: dict[str, Callable[[], bytes]] = {
    "jpeg": samples.photo,
    "png": samples.rgba_png,
    "gif": samples.animated_gif,
    "webp": samples.webp,
    "heic": samples.heic,
}
GOING = (ArtifactState.PLANNED, ArtifactState.PRESENT, ArtifactState.ERASING)


@pytest.mark.parametrize("make", PICTURES.values(), ids=PICTURES)
def test_a_picture_becomes_three_renditions_and_nothing_else_stays(house: House, make: Callable[[], bytes]) -> None:
    # Given a picture in quarantine
    upload = houses.receive(house, make())

    # When its work is done
    houses.work(house)

    # Then it is ready, its three copies lie there with a last day, and the original and the working copy are gone
    assert houses.upload_of(house, upload.id).state is UploadState.READY
    copies = houses.copies_of(house, upload.id)
    assert sorted((c.kind.value, c.name) for c in copies if c.state is ArtifactState.PRESENT) == [
        ("rendition", "display"),
        ("rendition", "share"),
        ("rendition", "thumb"),
    ]
    assert {c.state for c in copies if c.kind in (ArtifactKind.ORIGINAL, ArtifactKind.SCRATCH)} == {ArtifactState.GONE}
    assert all(c.delete_at == upload.created_at + upload.keep_for for c in copies if c.kind is ArtifactKind.RENDITION)
    assert len(houses.files_below(house.settings.home)) == 3


def test_what_is_made_only_after_its_time_is_ready_and_due_at_once(house: House) -> None:
    # Given a file that its app keeps for a minute, and workers that come an hour later
    upload = houses.receive(house, samples.photo(), keep_for=timedelta(minutes=1))
    later = houses.at(house, ShiftedClock(by=timedelta(hours=1)))

    # Then no copy has a day before its birth, nothing fails, and the sweep ends it
    houses.work(later)
    assert houses.upload_of(house, upload.id).code is None
    houses.sweep(later)
    assert houses.upload_of(house, upload.id).state is UploadState.ERASED
    assert houses.files_below(house.settings.home) == []
    later.ledger.close()


def test_each_step_is_named_in_its_order(house: House) -> None:
    houses.receive(house, samples.photo())
    seen: list[str] = []

    houses.work(house, observe=lambda job, step: seen.append(step) if job.kind == "process" else None)

    assert tuple(seen) == PROCESS


def test_a_clip_becomes_a_film_a_poster_and_a_thumbnail(house: House, tmp_path: Path) -> None:
    upload = houses.receive(house, clips.mp4(tmp_path, seconds=1).read_bytes())

    houses.work(house)

    ready = houses.upload_of(house, upload.id)
    assert (ready.state, ready.code) == (UploadState.READY, None)
    shown = [c for c in houses.copies_of(house, upload.id) if c.state is ArtifactState.PRESENT]
    assert sorted((c.name, c.media_type) for c in shown) == [
        ("poster", "image/webp"),
        ("thumb", "image/webp"),
        ("video", "video/mp4"),
    ]
    assert ready.facts["removed"]


def test_a_file_that_cannot_be_decoded_has_failed_and_its_original_stays_as_evidence(house: House) -> None:
    # Given a JPEG that ends in its middle
    upload = houses.receive(house, samples.photo()[:9_000])

    # When it is processed
    houses.work(house)

    # Then it says why, the evidence lives seven days, and no other copy is left
    ended = houses.upload_of(house, upload.id)
    assert (ended.state, ended.code) == (UploadState.FAILED, "truncated")
    (kept,) = [c for c in houses.copies_of(house, upload.id) if c.state in GOING]
    assert (kept.kind, kept.rule) == (ArtifactKind.ORIGINAL, "original.refused")
    assert 6.9 < (kept.delete_at - kept.created_at).days + 1 <= 8


def test_the_progress_of_a_clip_is_told(house: House, tmp_path: Path) -> None:
    upload = houses.receive(house, clips.mp4(tmp_path, seconds=2).read_bytes())
    told: list[object] = []

    def look(_job: Job, step: str) -> None:
        if step == "rendered":
            told.append(houses.upload_of(house, upload.id).facts.get("progress"))

    houses.work(house, observe=look)

    assert told == [100]


@pytest.mark.slow
@pytest.mark.parametrize("step", PROCESS[:-1])
def test_an_erasure_that_begins_at_any_step_wins(house: House, step: str) -> None:
    """P5: nothing that a late job makes is published, and nothing of it stays."""
    upload = houses.receive(house, samples.png())
    begun: list[str] = []

    def interrupt(job: Job, named: str) -> None:
        # When the upload is erased while its job stands at this step
        if job.kind == "process" and named == step:
            begun.append(named)
            house.erasing.begin(upload.id, Trigger.USER)

    houses.work(house, observe=interrupt)

    # Then it ends erased, with one receipt, and not a byte is left
    assert begun == [step]
    assert houses.upload_of(house, upload.id).state is UploadState.ERASED
    assert houses.files_below(house.settings.home) == []
    with house.ledger.read() as tx:
        story = [event.event for event in events.of_upload(tx, upload.id)]
        assert events.verify(tx, upload.id)
        assert not leases.pending(tx, kinds=("process", "erase"))
    assert story.count("erased") == 1
    assert story.count("published") == (1 if step in ("published", "cleaned") else 0)


@pytest.mark.slow
@pytest.mark.parametrize("step", PROCESS[:-1])
def test_a_run_that_breaks_at_any_step_is_made_good_by_the_next(house: House, step: str) -> None:
    """Published exactly once, and the copies of the broken run are gone."""
    upload = houses.receive(house, samples.png())
    broken: list[str] = []

    def break_once(job: Job, named: str) -> None:
        if job.kind == "process" and named == step and not broken:
            broken.append(named)
            raise RuntimeError("a worker that stumbles")

    # When the first run breaks there, and the job is tried again
    houses.work(house, observe=break_once)
    with house.ledger.begin() as tx:
        leases.hurry(tx, "process", upload.id)
    houses.work(house)

    # Then the upload is ready, was published once, and each rendition lies there once
    assert broken == [step]
    assert houses.upload_of(house, upload.id).state is UploadState.READY
    shown = [c.name for c in houses.copies_of(house, upload.id) if c.state is ArtifactState.PRESENT]
    assert sorted(shown) == ["display", "share", "thumb"]
    assert len(houses.files_below(house.settings.home)) == 3
    with house.ledger.read() as tx:
        assert [e.event for e in events.of_upload(tx, upload.id)].count("published") == 1


def test_a_job_that_always_stumbles_fails_its_upload_after_three_attempts(house: House) -> None:
    upload = houses.receive(house, samples.png())
    tries: list[int] = []

    def stumble(job: Job, step: str) -> None:
        if job.kind == "process" and step == "fetched":
            tries.append(job.attempts)
            raise MemoryError

    for _ in range(5):
        houses.work(house, observe=stumble)
        with house.ledger.begin() as tx:
            leases.hurry(tx, "process", upload.id)

    # Then it was tried three times, has failed, and an operator sees a dead letter
    assert tries == [1, 2, 3]
    assert houses.upload_of(house, upload.id).code == "out_of_memory"
    with house.ledger.read() as tx:
        (letter,) = leases.dead(tx)
    assert (letter.kind, letter.target, letter.attempts, letter.code) == ("process", upload.id, 3, "out_of_memory")
    # And the original is evidence for as long as its rule says
    assert [c.rule for c in houses.copies_of(house, upload.id) if c.state is ArtifactState.PRESENT] == [
        "original.refused"
    ]


def test_a_changed_original_is_a_defect_and_is_never_published(house: House) -> None:
    # Given an original that somebody changed on disk
    upload = houses.receive(house, samples.png())
    path = house.shelf.path(houses.copies_of(house, upload.id)[0])
    assert path is not None
    path.write_bytes(samples.png((64, 64)))

    # When it is processed
    for _ in range(4):
        houses.work(house)
        with house.ledger.begin() as tx:
            leases.hurry(tx, "process", upload.id)

    # Then nothing is published, and it says so
    ended = houses.upload_of(house, upload.id)
    assert (ended.state, ended.code) == (UploadState.FAILED, "original_changed")


def test_an_original_that_is_no_longer_there_fails_its_upload(house: House) -> None:
    upload = houses.receive(house, samples.png())
    path = house.shelf.path(houses.copies_of(house, upload.id)[0])
    assert path is not None
    path.unlink()

    houses.work(house)

    ended = houses.upload_of(house, upload.id)
    assert ended.state is UploadState.FAILED
    assert ended.code == "object_missing"


def test_nothing_is_published_where_the_second_reader_cannot_run(house: House, jail: Jail, tmp_path: Path) -> None:
    """P2: doubt fails closed. A jail whose reader finds something in everything publishes nothing."""
    doubtful = Jail(extra_verbs={"proof.read": "tests.misbehave:doubt"}, extra_path=[Path(__file__).parents[2]])
    other = houses.build(tmp_path / "other", jail=doubtful)
    upload = houses.receive(other, samples.png())

    houses.work(other)

    ended = houses.upload_of(other, upload.id)
    assert (ended.state, ended.code) == (UploadState.FAILED, "not_proven")
    assert [c.kind for c in houses.copies_of(other, upload.id) if c.kind is ArtifactKind.RENDITION] == []
    other.close()
