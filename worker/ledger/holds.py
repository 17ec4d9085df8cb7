"""Legal holds: while one is active, nothing may erase the upload. Several per upload; each is released by its case."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select, text, update

from worker.errors import NotFound, Refused, StateConflict
from worker.ledger import events, tables
from worker.ledger.database import Tx
from worker.ledger.keeping import due_again
from worker.ledger.rows import to_hold
from worker.ledger.uploads import get as get_upload
from worker.ledger.uploads import insert_new
from worker.model import Hold, UploadState, new_id

_T = tables.holds


def place(
    tx: Tx,
    *,
    upload_id: str,
    case_ref: str,
    reason: str,
    authority: str,
    review_at: datetime | None = None,
    two_person: bool = False,
) -> Hold:
    """Hold an upload for a case; a second call for the same case returns the hold that is there.

    Raises `NotFound` (`upload_not_found`), and `StateConflict` (`erased`) when nothing is left to hold.
    """
    events.lock(tx, upload_id)
    if get_upload(tx, upload_id).state is UploadState.ERASED:
        raise StateConflict("this upload is erased; there is nothing to hold", code="erased")
    hold_id = new_id("hold")
    row = {
        "id": hold_id,
        "upload_id": upload_id,
        "case_ref": case_ref,
        "reason": reason,
        "authority": authority,
        "placed_at": tx.now,
        "review_at": review_at,
        "two_person": two_person,
    }
    if insert_new(tx, _T, row):
        detail = {"hold_id": hold_id, "review_at": review_at}
        events.append(tx, upload_id, event="hold_placed", actor="operator", detail=detail)
    return _active_of_case(tx, upload_id, case_ref)


def release(tx: Tx, *, upload_id: str, case_ref: str, by: str | None = None) -> Hold:
    """End the hold of one case. With the last one, what has passed its day is due in the same commit.

    A hold for two people needs `by`, a keyed hash of who asks: the first call is recorded, the second, of another
    person, ends it. Raises `NotFound` (`upload_not_found`, `hold_not_found`), `Refused` (`second_person_needed`).
    """
    events.lock(tx, upload_id)
    hold = _active_of_case(tx, upload_id, case_ref)
    if hold.two_person and not _second(tx, hold, by):
        return _active_of_case(tx, upload_id, case_ref)
    released = tx.conn.execute(update(_T).where(_T.c.id == hold.id).values(released_at=tx.now).returning(_T)).one()
    events.append(tx, upload_id, event="hold_released", actor="operator", detail={"hold_id": hold.id})
    due_again(tx, upload_id)
    return to_hold(released)


def active(tx: Tx, upload_id: str) -> list[Hold]:
    """The active holds of one upload, oldest first."""
    query = select(_T).where(_T.c.upload_id == upload_id, text(tables.ACTIVE_HOLD))
    return [to_hold(row) for row in tx.conn.execute(query.order_by(_T.c.placed_at, _T.c.id))]


def all_active(tx: Tx, *, limit: int) -> list[Hold]:
    """Active holds of all uploads, those to be reviewed first in front."""
    order = (_T.c.review_at.is_(None), _T.c.review_at, _T.c.placed_at, _T.c.id)
    return [
        to_hold(row)
        for row in tx.conn.execute(select(_T).where(text(tables.ACTIVE_HOLD)).order_by(*order).limit(limit))
    ]


def _second(tx: Tx, hold: Hold, by: str | None) -> bool:
    """Whether this is the second of two people; the first is written down."""
    if by is None:
        raise Refused("two people must ask for this release: each says who by --by", code="second_person_needed")
    first = tx.conn.execute(select(_T.c.release_asked_by).where(_T.c.id == hold.id)).scalar_one()
    if first == by:
        raise Refused("the same person has asked already; another one must too", code="second_person_needed")
    if first is None:
        tx.conn.execute(update(_T).where(_T.c.id == hold.id).values(release_asked_by=by))
        detail = {"hold_id": hold.id}
        events.append(tx, hold.upload_id, event="hold_release_asked", actor="operator", detail=detail)
    return first is not None


def _active_of_case(tx: Tx, upload_id: str, case_ref: str) -> Hold:
    query = select(_T).where(_T.c.upload_id == upload_id, _T.c.case_ref == case_ref, text(tables.ACTIVE_HOLD))
    row = tx.conn.execute(query).one_or_none()
    if row is None:
        raise NotFound("no active hold of that case on this upload", code="hold_not_found")
    return to_hold(row)
