"""Carry out a person's erasure request: everything of theirs, also what is in flight, to one signed receipt."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from worker.errors import HoldActive, Unavailable
from worker.flows.erase import CLAIM, Erase
from worker.flows.guard import Guard
from worker.ledger import holds, leases, receipts, requests, uploads
from worker.ledger.database import Ledger, Tx
from worker.model import Job, Trigger, Upload, UploadState, WorkClass, new_id
from worker.privacy import bodies
from worker.privacy.receipt import Signer

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
        self._begin_all(request, guard)
        with self.ledger.begin() as tx:
            leases.check(tx, job)
            self._close(tx, request_id, self._kept(tx, request))

    def _begin_all(self, request: requests.Request, guard: Guard) -> None:
        """Every upload of the person begins to be erased, but what a hold keeps."""
        after = None
        while True:
            guard.check()
            with self.ledger.read() as tx:
                page = _page(tx, request, after)
                begun = requests.covered(tx, request.id, [u.id for u in page if u.state is UploadState.ERASING])
            if not page:
                return
            ended = []
            for upload in page:
                if upload.id in begun:
                    continue
                with contextlib.suppress(HoldActive):
                    self.erase.begin(upload.id, Trigger.DSR, request_id=request.id, after=CLAIM)
                    ended.append(upload.id)
            self.erase.together(ended, Trigger.DSR, guard)
            after = page[-1].id

    def _kept(self, tx: Tx, request: requests.Request) -> dict[str, str]:
        """What is left of the person is kept by a hold, now, in this commit; each with the reason that may be said.
        Raises `Unavailable` while anything else is left: it is still being erased, or has come in since."""
        kept: dict[str, str] = {}
        after = None
        while page := _page(tx, request, after):
            for upload in page:
                if not holds.active(tx, upload.id):
                    raise Unavailable("uploads are still being erased", code="erasure_running")
                kept[upload.id] = bodies.KEPT_BY_LAW
            after = page[-1].id
        return kept

    def _close(self, tx: Tx, request_id: str, kept: dict[str, str]) -> None:
        body = bodies.of_request(
            receipt_id=new_id("rcp"),
            request_id=request_id,
            policy_version=self.erase.policy_version,
            now=tx.now,
            receipts=receipts.of_covered(tx, request_id),
            kept=kept,
        )
        receipts.keep(tx, receipt_id=body["receipt_id"], request_id=request_id, body=self.signer.sign(body))
        requests.close(
            tx,
            request_id,
            state=str(body["state"]),
            receipt_id=str(body["receipt_id"]),
            uploads=body["covered"]["uploads"],
            artifacts=body["covered"]["artifacts"],
        )


def _page(tx: Tx, request: requests.Request, after: str | None) -> list[Upload]:
    """The next uploads of the person that are not erased, also those that are just being."""
    return uploads.of_subject(tx, request.app, str(request.subject_key), limit=PAGE, after=after)
