"""Signed receipts, kept word for word and for good: at most one for an upload and one for a request."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy import ColumnElement, select

from worker.errors import Defect
from worker.ledger import tables
from worker.ledger.database import Tx
from worker.ledger.uploads import insert_new

_T = tables.receipts
_PAGE = 1_000


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """`body` is the signed JSON text, exactly as it was issued."""

    id: str
    upload_id: str | None
    request_id: str | None
    body: str
    kept_at: datetime


def keep(tx: Tx, *, receipt_id: str, upload_id: str | None = None, request_id: str | None = None, body: str) -> Receipt:
    """Keep a receipt for an upload, a request, or (neither) for bytes that no row named. Where one is kept already
    that one stays and is returned: a job that runs twice leaves one receipt."""
    if upload_id is not None and request_id is not None:
        raise Defect("a receipt is for an upload or for a request, not for both")
    row = {"id": receipt_id, "upload_id": upload_id, "request_id": request_id, "body": body, "kept_at": tx.now}
    insert_new(tx, _T, row)
    if upload_id is not None:
        kept = of_upload(tx, upload_id)
    else:
        kept = of_request(tx, request_id) if request_id is not None else get(tx, receipt_id)
    if kept is None:
        raise Defect("this receipt id is in use for something else")
    return kept


def of_upload(tx: Tx, upload_id: str) -> Receipt | None:
    return _one(tx, _T.c.upload_id == upload_id)


def of_request(tx: Tx, request_id: str) -> Receipt | None:
    return _one(tx, _T.c.request_id == request_id)


def get(tx: Tx, receipt_id: str) -> Receipt | None:
    return _one(tx, _T.c.id == receipt_id)


def of_covered(tx: Tx, request_id: str) -> Iterator[str]:
    """The bodies of the receipts of all uploads that a request covers, in the order of the upload ids."""
    link = tables.request_uploads.c
    query = select(_T.c.body).join(tables.request_uploads, link.upload_id == _T.c.upload_id)
    rows = tx.conn.execution_options(yield_per=_PAGE).execute(
        query.where(link.request_id == request_id).order_by(link.upload_id)
    )
    return (row.body for row in rows)


def first_day(tx: Tx) -> date | None:
    """The day (UTC) of the oldest receipt."""
    at = tx.conn.execute(select(_T.c.kept_at).order_by(_T.c.kept_at).limit(1)).scalar_one_or_none()
    return None if at is None else at.date()


def of_day(tx: Tx, day: date) -> Iterator[tuple[str, str]]:
    """Id and body of every receipt of a day (UTC), those of strangers too, in the order in which they were kept."""
    begin = datetime.combine(day, time(), UTC)
    query = select(_T.c.id, _T.c.body).where(_T.c.kept_at >= begin, _T.c.kept_at < begin + timedelta(days=1))
    rows = tx.conn.execute(query.order_by(_T.c.kept_at, _T.c.id), execution_options={"yield_per": _PAGE})
    return ((row.id, row.body) for row in rows)


def _one(tx: Tx, condition: ColumnElement[bool]) -> Receipt | None:
    row = tx.conn.execute(select(_T).where(condition)).one_or_none()
    return None if row is None else Receipt(**row._mapping)
