"""What holds of every ledger at every moment, whatever has happened: one function a law, read from the rows alone.

The numbers are those of the invariants: each function raises `AssertionError` with what breaks it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, text

from worker.ledger import artifacts, events, leases, tables, uploads
from worker.ledger.database import Ledger, Tx
from worker.ledger.rows import to_artifact, to_upload
from worker.model import Artifact, ArtifactKind, ArtifactState, Upload, UploadState
from worker.retention.rules import KEEP_FOR_MOST
from worker.wiring import House

_ENDED = (ArtifactState.GONE, ArtifactState.UNVERIFIABLE)
_WAITING = (UploadState.RECEIVING, UploadState.QUARANTINED, UploadState.PROCESSING)
# A copy may be late only by what a policy adds to the longest wish: nothing.
_LONGEST = KEEP_FOR_MOST + timedelta(days=1)
# What failed is tried again after this long at the latest, where no lock with a last day is in the way.
_TRIED = timedelta(minutes=10)
_CLOSED = (
    select(tables.requests.c.id, tables.requests.c.state, tables.requests.c.closed_at, tables.receipts.c.body)
    .join(tables.receipts, tables.receipts.c.id == tables.requests.c.receipt_id)
    .where(tables.requests.c.state != "open")
)


@dataclass(frozen=True, kw_only=True)
class Sight:
    """Every row of a ledger, and every key under which bytes lie, by location. `asking`: who has an open request.
    `kept`: uploads with a hold or a restriction. `due`, `copies_due`, `late`: what the ledger says is due, whether it
    would name any copy to a sweep, and how late it says that it is (seconds)."""

    now: datetime
    uploads: Mapping[str, Upload]
    copies: tuple[Artifact, ...]
    events: Mapping[str, list[events.Event]]
    receipts: Mapping[str, list[dict[str, Any]]]
    jobs: tuple[Any, ...]
    bells: frozenset[str]
    broken: frozenset[str]
    asking: frozenset[str]
    kept: frozenset[str]
    held: frozenset[str]
    restricted: frozenset[str]
    due: frozenset[str]
    copies_due: bool
    late: int
    requests: tuple[Any, ...]
    covered: frozenset[tuple[str, str]]
    bytes_at: Mapping[str, frozenset[str]]

    def of(self, upload_id: str) -> list[Artifact]:
        return [copy for copy in self.copies if copy.upload_id == upload_id]

    def overdue(self, upload_id: str) -> list[Artifact]:
        return [copy for copy in self.of(upload_id) if copy.delete_at <= self.now and copy.state not in _ENDED]


def look(house: House, *, chains: bool = False) -> Sight:
    """`chains`: every chain of events is recounted as well."""
    # The bytes first: a row comes before its bytes, so what is seen has a row by then.
    shelf = house.shelf
    lying = {name: frozenset(str(stat.key) for stat in shelf.walk(name)) for name in shelf.locations}
    lying[shelf.scratch.name] = frozenset(str(key) for key in shelf.scratch.list())
    with house.ledger.read() as tx:
        return _rows(tx, lying, chains=chains)


def _rows(tx: Tx, lying: Mapping[str, frozenset[str]], *, chains: bool) -> Sight:
    owners = {row.id: to_upload(row) for row in tx.conn.execute(select(tables.uploads))}
    open_ = tables.requests.c
    held = frozenset(tx.conn.execute(select(tables.holds.c.upload_id).where(text(tables.ACTIVE_HOLD))).scalars())
    of = tables.restrictions.c.upload_id
    restricted = frozenset(tx.conn.execute(select(of).where(text(tables.ACTIVE_RESTRICTION))).scalars())
    signed: dict[str, list[dict[str, Any]]] = {upload_id: [] for upload_id in owners}
    for row in tx.conn.execute(select(tables.receipts).where(tables.receipts.c.upload_id.is_not(None))):
        signed[row.upload_id].append(json.loads(row.body))
    return Sight(
        now=tx.now,
        uploads=owners,
        copies=tuple(to_artifact(row) for row in tx.conn.execute(select(tables.artifacts))),
        events={upload_id: events.of_upload(tx, upload_id) for upload_id in owners},
        receipts=signed,
        jobs=unfinished(tx),
        bells=frozenset(tx.conn.execute(select(tables.outbox.c.job_id)).scalars()),
        broken=frozenset(upload_id for upload_id in owners if chains and not events.verify(tx, upload_id)),
        asking=frozenset(tx.conn.execute(select(open_.subject_key).where(open_.state == "open")).scalars()),
        kept=held | restricted,
        held=held,
        restricted=restricted,
        due=frozenset(uploads.due(tx, 100)),
        copies_due=artifacts.any_due(tx, list(lying)),
        late=artifacts.oldest_overdue_seconds(tx),
        requests=tuple(tx.conn.execute(_CLOSED)),
        covered=frozenset((row.request_id, row.upload_id) for row in tx.conn.execute(select(tables.request_uploads))),
        bytes_at=lying,
    )


def unfinished(tx: Tx) -> tuple[Any, ...]:
    """The rows of jobs that wait or are in hand."""
    return tuple(tx.conn.execute(select(tables.leases).where(tables.leases.c.state.in_(("ready", "leased")))))


def stones(tx: Tx) -> set[str]:
    """Uploads of which the ledger holds a tombstone."""
    return set(tx.conn.execute(select(tables.tombstones.c.upload_id)).scalars())


def i1_erased_means_every_copy_was_seen_gone(sight: Sight) -> None:
    for upload in sight.uploads.values():
        if upload.state is UploadState.ERASED:
            copies = sight.of(upload.id)
            assert all(copy.state in _ENDED for copy in copies)
            assert all(copy.reason for copy in copies if copy.state is ArtifactState.UNVERIFIABLE)
            assert not any(copy.key in sight.bytes_at.get(copy.location, ()) for copy in copies)
            assert upload.subject_key is None


def i2_bytes_have_rows_and_rows_have_bytes(sight: Sight) -> None:
    rows = {(copy.location, copy.key): copy for copy in sight.copies}
    for location, keys in sight.bytes_at.items():
        for key in keys:
            assert rows[location, key].state is not ArtifactState.GONE
    for copy in sight.copies:
        if copy.state is ArtifactState.PRESENT and copy.kind is not ArtifactKind.SCRATCH:
            assert copy.key in sight.bytes_at[copy.location]


def i8_one_receipt_each(sight: Sight) -> None:
    for upload in sight.uploads.values():
        assert len(sight.receipts[upload.id]) == (upload.state is UploadState.ERASED)
        ended = Counter(event.event for event in sight.events[upload.id])
        assert ended["erased"] <= 1
        assert ended["erasure_began"] <= 1


def i10_no_day_later_without_a_ground(sight: Sight) -> None:
    for upload_id, story in sight.events.items():
        days: dict[str, str] = {}
        for event in story:
            if (copy := event.detail.get("artifact_id")) and "delete_at" in event.detail:
                if event.detail["delete_at"] > days.get(copy, event.detail["delete_at"]):
                    assert event.detail["basis"]
                days[copy] = event.detail["delete_at"]
        for copy in sight.of(upload_id):
            assert copy.delete_at - sight.uploads[upload_id].created_at <= _LONGEST


def i11_receipts_name_every_copy_that_ever_was(sight: Sight) -> None:
    for upload_id, (body,) in ((i, bodies) for i, bodies in sight.receipts.items() if bodies):
        planned = {e.detail["artifact_id"] for e in sight.events[upload_id] if e.event == "artifact_planned"}
        assert {entry["artifact_id"] for entry in body["artifacts"]} == planned
        assert planned == {copy.id for copy in sight.of(upload_id)}


def i12_nothing_in_limbo(sight: Sight) -> None:
    """Every unfinished job has a bell or a lease; every unfinished upload a job, or a day on which the sweep comes."""
    for job in sight.jobs:
        assert job.id in sight.bells if job.state == "ready" else job.lease_until is not None
    live = {(job.kind, job.target) for job in sight.jobs}
    assert ("sweep", "all") in live
    for upload in sight.uploads.values():
        if upload.state is UploadState.ERASING:
            assert ("erase", upload.id) in live
        if upload.state in _WAITING:
            assert upload.delete_at - upload.created_at <= timedelta(days=1)


def i4_i6_what_is_kept_is_not_due(sight: Sight) -> None:
    """The ledger's own word of what is due, counted again by hand: no more, no less."""
    late = [u for u in sight.uploads.values() if u.delete_at <= sight.now and u.id not in sight.kept]
    assert sight.due == {u.id for u in late if u.state not in (UploadState.ERASING, UploadState.ERASED)}
    copies = [copy for copy in sight.copies if copy.state not in _ENDED and copy.upload_id not in sight.kept]
    assert sight.copies_due == any(copy.next_attempt_at <= sight.now for copy in copies)
    since = [copy.delete_at for copy in copies if copy.delete_at <= sight.now]
    since += [u.state_at for u in sight.uploads.values() if u.state is UploadState.ERASING and u.id not in sight.kept]
    assert sight.late == max((int((sight.now - each).total_seconds()) for each in since), default=0)


def i12_what_failed_is_tried_again(sight: Sight) -> None:
    for copy in sight.copies:
        if copy.state in (ArtifactState.ERASING, ArtifactState.BLOCKED):
            # What a killed run made of an upload that lives may wait for its own day.
            ending = sight.uploads[copy.upload_id].state is UploadState.ERASING
            assert copy.next_attempt_at <= max(sight.now + _TRIED, sight.now if ending else copy.delete_at)


def i13_closed_only_when_all_is_gone_but_what_a_hold_kept(sight: Sight) -> None:
    for request in sight.requests:
        kept = {entry["upload_id"] for entry in json.loads(request.body)["kept"]}
        assert bool(kept) <= (request.state == "partially_completed")
        assert all(_held(sight.events[upload_id], request.closed_at) for upload_id in kept)
        for request_id, upload_id in sight.covered:
            if request_id == request.id:
                assert upload_id in kept or sight.uploads[upload_id].state is UploadState.ERASED


def _held(story: list[events.Event], at: datetime) -> bool:
    """Whether a hold was active in that moment, by the chain."""
    placed = {event.detail["hold_id"] for event in story if event.event == "hold_placed" and event.at <= at}
    return bool(
        placed - {event.detail["hold_id"] for event in story if event.event == "hold_released" and event.at < at}
    )


def p1_the_original_goes_when_it_was_used(sight: Sight) -> None:
    for copy in sight.copies:
        upload = sight.uploads[copy.upload_id]
        if copy.kind is ArtifactKind.ORIGINAL and upload.state is UploadState.READY:
            assert copy.delete_at <= max(upload.state_at, copy.created_at + timedelta(microseconds=1))


def the_chain_is_whole(sight: Sight) -> None:
    assert not sight.broken


LAWS = (
    i1_erased_means_every_copy_was_seen_gone,
    i2_bytes_have_rows_and_rows_have_bytes,
    i8_one_receipt_each,
    i10_no_day_later_without_a_ground,
    i11_receipts_name_every_copy_that_ever_was,
    i4_i6_what_is_kept_is_not_due,
    i12_nothing_in_limbo,
    i12_what_failed_is_tried_again,
    i13_closed_only_when_all_is_gone_but_what_a_hold_kept,
    p1_the_original_goes_when_it_was_used,
    the_chain_is_whole,
)


def hold_of(house: House, *, chains: bool = False) -> Sight:
    """Look, and see that every law holds."""
    sight = look(house, chains=chains)
    for law in LAWS:
        law(sight)
    return sight


def _row(tx: Tx, location: str, key: str) -> tuple[Artifact, Upload] | None:
    c = tables.artifacts.c
    row = tx.conn.execute(select(tables.artifacts).where(c.location == location, c.key == key)).one_or_none()
    return None if row is None else (to_artifact(row), uploads.get(tx, row.upload_id))


def p1_p4_a_row_before_the_bytes_and_nothing_after_the_last_look(ledger: Ledger, location: str, key: str) -> None:
    """In the moment of writing."""
    with ledger.read() as tx:
        found = _row(tx, location, key)
    assert found is not None, "bytes before their row"
    assert found[1].state is not UploadState.ERASED, "written after the last look"


def i4_nothing_is_destroyed_that_is_kept(ledger: Ledger, location: str, key: str, *, safe: set[str], by: str) -> None:
    """In the moment of destroying, by a job of a kind. `safe`: copies that were there when a hold or a restriction
    came."""
    with ledger.read() as tx:
        found = _row(tx, location, key)
        now = tx.now
        writer = found is not None and any(
            leases.held(tx, kind=kind, target=found[1].id) for kind in ("receive", "process", "preserve")
        )
    if found is None:
        return
    copy, upload = found
    assert copy.id not in safe, "destroyed while kept"
    assert copy.state is not ArtifactState.PRESENT, "destroyed before it was said"
    if by == "sweep" and upload.state is not UploadState.ERASING:
        assert copy.delete_at <= now, "swept before its day"
    if by == "erase":
        assert not writer, "looked while somebody writes"
