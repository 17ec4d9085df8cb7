"""Erase one upload: deny first, destroy every copy, look again, then tombstone, receipt and `erased` in one commit.

Killed anywhere and run again any number of times, it ends in the same state with one receipt (P4, P5).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from secrets import token_bytes
from typing import Any

from worker.errors import HoldActive, Restricted, Unavailable
from worker.flows import deadlines
from worker.flows.guard import Guard
from worker.ledger import (
    artifacts,
    brakes,
    events,
    holds,
    leases,
    receipts,
    requests,
    restrictions,
    salts,
    states,
    tombstones,
    uploads,
)
from worker.ledger.database import Ledger, Tx
from worker.model import Artifact, ArtifactKind, ArtifactState, Job, Trigger, Upload, UploadState, WorkClass, new_id
from worker.privacy import bodies
from worker.privacy.receipt import Signer
from worker.retention.book import Book
from worker.shelf import Shelf

_ENDED = (ArtifactState.GONE, ArtifactState.UNVERIFIABLE)
_OF_THE_PERSON = (Trigger.DSR, Trigger.USER)
# Kinds of jobs that write copies of an upload.
_WRITERS = ("receive", "process", "preserve")
CLAIM = timedelta(seconds=120)
# Uploads whose copies, some five each, fill the call by which a bucket deletes.
GROUP = 200
# Half of what a release lasts: a job that nobody hurried still comes in time.
BRAKED_LOOK = timedelta(minutes=30)
# A tombstone must outlive every backup of the ledger: 35 days of backups and 30 more.
TOMBSTONE_LIVES = timedelta(days=65)


@dataclass(frozen=True, kw_only=True)
class Erase:
    ledger: Ledger
    book: Book
    shelf: Shelf
    signer: Signer
    policy_version: str

    def begin(
        self,
        upload_id: str,
        trigger: Trigger,
        *,
        request_id: str | None = None,
        braked: bool = False,
        after: timedelta = timedelta(0),
    ) -> Upload:
        """Hide the upload and make its erasure due, in one commit. From here on nothing of it is shown or published.
        `braked`: it is hidden all the same, and waits for an operator before anything is destroyed. `after`: its own
        job comes so much later, unless it is woken; who begins many destroys their copies together meanwhile.

        An upload that is being erased, or was, is returned as it stands. Raises `NotFound`, and `HoldActive`: then its
        last day is today, so that the release of the last hold makes it due.
        """
        try:
            with self.ledger.begin() as tx:
                return self._begin(tx, upload_id, trigger, request_id, braked, tx.now + after)
        except HoldActive:
            with self.ledger.begin() as tx:
                self._ends_today(tx, upload_id)
            raise

    def _begin(
        self, tx: Tx, upload_id: str, trigger: Trigger, request_id: str | None, braked: bool, due_at: datetime
    ) -> Upload:
        if (upload := uploads.get(tx, upload_id)).state is not UploadState.ERASED:
            # Jobs before the upload, as everybody locks them. What still works on it stops at its next heartbeat.
            leases.create(
                tx, kind="erase", target=upload_id, work_class=WorkClass.LIFECYCLE, lasting=True, not_before=due_at
            )
            for writer in _WRITERS:
                leases.recall(tx, kind=writer, target=upload_id)
            events.lock(tx, upload_id)
            upload = uploads.get(tx, upload_id)
        if request_id is not None:
            requests.link(tx, request_id, upload_id)
        ending = upload.state in (UploadState.ERASING, UploadState.ERASED)
        if ending and trigger is not Trigger.RETENTION:
            # Somebody wants this one gone: no brake keeps it from them.
            brakes.let_through(tx, upload_id, always=True)
        return upload if ending else self._hide(tx, upload, trigger, request_id, braked)

    def _hide(self, tx: Tx, upload: Upload, trigger: Trigger, request_id: str | None, braked: bool) -> Upload:
        if held := holds.active(tx, upload.id):
            raise HoldActive(f"{len(held)} legal hold(s) keep this upload; release them first")
        if states.restricted(tx, upload.id):
            self._lift(tx, upload.id, trigger)
        detail: dict[str, Any] = {"trigger": trigger.value}
        if request_id is not None:
            detail["request_id"] = request_id
        hidden = states.move_upload(
            tx,
            upload.id,
            to=UploadState.ERASING,
            source=upload.state,
            raise_fence=True,
            actor="erase",
            detail=detail,
        )
        self._ends_today(tx, upload.id)
        # Working copies of other hosts are out of this job's reach: due at once, they go with the next sweep there.
        live = artifacts.of_upload(tx, upload.id, states=[ArtifactState.PLANNED, ArtifactState.PRESENT])
        deadlines.rewrite(
            tx,
            hidden,
            [copy for copy in live if copy.kind is ArtifactKind.SCRATCH],
            actor="erase",
            rules=self.book.rules,
        )
        if braked:
            brakes.hold_back(tx, upload.id)
        elif trigger is Trigger.RETENTION:
            brakes.tally(tx, trigger)
        return hidden

    @staticmethod
    def _ends_today(tx: Tx, upload_id: str) -> None:
        """Its last day is now, unless it has passed already: a day never moves later without a ground."""
        if uploads.get(tx, upload_id).delete_at > tx.now:
            uploads.describe(tx, upload_id, delete_at=tx.now)

    def _lift(self, tx: Tx, upload_id: str, trigger: Trigger) -> None:
        """Who asked that it be kept may ask that it be erased: that ends the restriction in the same commit."""
        if trigger not in _OF_THE_PERSON:
            raise Restricted("a restriction keeps this upload; lift it first")
        restrictions.lift(tx, upload_id=upload_id, actor="erase")

    def together(self, upload_ids: Collection[str], trigger: Trigger, guard: Guard) -> None:
        """Destroy the copies of many uploads whose erasure has begun, as many at once as one call of a bucket takes,
        and look for each. Then the job of each upload comes, looks what is left, and seals it.

        May be called again, and killed anywhere: the jobs do the same one by one. Raises `Unavailable`.
        """
        with self.ledger.read() as tx:
            free = [upload_id for upload_id in upload_ids if not is_written(tx, upload_id)]
        # Whole uploads, never a part of one: what a CDN keeps may go only after what it is made from.
        for begin in range(0, len(free), GROUP):
            guard.check()
            self.shelf.destroy(self._claim(free[begin : begin + GROUP]), trigger=trigger, step=guard.step)
        with self.ledger.begin() as tx:
            for upload_id in sorted(upload_ids):
                leases.hurry(tx, "erase", upload_id)

    def run(self, upload_id: str, job: Job, guard: Guard) -> None:
        """Raises `Unavailable` while something still blocks: a brake, a writer that has not stopped, a hold placed
        meanwhile, a copy that cannot be destroyed or reached yet."""
        with self.ledger.read() as tx:
            upload = uploads.find(tx, upload_id)
            waits = brakes.waits(tx, upload_id)
        if upload is None or upload.state is not UploadState.ERASING:
            return
        if waits:
            self._pass_the_brake(upload_id)
        guard.step("taken")
        self._wait_for_writer(upload)
        # Once: no new copy can be planned any more, and one that is blocked now will not be free a moment later.
        guard.check()
        self.shelf.destroy(self._claim([upload_id]), trigger=Trigger.USER, step=guard.step)
        self._seal(upload_id, job)
        guard.step("sealed")

    def _pass_the_brake(self, upload_id: str) -> None:
        with self.ledger.begin() as tx:
            if not brakes.let_through(tx, upload_id):
                raise Unavailable(
                    "a brake holds this erasure back until an operator releases it; see mayfly status",
                    code="braked",
                    retry_after=BRAKED_LOOK,
                )

    def _claim(self, upload_ids: Collection[str]) -> list[Artifact]:
        with self.ledger.begin() as tx:
            return artifacts.claim_of_uploads(tx, upload_ids, lease=CLAIM, locations=self.shelf.reachable())

    def _wait_for_writer(self, upload: Upload) -> None:
        # A copy that is being written may land after we looked. Its writer meets the raised fence and stops; until its
        # lease is over, nobody may say that there is nothing.
        with self.ledger.read() as tx:
            if is_written(tx, upload.id):
                raise Unavailable(
                    "a worker still holds this upload; waiting until it has stopped", code="writer_active"
                )

    def _seal(self, upload_id: str, job: Job) -> None:
        with self.ledger.begin() as tx:
            leases.check(tx, job)
            for writer in _WRITERS:
                leases.cancel(tx, kind=writer, target=upload_id)
            upload = uploads.get(tx, upload_id)
            # The last one wakes the request. Of two last ones in the same moment neither may: then it wakes by itself.
            if not uploads.others_erasing(tx, upload):
                for request_id in requests.open_for(tx, upload_id):
                    leases.hurry(tx, kind="erase_subject", target=request_id)
            events.lock(tx, upload_id)
            copies = artifacts.of_upload(tx, upload_id)
            if open_copies := [copy for copy in copies if copy.state not in _ENDED]:
                raise Unavailable(
                    f"{len(open_copies)} of {len(copies)} copies are not gone yet; trying again",
                    code="erase_blocked",
                    retry_after=_blocked_for(open_copies, tx.now),
                )
            self._write_receipt(tx, upload, copies)
            tombstones.write(
                tx,
                upload_id=upload_id,
                artifact_ids=[copy.id for copy in copies],
                erased_at=tx.now,
                expires_at=tx.now + TOMBSTONE_LIVES,
            )
            states.move_upload(
                tx, upload_id, to=UploadState.ERASED, source=UploadState.ERASING, fence=upload.fence, actor="erase"
            )
            uploads.forget(tx, upload_id)

    def _write_receipt(self, tx: Tx, upload: Upload, copies: list[Artifact]) -> None:
        # The hash of the original is known for the last time in this commit.
        prints = [copy.sha256 for copy in copies if copy.kind is ArtifactKind.ORIGINAL and copy.sha256]
        salt = token_bytes(bodies.SALT_BYTES)
        body = bodies.of_upload(
            receipt_id=new_id("rcp"),
            upload_id=upload.id,
            policy_version=self.policy_version,
            now=tx.now,
            copies=copies,
            story=events.of_upload(tx, upload.id),
            commitment=bodies.commit(salt, prints[0]) if prints else None,
        )
        kept = receipts.keep(tx, receipt_id=body["receipt_id"], upload_id=upload.id, body=self.signer.sign(body))
        if prints and kept.id == body["receipt_id"]:
            salts.keep(tx, receipt_id=kept.id, salt=salt)


def is_written(tx: Tx, upload_id: str) -> bool:
    """Whether somebody still works on an upload that is being erased. Nobody begins to any more."""
    return any(leases.held(tx, kind=writer, target=upload_id) for writer in _WRITERS)


def _blocked_for(copies: list[Artifact], now: datetime) -> timedelta | None:
    """How long none of them can go, where a lock keeps each."""
    if any(copy.state is not ArtifactState.BLOCKED for copy in copies):
        return None
    return max(min(copy.next_attempt_at for copy in copies) - now, timedelta(0))
