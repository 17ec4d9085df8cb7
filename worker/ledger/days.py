"""One signed statement a day: how many receipts it has, and the root over them. A statement that is kept stays."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from sqlalchemy import func, select

from worker.ledger import tables
from worker.ledger.database import Tx
from worker.ledger.uploads import insert_new

_T = tables.receipt_days


def keep(tx: Tx, *, day: date, body: str) -> None:
    """May be called again: the first statement of a day stays."""
    insert_new(tx, _T, {"day": day.isoformat(), "body": body})


def find(tx: Tx, day: date) -> str | None:
    """The signed text."""
    return tx.conn.execute(select(_T.c.body).where(_T.c.day == day.isoformat())).scalar_one_or_none()


def last(tx: Tx) -> date | None:
    """The youngest day that has a statement."""
    day = tx.conn.execute(select(func.max(_T.c.day))).scalar_one()
    return None if day is None else date.fromisoformat(day)


def every(tx: Tx, *, since: date = date.min) -> Iterator[tuple[date, str]]:
    """All days from `since` on, oldest first, each with its signed text."""
    query = select(_T).where(_T.c.day >= since.isoformat()).order_by(_T.c.day)
    return ((date.fromisoformat(row.day), row.body) for row in tx.conn.execute(query))
