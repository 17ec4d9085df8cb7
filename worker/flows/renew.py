"""The app still shows an upload: its copies live longer, never past the maximum."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from worker.errors import NotFound, StateConflict
from worker.flows import deadlines
from worker.ledger import artifacts, uploads
from worker.ledger.database import Ledger
from worker.model import ArtifactState, Upload, UploadState
from worker.retention.book import Book


@dataclass(frozen=True, kw_only=True)
class Renew:
    ledger: Ledger
    book: Book

    def run(self, app: str, upload_id: str, keep_for: timedelta, *, most: timedelta) -> Upload:
        """Keep for `keep_for` from now, at the latest until `most` after the upload came in.

        Raises `NotFound` (also for another app's upload) and `StateConflict`: `not_ready`, or `too_late` where its last
        day has come, also while a hold still keeps it.
        """
        with self.ledger.begin() as tx:
            upload = uploads.find(tx, upload_id)
            if upload is None or upload.app != app:
                raise NotFound("no such upload", code="upload_not_found")
            if upload.state is not UploadState.READY:
                raise StateConflict("only an upload that is ready can be renewed", code="not_ready")
            if upload.delete_at <= tx.now:
                raise StateConflict("the last day of this upload has come; it cannot be renewed", code="too_late")
            until = min(tx.now + keep_for, upload.created_at + most)
            uploads.describe(tx, upload_id, keep_for=until - upload.created_at, delete_at=until)
            renewed = uploads.get(tx, upload_id)
            shown = [
                copy
                for copy in artifacts.of_upload(tx, upload_id, states=[ArtifactState.PRESENT])
                if copy.rule.endswith(".published") and copy.kind.value != "original"
            ]
            deadlines.rewrite(tx, renewed, shown, actor="renew", rules=self.book.rules)
            return renewed
