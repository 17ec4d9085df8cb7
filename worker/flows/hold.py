"""Legal holds, from placing to release: effective in the commit that writes it, also for a sweep in mid-flight.

Where a location's own rules would expire what is held (a bucket's lifecycle), a job copies it out of their reach.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from datetime import timedelta

from worker.flows.guard import Guard
from worker.ledger import artifacts, holds, leases, uploads
from worker.ledger.database import Ledger
from worker.model import ArtifactKind, ArtifactState, Hold, UploadState, WorkClass
from worker.shelf import Shelf

# For what children may be hurt by, one person alone can neither destroy the evidence nor be blamed for it.
CHILD_SAFETY = "child_safety"
_PRESERVED = (ArtifactKind.ORIGINAL, ArtifactKind.RENDITION, ArtifactKind.POSTER)


@dataclass(frozen=True, kw_only=True)
class Holding:
    ledger: Ledger
    shelf: Shelf
    secret: bytes = field(repr=False)

    def place(
        self,
        *,
        upload_id: str,
        case_ref: str,
        reason: str,
        authority: str,
        review_in: timedelta | None = None,
        two_person: bool = False,
    ) -> Hold:
        """Raises `NotFound` (`upload_not_found`), `StateConflict` (`erased`)."""
        with self.ledger.begin() as tx:
            hold = holds.place(
                tx,
                upload_id=upload_id,
                case_ref=case_ref,
                reason=reason,
                authority=authority,
                review_at=tx.now + review_in if review_in else None,
                two_person=two_person or reason == CHILD_SAFETY,
            )
            if self.shelf.expires():
                leases.create(tx, kind="preserve", target=upload_id, work_class=WorkClass.LIFECYCLE)
            return hold

    def release(self, *, upload_id: str, case_ref: str, by: str | None = None) -> Hold:
        """`by` names who asks; only a keyed hash of it is kept.

        Raises `NotFound` (`hold_not_found`), `Refused` (`second_person_needed`).
        """
        who = hmac.new(self.secret, f"operator\0{by}".encode(), hashlib.sha256).hexdigest() if by else None
        with self.ledger.begin() as tx:
            return holds.release(tx, upload_id=upload_id, case_ref=case_ref, by=who)

    def preserve(self, upload_id: str, guard: Guard) -> None:
        """Copy what is held out of reach of the location's own rules. May run again: what was copied is not again."""
        with self.ledger.read() as tx:
            upload = uploads.find(tx, upload_id)
            held = bool(holds.active(tx, upload_id))
            copies = artifacts.of_upload(tx, upload_id, states=[ArtifactState.PRESENT])
        if upload is None or not held or upload.state in (UploadState.ERASING, UploadState.ERASED):
            return
        # Evidence that is only planned is what a killed run left: no copy, and made anew.
        kept = {copy.name for copy in copies if copy.kind is ArtifactKind.EVIDENCE}
        for copy in copies:
            guard.check()
            if copy.kind in _PRESERVED and copy.name not in kept:
                self.shelf.preserve(upload, copy)
