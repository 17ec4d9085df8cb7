"""An operator tries a dead job again; a failed upload goes back to quarantine in the same commit."""

from __future__ import annotations

from dataclasses import dataclass

from worker.errors import Refused, StateConflict
from worker.flows import deadlines
from worker.ledger import artifacts, leases, states, uploads
from worker.ledger.database import Ledger, Tx
from worker.model import ArtifactKind, ArtifactState, UploadState
from worker.retention.book import Book
from worker.retention.rules import deadline, rule_for


@dataclass(frozen=True, kw_only=True)
class Requeue:
    ledger: Ledger
    book: Book

    def run(self, job_id: str) -> None:
        """Raises `NotFound` (`job_not_found`), `Refused` (`not_a_job`), and `StateConflict`: `too_old` where the file
        has outlived the time of an unfinished upload, else where the upload or the job has moved on."""
        with self.ledger.begin() as tx:
            letter = leases.dead_one(tx, job_id)
            if letter.target == letter.job_id:
                raise Refused("this was a message, and it was wrong; its sender must mend it", code="not_a_job")
            leases.requeue(tx, job_id)
            if letter.kind == "process":
                self._back(tx, letter.target)

    def _back(self, tx: Tx, upload_id: str) -> None:
        back = states.move_upload(
            tx, upload_id, to=UploadState.QUARANTINED, source=UploadState.FAILED, actor="operator"
        )
        rule = rule_for(ArtifactKind.ORIGINAL, UploadState.QUARANTINED, self.book.rules)
        until = deadline(
            rule,
            artifact_created_at=back.created_at,
            upload_created_at=back.created_at,
            state_entered_at=tx.now,
            keep_for=back.keep_for,
        )
        if until <= tx.now:
            raise StateConflict("the file is too old to be tried again; ask the app to send it anew", code="too_old")
        uploads.describe(tx, upload_id, delete_at=until)
        kept = artifacts.of_upload(tx, upload_id, states=[ArtifactState.PRESENT])
        deadlines.rewrite(
            tx,
            back,
            [copy for copy in kept if copy.kind is ArtifactKind.ORIGINAL],
            actor="operator",
            rules=self.book.rules,
        )
