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

from sqlalchemy import select

from worker.ledger import events, tables
from worker.ledger.database import Tx
from worker.ledger.rows import to_artifact, to_upload
from worker.model import Artifact, ArtifactKind, ArtifactState, Upload, UploadState
from worker.retention.rules import KEEP_FOR_MOST
from worker.wiring import House

_ENDED = (ArtifactState.GONE, ArtifactState.UNVERIFIABLE)
_WAITING = (UploadState.RECEIVING, UploadState.QUARANTINED, UploadState.PROCESSING)
# A copy may be late only by what a policy adds to the longest wish: nothing.
_LONGEST = KEEP_FOR_MOST + timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Sight:
    """Every row of a ledger, and every key under which bytes lie, by location. `asking`: who has an open request."""

    now: datetime
    uploads: Mapping[str, Upload]
    copies: tuple[Artifact, ...]
    events: Mapping[str, list[events.Event]]
    receipts: Mapping[str, list[dict[str, Any]]]
    jobs: tuple[Any, ...]
    bells: frozenset[str]
    whole: frozenset[str]
    asking: frozenset[str]
    bytes_at: Mapping[str, frozenset[str]]

    def of(self, upload_id: str) -> list[Artifact]:
        return [copy for copy in self.copies if copy.upload_id == upload_id]

    def overdue(self, upload_id: str) -> list[Artifact]:
        return [copy for copy in self.of(upload_id) if copy.delete_at <= self.now and copy.state not in _ENDED]


def look(house: House) -> Sight:
    # The bytes first: a row comes before its bytes, so what is seen has a row by then.
    shelf = house.shelf
    lying = {name: frozenset(str(stat.key) for stat in shelf.walk(name)) for name in shelf.locations}
    lying[shelf.scratch.name] = frozenset(str(key) for key in shelf.scratch.list())
    with house.ledger.read() as tx:
        return _rows(tx, lying)


def _rows(tx: Tx, lying: Mapping[str, frozenset[str]]) -> Sight:
    owners = {row.id: to_upload(row) for row in tx.conn.execute(select(tables.uploads))}
    open_ = tables.requests.c
    signed: dict[str, list[dict[str, Any]]] = {upload_id: [] for upload_id in owners}
    for row in tx.conn.execute(select(tables.receipts).where(tables.receipts.c.upload_id.is_not(None))):
        signed[row.upload_id].append(json.loads(row.body))
    return Sight(
        now=tx.now,
        uploads=owners,
        copies=tuple(to_artifact(row) for row in tx.conn.execute(select(tables.artifacts))),
        events={upload_id: events.of_upload(tx, upload_id) for upload_id in owners},
        receipts=signed,
        jobs=tuple(tx.conn.execute(select(tables.leases).where(tables.leases.c.state.in_(("ready", "leased"))))),
        bells=frozenset(tx.conn.execute(select(tables.outbox.c.job_id)).scalars()),
        whole=frozenset(upload_id for upload_id in owners if events.verify(tx, upload_id)),
        asking=frozenset(tx.conn.execute(select(open_.subject_key).where(open_.state == "open")).scalars()),
        bytes_at=lying,
    )


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


def the_chain_is_whole(sight: Sight) -> None:
    assert sight.whole == set(sight.uploads)


LAWS = (
    i1_erased_means_every_copy_was_seen_gone,
    i2_bytes_have_rows_and_rows_have_bytes,
    i8_one_receipt_each,
    i10_no_day_later_without_a_ground,
    i11_receipts_name_every_copy_that_ever_was,
    i12_nothing_in_limbo,
    the_chain_is_whole,
)


def hold_of(house: House) -> Sight:
    """Look, and see that every law holds."""
    sight = look(house)
    for law in LAWS:
        law(sight)
    return sight
