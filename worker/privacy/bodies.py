"""What receipts say, before they are signed: rows and events in, one plain object out.

Pure, so that every word of a receipt can be tested without an erasure. Ids, kinds, times, counts and observations go
in; nothing here has a subject, a key of a location or a file name to give away.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from worker.model import Artifact, ArtifactState, Trigger, UploadState
from worker.privacy import merkle

VERSION = 1
SALT_BYTES = 32
# Uploads that the receipt of a request repeats copy by copy.
LISTED = 500
_REPEATED = ("upload_id", "receipt_id", "commitment", "artifacts")
_NOTICE = "Items that the law requires to be kept are excluded from every erasure."
# Why something of a person is kept, in words that name no case, no authority and no accusation. A restriction keeps
# nothing from the person's own request: asking for erasure lifts it.
KEPT_BY_LAW = "kept because the law requires it"


class Happened(Protocol):
    """An event of the upload's chain."""

    @property
    def at(self) -> datetime: ...
    @property
    def target(self) -> str | None: ...
    @property
    def detail(self) -> dict[str, Any]: ...


def instant(at: datetime) -> str:
    """An instant as receipts write it: ISO 8601 in UTC, to the millisecond."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def of_upload(
    *,
    receipt_id: str,
    upload_id: str,
    policy_version: str,
    now: datetime,
    copies: Sequence[Artifact],
    story: Sequence[Happened],
    commitment: str | None,
) -> dict[str, Any]:
    """The erasure of one upload. `story`: all its events, oldest first; `commitment` as `commit` makes it."""
    begun = next(each for each in reversed(story) if each.target == UploadState.ERASING and not _copy_of(each))
    of_copy: dict[str, list[Happened]] = {}
    for each in story:
        of_copy.setdefault(_copy_of(each), []).append(each)
    body: dict[str, Any] = {
        "receipt_version": VERSION,
        "receipt_id": receipt_id,
        "issued_at": instant(now),
        "trigger": begun.detail.get("trigger", Trigger.RETENTION.value),
        "upload_id": upload_id,
        "policy_version": policy_version,
        "hidden_at": instant(begun.at),
        "completed_at": instant(now),
        "commitment": commitment,
        "artifacts": [_copy(copy, of_copy.get(copy.id, [])) for copy in copies],
        "exclusions_notice": _NOTICE,
    }
    if "request_id" in begun.detail:
        body["request_id"] = begun.detail["request_id"]
    return body


def of_request(
    *,
    receipt_id: str,
    request_id: str,
    policy_version: str,
    now: datetime,
    receipts: Iterable[str],
    kept: Mapping[str, str],
) -> dict[str, Any]:
    """A person's request: what the receipts of its uploads say of each copy, and what is `kept` (upload id to
    reason). That, or a copy whose absence nobody could see, makes it a partial one.

    `receipts`: their texts in the order of the upload ids. All are counted, and `root` (RFC 9162) is over all of them;
    the first `LISTED` are repeated, so that the receipt of somebody who gave a hundred thousand files can be read.
    """
    listed: list[dict[str, Any]] = []
    artifacts = unseen = 0

    def leaves() -> Iterator[bytes]:
        nonlocal artifacts, unseen
        for text in receipts:
            own = json.loads(text)
            artifacts += len(own["artifacts"])
            unseen += sum(copy["state"] == ArtifactState.UNVERIFIABLE for copy in own["artifacts"])
            if len(listed) < LISTED:
                listed.append({name: own[name] for name in _REPEATED})
            yield merkle.leaf(text.encode())

    count, root = merkle.root(leaves())
    return {
        "receipt_version": VERSION,
        "receipt_id": receipt_id,
        "issued_at": instant(now),
        "trigger": Trigger.DSR.value,
        "request_id": request_id,
        "policy_version": policy_version,
        "completed_at": instant(now),
        "state": "partially_completed" if kept or unseen else "completed",
        "covered": {"uploads": count, "artifacts": artifacts, "unverifiable": unseen, "root": root.hex()},
        "uploads": listed,
        "kept": [{"upload_id": upload_id, "reason": reason} for upload_id, reason in sorted(kept.items())],
        "exclusions_notice": _NOTICE,
    }


def of_stranger(
    *,
    receipt_id: str,
    now: datetime,
    location: str,
    place: str,
    first_seen_at: datetime,
    method: str,
    removed: int,
    markers: int,
    unfinished: int,
    observation: str,
) -> dict[str, Any]:
    """Bytes that no row named, found at a location and erased there. `removed` counts everything that went."""
    return {
        "receipt_version": VERSION,
        "receipt_id": receipt_id,
        "issued_at": instant(now),
        "trigger": "reconcile",
        "location": location,
        "place": place,
        "first_seen_at": instant(first_seen_at),
        "looked_at": instant(now),
        "method": method,
        "versions": removed - markers - unfinished,
        "markers": markers,
        "unfinished": unfinished,
        "observation": observation,
    }


def commit(salt: bytes, sha256: str) -> str:
    """SHA-256(salt || SHA-256 of the file, 32 bytes), in hexadecimal: who has salt and file can show that the receipt
    is about this file; nobody can find out from the receipt which file it was."""
    return hashlib.sha256(salt + bytes.fromhex(sha256)).hexdigest()


def _copy(copy: Artifact, story: Sequence[Happened]) -> dict[str, Any]:
    asked = next((each for each in story if each.target == ArtifactState.ERASING), None)
    ended = next((each for each in reversed(story) if each.target == copy.state), None)
    said = ended.detail if ended else {}
    gone = copy.state is ArtifactState.GONE
    entry: dict[str, Any] = {
        "artifact_id": copy.id,
        "kind": copy.kind.value,
        "location": copy.location,
        "place": said.get("place"),
        "state": copy.state.value,
        "asked_at": instant(asked.at) if asked else None,
        "method": said.get("method"),
        **_removed(story),
        "observation": said.get("observation", "none"),
        "looked_at": instant(ended.at) if ended and gone else None,
    }
    return entry if gone else {**entry, "reason": copy.reason}


def _removed(story: Sequence[Happened]) -> dict[str, int]:
    """What went in all tries together: one that was blocked half way has removed something, too."""
    removed, markers, unfinished = (
        sum(int(each.detail.get(name) or 0) for each in story) for name in ("removed", "markers", "unfinished")
    )
    return {"versions": removed - markers - unfinished, "markers": markers, "unfinished": unfinished}


def _copy_of(event: Happened) -> str:
    """Which copy an event is about; empty for one about the upload as a whole."""
    return str(event.detail.get("artifact_id", ""))
