"""Taking an upload in: the row before the bytes, and whatever goes wrong, nothing of a broken upload stays."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from storage_backends.keys import Key
from storage_backends.memory import MemoryStorage
from tests import houses, samples
from worker.errors import MayflyError, Refused, StateConflict, Unavailable
from worker.ledger import events, leases
from worker.ledger.clock import ShiftedClock
from worker.model import ArtifactKind, ArtifactState, Purpose, Trigger, UploadState, new_id
from worker.wiring import House


def test_what_comes_in_is_quarantined_and_its_work_is_due(house: House) -> None:
    # When a photo is received
    upload = houses.receive(house, samples.photo())

    # Then it is quarantined under our own sniff, and one job waits for a picture worker
    assert (upload.state, upload.media_type) == (UploadState.QUARANTINED, "image/jpeg")
    with house.ledger.read() as tx:
        counts = leases.counts(tx)
        assert (counts.ready, counts.leased) == ({"image": 1}, {})
        assert [event.event for event in events.of_upload(tx, upload.id)] == [
            "created",
            "artifact_planned",
            "artifact_written",
            "received",
        ]
    # And the original lies on disk alone, as it came
    (original,) = houses.copies_of(house, upload.id)
    path = house.shelf.path(original)
    assert path is not None
    assert path.read_bytes() == samples.photo()
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)


@pytest.mark.parametrize(
    ("body", "declared", "code"),
    [
        (b"", None, "empty"),
        (b"just text, whatever its name says", None, "unsupported_type"),
        (samples.png(), "image/jpeg", "type_mismatch"),
        (samples.tiff(), None, "format_off"),
        (samples.bmp(), None, "format_off"),
    ],
    ids=["empty", "text", "mismatch", "tiff", "bmp"],
)
def test_what_is_refused_at_the_door_leaves_no_byte(house: House, body: bytes, declared: str | None, code: str) -> None:
    upload = houses.receive(house, body, declared_type=declared)

    assert (upload.state, houses.upload_of(house, upload.id).code) == (UploadState.REJECTED, code)
    assert houses.files_below(house.settings.home) == []
    assert houses.work(house) == []


def test_an_endless_body_ends_at_the_cap(house: House) -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        yield samples.photo()
        while True:
            sent += 1 << 20
            yield bytes(1 << 20)

    # When a body never ends
    upload = houses.receive(house, endless())

    # Then it is refused within a chunk of the cap, and nothing stays
    assert houses.upload_of(house, upload.id).code == "limits:bytes"
    assert sent <= house.receive.limits.image_bytes + (2 << 20)
    assert houses.files_below(house.settings.home) == []


def test_a_sender_that_breaks_off_leaves_a_failed_upload_and_no_byte(house: House) -> None:
    def broken() -> Iterator[bytes]:
        yield samples.photo()
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        houses.receive(house, broken(), upload_id=(upload_id := new_id("upl")))

    upload = houses.upload_of(house, upload_id)
    assert (upload.state, upload.code) == (UploadState.FAILED, "aborted")
    assert houses.files_below(house.settings.home) == []


def test_a_receiver_that_died_is_ended_when_its_lease_is_over(house: House) -> None:
    # Given a process that died while bytes came in: its rows and half a file are there
    upload, _job = house.receive._open(houses.new_upload(), timedelta(days=90))
    original = house.shelf.plan(upload, ArtifactKind.ORIGINAL, "original")
    path = house.shelf.path(original)
    assert path is not None
    path.parent.mkdir(parents=True)
    path.write_bytes(b"half")

    # When its lease is over and the relay has looked
    later = houses.at(house, ShiftedClock(by=leases.LEASE + timedelta(seconds=1)))
    with later.ledger.begin() as tx:
        (dead,) = leases.expired(tx, 10)
        leases.crashed(tx, dead.job_id, dead.fence - 1)
    assert houses.work(later)[0] == "receive"

    # Then it has failed, and the half file is gone
    assert houses.upload_of(later, upload.id).code == "aborted"
    assert not path.exists()


def test_an_erasure_waits_for_whoever_still_writes_and_then_finds_nothing(house: House) -> None:
    seen: list[UploadState] = []

    def erased_meanwhile() -> Iterator[bytes]:
        yield samples.photo()
        # When the upload is erased while its bytes come in
        house.erasing.begin(upload_id, Trigger.USER)
        houses.work(house, rounds=2)
        seen.append(houses.upload_of(house, upload_id).state)
        yield bytes(1000)

    upload_id = new_id("upl")
    with pytest.raises(StateConflict) as overtaken:
        houses.receive(house, erased_meanwhile(), upload_id=upload_id)

    # Then nobody said "erased" while it was being written, and afterwards it is, with nothing left
    assert overtaken.value.code == "superseded"
    assert seen == [UploadState.ERASING]
    houses.work(house)
    assert houses.upload_of(house, upload_id).state is UploadState.ERASED
    assert houses.files_below(house.settings.home) == []


@pytest.mark.parametrize("place", ["filesystem", "memory"])
def test_what_lands_after_its_writer_was_given_up_and_the_upload_erased_is_taken_back(house: House, place: str) -> None:
    """A host that stood still for longer than its lease wakes up in the middle of a write. A disk refuses it, since the
    file it was writing is gone; what has no such file, as a bucket, takes it, and it must be taken back."""
    later = houses.at(house, ShiftedClock(by=leases.LEASE + timedelta(seconds=1)))
    memory = MemoryStorage("media")
    if place == "memory":
        for one in (house, later):
            one.shelf.locations["media"] = memory  # type: ignore[index]
    upload_id, seen = new_id("upl"), list[UploadState]()

    def erased_meanwhile() -> Iterator[bytes]:
        yield samples.photo()
        later.erasing.begin(upload_id, Trigger.USER)
        houses.work(later)
        seen.append(houses.upload_of(later, upload_id).state)
        yield bytes(1000)

    with pytest.raises(Unavailable if place == "filesystem" else StateConflict):
        houses.receive(house, erased_meanwhile(), upload_id=upload_id)

    # Then what was called erased before those bytes lay there is so after them
    assert seen == [UploadState.ERASED]
    assert houses.files_below(house.settings.home) == []
    assert list(memory.list("")) == []
    later.ledger.close()


def test_an_upload_id_is_taken_once(house: House) -> None:
    upload = houses.receive(house, samples.png())

    with pytest.raises(StateConflict) as taken:
        houses.receive(house, samples.png(), upload_id=upload.id)

    assert taken.value.code == "upload_exists"
    assert houses.upload_of(house, upload.id).state is UploadState.QUARANTINED


def test_the_id_of_an_erased_upload_stays_taken(house: House) -> None:
    upload = houses.receive(house, samples.png())
    house.erasing.begin(upload.id, Trigger.USER)
    houses.work(house)

    with pytest.raises(StateConflict) as gone:
        houses.receive(house, samples.png(), upload_id=upload.id)

    assert gone.value.code == "erased"


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"purposes": frozenset()}, "bad_purpose"),
        ({"app": "Not An App"}, "bad_app"),
        ({"subject_key": "anna@example.org"}, "bad_subject"),
        ({"upload_id": "holiday.jpg"}, "bad_upload_id"),
    ],
)
def test_a_wrong_request_writes_nothing(house: House, wrong: dict[str, object], code: str) -> None:
    with pytest.raises(Refused) as refused:
        houses.receive(house, samples.png(), **wrong)

    assert refused.value.code == code
    assert "anna" not in str(refused.value)
    with house.ledger.read() as tx:
        assert leases.counts(tx).ready == {}


def test_bytes_are_opened_for_the_purposes_given_only(house: House) -> None:
    # Given an upload that may be displayed
    upload = houses.receive(house, samples.png(), purposes=frozenset({Purpose.DISPLAY}))
    (original,) = houses.copies_of(house, upload.id)

    # When it is opened for sharing, Then that is refused, and for nothing at all too
    for purposes in (frozenset({Purpose.SHARING}), frozenset(Purpose), frozenset[Purpose]()):
        with pytest.raises(MayflyError) as refused:
            house.shelf.open(original, purposes)
        assert refused.value.code == "purpose_refused"

    # And what was permitted left an event that names the purpose
    house.shelf.open(original, frozenset({Purpose.DISPLAY})).close()
    with house.ledger.read() as tx:
        reads = [event for event in events.of_upload(tx, upload.id) if event.event == "read"]
    assert [event.detail["purposes"] for event in reads] == [["display"]]


def test_the_row_is_committed_before_the_first_byte_is_written(house: House) -> None:
    """P1, seen from the backend: when it is handed the first chunk, another connection already sees the row."""
    seen: list[tuple[ArtifactState, bool]] = []

    def watching() -> Iterator[bytes]:
        yield samples.photo()
        (copy,) = houses.copies_of(house, upload_id)
        path = house.shelf.path(copy)
        seen.append((copy.state, path is not None and path.exists()))
        assert Key.parse(copy.key).upload_id == upload_id
        yield b""

    upload_id = new_id("upl")
    houses.receive(house, watching(), upload_id=upload_id)

    assert seen == [(ArtifactState.PLANNED, False)]
