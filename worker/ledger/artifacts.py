"""Copies of bytes, wherever they lie: planned before they are written, claimed when they are due, looked for after.

What is due is found by a partial index over copies that are not at their end. A claim pushes `next_attempt_at` to the
end of its lease, so that a claimed copy is out of everybody's sight until the claimer is done or dead.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, exists, func, or_, select, text, update

from storage_backends.keys import Key
from worker.errors import NotFound, StateConflict
from worker.ledger import events, tables
from worker.ledger.database import Tx
from worker.ledger.rows import to_artifact
from worker.ledger.uploads import after_birth, insert_new, kept
from worker.ledger.uploads import get as get_upload
from worker.model import Artifact, ArtifactKind, ArtifactState, new_id

_T = tables.artifacts
_ONE = select(_T).where(_T.c.id == bindparam("of"))
BYTES_MISSING = "bytes_missing"


def plan(
    tx: Tx,
    *,
    upload_id: str,
    kind: ArtifactKind,
    name: str,
    location: str,
    retention_class: str,
    rule: str,
    delete_at: datetime,
    key: str | None = None,
    media_type: str | None = None,
    width: int | None = None,
    height: int | None = None,
    actor: str,
) -> Artifact:
    """The row of a copy that does not exist yet; once this is committed the bytes may be written (P1).

    Raises `NotFound` (`upload_not_found`), `StateConflict` (`key_taken`: another row names that place), `BadKey`, and
    `Defect` for a last day before its birth.
    """
    events.lock(tx, upload_id)
    upload = get_upload(tx, upload_id)
    artifact_id = new_id("art")
    own = Key(retention_class=retention_class, app=upload.app, upload_id=upload_id, artifact_id=artifact_id)
    values = {
        "id": artifact_id,
        "upload_id": upload_id,
        "kind": kind,
        "name": name,
        "state": ArtifactState.PLANNED,
        "fence": 0,
        "location": location,
        "key": str(own if key is None else Key.parse(key)),
        "rule": rule,
        "media_type": media_type,
        "width": width,
        "height": height,
        "created_at": tx.now,
        "state_at": tx.now,
        "delete_at": delete_at,
        "next_attempt_at": delete_at,
    }
    if not insert_new(tx, _T, values):
        raise StateConflict("another copy has that place already", code="key_taken")
    detail = {"artifact_id": artifact_id, "kind": kind, "name": name, "rule": rule, "delete_at": delete_at}
    events.append(tx, upload_id, event="artifact_planned", actor=actor, target=ArtifactState.PLANNED, detail=detail)
    return get(tx, artifact_id)


def get(tx: Tx, artifact_id: str) -> Artifact:
    """Raises `NotFound` (`artifact_not_found`)."""
    row = tx.conn.execute(_ONE, {"of": artifact_id}).one_or_none()
    if row is None:
        raise NotFound("no such artifact", code="artifact_not_found")
    return to_artifact(row)


def of_upload(tx: Tx, upload_id: str, *, states: Collection[ArtifactState] | None = None) -> list[Artifact]:
    """The copies of one upload, oldest first."""
    query = select(_T).where(_T.c.upload_id == upload_id)
    if states is not None:
        query = query.where(_T.c.state.in_(list(states)))
    return [to_artifact(row) for row in tx.conn.execute(query.order_by(_T.c.created_at, _T.c.id))]


def set_deadline(tx: Tx, artifact_id: str, *, delete_at: datetime, rule: str, basis: str, actor: str) -> Artifact:
    """Move the last day of a copy that is planned or present, with the ground for it in the chain.

    Raises `StateConflict` for a copy whose erasure has begun, `Defect` for a day before its birth.
    """
    events.lock(tx, (was := get(tx, artifact_id)).upload_id)
    delete_at = after_birth(delete_at, was.created_at)
    movable = (ArtifactState.PLANNED, ArtifactState.PRESENT)
    moved = tx.conn.execute(
        update(_T)
        .where(_T.c.id == artifact_id, _T.c.state.in_(movable))
        .values(delete_at=delete_at, rule=rule, next_attempt_at=delete_at)
        .returning(_T)
    ).one_or_none()
    if moved is None:
        raise StateConflict("the erasure of this copy has begun; its last day stands")
    detail = {"artifact_id": artifact_id, "delete_at": delete_at, "rule": rule, "basis": basis}
    events.append(tx, was.upload_id, event="artifact_deadline_set", actor=actor, detail=detail)
    return to_artifact(moved)


def claim_due(
    tx: Tx, *, limit: int, lease: timedelta, locations: Collection[str], of_erasing: bool = True
) -> list[Artifact]:
    """Take up to `limit` copies that are due at places this process reaches, the longest overdue first. Two claimers
    never get the same copy while its lease runs. Copies of uploads that are kept (a hold, a restriction) are not due;
    those of uploads that are being erased are their own job's, unless `of_erasing`."""
    query = _due(tx, locations, of_erasing).order_by(_T.c.next_attempt_at).limit(limit)
    return _claim(tx, query, lease)


def claim_of_uploads(
    tx: Tx, upload_ids: Collection[str], *, lease: timedelta, locations: Collection[str]
) -> list[Artifact]:
    """Take every copy of these uploads that is not at its end, due or not, and not in somebody's hands. One that is
    blocked waits until it is due: its lock has a last day."""
    free = or_(_T.c.lease_until.is_(None), _T.c.lease_until <= tx.now)
    open_ = or_(_T.c.state != ArtifactState.BLOCKED, _T.c.next_attempt_at <= tx.now)
    theirs = _claimable(locations).where(_T.c.upload_id.in_(list(upload_ids)), free, open_)
    return _claim(tx, theirs.order_by(_T.c.id), lease)


def any_due(tx: Tx, locations: Collection[str], *, of_erasing: bool = True) -> bool:
    """Whether `claim_due` would find something at these places."""
    return tx.conn.execute(_due(tx, locations, of_erasing).limit(1)).first() is not None


def _due(tx: Tx, locations: Collection[str], of_erasing: bool) -> Select[Any]:
    query = _claimable(locations).where(_T.c.next_attempt_at <= tx.now)
    owners = tables.uploads
    erasing = exists().where(owners.c.id == _T.c.upload_id, text(tables.ERASING_UPLOAD))
    return query if of_erasing else query.where(~erasing)


def _claimable(locations: Collection[str]) -> Select[Any]:
    # Not the bare column: SQLite without statistics would take the index of places and look at every copy there.
    reachable: ColumnElement[bool] = _T.c.location.concat("").in_(list(locations))
    return select(_T.c.id).where(text(tables.LIVE_ARTIFACT), reachable, ~kept(_T.c.upload_id))


def _claim(tx: Tx, query: Select[Any], lease: timedelta) -> list[Artifact]:
    # SQLite has one writer at a time and ignores the lock; there the lease column alone keeps claimers apart.
    ids = list(tx.conn.execute(query.with_for_update(of=_T, skip_locked=True)).scalars())
    if not ids:
        return []
    until = tx.now + lease
    claimed = tx.conn.execute(
        update(_T)
        .where(_T.c.id.in_(ids))
        .values(fence=_T.c.fence + 1, lease_until=until, next_attempt_at=until)
        .returning(_T)
    )
    return sorted((to_artifact(row) for row in claimed), key=lambda artifact: ids.index(artifact.id))


def defer(tx: Tx, artifact: Artifact, *, until: datetime, reason: str) -> Artifact:
    """Give a claimed copy back for later. Raises `StateConflict` (`superseded`) when somebody else claimed it since."""
    deferred = tx.conn.execute(
        update(_T)
        .where(_T.c.id == artifact.id, _T.c.fence == artifact.fence, text(tables.LIVE_ARTIFACT))
        .values(next_attempt_at=until, lease_until=None, reason=reason)
        .returning(_T)
    ).one_or_none()
    if deferred is None:
        raise StateConflict("somebody else has this copy now", code="superseded")
    return to_artifact(deferred)


def at(tx: Tx, location: str, *, after: str, limit: int) -> list[Artifact]:
    """Present copies at a location in the order of their keys, behind the key `after`."""
    mine = (_T.c.location == location, _T.c.key > after, _T.c.state == ArtifactState.PRESENT)
    return [to_artifact(row) for row in tx.conn.execute(select(_T).where(*mine).order_by(_T.c.key).limit(limit))]


def living(tx: Tx, *, after: str, limit: int) -> list[Artifact]:
    """Copies that are planned or present, in the order of their ids, behind the id `after`."""
    mine = (_T.c.id > after, _T.c.state.in_((ArtifactState.PLANNED, ArtifactState.PRESENT)))
    return [to_artifact(row) for row in tx.conn.execute(select(_T).where(*mine).order_by(_T.c.id).limit(limit))]


def note_hash(tx: Tx, artifact_id: str, sha256: str) -> None:
    """The SHA-256 (hex) of a copy that came without one, once it was read. The first one stays."""
    tx.conn.execute(update(_T).where(_T.c.id == artifact_id, _T.c.sha256.is_(None)).values(sha256=sha256))


def lies_elsewhere(tx: Tx, copy: Artifact) -> bool:
    """Whether what this copy was made from, under the same key at another place, is not at its end."""
    same = (_T.c.upload_id == copy.upload_id, _T.c.key == copy.key, _T.c.location != copy.location)
    return tx.conn.execute(select(_T.c.id).where(*same, text(tables.LIVE_ARTIFACT))).first() is not None


def mark_missing(tx: Tx, artifact_id: str) -> None:
    """Its bytes were looked for and are not there; the row stays present until its erasure sees that it is gone."""
    tx.conn.execute(update(_T).where(_T.c.id == artifact_id).values(reason=BYTES_MISSING))


def oldest_overdue_seconds(tx: Tx) -> int:
    """How long what should have been gone first is late, 0 when nothing is: a copy past its last day, or an erasure
    that has begun and not ended. Held and restricted ones do not count: they are kept on
    purpose."""
    owners = tables.uploads
    copies = select(_T.c.delete_at).where(text(tables.LIVE_ARTIFACT), _T.c.delete_at <= tx.now, ~kept(_T.c.upload_id))
    erasures = select(owners.c.state_at).where(text(tables.ERASING_UPLOAD), ~kept(owners.c.id))
    since = [
        tx.conn.execute(copies.order_by(_T.c.delete_at).limit(1)).scalar_one_or_none(),
        tx.conn.execute(erasures.order_by(owners.c.state_at).limit(1)).scalar_one_or_none(),
    ]
    return max((int((tx.now - each).total_seconds()) for each in since if each is not None), default=0)


def counts(tx: Tx) -> dict[str, int]:
    """How many copies stand in each state; a state that none is in is left out."""
    query = select(_T.c.state, func.count().label("n")).group_by(_T.c.state).order_by(_T.c.state)
    return {row.state: row.n for row in tx.conn.execute(query)}
