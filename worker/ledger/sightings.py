"""What was seen in a location without a row that names it: noted at first sight, erased only after a second look.

The ledger is never rebuilt from storage: a stranger is not adopted, however well its key fits.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select, text, update

from worker.ledger import tables
from worker.ledger.database import Tx
from worker.ledger.uploads import insert_new
from worker.model import ArtifactState

_T = tables.sightings
_ROOT = tables.artifacts.c


@dataclass(frozen=True, kw_only=True)
class Sighting:
    """`state` is seen, gone or blocked; `receipt_id` names the signed proof, once it is gone."""

    location: str
    key: str
    first_seen_at: datetime
    last_seen_at: datetime
    state: str
    reason: str | None
    receipt_id: str | None


def note(tx: Tx, *, location: str, key: str) -> Sighting:
    """See a stranger, for the first time or again; one that was called gone and is back counts as new."""
    row = {
        "location": location,
        "key": key,
        "first_seen_at": tx.now,
        "last_seen_at": tx.now,
        "state": "seen",
    }
    if not insert_new(tx, _T, row):
        mine = (_T.c.location == location, _T.c.key == key)
        back = {"state": "seen", "first_seen_at": tx.now, "receipt_id": None, "reason": None}
        tx.conn.execute(update(_T).where(*mine, _T.c.state == "gone").values(back))
        tx.conn.execute(update(_T).where(*mine).values(last_seen_at=tx.now))
    return _get(tx, location, key)


def end(tx: Tx, *, location: str, key: str, reason: str | None, receipt_id: str | None) -> Sighting:
    """It was looked for and is gone (with a receipt), or is kept from going (`reason`)."""
    state = "gone" if receipt_id else "blocked"
    values = {"state": state, "reason": reason, "receipt_id": receipt_id}
    tx.conn.execute(update(_T).where(_T.c.location == location, _T.c.key == key).values(values))
    return _get(tx, location, key)


def open_counts(tx: Tx) -> dict[str, int]:
    """How many strangers of each state are known and not gone."""
    query = select(_T.c.state, func.count().label("n")).where(text(tables.OPEN_SIGHTING)).group_by(_T.c.state)
    return {row.state: row.n for row in tx.conn.execute(query)}


def prune(tx: Tx, *, older: timedelta) -> int:
    """Forget what is gone, or was not seen again, for so long."""
    return tx.conn.execute(delete(_T).where(_T.c.last_seen_at <= tx.now - older)).rowcount


def rows_of(tx: Tx, location: str, keys: Collection[str]) -> dict[str, ArtifactState]:
    """The state of the copy that each of these keys names, where there is one."""
    query = select(_ROOT.key, _ROOT.state).where(_ROOT.location == location, _ROOT.key.in_(list(keys)))
    return {row.key: ArtifactState(row.state) for row in tx.conn.execute(query)}


def _get(tx: Tx, location: str, key: str) -> Sighting:
    return Sighting(**tx.conn.execute(select(_T).where(_T.c.location == location, _T.c.key == key)).one()._mapping)
