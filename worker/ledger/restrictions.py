"""Restriction of processing (GDPR Art. 18): kept, and neither shown, processed, sent nor erased until it is lifted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, text, update

from worker.errors import NotFound, StateConflict
from worker.ledger import events, tables
from worker.ledger.database import Tx
from worker.ledger.keeping import due_again
from worker.ledger.uploads import get as get_upload
from worker.ledger.uploads import insert_new
from worker.model import UploadState, new_id

_T = tables.restrictions


@dataclass(frozen=True, kw_only=True)
class Restriction:
    """In force while `lifted_at` is None; at most one for an upload."""

    id: str
    upload_id: str
    reason: str
    placed_at: datetime
    lifted_at: datetime | None


def place(tx: Tx, *, upload_id: str, reason: str) -> Restriction:
    """Restrict an upload; where it is restricted already, that restriction stays and is returned.

    Raises `NotFound` (`upload_not_found`), and `StateConflict` (`erased`, `erasing`) when it is too late.
    """
    events.lock(tx, upload_id)
    state = get_upload(tx, upload_id).state
    if state in (UploadState.ERASING, UploadState.ERASED):
        raise StateConflict("this upload is erased, or just being; there is nothing to restrict", code=state.value)
    row = {"id": new_id("rst"), "upload_id": upload_id, "reason": reason, "placed_at": tx.now}
    if insert_new(tx, _T, row):
        events.append(tx, upload_id, event="restricted", actor="operator")
    return _active(tx, upload_id)


def lift(tx: Tx, *, upload_id: str, actor: str) -> Restriction:
    """End it; what has passed its day meanwhile is due in the same commit. Raises `NotFound` (`upload_not_found`,
    `restriction_not_found`)."""
    events.lock(tx, upload_id)
    get_upload(tx, upload_id)
    found = _active(tx, upload_id)
    row = tx.conn.execute(update(_T).where(_T.c.id == found.id).values(lifted_at=tx.now).returning(_T)).one()
    events.append(tx, upload_id, event="restriction_lifted", actor=actor)
    due_again(tx, upload_id)
    return Restriction(**row._mapping)


def _active(tx: Tx, upload_id: str) -> Restriction:
    query = select(_T).where(_T.c.upload_id == upload_id, text(tables.ACTIVE_RESTRICTION))
    row = tx.conn.execute(query).one_or_none()
    if row is None:
        raise NotFound("no restriction on this upload", code="restriction_not_found")
    return Restriction(**row._mapping)
