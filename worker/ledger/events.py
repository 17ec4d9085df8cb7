"""What happened to an upload and its copies: append-only, numbered and hash-chained per upload.

A detail has a closed set of names and small values, so that no text of a user, a file or an exception can slip in (P7).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, insert, select, update

from worker.errors import Defect, NotFound
from worker.ledger import tables
from worker.ledger.columns import canonical, instant_text
from worker.ledger.database import Tx

GENESIS = "0" * 64
DETAIL_KEYS = frozenset({
    "artifact_id", "attempt", "basis", "bytes", "code", "delete_at", "hold_id", "kind", "location", "markers", "method",
    "name", "observation", "place", "policy", "purposes", "reason", "receipt_id", "removed", "request_id", "review_at",
    "rule", "step", "trigger", "unfinished", "verdict",
})  # fmt: skip
_LONGEST = 200

# Built once: an event is the commonest write there is.
_U = tables.uploads.c
_LINK = insert(tables.events)
_NEW_HEAD = update(tables.uploads).where(_U.id == bindparam("of"))
_LOCKED_HEAD = select(_U.chain_seq, _U.chain_hash).where(_U.id == bindparam("of")).with_for_update()


@dataclass(frozen=True, kw_only=True)
class Event:
    """One link. `seq` counts from 1; `hash` covers every other field, `prev_hash` included."""

    upload_id: str
    seq: int
    at: datetime
    event: str
    actor: str
    source: str | None
    target: str | None
    detail: dict[str, Any]
    prev_hash: str
    hash: str


def append(
    tx: Tx,
    upload_id: str,
    *,
    event: str,
    actor: str,
    source: str | None = None,
    target: str | None = None,
    detail: Mapping[str, Any] | None = None,
) -> Event:
    """Add one link; the upload's row is locked, so links of one upload cannot overtake each other.

    Raises `NotFound` (`upload_not_found`) and `Defect` for a detail outside the closed set.
    """
    seq, prev_hash = lock(tx, upload_id)
    link: dict[str, Any] = {
        "upload_id": upload_id,
        "seq": seq + 1,
        "at": tx.now,
        "event": event,
        "actor": actor,
        "source": source,
        "target": target,
        "detail": _checked(detail or {}),
        "prev_hash": prev_hash,
    }
    made = Event(**link, hash=_hash(link))
    tx.conn.execute(_LINK, {**link, "hash": made.hash})
    tx.conn.execute(_NEW_HEAD, {"of": upload_id, "chain_seq": made.seq, "chain_hash": made.hash})
    return made


def lock(tx: Tx, upload_id: str) -> tuple[int, str]:
    """Keep everybody else from changing this upload until the commit; returns the head of its chain."""
    head = tx.conn.execute(_LOCKED_HEAD, {"of": upload_id}).one_or_none()
    if head is None:
        raise NotFound("no such upload", code="upload_not_found")
    return head.chain_seq, head.chain_hash


def of_upload(tx: Tx, upload_id: str) -> list[Event]:
    """All events, oldest first; empty for an unknown upload."""
    c = tables.events.c
    rows = tx.conn.execute(select(tables.events).where(c.upload_id == upload_id).order_by(c.seq))
    return [Event(**row) for row in rows.mappings()]


def verify(tx: Tx, upload_id: str) -> bool:
    """Whether the chain is whole: nothing changed, left out, put in or cut off."""
    c = tables.uploads.c
    head = tx.conn.execute(select(c.chain_seq, c.chain_hash).where(c.id == upload_id)).one_or_none()
    if head is None:
        return False
    prev_hash, seq = GENESIS, 0
    for link in of_upload(tx, upload_id):
        values = {name: getattr(link, name) for name in Event.__dataclass_fields__ if name != "hash"}
        if link.seq != seq + 1 or link.prev_hash != prev_hash or link.hash != _hash(values):
            return False
        prev_hash, seq = link.hash, link.seq
    return (seq, prev_hash) == (head.chain_seq, head.chain_hash)


def _hash(link: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical({**link, "at": instant_text(link["at"])}).encode()).hexdigest()


def _checked(detail: Mapping[str, Any]) -> dict[str, Any]:
    if unknown := set(detail) - DETAIL_KEYS:
        raise Defect(
            f"an event's detail has no field {min(unknown)}; add it to DETAIL_KEYS if it can hold nothing personal"
        )
    return {name: _small(value) for name, value in detail.items()}


def _small(value: Any) -> Any:
    if isinstance(value, datetime):
        return instant_text(value)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str) and len(value) <= _LONGEST and value.isprintable():
        return str(value)
    if isinstance(value, list | tuple | frozenset | set):
        return [_small(item) for item in (value if isinstance(value, list | tuple) else sorted(value))]
    raise Defect("an event's detail holds short text, whole numbers, instants and lists of them, nothing else")
