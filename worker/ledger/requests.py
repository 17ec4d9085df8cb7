"""Requests of persons: one open one for each subject and right. What is closed no longer knows its subject."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select, text, update

from worker.errors import Defect, NotFound, StateConflict
from worker.ledger import tables
from worker.ledger.database import Tx
from worker.ledger.uploads import insert_new
from worker.model import new_id

RIGHTS = frozenset({"erasure", "access", "portability", "restriction", "rectification", "objection"})
ENDS = frozenset({"completed", "partially_completed", "refused", "cancelled"})

_T = tables.requests


@dataclass(frozen=True, kw_only=True)
class Request:
    """`uploads` and `artifacts` count what it covered; `subject_key` is None once it is closed."""

    id: str
    app: str
    subject_key: str | None
    right: str
    state: str
    uploads: int
    artifacts: int
    opened_at: datetime
    closed_at: datetime | None
    receipt_id: str | None


def open(tx: Tx, *, app: str, subject_key: str, right: str = "erasure") -> str:
    """The id of the open request for this subject and right, a new one where there is none."""
    if right not in RIGHTS:
        raise Defect(f"a right is one of {', '.join(sorted(RIGHTS))}")
    row = {
        "id": new_id("req"),
        "app": app,
        "subject_key": subject_key,
        "right": right,
        "state": "open",
        "uploads": 0,
        "artifacts": 0,
        "opened_at": tx.now,
    }
    wanted = (_T.c.app == app, _T.c.subject_key == subject_key, _T.c.right == right, text(tables.OPEN_REQUEST))
    while not insert_new(tx, _T, row):
        # The one that was open may have been closed in this very moment; then ours is inserted at the next turn.
        if (existing := tx.conn.execute(select(_T.c.id).where(*wanted)).scalar_one_or_none()) is not None:
            return str(existing)
    return str(row["id"])


def get(tx: Tx, request_id: str) -> Request:
    """Raises `NotFound` (`request_not_found`)."""
    row = tx.conn.execute(select(_T).where(_T.c.id == request_id)).one_or_none()
    if row is None:
        raise NotFound("no such request", code="request_not_found")
    return _request(row)


def link(tx: Tx, request_id: str, upload_id: str) -> None:
    """This upload is covered by the request. May be called again."""
    insert_new(tx, tables.request_uploads, {"request_id": request_id, "upload_id": upload_id})


def covered(tx: Tx, request_id: str, upload_ids: Collection[str]) -> set[str]:
    """Those of these uploads that the request covers already."""
    c = tables.request_uploads.c
    query = select(c.upload_id).where(c.request_id == request_id, c.upload_id.in_(list(upload_ids)))
    return set(tx.conn.execute(query).scalars())


def open_for(tx: Tx, upload_id: str) -> list[str]:
    """Ids of the open requests that cover this upload."""
    link = tables.request_uploads
    query = select(_T.c.id).join(link, link.c.request_id == _T.c.id).where(link.c.upload_id == upload_id)
    return list(tx.conn.execute(query.where(text(tables.OPEN_REQUEST)).order_by(_T.c.id)).scalars())


def close(
    tx: Tx,
    request_id: str,
    *,
    state: str,
    receipt_id: str | None,
    uploads: int | None = None,
    artifacts: int | None = None,
) -> Request:
    """End it as one of `ENDS`, with its final counts where given, and forget the subject.

    Raises `StateConflict` (`request_closed`) when it is closed already.
    """
    if state not in ENDS:
        raise Defect(f"a request ends as one of {', '.join(sorted(ENDS))}")
    values = {"state": state, "receipt_id": receipt_id, "closed_at": tx.now, "subject_key": None}
    counted = {"uploads": uploads, "artifacts": artifacts}
    return _change(tx, request_id, values | {name: n for name, n in counted.items() if n is not None})


def _change(tx: Tx, request_id: str, values: dict[str, Any]) -> Request:
    row = tx.conn.execute(
        update(_T).where(_T.c.id == request_id, text(tables.OPEN_REQUEST)).values(values).returning(_T)
    ).one_or_none()
    if row is None:
        state = get(tx, request_id).state
        raise StateConflict(f"the request is {state} already", code="request_closed")
    return _request(row)


def _request(row: Row[Any]) -> Request:
    return Request(**row._mapping)
