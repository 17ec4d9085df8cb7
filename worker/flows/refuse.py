"""End an upload that cannot become `ready`: its code, its verdict, and the last day of what is kept as evidence."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from worker.errors import Unavailable
from worker.flows import deadlines
from worker.ledger import artifacts, leases, states, uploads
from worker.ledger.database import Ledger
from worker.media.codes import CODES
from worker.model import ArtifactKind, ArtifactState, Trigger, Upload, UploadState, Verdict
from worker.moderation import policy
from worker.retention.book import Book
from worker.retention.rules import rule_for
from worker.shelf import Shelf

_LIVE = (ArtifactState.PLANNED, ArtifactState.PRESENT, ArtifactState.ERASING, ArtifactState.BLOCKED)


@dataclass(frozen=True, kw_only=True)
class Refuse:
    """`rejected` where a rule said no, `failed` where the file could not be processed (`worker.media.codes`)."""

    ledger: Ledger
    book: Book
    shelf: Shelf

    def run(self, upload: Upload, code: str, *, actor: str) -> Upload:
        """One commit. Copies other than the original are destroyed at once; may be called again.

        Raises `StateConflict` when the upload has moved on, an erasure for instance.
        """
        outcome = CODES[code].outcome if code in CODES else UploadState.FAILED
        with self.ledger.begin() as tx:
            leases.cancel(tx, kind="receive", target=upload.id)
            rejected = outcome is UploadState.REJECTED
            uploads.describe(
                tx,
                upload.id,
                code=code,
                verdict=Verdict.BLOCK if rejected else None,
                facts={"reasons": [code], "policy": policy.POLICY_VERSION},
                delete_at=tx.now + rule_for(ArtifactKind.ORIGINAL, outcome, self.book.rules).most,
            )
            ended = states.move_upload(
                tx, upload.id, to=outcome, source=upload.state, fence=upload.fence, actor=actor, detail={"code": code}
            )
            live = artifacts.of_upload(tx, upload.id, states=_LIVE)
            kept = [copy for copy in live if copy.kind is ArtifactKind.ORIGINAL and copy.state is ArtifactState.PRESENT]
            deadlines.rewrite(tx, ended, kept, actor=actor, rules=self.book.rules)
        kept_ids = {copy.id for copy in kept}
        # It is refused, whatever becomes of these: where a place is away the sweep destroys them, by their rows.
        with contextlib.suppress(Unavailable):
            self.shelf.destroy([copy for copy in live if copy.id not in kept_ids], trigger=Trigger.MODERATION)
        return ended
