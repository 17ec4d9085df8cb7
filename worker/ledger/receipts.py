"""Signed receipts, kept word for word: at most one for an upload and one for a request."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, select

from worker.errors import Defect
from worker.ledger import tables
from worker.ledger.database import Tx
from worker.ledger.uploads import insert_new

_T = tables.receipts


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """`body` is the signed JSON text, exactly as it was issued."""

    id: str
    upload_id: str | None
    request_id: str | None
    body: str
    kept_at: datetime


def keep(tx: Tx, *, receipt_id: str, upload_id: str | None = None, request_id: str | None = None, body: str) -> Receipt:
    """Keep a receipt for an upload or a request. Where one is kept already that one stays and is returned: a job that
    runs twice leaves one receipt."""
    if (upload_id is None) == (request_id is None):
        raise Defect("a receipt is for an upload or for a request")
    row = {"id": receipt_id, "upload_id": upload_id, "request_id": request_id, "body": body, "kept_at": tx.now}
    insert_new(tx, _T, row)
    kept = of_upload(tx, upload_id) if upload_id is not None else of_request(tx, request_id or "")
    if kept is None:
        raise Defect("this receipt id is in use for something else")
    return kept


def of_upload(tx: Tx, upload_id: str) -> Receipt | None:
    return _one(tx, _T.c.upload_id == upload_id)


def of_request(tx: Tx, request_id: str) -> Receipt | None:
    return _one(tx, _T.c.request_id == request_id)


def get(tx: Tx, receipt_id: str) -> Receipt | None:
    return _one(tx, _T.c.id == receipt_id)


def _one(tx: Tx, condition: ColumnElement[bool]) -> Receipt | None:
    row = tx.conn.execute(select(_T).where(condition)).one_or_none()
    return None if row is None else Receipt(**row._mapping)
