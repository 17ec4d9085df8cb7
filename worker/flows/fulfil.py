"""Carry out a person's erasure request: everything of theirs, also what is in flight, to one signed receipt."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from worker.errors import HoldActive, Unavailable
from worker.flows.erase import Erase
from worker.flows.guard import Guard
from worker.ledger import leases, receipts, requests, uploads
from worker.ledger.database import Ledger, Tx
from worker.model import Job, Trigger, UploadState, WorkClass, new_id
from worker.privacy.receipt import VERSION, Signer

PAGE = 200


@dataclass(frozen=True, kw_only=True)
class Fulfil:
    ledger: Ledger
    erase: Erase
    signer: Signer

    def open(self, app: str, subject_key: str) -> str:
        """Record the request and make its work due, in one commit; an open one for the same person is returned."""
        with self.ledger.begin() as tx:
            request_id = requests.open(tx, app=app, subject_key=subject_key)
            leases.create(tx, kind="erase_subject", target=request_id, work_class=WorkClass.LIFECYCLE, lasting=True)
            return request_id

    def run(self, request_id: str, job: Job, guard: Guard) -> None:
        """Raises `Unavailable` until every upload of the person has been observed gone."""
        with self.ledger.read() as tx:
            request = requests.get(tx, request_id)
        if request.subject_key is None:
            return
        held = self._begin_all(request_id, request.app, request.subject_key, guard)
        with self.ledger.begin() as tx:
            leases.check(tx, job)
            waiting = [u for u in requests.uploads(tx, request_id) if u.state is not UploadState.ERASED]
            late = uploads.of_subject(tx, request.app, request.subject_key, limit=1)
            if waiting or (late and not held):
                raise Unavailable(f"{len(waiting)} uploads are still being erased", code="erasure_running")
            self._close(tx, request_id, partial=held > 0)

    def _begin_all(self, request_id: str, app: str, subject_key: str, guard: Guard) -> int:
        """Every upload of the person begins to be erased; returns how many a hold keeps."""
        held, after = 0, None
        while True:
            guard.check()
            with self.ledger.read() as tx:
                page = uploads.of_subject(tx, app, subject_key, limit=PAGE, after=after)
            if not page:
                return held
            for upload in page:
                try:
                    self.erase.begin(upload.id, Trigger.DSR, request_id=request_id)
                except HoldActive:
                    held += 1
            after = page[-1].id

    def _close(self, tx: Tx, request_id: str, *, partial: bool) -> None:
        owned = requests.uploads(tx, request_id)
        entries: list[dict[str, Any]] = []
        for upload in owned:
            kept = receipts.of_upload(tx, upload.id)
            if kept is not None:
                entries.append({k: v for k, v in json.loads(kept.body).items() if k in ("upload_id", "artifacts")})
        body: dict[str, Any] = {
            "receipt_version": VERSION,
            "receipt_id": new_id("rcp"),
            "issued_at": _iso(tx.now),
            "trigger": Trigger.DSR.value,
            "request_id": request_id,
            "policy_version": self.erase.policy_version,
            "completed_at": _iso(tx.now),
            "state": "partially_completed" if partial else "completed",
            "uploads": entries,
            "exclusions_notice": "Items that the law requires to be kept are excluded from every erasure.",
        }
        receipts.keep(tx, receipt_id=body["receipt_id"], request_id=request_id, body=self.signer.sign(body))
        requests.close(
            tx,
            request_id,
            state=str(body["state"]),
            receipt_id=str(body["receipt_id"]),
            uploads=len(entries),
            artifacts=sum(len(entry["artifacts"]) for entry in entries),
        )


def _iso(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
