"""Take an upload in: its row, the row of its original, the bytes, then `quarantined` and the bell in one commit."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from worker.errors import LeaseLost, MayflyError, Refused, StateConflict, Unavailable, Unprocessable
from worker.flows.refuse import Refuse
from worker.ledger import leases, states, tombstones, uploads
from worker.ledger.database import Ledger
from worker.media.codes import unprocessable
from worker.media.formats import Format, sniff
from worker.media.limits import MediaLimits
from worker.model import (
    APP,
    SUBJECT_KEY,
    ArtifactKind,
    Job,
    NewUpload,
    Upload,
    UploadState,
    WorkClass,
    is_id,
)
from worker.retention.book import Book
from worker.retention.rules import rule_for
from worker.shelf import Shelf

HEAD_BYTES = 4096


@dataclass(frozen=True, kw_only=True)
class Receive:
    """`formats_on` names the formats that are off by default and were turned on."""

    ledger: Ledger
    book: Book
    shelf: Shelf
    refuse: Refuse
    limits: MediaLimits
    formats_on: frozenset[str]

    def run(self, new: NewUpload, chunks: Iterable[bytes], *, keep_for: timedelta) -> Upload:
        """Returns the upload `quarantined`, or `rejected` with its code when the bytes are refused at the door.

        Raises `Refused` for a wrong request (nothing is written), `StateConflict` (`superseded`) when it is erased
        meanwhile, and `Unavailable` when a place is full or away (what was begun is destroyed).
        """
        checked(new)
        upload, job = self._open(new, keep_for)
        try:
            head, rest = _head(self._held(chunks, job))
            fmt = self.admit(head, new.declared_type)
            original = self.shelf.plan(upload, ArtifactKind.ORIGINAL, "original", media_type=fmt.media_type)
            self.shelf.quarantine(original, rest, most_bytes=self._most_bytes(fmt))
            return self.accept(upload, fmt, job)
        except Unprocessable as refusal:
            return self.refuse.run(upload, refusal.code, actor="receive")
        except BaseException as error:
            code = error.code if isinstance(error, MayflyError) else "aborted"
            if code == "too_large":
                return self.refuse.run(upload, "limits:bytes", actor="receive")
            # The place is full, or the sender broke off: what came in so far is of no use, and the app sends it again.
            self._break_off(upload, job, code)
            if isinstance(error, LeaseLost):
                raise StateConflict("this upload was erased while it came in", code="superseded") from None
            raise

    def abandoned(self, upload_id: str) -> None:
        """The process that took this upload in is dead: end it as `aborted`, at once instead of on its last day."""
        with self.ledger.read() as tx:
            upload = uploads.find(tx, upload_id)
        if upload is not None and upload.state is UploadState.RECEIVING:
            self.refuse.run(upload, "aborted", actor="receive")

    def admit(self, head: bytes, declared_type: str | None) -> Format:
        """The format by our own sniff; raises `Unprocessable`: `empty`, `unsupported_type`, `format_off`,
        `type_mismatch`."""
        if not head:
            raise unprocessable("empty")
        fmt = sniff(head)
        if fmt is None:
            raise unprocessable("unsupported_type")
        if not fmt.enabled_by_default and fmt.name not in self.formats_on:
            raise unprocessable("format_off")
        if declared_type is not None and declared_type.lower() not in fmt.declared:
            raise unprocessable("type_mismatch")
        return fmt

    def accept(self, upload: Upload, fmt: Format, job: Job | None = None) -> Upload:
        """One commit: the upload is quarantined and its work is due. `job` is the lease under which it came in."""
        with self.ledger.begin() as tx:
            if job is not None:
                leases.finish(tx, job)
            uploads.describe(tx, upload.id, media_type=fmt.media_type)
            taken = states.move_upload(
                tx,
                upload.id,
                to=UploadState.QUARANTINED,
                source=UploadState.RECEIVING,
                fence=upload.fence,
                actor="receive",
            )
            leases.create(tx, kind="process", target=upload.id, work_class=WorkClass(fmt.work_class))
            return taken

    def _open(self, new: NewUpload, keep_for: timedelta) -> tuple[Upload, Job]:
        with self.ledger.begin() as tx:
            if new.upload_id and tombstones.find(tx, new.upload_id):
                raise StateConflict("this upload was erased; use a new upload id", code="erased")
            rule = rule_for(ArtifactKind.ORIGINAL, UploadState.RECEIVING, self.book.rules)
            upload = uploads.create(tx, new, keep_for=keep_for, delete_at=tx.now + rule.most)
            return upload, leases.hold(tx, kind="receive", target=upload.id, work_class=WorkClass.LIFECYCLE)

    def _held(self, chunks: Iterable[bytes], job: Job) -> Iterator[bytes]:
        """Keep the lease while the bytes come in, so that an erasure knows that somebody still writes. Raises
        `LeaseLost` when it was recalled, or when the sender was silent for longer than the lease."""
        beat_at = time.monotonic()
        for chunk in chunks:
            if time.monotonic() - beat_at >= leases.HEARTBEAT.total_seconds():
                beat_at = time.monotonic()
                with self.ledger.begin() as tx:
                    leases.heartbeat(tx, job, "receiving")
            yield chunk

    def _break_off(self, upload: Upload, job: Job, code: str) -> None:
        """Where the ledger is away, the lease runs out and the relay ends the upload."""
        with contextlib.suppress(Unavailable):
            try:
                self.refuse.run(upload, code, actor="receive")
            except StateConflict:
                # An erasure was quicker, and waits for us.
                with self.ledger.begin() as tx:
                    if leases.let_go(tx, job):
                        leases.hurry(tx, "erase", upload.id)

    def _most_bytes(self, fmt: Format) -> int:
        return self.limits.image_bytes if fmt.work_class == "image" else self.limits.video_bytes


def checked(new: NewUpload) -> NewUpload:
    """Refuse what no upload may be: no purpose, a raw subject, a foreign kind of id."""
    if not new.purposes:
        raise Refused("name at least one purpose: display, sharing", code="bad_purpose")
    if not APP.match(new.app):
        raise Refused("an app name is 1 to 32 lower-case letters, digits and hyphens", code="bad_app")
    if not SUBJECT_KEY.match(new.subject_key):
        raise Refused("a subject key is 64 lower-case hexadecimal digits", code="bad_subject")
    if new.upload_id is not None and not is_id(new.upload_id, "upl"):
        raise Refused("an upload id is upl_ and 32 lower-case hexadecimal digits", code="bad_upload_id")
    return new


def _head(chunks: Iterable[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """The first bytes for the sniff, and a stream that still has them."""
    stream, taken, size = iter(chunks), [], 0
    for chunk in stream:
        taken.append(chunk)
        size += len(chunk)
        if size >= HEAD_BYTES:
            break
    return b"".join(taken)[:HEAD_BYTES], itertools.chain(taken, stream)
