"""How far a long walk has come, so that a killed one goes on where it was."""

from __future__ import annotations

from sqlalchemy import delete, select, update

from worker.ledger import tables
from worker.ledger.database import Tx
from worker.ledger.uploads import insert_new

_T = tables.cursors


def read(tx: Tx, name: str) -> str:
    """The last place that was done with; empty at the beginning."""
    return str(tx.conn.execute(select(_T.c.position).where(_T.c.name == name)).scalar_one_or_none() or "")


def write(tx: Tx, name: str, position: str) -> None:
    if not insert_new(tx, _T, {"name": name, "position": position, "moved_at": tx.now}):
        tx.conn.execute(update(_T).where(_T.c.name == name).values(position=position, moved_at=tx.now))


def clear(tx: Tx, name: str) -> None:
    """The walk is over; the next one begins anew."""
    tx.conn.execute(delete(_T).where(_T.c.name == name))


def lock(tx: Tx, name: str) -> str:
    """The same as `read`, and nobody else moves this walk until the commit."""
    insert_new(tx, _T, {"name": name, "position": "", "moved_at": tx.now})
    return str(tx.conn.execute(select(_T.c.position).where(_T.c.name == name).with_for_update()).scalar_one())
