"""Rows for the ledger's tests, and many threads at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TypeVar

from worker.ledger import artifacts, states, uploads
from worker.ledger.database import Tx
from worker.model import Artifact, ArtifactKind, ArtifactState, NewUpload, Purpose, Upload, UploadState

T = TypeVar("T")
ANNA = "a" * 64
BERT = "b" * 64
MEDIA = "media"
LEASE = timedelta(seconds=60)
DAY = timedelta(days=1)

# One way from birth to each state.
ROADS = {
    UploadState.RECEIVING: (),
    UploadState.QUARANTINED: (UploadState.QUARANTINED,),
    UploadState.PROCESSING: (UploadState.QUARANTINED, UploadState.PROCESSING),
    UploadState.REVIEW: (UploadState.QUARANTINED, UploadState.PROCESSING, UploadState.REVIEW),
    UploadState.READY: (UploadState.QUARANTINED, UploadState.PROCESSING, UploadState.READY),
    UploadState.REJECTED: (UploadState.REJECTED,),
    UploadState.FAILED: (UploadState.FAILED,),
    UploadState.ERASING: (UploadState.ERASING,),
    UploadState.ERASED: (UploadState.ERASING, UploadState.ERASED),
}
COPY_ROADS = {
    ArtifactState.PLANNED: (),
    ArtifactState.PRESENT: (ArtifactState.PRESENT,),
    ArtifactState.ERASING: (ArtifactState.ERASING,),
    ArtifactState.BLOCKED: (ArtifactState.ERASING, ArtifactState.BLOCKED),
    ArtifactState.UNVERIFIABLE: (ArtifactState.ERASING, ArtifactState.UNVERIFIABLE),
    ArtifactState.GONE: (ArtifactState.ERASING, ArtifactState.GONE),
}


def upload(
    tx: Tx, state: UploadState = UploadState.RECEIVING, *, subject: str = ANNA, lives: timedelta = DAY
) -> Upload:
    """An upload that has come to `state` by listed moves."""
    new = NewUpload(app="shop", subject_key=subject, purposes=frozenset(Purpose))
    made = uploads.create(tx, new, keep_for=timedelta(days=90), delete_at=tx.now + lives)
    for step in ROADS[state]:
        made = states.move_upload(tx, made.id, to=step, actor="test")
    return made


def copy(
    tx: Tx,
    owner: Upload,
    state: ArtifactState = ArtifactState.PRESENT,
    *,
    lives: timedelta = DAY,
    location: str = MEDIA,
) -> Artifact:
    """A copy that has come to `state` by listed moves."""
    made = artifacts.plan(
        tx,
        upload_id=owner.id,
        kind=ArtifactKind.RENDITION,
        name="display",
        location=location,
        retention_class="rendition",
        rule="rendition.published",
        delete_at=tx.now + lives,
        actor="test",
    )
    for step in COPY_ROADS[state]:
        made = states.move_artifact(tx, made.id, to=step, actor="test")
    return made


def at_once(work: Callable[[int], T], hands: int = 8) -> list[T | BaseException]:
    """`work(0)` to `work(hands - 1)`, started together; what each returned or raised."""
    start = threading.Barrier(hands)

    def one(number: int) -> T | BaseException:
        start.wait(timeout=30)
        try:
            return work(number)
        except Exception as error:
            return error

    with ThreadPoolExecutor(hands) as pool:
        return list(pool.map(one, range(hands)))
