"""What the brakes remember: how many erasures began each day, which brake is on, and which uploads wait behind one.

An upload that waits has a row of its own, so that a release lets exactly those go that were counted, and none that
falls due after it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, delete, func, or_, select, update

from worker.ledger import cursors, tables
from worker.ledger.columns import instant_text
from worker.ledger.database import Tx
from worker.ledger.uploads import insert_new

CLOCK = "clock"
_SWEPT = "sweep"
_B, _T, _W = tables.brakes, tables.tallies, tables.braked


@dataclass(frozen=True, kw_only=True)
class Brake:
    """On while `ended_at` is None. `amount` of `permitted` is what tripped it: uploads, or seconds of a clock."""

    trigger: str
    reason: str
    amount: int
    permitted: int
    tripped_at: datetime
    ended_at: datetime | None
    released_at: datetime | None
    released_count: int | None
    released_until: datetime | None


def tally(tx: Tx, trigger: str, *, released: int = 0) -> None:
    """One more erasure has begun today, or `released` of them by an operator's word. Counted when they begin: ended
    ones alone would hide a thousand that are slow."""
    uploads = released or 1
    row = {"day": _day(tx.now), "trigger": trigger}
    if not insert_new(tx, _T, {**row, "uploads": uploads, "released": released}):
        mine = (_T.c.day == row["day"], _T.c.trigger == trigger)
        more = {"uploads": _T.c.uploads + uploads, "released": _T.c.released + released}
        tx.conn.execute(update(_T).where(*mine).values(more))


def begun_today(tx: Tx, trigger: str) -> int:
    """Erasures of today that no operator released."""
    query = select(_T.c.uploads - _T.c.released).where(_T.c.day == _day(tx.now), _T.c.trigger == trigger)
    return int(tx.conn.execute(query).scalar_one_or_none() or 0)


def history(tx: Tx, trigger: str, *, days: int) -> tuple[int, ...]:
    """Erasures of each of the last `days` whole days that had any."""
    since = _day(tx.now - timedelta(days=days))
    query = select(_T.c.uploads).where(_T.c.trigger == trigger, _T.c.day >= since, _T.c.day < _day(tx.now))
    return tuple(tx.conn.execute(query).scalars())


def prune(tx: Tx, *, older: timedelta) -> None:
    tx.conn.execute(delete(_T).where(_T.c.day < _day(tx.now - older)))


def trip(tx: Tx, trigger: str, *, reason: str, amount: int, permitted: int) -> bool:
    """Turn it on; False where it is on already, and then what tripped it first stands."""
    values = {"tripped_at": tx.now, "reason": reason, "amount": amount, "permitted": permitted}
    if insert_new(tx, _B, {"trigger": trigger, **values}):
        return True
    again = {**values, "ended_at": None, "released_at": None, "released_count": None, "released_until": None}
    off = (_B.c.trigger == trigger, _B.c.ended_at.is_not(None))
    return tx.conn.execute(update(_B).where(*off).values(again)).rowcount == 1


def end(tx: Tx, trigger: str) -> None:
    """Turn it off by itself."""
    on = (_B.c.trigger == trigger, _B.c.ended_at.is_(None))
    tx.conn.execute(update(_B).where(*on).values(ended_at=tx.now))


def find(tx: Tx, trigger: str) -> Brake | None:
    """The brake as it was last on, or is."""
    row = tx.conn.execute(select(_B).where(_B.c.trigger == trigger)).one_or_none()
    return None if row is None else Brake(**row._mapping)


def all_on(tx: Tx) -> list[Brake]:
    query = select(_B).where(_B.c.ended_at.is_(None)).order_by(_B.c.trigger)
    return [Brake(**row._mapping) for row in tx.conn.execute(query)]


def release(tx: Tx, *, count: int, lasts: timedelta) -> int:
    """End every brake by an operator's word, recorded, and let what waits go within `lasts`; returns how many uploads
    that are. `count` is what the operator typed."""
    until = tx.now + lasts
    values = {"ended_at": tx.now, "released_at": tx.now, "released_count": count, "released_until": until}
    tx.conn.execute(update(_B).where(_B.c.ended_at.is_(None)).values(values))
    return tx.conn.execute(update(_W).where(_waits(tx)).values(released_until=until)).rowcount


def hold_back(tx: Tx, upload_id: str) -> None:
    """This upload waits from now on."""
    insert_new(tx, _W, {"upload_id": upload_id, "since": tx.now})


def let_through(tx: Tx, upload_id: str, *, always: bool = False) -> bool:
    """Whether the upload may be destroyed: no brake keeps it, or its release still counts; then it is not asked again.
    `always`: whatever the brake says, as for a person's own request."""
    mine = _W.c.upload_id == upload_id
    free = mine if always else mine & (_W.c.released_until > tx.now)
    tx.conn.execute(delete(_W).where(free))
    return not waits(tx, upload_id)


def waits(tx: Tx, upload_id: str) -> bool:
    """Whether a row of a brake stands before this upload, released or not."""
    return tx.conn.execute(select(_W.c.since).where(_W.c.upload_id == upload_id)).first() is not None


def waiting(tx: Tx) -> int:
    """How many uploads wait behind a brake and are not released."""
    return int(tx.conn.execute(select(func.count()).select_from(_W).where(_waits(tx))).scalar_one())


def released(tx: Tx, *, after: str, limit: int) -> list[str]:
    """Ids of uploads that may go and have not yet, in order, behind the id `after`."""
    mine = (_W.c.upload_id > after, _W.c.released_until > tx.now)
    return list(tx.conn.execute(select(_W.c.upload_id).where(*mine).order_by(_W.c.upload_id).limit(limit)).scalars())


def swept(tx: Tx) -> None:
    """A sweep came to its end now."""
    cursors.write(tx, _SWEPT, instant_text(tx.now))


def last_sweep(tx: Tx) -> datetime | None:
    """When the last sweep ended, by the database's clock."""
    at = cursors.read(tx, _SWEPT)
    return datetime.fromisoformat(at) if at else None


def _waits(tx: Tx) -> ColumnElement[bool]:
    return or_(_W.c.released_until.is_(None), _W.c.released_until <= tx.now)


def _day(at: datetime) -> str:
    return at.date().isoformat()
