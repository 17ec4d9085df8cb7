"""One upload from quarantine to published: one download, one decode in the jail, proof, verdict, copies, one commit.

Killed anywhere, the next claim starts afresh: what the dead left behind has rows, and is destroyed first. An erasure
that begins meanwhile wins: the upload's fence has moved, and nothing of this run is published.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from pathlib import Path

from worker.errors import Defect, StateConflict, Unavailable, Unprocessable
from worker.flows import deadlines
from worker.flows.guard import Guard
from worker.flows.refuse import Refuse
from worker.ledger import artifacts, leases, states, uploads
from worker.ledger.database import Ledger, Tx
from worker.media.codes import unprocessable
from worker.media.formats import format_named
from worker.media.rendered import Made, Proof, Rendered
from worker.media.studio import Studio
from worker.model import Artifact, ArtifactKind, ArtifactState, Job, Trigger, Upload, UploadState
from worker.moderation import policy
from worker.retention.book import Book
from worker.shelf import Shelf
from worker.streams import copy_to

RESTRICTED_LOOK = timedelta(hours=1)
_LIVE = (ArtifactState.PLANNED, ArtifactState.PRESENT, ArtifactState.ERASING, ArtifactState.BLOCKED)


@dataclass(frozen=True, kw_only=True)
class Process:
    """`progress` is told the percentage of a long encoding, at most once a second."""

    ledger: Ledger
    book: Book
    shelf: Shelf
    refuse: Refuse
    studio: Studio
    progress: Callable[[str, int], None]

    def run(self, upload_id: str, job: Job, guard: Guard) -> None:
        """Ends with the upload `ready`, `rejected` or `failed`; leaves quietly when it is already past processing.

        Raises `Unavailable` (try again later) and `LeaseLost` (somebody else has the job).
        """
        upload = self._take(upload_id, job)
        if upload is None:
            self._clear(upload_id)
            return
        guard.step("claimed")
        try:
            with self.shelf.workspace(upload) as room:
                guard.step("workspace")
                self._work(upload, room, job, guard)
        except Unprocessable as refusal:
            self.refuse.run(upload, refusal.code, actor="process")
        except StateConflict as overtaken:
            if overtaken.code != "superseded" and self._still_ours(upload):
                raise
        guard.step("cleaned")

    def _work(self, upload: Upload, room: Path, job: Job, guard: Guard) -> None:
        source = self._fetch(upload, room)
        guard.step("fetched")
        fmt = format_named(upload.media_type or "")
        rendered = self.studio.render(
            source, fmt, room, lambda percent: self.progress(upload.id, percent), guard.cancelled
        )
        guard.step("rendered")
        rendered, proofs = self._prove(rendered)
        guard.step("proven")
        decision = policy.decide([])
        guard.step("judged")
        kept = self._store(upload, rendered, proofs, guard)
        self._publish(upload, rendered, kept, decision, job)
        guard.step("published")

    def _take(self, upload_id: str, job: Job) -> Upload | None:
        with self.ledger.begin() as tx:
            leases.check(tx, job)
            upload = uploads.find(tx, upload_id)
            if upload is None or upload.state not in (UploadState.QUARANTINED, UploadState.PROCESSING):
                return None
            self._unrestricted(tx, upload_id)
            taken = states.move_upload(
                tx,
                upload_id,
                to=UploadState.PROCESSING,
                source=upload.state,
                fence=upload.fence,
                actor="process",
                detail={"attempt": job.attempts},
            )
            left = [a for a in artifacts.of_upload(tx, upload_id, states=_LIVE) if a.kind is not ArtifactKind.ORIGINAL]
        if left:
            self.shelf.destroy(left, trigger=Trigger.RETENTION)
        return taken

    @staticmethod
    def _unrestricted(tx: Tx, upload_id: str) -> None:
        """A restricted upload is neither processed nor published; lifting the restriction hurries this job."""
        if states.restricted(tx, upload_id):
            raise Unavailable(
                "this upload is restricted; it is processed when that is lifted",
                code="restricted",
                retry_after=RESTRICTED_LOOK,
            )

    def _clear(self, upload_id: str) -> None:
        """A run that was killed after its commit left its working copy: it goes now, not when its hour is over."""
        with self.ledger.read() as tx:
            left = [a for a in artifacts.of_upload(tx, upload_id, states=_LIVE) if a.kind is ArtifactKind.SCRATCH]
        if left:
            self.shelf.destroy(left, trigger=Trigger.RETENTION)

    def _original(self, upload: Upload) -> Artifact:
        with self.ledger.read() as tx:
            for artifact in artifacts.of_upload(tx, upload.id, states=[ArtifactState.PRESENT]):
                if artifact.kind is ArtifactKind.ORIGINAL:
                    return artifact
        raise unprocessable("original_missing")

    def _fetch(self, upload: Upload, room: Path) -> Path:
        original = self._original(upload)
        target = room / "original"
        with self.shelf.open(original, upload.purposes) as stream:
            _size, sha256 = copy_to(stream, target, most_bytes=self.studio.most_bytes(upload.media_type or ""))
        if original.sha256 is None:  # the app put it there itself
            with self.ledger.begin() as tx:
                artifacts.note_hash(tx, original.id, sha256)
        elif sha256 != original.sha256:
            raise Defect("the original is not what was received", code="original_changed")
        return target

    def _prove(self, rendered: Rendered) -> tuple[Rendered, dict[str, Proof]]:
        """The second reader's word for every copy. An extra that it doubts is left out; any other is a refusal."""
        proofs, left_out = self.studio.prove_all(rendered.made), dict(rendered.left_out)
        for made in rendered.made:
            if made.name not in proofs:
                if made.name not in self.studio.renditions_on:
                    raise unprocessable("not_proven")
                left_out[made.name] = "not_proven"
        proven = tuple(made for made in rendered.made if made.name in proofs)
        return replace(rendered, made=proven, left_out=left_out), proofs

    def _store(self, upload: Upload, rendered: Rendered, proofs: Mapping[str, Proof], guard: Guard) -> list[Artifact]:
        planned = [(made, self._plan(upload, made)) for made in rendered.made]
        cached = [self.shelf.plan_cached(upload, artifact) for _, artifact in planned]
        guard.step("planned")
        kept = []
        for made, artifact in planned:
            guard.check()
            body = made.body if made.body is not None else made.path
            if body is None:
                raise Defect("a rendition without bytes")
            kept.append(self.shelf.publish(artifact, body, proofs[made.name]))
        kept += [self.shelf.adopt(copy) for copy in cached if copy is not None]
        guard.step("stored")
        return kept

    def _plan(self, upload: Upload, made: Made) -> Artifact:
        return self.shelf.plan(
            upload, made.kind, made.name, media_type=made.media_type, width=made.width, height=made.height
        )

    def _publish(
        self, upload: Upload, rendered: Rendered, kept: list[Artifact], decision: policy.Decision, job: Job
    ) -> None:
        """The one commit that makes it visible: state, deadlines, and the original due at once."""
        facts = {k: v for k, v in asdict(rendered.facts).items() if k != "media_type"}
        facts["reasons"] = [reason.code for reason in decision.reasons]
        facts["policy"] = decision.policy_version
        facts["left_out"] = rendered.left_out
        with self.ledger.begin() as tx:
            leases.check(tx, job)
            self._unrestricted(tx, upload.id)
            uploads.describe(
                tx,
                upload.id,
                facts=facts,
                verdict=decision.verdict,
                delete_at=upload.created_at + upload.keep_for,
            )
            ready = states.move_upload(
                tx,
                upload.id,
                to=UploadState.READY,
                source=UploadState.PROCESSING,
                fence=upload.fence,
                actor="process",
                detail={"verdict": decision.verdict.value},
            )
            mine = {artifact.id for artifact in kept}
            present = artifacts.of_upload(tx, upload.id, states=[ArtifactState.PRESENT])
            settled = [copy for copy in present if copy.id in mine or copy.kind is ArtifactKind.ORIGINAL]
            deadlines.rewrite(tx, ready, settled, actor="process", rules=self.book.rules)
            leases.hurry(tx, "sweep", "all")

    def _still_ours(self, upload: Upload) -> bool:
        with self.ledger.read() as tx:
            row = uploads.find(tx, upload.id)
        return row is not None and row.fence == upload.fence and row.state is UploadState.PROCESSING
