"""Uploads: one row for each file that a subject gave. States change only through `states`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Result,
    Select,
    Table,
    and_,
    exists,
    func,
    literal_column,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from worker.errors import NotFound, StateConflict
from worker.ledger import events, tables
from worker.ledger.columns import MICROSECOND
from worker.ledger.database import Tx
from worker.ledger.rows import to_upload
from worker.model import NewUpload, Upload, UploadState, Verdict, new_id

_T = tables.uploads
# Two transactions that overlap may see each other's instants this much out of order.
OVERLAP = timedelta(minutes=1)


def create(tx: Tx, new: NewUpload, *, keep_for: timedelta, delete_at: datetime) -> Upload:
    """A row in state `receiving`, with its last day. Raises `StateConflict` (`upload_exists`) for an id in use."""
    upload_id = new.upload_id or new_id("upl")
    values = {
        "id": upload_id,
        "app": new.app,
        "subject_key": new.subject_key,
        "state": UploadState.RECEIVING,
        "fence": 0,
        "purposes": sorted(new.purposes),
        "context": new.context,
        "legal_basis": new.legal_basis,
        "keep_for": keep_for,
        "facts": {},
        "created_at": tx.now,
        "state_at": tx.now,
        "delete_at": delete_at,
        "chain_seq": 0,
        "chain_hash": events.GENESIS,
    }
    if not insert_new(tx, _T, values):
        raise StateConflict("an upload with this id exists already; use a new id", code="upload_exists")
    events.append(
        tx, upload_id, event="created", actor="receive", target=UploadState.RECEIVING, detail={"delete_at": delete_at}
    )
    return get(tx, upload_id)


def insert_new(tx: Tx, table: Table, values: Mapping[str, Any]) -> bool:
    """Insert unless a unique rule of the table forbids it; returns whether the row was written."""
    insert = postgresql.insert(table) if tx.postgres else sqlite.insert(table)
    # Not rowcount: what it says after a skipped insert differs between the drivers.
    written: Result[Any] = tx.conn.execute(
        insert.values(**values).on_conflict_do_nothing().returning(literal_column("1"))
    )
    return written.first() is not None


def find(tx: Tx, upload_id: str) -> Upload | None:
    row = tx.conn.execute(select(_T).where(_T.c.id == upload_id)).one_or_none()
    return None if row is None else to_upload(row)


def get(tx: Tx, upload_id: str) -> Upload:
    """Raises `NotFound` (`upload_not_found`)."""
    if (upload := find(tx, upload_id)) is None:
        raise NotFound("no such upload", code="upload_not_found")
    return upload


def describe(
    tx: Tx,
    upload_id: str,
    *,
    media_type: str | None = None,
    facts: Mapping[str, object] | None = None,
    code: str | None = None,
    verdict: Verdict | None = None,
    keep_for: timedelta | None = None,
    delete_at: datetime | None = None,
) -> Upload:
    """Write down what was learned; None leaves a field as it is. A new last day is an event of its own; one that lies
    at the upload's birth, as it can when transactions overlap, means "now"."""
    given = {
        "media_type": media_type,
        "facts": facts,
        "code": code,
        "verdict": verdict,
        "keep_for": keep_for,
        "delete_at": delete_at,
    }
    values = {name: value for name, value in given.items() if value is not None}
    events.lock(tx, upload_id)
    if delete_at is not None:
        delete_at = values["delete_at"] = after_birth(delete_at, get(tx, upload_id).created_at)
    if values:
        tx.conn.execute(update(_T).where(_T.c.id == upload_id).values(values))
    if delete_at is not None:
        events.append(tx, upload_id, event="deadline_set", actor="ledger", detail={"delete_at": delete_at})
    return get(tx, upload_id)


def after_birth(delete_at: datetime, created_at: datetime) -> datetime:
    """The deadline, moved behind the birth when it lies at most `OVERLAP` before it; an older one is left for the
    database to refuse."""
    return created_at + MICROSECOND if -OVERLAP < delete_at - created_at <= timedelta(0) else delete_at


def progress(tx: Tx, upload_id: str, percent: int) -> None:
    """How far a long encoding is, 0 to 100; shown, never decided by. Nothing happens once processing is over."""
    c = _T.c
    running = (c.id == upload_id, c.state == UploadState.PROCESSING)
    row = tx.conn.execute(select(c.facts).where(*running).with_for_update()).one_or_none()
    if row is not None:
        tx.conn.execute(update(_T).where(*running).values(facts={**row.facts, "progress": percent}))


def of_subject(tx: Tx, app: str, subject_key: str, *, limit: int, after: str | None = None) -> list[Upload]:
    """Everything of one subject that is not erased, ordered by id; `after` is the last id of the page before."""
    query = select(_T).where(_T.c.app == app, _T.c.subject_key == subject_key, text(tables.KNOWN_SUBJECT))
    query = query.where(_T.c.state != UploadState.ERASED)
    if after is not None:
        query = query.where(_T.c.id > after)
    return [to_upload(row) for row in tx.conn.execute(query.order_by(_T.c.id).limit(limit))]


def others_erasing(tx: Tx, upload: Upload) -> bool:
    """Whether anything else of the same person is being erased."""
    mine = (_T.c.app == upload.app, _T.c.subject_key == upload.subject_key, text(tables.KNOWN_SUBJECT))
    query = select(exists().where(*mine, _T.c.state == UploadState.ERASING, _T.c.id != upload.id))
    return bool(tx.conn.execute(query).scalar_one())


def forget(tx: Tx, upload_id: str) -> None:
    """Clear what could lead back to a person or a picture: subject, facts, verdict, type, and the fingerprints of the
    copies. May be called again. Raises `StateConflict` unless the upload is `erasing` or `erased`."""
    events.lock(tx, upload_id)
    if get(tx, upload_id).state not in (UploadState.ERASING, UploadState.ERASED):
        raise StateConflict("only an upload that is erased is forgotten")
    gone: dict[str, Any] = {"subject_key": None, "facts": {}, "code": None, "verdict": None, "media_type": None}
    tx.conn.execute(update(_T).where(_T.c.id == upload_id).values(gone))
    prints = dict.fromkeys(("sha256", "bytes", "width", "height", "media_type"))
    tx.conn.execute(update(tables.artifacts).where(tables.artifacts.c.upload_id == upload_id).values(prints))


def due(tx: Tx, limit: int) -> list[str]:
    """Ids of uploads past their last day whose erasure has not begun, the longest overdue first; those that a hold or
    a restriction keeps are not due."""
    query = select(_T.c.id).where(text(tables.LIVE_UPLOAD), _T.c.delete_at <= tx.now, ~kept(_T.c.id))
    return _ids(tx, query.order_by(_T.c.delete_at).limit(limit))


def count_due(tx: Tx) -> int:
    """How many uploads `due` would name without a limit."""
    query = select(func.count()).where(text(tables.LIVE_UPLOAD), _T.c.delete_at <= tx.now, ~kept(_T.c.id))
    return int(tx.conn.execute(query).scalar_one())


def count_living(tx: Tx, *, at_most: int) -> int:
    """How many uploads live whose erasure has not begun; no more are looked at than `at_most`."""
    some = select(literal_column("1")).select_from(_T).where(text(tables.LIVE_UPLOAD)).limit(at_most).subquery()
    return int(tx.conn.execute(select(func.count()).select_from(some)).scalar_one())


def counts(tx: Tx) -> dict[str, int]:
    """How many uploads stand in each state; a state that none is in is left out."""
    query = select(_T.c.state, func.count().label("n")).group_by(_T.c.state).order_by(_T.c.state)
    return {row.state: row.n for row in tx.conn.execute(query)}


def kept(upload_id: ColumnElement[str]) -> ColumnElement[bool]:
    """The condition: an active hold on the upload of that id, or a restriction."""
    held = exists().where(and_(tables.holds.c.upload_id == upload_id, text(tables.ACTIVE_HOLD)))
    of = tables.restrictions.c.upload_id == upload_id
    return or_(held, exists().where(and_(of, text(tables.ACTIVE_RESTRICTION))))


def _ids(tx: Tx, query: Select[Any]) -> list[str]:
    return list(tx.conn.execute(query).scalars())
