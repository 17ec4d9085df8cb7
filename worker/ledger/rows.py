"""From a row to a value of `worker.model`, and nothing else."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row

from worker.model import (
    Artifact,
    ArtifactKind,
    ArtifactState,
    Context,
    Hold,
    Job,
    LegalBasis,
    Purpose,
    Upload,
    UploadState,
    Verdict,
    WorkClass,
)


def to_upload(row: Row[Any]) -> Upload:
    return Upload(
        id=row.id,
        app=row.app,
        subject_key=row.subject_key,
        state=UploadState(row.state),
        fence=row.fence,
        purposes=frozenset(Purpose(purpose) for purpose in row.purposes),
        context=Context(row.context),
        legal_basis=LegalBasis(row.legal_basis),
        keep_for=row.keep_for,
        media_type=row.media_type,
        code=row.code,
        verdict=None if row.verdict is None else Verdict(row.verdict),
        facts=row.facts,
        created_at=row.created_at,
        state_at=row.state_at,
        delete_at=row.delete_at,
    )


def to_artifact(row: Row[Any]) -> Artifact:
    return Artifact(
        id=row.id,
        upload_id=row.upload_id,
        kind=ArtifactKind(row.kind),
        name=row.name,
        state=ArtifactState(row.state),
        fence=row.fence,
        location=row.location,
        key=row.key,
        rule=row.rule,
        media_type=row.media_type,
        bytes=row.bytes,
        sha256=row.sha256,
        width=row.width,
        height=row.height,
        created_at=row.created_at,
        delete_at=row.delete_at,
        next_attempt_at=row.next_attempt_at,
        reason=row.reason,
    )


def to_job(row: Row[Any]) -> Job:
    return Job(
        id=row.id,
        kind=row.kind,
        target=row.target,
        work_class=WorkClass(row.work_class),
        fence=row.fence,
        attempts=row.attempts,
        waits=row.waits,
        lasting=row.lasting,
        lease_until=row.lease_until,
    )


def to_hold(row: Row[Any]) -> Hold:
    return Hold(
        id=row.id,
        upload_id=row.upload_id,
        case_ref=row.case_ref,
        reason=row.reason,
        authority=row.authority,
        placed_at=row.placed_at,
        review_at=row.review_at,
        released_at=row.released_at,
        two_person=row.two_person,
        release_asked=row.release_asked_by is not None,
    )
