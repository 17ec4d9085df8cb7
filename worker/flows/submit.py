"""Take over an object that an app backend has put into the intake location itself, named by its upload id."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from storage_backends.keys import Key
from worker.errors import Refused, StateConflict, Unavailable, Unprocessable
from worker.flows.receive import HEAD_BYTES, Receive, checked
from worker.ledger import artifacts, tombstones, uploads
from worker.ledger.database import Ledger
from worker.model import ArtifactKind, NewUpload, Upload, UploadState
from worker.retention.book import Book
from worker.retention.rules import rule_for
from worker.shelf import Shelf

INTAKE_CLASS = "intake"
INTAKE_NAME = "object"
# A twin of the message can overtake at three places: the row, the copy, the commit.
_TRIES = 5


def intake_key(app: str, upload_id: str) -> str:
    """Where the app must put the object: no part of it is free text, so no file name can enter the ledger."""
    return str(Key(retention_class=INTAKE_CLASS, app=app, upload_id=upload_id, artifact_id=INTAKE_NAME))


@dataclass(frozen=True, kw_only=True)
class Submit:
    ledger: Ledger
    book: Book
    shelf: Shelf
    receive: Receive
    intake: str

    def run(self, new: NewUpload, *, keep_for: timedelta) -> Upload:
        """Idempotent by `upload_id`: the same id again changes nothing. Raises `Refused`: `object_missing`,
        `upload_exists` (another app's), `erased`."""
        if checked(new).upload_id is None:
            raise Refused("mayfly.submit needs an upload_id", code="bad_upload_id")
        for _ in range(_TRIES):
            try:
                return self._once(new, keep_for)
            except Refused as refused:
                if not self._overtaken(new, refused):
                    raise
        raise Unavailable("the same object is being taken in just now; trying again", code="overtaken")

    def _overtaken(self, new: NewUpload, refused: Refused) -> bool:
        """Whether the same message, delivered twice at once, has done meanwhile what we were about to do."""
        with self.ledger.read() as tx:
            known = uploads.find(tx, new.upload_id or "")
        if known is None or known.app != new.app or known.subject_key != new.subject_key:
            return False
        return isinstance(refused, StateConflict) or known.state is not UploadState.RECEIVING

    def _once(self, new: NewUpload, keep_for: timedelta) -> Upload:
        upload = self._open(new, keep_for)
        if upload.state is not UploadState.RECEIVING:
            return upload
        with self.ledger.read() as tx:
            original = artifacts.of_upload(tx, upload.id)[0]
        try:
            size = self.shelf.size(original)
            if original.state.value == "planned":
                original = self.shelf.adopt(original, bytes_=size)
            with self.shelf.open(original, upload.purposes) as stream:
                head = stream.read(HEAD_BYTES)
            fmt = self.receive.admit(head, new.declared_type)
        except Unprocessable as refusal:
            return self.receive.refuse.run(upload, refusal.code, actor="submit")
        return self.receive.accept(upload, fmt)

    def _open(self, new: NewUpload, keep_for: timedelta) -> Upload:
        assert new.upload_id is not None
        key = intake_key(new.app, new.upload_id)
        with self.ledger.begin() as tx:
            if tombstones.find(tx, new.upload_id):
                raise StateConflict("this upload was erased; use a new upload id", code="erased")
            known = uploads.find(tx, new.upload_id)
            if known is not None:
                if known.app != new.app or known.subject_key != new.subject_key:
                    raise StateConflict("that upload id is taken; use a new one", code="upload_exists")
                return known
            rule = rule_for(ArtifactKind.ORIGINAL, UploadState.RECEIVING, self.book.rules)
            upload = uploads.create(tx, new, keep_for=keep_for, delete_at=tx.now + rule.most)
            artifacts.plan(
                tx,
                upload_id=upload.id,
                kind=ArtifactKind.ORIGINAL,
                name="original",
                location=self.intake,
                retention_class=INTAKE_CLASS,
                key=key,
                rule=rule.name,
                delete_at=tx.now + rule.most,
                actor="submit",
            )
            return upload
