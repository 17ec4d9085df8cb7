"""Compare the ledger with every location, both ways, page by page; killed, it goes on where it was.

A row without bytes is told and never called gone. Bytes without a row are noted; seen again a day later, and old enough
that nobody can still be writing them, they are looked up once more and erased, with a receipt of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from storage_backends.keys import Key
from worker.flows.guard import Guard
from worker.ledger import artifacts, cursors, events, receipts, sightings
from worker.ledger.database import Ledger
from worker.model import Artifact, ArtifactState, new_id
from worker.privacy import bodies
from worker.privacy.receipt import Signer
from worker.shelf import Erased, Lying, Shelf

PAGE = 1_000
# A stranger is erased only when it was seen this long ago as well, and was last written longer ago still.
TWO_SIGHTINGS = timedelta(hours=24)
OLD_ENOUGH = timedelta(hours=48)
FORGET = timedelta(days=90)
# Items that a report names; it counts all.
NAMED = 1_000


@dataclass(kw_only=True)
class Report:
    """What was found: counts of everything, and the first items of each kind (location, key, what)."""

    looked_at: int = 0
    rows: int = 0
    bytes_stored: int = 0
    bytes_of_rows: int = 0
    strangers: int = 0
    erased: int = 0
    missing: int = 0
    net_fired: int = 0
    unfinished: int = 0
    items: list[dict[str, Any]] = field(default_factory=list)

    def name(self, what: str, location: str, key: str, **more: Any) -> None:
        if len(self.items) < NAMED:
            self.items.append({"what": what, "location": location, "key": key, **more})


@dataclass(frozen=True, kw_only=True)
class Reconcile:
    ledger: Ledger
    shelf: Shelf
    signer: Signer

    def run(self, guard: Guard, *, apply: bool) -> Report:
        """`apply`: strangers that are ripe are erased; without, everything is only noted and told."""
        report = Report()
        for location in sorted(self.shelf.locations):
            self._strangers(location, report, guard, apply=apply)
            self._missing(location, report, guard)
            self._unfinished(location, report, guard)
        with self.ledger.begin() as tx:
            sightings.prune(tx, older=FORGET)
        return report

    def _strangers(self, location: str, report: Report, guard: Guard, *, apply: bool) -> None:
        walk = f"strangers:{location}"
        with self.ledger.read() as tx:
            after = cursors.read(tx, walk)
        for page in _pages(self.shelf.walk(location, after=after)):
            guard.check()
            report.looked_at += len(page)
            report.bytes_stored += sum(stat.bytes for stat in page)
            with self.ledger.read() as tx:
                known = sightings.rows_of(tx, location, [str(stat.key) for stat in page])
            for stat in page:
                if known.get(str(stat.key), ArtifactState.GONE) is ArtifactState.GONE:
                    self._stranger(location, stat, report, apply=apply)
            with self.ledger.begin() as tx:
                cursors.write(tx, walk, str(page[-1].key))
        with self.ledger.begin() as tx:
            cursors.clear(tx, walk)

    def _stranger(self, location: str, stat: Lying, report: Report, *, apply: bool) -> None:
        key = str(stat.key)
        with self.ledger.begin() as tx:
            # A row may have come since the page was read: P1 puts it before the bytes, so now it would be seen.
            if sightings.rows_of(tx, location, [key]).get(key, ArtifactState.GONE) is not ArtifactState.GONE:
                return
            seen = sightings.note(tx, location=location, key=key)
            ripe = tx.now - seen.first_seen_at >= TWO_SIGHTINGS and tx.now - stat.modified_at >= OLD_ENOUGH
        report.strangers += 1
        report.name("no row", location, key, bytes=stat.bytes, first_seen_at=seen.first_seen_at, ripe=ripe)
        if apply and ripe and self._erase(location, stat.key, seen.first_seen_at):
            report.erased += 1

    def _erase(self, location: str, key: Key, first_seen_at: datetime) -> bool:
        (outcome,) = self.shelf.destroy_strangers(location, [key])
        return self.record(location, outcome, first_seen_at)

    def record(self, location: str, erased: Erased, first_seen_at: datetime | None = None) -> bool:
        """Write down what became of a stranger, with a receipt where it is gone; returns whether it is."""
        key = erased.key
        with self.ledger.begin() as tx:
            first_seen_at = first_seen_at or sightings.note(tx, location=location, key=str(key)).first_seen_at
            receipt_id = None
            if erased.observation is not None:
                body = bodies.of_stranger(
                    receipt_id=new_id("rcp"),
                    now=tx.now,
                    location=location,
                    place=self.shelf.place_of(location),
                    first_seen_at=first_seen_at,
                    method=erased.method.value,
                    removed=erased.removed,
                    markers=erased.markers,
                    unfinished=erased.unfinished,
                    observation=erased.observation.value,
                )
                receipt_id = receipts.keep(tx, receipt_id=body["receipt_id"], body=self.signer.sign(body)).id
            sightings.end(tx, location=location, key=str(key), reason=erased.blocked, receipt_id=receipt_id)
        return receipt_id is not None

    def _missing(self, location: str, report: Report, guard: Guard) -> None:
        """Rows whose bytes are not there, in the order of the listing: both sides are read once, side by side."""
        stored = (str(stat.key) for stat in self.shelf.walk(location))
        there = next(stored, None)
        for copy in self._rows(location, guard):
            report.rows += 1
            report.bytes_of_rows += copy.bytes or 0
            while there is not None and there < copy.key:
                there = next(stored, None)
            if there != copy.key and self._mark(copy):
                self._tell_missing(copy, report)

    def _rows(self, location: str, guard: Guard) -> Iterator[Artifact]:
        after = ""
        while True:
            guard.check()
            with self.ledger.read() as tx:
                page = artifacts.at(tx, location, after=after, limit=PAGE)
            yield from page
            if not page:
                return
            after = page[-1].key

    def _mark(self, copy: Artifact) -> bool:
        """Look once more, then write down that its bytes are not there. The row stays as it is."""
        if self.shelf.lies_there(copy):
            return False
        with self.ledger.begin() as tx:
            row = artifacts.get(tx, copy.id)
            if row.state is not ArtifactState.PRESENT:
                return False
            if row.reason != artifacts.BYTES_MISSING:
                artifacts.mark_missing(tx, row.id)
                detail = {"artifact_id": row.id, "location": row.location}
                events.append(tx, row.upload_id, event="bytes_missing", actor="reconcile", detail=detail)
        return True

    def _tell_missing(self, copy: Artifact, report: Report) -> None:
        with self.ledger.read() as tx:
            overdue = copy.delete_at <= tx.now
        report.missing += 1
        report.net_fired += overdue
        # What has passed its day and is away was taken by the location's own rule before the sweep came: a defect.
        what = "bytes missing, net fired" if overdue else "bytes missing"
        report.name(what, copy.location, copy.key, artifact_id=copy.id)

    def _unfinished(self, location: str, report: Report, guard: Guard) -> None:
        for page in _pages(self.shelf.walk_unfinished(location)):
            guard.check()
            with self.ledger.begin() as tx:
                known = sightings.rows_of(tx, location, [str(each.key) for each in page])
                late = [each for each in page if tx.now - each.begun_at >= OLD_ENOUGH]
                for each in late:
                    if known.get(str(each.key), ArtifactState.GONE) is ArtifactState.GONE:
                        sightings.note(tx, location=location, key=str(each.key))
                        report.unfinished += 1
                        report.name("unfinished write", location, str(each.key), begun_at=each.begun_at)


def _pages(found: Iterator[Any]) -> Iterator[list[Any]]:
    while page := list(islice(found, PAGE)):
        yield page
