"""Rows of the ledger as the documents that `--json` promises, and as tables for people."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from worker.cli.terminal import human_bytes, iso
from worker.ledger import artifacts, events, holds, uploads
from worker.ledger.database import Tx
from worker.media.codes import CODES
from worker.model import Artifact, ArtifactKind, ArtifactState, Upload, UploadState
from worker.wiring import House

ENDED = (UploadState.READY, UploadState.REVIEW, UploadState.REJECTED, UploadState.FAILED, UploadState.ERASED)


def published(copies: list[Artifact]) -> list[Artifact]:
    """The copies that people may see."""
    return [
        copy
        for copy in copies
        if copy.state is ArtifactState.PRESENT
        and copy.kind in (ArtifactKind.RENDITION, ArtifactKind.POSTER)
        and copy.rule.endswith(".published")
    ]


def rendition(house: House, copy: Artifact) -> dict[str, Any]:
    path = house.shelf.path(copy)
    return {
        "name": copy.name,
        "path": str(path) if path else None,
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
    document: dict[str, Any] = {
        "upload_id": upload.id,
        "state": upload.state.value,
        "verdict": upload.verdict.value if upload.verdict else None,
        "reasons": upload.facts.get("reasons", []),
        "removed": sorted(_removed(upload)),
        "renditions": [rendition(house, copy) for copy in published(copies)] if _shown(upload) else [],
        "delete_at": iso(upload.delete_at),
    }
    for fact in ("width", "height", "duration_ms", "frames", "placeholder"):
        if upload.facts.get(fact) is not None:
            document[fact] = upload.facts[fact]
    if upload.media_type:
        document["media_type"] = upload.media_type
    if upload.code:
        document["code"] = upload.code
        document["message"] = CODES[upload.code].text if upload.code in CODES else "the upload could not be processed"
    return document


def show_document(house: House, tx: Tx, upload: Upload) -> dict[str, Any]:
    """`mayfly show --json`: state, artifacts, deadlines, events, holds."""
    return {
        "upload_id": upload.id,
        "app": upload.app,
        "state": upload.state.value,
        "verdict": upload.verdict.value if upload.verdict else None,
        "code": upload.code,
        "media_type": upload.media_type,
        "purposes": sorted(upload.purposes),
        "removed": _removed(upload),
        "created_at": iso(upload.created_at),
        "delete_at": iso(upload.delete_at),
        "artifacts": [_copy(house, copy) for copy in artifacts.of_upload(tx, upload.id)],
        "events": [_event(event) for event in events.of_upload(tx, upload.id)],
        "events_intact": events.verify(tx, upload.id),
        "holds": [{"case": hold.case_ref, "since": iso(hold.placed_at)} for hold in holds.active(tx, upload.id)],
    }


def _copy(house: House, copy: Artifact) -> dict[str, Any]:
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


def _removed(upload: Upload) -> dict[str, int]:
    removed = upload.facts.get("removed", {})
    return {str(kind): int(count) for kind, count in removed.items()} if isinstance(removed, dict) else {}


def _shown(upload: Upload) -> bool:
    return upload.state is UploadState.READY


def print_upload(console: Console, document: dict[str, Any]) -> None:
    """One upload for people; readable at 40 columns as well as at 200."""
    console.print(f"[bold]{document['state']}[/bold]  {document['upload_id']}", soft_wrap=True)
    if document.get("code"):
        console.print(f"  {document['message']} [{document['code']}]", markup=False)
    removed = ", ".join(document["removed"]) or "nothing was there"
    if document["state"] == "ready":
        console.print(f"  removed: {removed}")
    for entry in document["renditions"]:
        print_rendition(console, entry)


def print_rendition(console: Console, entry: dict[str, Any]) -> None:
    size = f"{entry['width']}x{entry['height']}" if entry["width"] else ""
    line = f"  {entry['name']:<8} {size:>9}  {human_bytes(entry['bytes'] or 0):>8}  dies {entry['delete_at'][:10]}"
    console.print(line, soft_wrap=True)
    console.print(f"    {entry['path']}", style="dim", soft_wrap=True)


def copies_table(copies: list[dict[str, Any]]) -> Table:
    """State and last day of every copy."""
    table = Table(box=None, pad_edge=False)
    for heading in ("copy", "state", "dies", "rule"):
        table.add_column(heading, overflow="fold")
    for copy in copies:
        table.add_row(f"{copy['kind']} {copy['name']}", copy["state"], copy["delete_at"], copy["rule"])
    return table
