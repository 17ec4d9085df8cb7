"""Erase what is due: claim by index, decide again with reasons, destroy, look again. Its cost follows what is due."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import timedelta

from worker.errors import HoldActive
from worker.flows.brake import Brake
from worker.flows.erase import CLAIM, Erase
from worker.flows.guard import Guard
from worker.ledger import artifacts, holds, leases, salts, states, tombstones, uploads
from worker.ledger.brakes import CLOCK
from worker.ledger.database import Ledger, Tx
from worker.model import Artifact, Trigger, Upload, UploadState
from worker.retention.book import Book
from worker.retention.policy import Action, Record, decide
from worker.shelf import Shelf

# Long enough for an operator to see what became of a job.
DONE_JOBS_LIVE = timedelta(days=7)
HELD_LOOK = timedelta(hours=1)
# As many copies as one call of a bucket can delete.
BATCH = 1_000


@dataclass(frozen=True, kw_only=True)
class Swept:
    """What one sweep did: uploads whose erasure began, those of them that wait behind a brake, single copies destroyed,
    copies kept with a reason. `tripped` names the brakes that this sweep tripped; `halted`: it did nothing, since its
    clocks cannot be believed."""

    uploads: int = 0
    braked: int = 0
    copies: int = 0
    kept: int = 0
    tripped: tuple[str, ...] = ()
    halted: bool = False


@dataclass(frozen=True, kw_only=True)
class Sweep:
    ledger: Ledger
    book: Book
    shelf: Shelf
    erase: Erase
    brake: Brake

    def run(self, guard: Guard, *, locations: Collection[str] | None = None) -> Swept:
        """Until nothing is due. May run anywhere, any number at once: rows are claimed.

        `locations` limits it to places that only this host reaches. There it also takes the copies of uploads that are
        being erased, since their own job may run elsewhere, and wakes that job.
        """
        if (clock := self.brake.clock()).on:
            return Swept(halted=True, tripped=(CLOCK,) if clock.tripped else ())
        ended = Swept() if locations else self._end_uploads(guard)
        copies = kept = 0
        while due := self._claim(locations or self.shelf.reachable(), of_erasing=locations is not None):
            guard.check()
            doomed, spared = self._sort(due, whole=locations is None)
            copies += len(self.shelf.destroy(doomed, trigger=Trigger.RETENTION))
            kept += spared
            if locations:
                self._wake({copy.upload_id for copy in doomed})
        if not locations:
            self._tidy()
        return replace(ended, copies=copies, kept=kept)

    def _end_uploads(self, guard: Guard) -> Swept:
        """Uploads whose whole time is over go as a whole, with receipt and tombstone. Too many are hidden only."""
        begun, braked, seen, tripped = 0, 0, set[str](), False
        while batch := [upload_id for upload_id in self._due_uploads() if upload_id not in seen]:
            stop = self.brake.budget()
            tripped |= stop.tripped
            ended: list[str] = []
            for upload_id in batch:
                guard.check()
                seen.add(upload_id)
                try:
                    self.erase.begin(
                        upload_id, Trigger.RETENTION, braked=stop.on, after=timedelta(0) if stop.on else CLAIM
                    )
                except HoldActive:
                    continue
                ended.append(upload_id)
            if not stop.on:
                self.erase.together(ended, Trigger.RETENTION, guard)
            begun += len(ended)
            braked += len(ended) * stop.on
        return Swept(uploads=begun, braked=braked, tripped=(Trigger.RETENTION.value,) if tripped else ())

    def _tidy(self) -> None:
        """The ledger's own rows have a last day too: jobs that are done with, salts that nobody asked for, tombstones
        that outlived the backups."""
        with self.ledger.begin() as tx:
            leases.prune(tx, before=tx.now - DONE_JOBS_LIVE)
            salts.prune(tx)
            tombstones.prune(tx)
            self.brake.settle(tx)

    def _due_uploads(self) -> list[str]:
        with self.ledger.read() as tx:
            return uploads.due(tx, BATCH)

    def _claim(self, locations: Collection[str], *, of_erasing: bool) -> list[Artifact]:
        with self.ledger.begin() as tx:
            return artifacts.claim_due(tx, limit=BATCH, lease=CLAIM, locations=locations, of_erasing=of_erasing)

    def _wake(self, upload_ids: Collection[str]) -> None:
        with self.ledger.begin() as tx:
            for upload_id in sorted(upload_ids):
                leases.hurry(tx, "erase", upload_id)

    def _sort(self, due: list[Artifact], *, whole: bool) -> tuple[list[Artifact], int]:
        """Decide once more, from rules and holds as they are now; what stays is looked at again when it is due.

        `whole`: copies of an upload whose erasure began a moment ago are left to its own job, which waits for writers
        and seals it.
        """
        doomed, spared = [], 0
        with self.ledger.begin() as tx:
            owners = {upload_id: uploads.get(tx, upload_id) for upload_id in {copy.upload_id for copy in due}}
            keeping = {upload_id: _keeping(tx, upload_id) for upload_id in owners}
            records = [_record(copy, owners[copy.upload_id]) for copy in due]
            for copy, decision in zip(
                due, decide(records, holds=keeping, now=tx.now, rules=self.book.rules), strict=True
            ):
                left = whole and owners[copy.upload_id].state is UploadState.ERASING
                if decision.action is Action.ERASE and not left:
                    doomed.append(copy)
                else:
                    spared += 1
                    later = tx.now + HELD_LOOK if decision.due_at <= tx.now else decision.due_at
                    artifacts.defer(tx, copy, until=later, reason=decision.reason)
        return doomed, spared


def _keeping(tx: Tx, upload_id: str) -> list[str]:
    """Whatever keeps this upload past its day."""
    cases = [hold.case_ref for hold in holds.active(tx, upload_id)]
    return [*cases, "restriction"] if states.restricted(tx, upload_id) else cases


def _record(copy: Artifact, owner: Upload) -> Record:
    return Record(
        artifact_id=copy.id,
        upload_id=copy.upload_id,
        kind=copy.kind,
        upload_state=owner.state,
        artifact_created_at=copy.created_at,
        upload_created_at=owner.created_at,
        state_entered_at=owner.state_at,
        keep_for=owner.keep_for,
        delete_at=copy.delete_at,
    )
