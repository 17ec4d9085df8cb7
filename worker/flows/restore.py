"""Replay the journal into a ledger that was restored from a backup: what was erased since is erased again.

Line by line in the order of the journal: an upload that is alive again goes by the usual flow, to a receipt of its own;
then every key at which a copy has ever lain is looked for at every location, with a row or without. Only then is the
line known to the ledger, so a killed replay goes on where it was, and a second one finds nothing to do.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice

from storage_backends.keys import Key
from worker.errors import HoldActive, Refused, Unavailable
from worker.flows.erase import Erase
from worker.flows.export import Export
from worker.flows.gate import KNOWN, Gate
from worker.flows.reconcile import Reconcile
from worker.ledger import artifacts, cursors, states, tombstones, uploads
from worker.ledger.database import Ledger
from worker.ledger.tombstones import Tombstone
from worker.model import ArtifactState, Trigger, UploadState
from worker.privacy.journal import Entry, Journal, Place
from worker.shelf import BLOCKED_RETRY, Shelf

PAGE = 200
# An erasure that a killed replay left in its hands is free again after a lease; longer than this is no accident.
PATIENCE_S = 90.0
_LOOK_EVERY_S = 0.2
_NAMED = 1_000
_ENDED = (ArtifactState.GONE, ArtifactState.UNVERIFIABLE)

Lines = list[tuple[Entry, Place]]


@dataclass(kw_only=True)
class Replayed:
    """`lines` of the journal; of their uploads `erased_again`, `erased_already` in this ledger, `unknown` to it, `held`
    (a hold or a restriction keeps them), `locked` (a lock keeps a copy; hidden, and tried when it ends). `looked_for`:
    places where a copy could lie; `removed`: what lay there without a row. `unfinished_line`: the last line of the
    journal has no end; what it would have said is lost. `kept`: ids of the held and locked ones."""

    lines: int = 0
    erased_again: int = 0
    erased_already: int = 0
    unknown: int = 0
    held: int = 0
    locked: int = 0
    looked_for: int = 0
    removed: int = 0
    unfinished_line: bool = False
    kept: list[str] = field(default_factory=list)

    def keep(self, upload_id: str) -> None:
        if len(self.kept) < _NAMED:
            self.kept.append(upload_id)


@dataclass(frozen=True, kw_only=True)
class Restore:
    ledger: Ledger
    shelf: Shelf
    journal: Journal
    gate: Gate
    erase: Erase
    export: Export
    reconcile: Reconcile

    def run(self, again: Callable[[str], None], *, everything: bool = False, dry_run: bool = False) -> Replayed:
        """`again` does what is due of an upload's erasure, once. `everything`: lines that the ledger knows as well, for
        media that were restored without it.

        Raises `Unavailable`: what `Gate.check` raises of a journal that is not whole, what a location raises that is
        away, and `restore_unfinished` where an erasure does not end. Then run it again.
        """
        end = self.journal.end()  # every line is read once: a broken chain is not replayed in part
        with self.ledger.read() as tx:
            known = Place.parse(cursors.read(tx, KNOWN))
        ours = known if known and end and known.journal == end.journal else None
        if known is not None and (ours or end is None):
            self.gate.ahead(known)
        report = Replayed(unfinished_line=end is not None and end.offset < (self.journal.size() or 0))
        for page in _pages(self.journal.read(None if everything else ours)):
            report.lines += len(page)
            if dry_run:
                self._count(page, report)
            else:
                self._replay(page, ours, again, report)
        return report

    def begin_anew(self) -> int:
        """Where no true copy of the journal can be had: keep the rest of it aside, and write a new one from the ledger.
        Returns its lines. Raises `Refused` (`journal_whole`) where nothing is wrong with it."""
        try:
            self.gate.check()
            self.journal.end()
        except Unavailable as error:
            if error.code not in ("journal_missing", "journal_cut", "journal_changed"):
                raise
        else:
            raise Refused("the journal is whole; there is no need for a new one", code="journal_whole")
        with self.ledger.begin() as tx:
            cursors.lock(tx, KNOWN)
            self.journal.set_aside()
            tombstones.forget_journal(tx)
            cursors.write(tx, KNOWN, "")
        return self.export.run()

    def _count(self, page: Lines, report: Replayed) -> None:
        with self.ledger.read() as tx:
            for entry, _place in page:
                upload = uploads.find(tx, entry.upload_id)
                report.unknown += upload is None
                report.erased_already += upload is not None and upload.state is UploadState.ERASED
                report.erased_again += upload is not None and upload.state is not UploadState.ERASED

    def _replay(self, page: Lines, ours: Place | None, again: Callable[[str], None], report: Replayed) -> None:
        held = [entry.upload_id for entry, _place in page if not self._begin(entry, report)]
        locked = [
            entry.upload_id
            for entry, _place in page
            if entry.upload_id not in held and not self._erased(entry.upload_id, again, report)
        ]
        for upload_id in (*held, *locked):
            report.keep(upload_id)
        self._look([entry for entry, _place in page if entry.upload_id not in (*held, *locked)], report)
        with self.ledger.begin() as tx:
            for entry, place in page:
                if entry.upload_id not in held:
                    tombstones.put_back(tx, _stone(entry, place))
            last = page[-1][1]
            if ours is None or last.seq > ours.seq:
                cursors.write(tx, KNOWN, str(last))

    def _begin(self, entry: Entry, report: Replayed) -> bool:
        """Hide the upload where it is alive; False where a hold keeps it."""
        with self.ledger.read() as tx:
            upload = uploads.find(tx, entry.upload_id)
        if upload is None or upload.state is UploadState.ERASED:
            report.unknown += upload is None
            report.erased_already += upload is not None
            return True
        try:
            if upload.state is UploadState.ERASING:
                # A hold that came in the middle of it: nothing goes until its release, so there is nothing to wait for.
                with self.ledger.read() as tx:
                    states.permit_erasing(tx, upload.id)
            self.erase.begin(upload.id, Trigger.RESTORE)
        except HoldActive:
            report.held += 1
            return False
        return True

    def _erased(self, upload_id: str, again: Callable[[str], None], report: Replayed) -> bool:
        """See an erasure to its end; False where a lock keeps a copy."""
        until, begun = time.monotonic() + PATIENCE_S, False
        while True:
            with self.ledger.read() as tx:
                upload = uploads.find(tx, upload_id)
                open_copies = [c for c in artifacts.of_upload(tx, upload_id) if c.state not in _ENDED]
                until_lock = tx.now + BLOCKED_RETRY
            if upload is None or upload.state is UploadState.ERASED:
                report.erased_again += begun
                return True
            locks = [c.state is ArtifactState.BLOCKED and c.next_attempt_at > until_lock for c in open_copies]
            if locks and all(locks):
                report.locked += 1
                return False
            if time.monotonic() > until:
                raise Unavailable(
                    "an erasure does not end: a place for copies is away or refuses; see mayfly doctor, then run"
                    " mayfly restore again",
                    code="restore_unfinished",
                )
            if begun:
                threading.Event().wait(_LOOK_EVERY_S)
            again(upload_id)
            begun = True

    def _look(self, entries: list[Entry], report: Replayed) -> None:
        """Whatever lies at the keys of these uploads, or beside them, at any location, goes; no row names it."""
        for location in sorted(self.shelf.locations):
            keys = {key for entry in entries for key in entry.keys}
            for folder in sorted({key.rpartition("/")[0] for key in keys}):
                keys |= {str(lying.key) for lying in self.shelf.walk(location, prefix=folder)}
            report.looked_for += len(keys)
            for outcome in self.shelf.destroy_strangers(location, [Key.parse(key) for key in sorted(keys)]):
                if outcome.removed or outcome.observation is None:
                    report.removed += self.reconcile.record(location, outcome)


def _stone(entry: Entry, place: Place) -> Tombstone:
    return Tombstone(
        upload_id=entry.upload_id,
        artifact_ids=entry.artifact_ids,
        erased_at=datetime.fromisoformat(entry.erased_at),
        expires_at=datetime.fromisoformat(entry.expires_at),
        journal_seq=place.seq,
    )


def _pages(lines: Iterator[tuple[Entry, Place]]) -> Iterator[Lines]:
    while page := list(islice(lines, PAGE)):
        yield page
