"""Salts of the commitments in receipts: kept until they are handed over once, or their time is up, then gone.

While a salt is here, whoever has a file can ask whether a receipt is about it. So it is never kept for convenience.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import ColumnElement, delete, insert, select

from worker.ledger import tables
from worker.ledger.database import Tx

LIVES = timedelta(days=7)

_T = tables.salts
_PAGE = 1_000  # a statement of SQLite takes 32,766 values at most
_R = tables.receipts.c


@dataclass(frozen=True, kw_only=True)
class Salt:
    """32 random bytes as 64 hexadecimal digits, of the receipt of one upload."""

    receipt_id: str
    upload_id: str
    salt: str = field(repr=False)


def keep(tx: Tx, *, receipt_id: str, salt: bytes) -> None:
    """In the commit that keeps the receipt."""
    row = {"receipt_id": receipt_id, "salt": salt.hex(), "expires_at": tx.now + LIVES}
    tx.conn.execute(insert(_T).values(row))


def of_receipt(tx: Tx, receipt_id: str) -> list[Salt]:
    """Those that can still be handed over with a receipt: its own, or with a request's those of its uploads."""
    asked = select(_R.request_id).where(_R.id == receipt_id).scalar_subquery()
    link = tables.request_uploads.c
    covered = select(link.upload_id).where(link.request_id == asked)
    return _those(tx, (_R.id == receipt_id) | _R.upload_id.in_(covered))


def handed_over(tx: Tx, salts: list[Salt]) -> None:
    """The requester has them: nobody else ever will."""
    for begin in range(0, len(salts), _PAGE):
        page = [salt.receipt_id for salt in salts[begin : begin + _PAGE]]
        tx.conn.execute(delete(_T).where(_T.c.receipt_id.in_(page)))


def prune(tx: Tx) -> int:
    """Delete what nobody asked for in time; returns how many."""
    return tx.conn.execute(delete(_T).where(_T.c.expires_at <= tx.now)).rowcount


def _those(tx: Tx, condition: ColumnElement[bool]) -> list[Salt]:
    query = select(_T.c.receipt_id, _R.upload_id, _T.c.salt).join(tables.receipts, _R.id == _T.c.receipt_id)
    rows = tx.conn.execute(query.where(condition).order_by(_R.upload_id))
    return [Salt(receipt_id=row.receipt_id, upload_id=row.upload_id, salt=row.salt) for row in rows]
