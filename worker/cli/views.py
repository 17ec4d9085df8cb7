"""Rows of the ledger as the documents that `--json` promises."""

from __future__ import annotations

from typing import Any

from worker.cli.terminal import iso
from worker.ledger import artifacts, events, holds, states, uploads
from worker.ledger.database import Tx
from worker.media.codes import CODES, LEFT_OUT
from worker.model import Artifact, ArtifactKind, ArtifactState, Upload, UploadState
from worker.wiring import House

ENDED = (UploadState.READY, UploadState.REVIEW, UploadState.REJECTED, UploadState.FAILED, UploadState.ERASED)
_FACTS = ("width", "height", "duration_ms", "frames", "placeholder")


def published(copies: list[Artifact]) -> list[Artifact]:
    """The copies that people may see."""
    return [
        copy
        for copy in copies
        if copy.state is ArtifactState.PRESENT
        and copy.kind in (ArtifactKind.RENDITION, ArtifactKind.POSTER)
        and copy.rule.endswith(".published")
    ]


def rendition(house: House, copy: Artifact, cached: Artifact | None) -> dict[str, Any]:
    """One entry of `renditions`. `cached`: the row of what a CDN keeps of it, without which none is named."""
    url = house.shelf.address(cached) if cached else None
    path = None if url else house.shelf.path(copy)
    return {
        "name": copy.name,
        **({"path": str(path)} if path else {"url": url or house.shelf.link(copy)}),
        "media_type": copy.media_type,
        "width": copy.width,
        "height": copy.height,
        "bytes": copy.bytes,
        "sha256": copy.sha256,
        "delete_at": iso(copy.delete_at),
    }


def upload_document(house: House, upload_id: str) -> dict[str, Any]:
    """One entry of `mayfly process --json`."""
    with house.ledger.read() as tx:
        upload = uploads.get(tx, upload_id)
        copies = artifacts.of_upload(tx, upload_id)
        restricted = states.restricted(tx, upload_id)
    shown = upload.state is UploadState.READY and not restricted
    at_cdn = (copy for copy in copies if copy.kind is ArtifactKind.CDN_COPY and copy.state is ArtifactState.PRESENT)
    cached = {copy.key: copy for copy in at_cdn}
    document: dict[str, Any] = {
        "upload_id": upload.id,
        "state": upload.state.value,
        "verdict": upload.verdict.value if upload.verdict else None,
        "reasons": upload.facts.get("reasons", []),
        "removed": sorted(_removed(upload)),
        "renditions": [rendition(house, copy, cached.get(copy.key)) for copy in published(copies)] if shown else [],
        "delete_at": iso(upload.delete_at),
    }
    document |= _ai(upload)
    document |= {fact: upload.facts[fact] for fact in _FACTS if upload.facts.get(fact) is not None}
    if left_out := _left_out(upload):
        document["left_out"] = left_out
    if upload.media_type:
        document["media_type"] = upload.media_type
    if restricted:
        document["restricted"] = True
    if upload.code:
        document |= {"code": upload.code, "message": message_of(upload.code)}
    return document


def message_of(code: str) -> str:
    """The one public line for a code of the closed list."""
    if code == UploadState.ERASED:
        return "it was erased while it was worked on, as somebody asked"
    return CODES[code].text if code in CODES else "the upload could not be processed; see mayfly dead list"


def show_document(house: House, tx: Tx, upload: Upload) -> dict[str, Any]:
    """`mayfly show --json`: state, artifacts, deadlines, events, holds."""
    story = events.of_upload(tx, upload.id)
    gone = gone_at(story)
    return {
        "upload_id": upload.id,
        "app": upload.app,
        "state": upload.state.value,
        "verdict": upload.verdict.value if upload.verdict else None,
        "code": upload.code,
        "media_type": upload.media_type,
        "purposes": sorted(upload.purposes),
        "removed": _removed(upload),
        **_ai(upload),
        "created_at": iso(upload.created_at),
        "delete_at": iso(upload.delete_at),
        "artifacts": [copy_document(house, copy, gone) for copy in artifacts.of_upload(tx, upload.id)],
        "events": [_event(event) for event in story],
        "events_intact": events.verify(tx, upload.id),
        "restricted": states.restricted(tx, upload.id),
        "holds": [{"case": hold.case_ref, "since": iso(hold.placed_at)} for hold in holds.active(tx, upload.id)],
    }


def copies(house: House, upload_id: str) -> list[dict[str, Any]]:
    """Every copy of one upload, with when it was seen gone."""
    with house.ledger.read() as tx:
        gone = gone_at(events.of_upload(tx, upload_id))
        return [copy_document(house, copy, gone) for copy in artifacts.of_upload(tx, upload_id)]


def gone_at(story: list[events.Event]) -> dict[str, str]:
    """When each copy was looked for and not found, by its id."""
    return {
        str(event.detail["artifact_id"]): iso(event.at)
        for event in story
        if event.target == ArtifactState.GONE and "artifact_id" in event.detail
    }


def copy_document(house: House, copy: Artifact, gone: dict[str, str]) -> dict[str, Any]:
    """One copy, wherever it lies or lay."""
    path = house.shelf.path(copy) if copy.location in house.shelf.locations else None
    return {
        "artifact_id": copy.id,
        "kind": copy.kind.value,
        "name": copy.name,
        "state": copy.state.value,
        "location": copy.location,
        "rule": copy.rule,
        "bytes": copy.bytes,
        "path": str(path) if path and copy.state is ArtifactState.PRESENT else None,
        "created_at": iso(copy.created_at),
        "delete_at": iso(copy.delete_at),
        "gone_at": gone.get(copy.id),
        "reason": copy.reason,
    }


def _event(event: events.Event) -> dict[str, Any]:
    return {
        "seq": event.seq,
        "at": iso(event.at),
        "event": event.event,
        "from": event.source,
        "to": event.target,
        "actor": event.actor,
        "detail": event.detail,
    }


def _left_out(upload: Upload) -> list[dict[str, str]]:
    """The extra renditions that the file did not allow, each with its reason."""
    said = upload.facts.get("left_out")
    codes = said.items() if isinstance(said, dict) else ()
    return [{"name": name, "code": code, "message": LEFT_OUT.get(code, "it could not be made")} for name, code in codes]


def _ai(upload: Upload) -> dict[str, bool]:
    """What an app must label where the copies no longer say it (IPTC digital source type); nothing where the file was
    never read."""
    return {"ai_generated": "ai_generated" in _removed(upload)} if "removed" in upload.facts else {}


def _removed(upload: Upload) -> dict[str, int]:
    removed = upload.facts.get("removed", {})
    return {str(kind): int(count) for kind, count in removed.items()} if isinstance(removed, dict) else {}
