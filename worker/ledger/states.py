"""Which moves exist, and the only two functions that make them: compare, set, and write the event in one transaction.

An unlisted move is a `Defect`; a row that is elsewhere by now is a `StateConflict`; a copy under a legal hold cannot
begin to be erased. New state, new move: one row here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

from sqlalchemy import Row, Select, Table, bindparam, exists, select, text, update
from sqlalchemy.sql.dml import ReturningUpdate

from worker.errors import Defect, HoldActive, NotFound, Restricted, StateConflict
from worker.ledger import events, tables
from worker.ledger.database import Tx
from worker.ledger.rows import to_artifact, to_upload
from worker.model import Artifact, ArtifactState, Upload, UploadState

# A copy whose erasure has begun is looked at again after this long, whoever began it and however that ended.
LOOK_AGAIN = timedelta(minutes=5)


@dataclass(frozen=True)
class Transition:
    """`event` is what stands in the chain of the upload."""

    source: str
    target: str
    event: str


_U, _A = UploadState, ArtifactState

UPLOAD_TRANSITIONS: tuple[Transition, ...] = (
    Transition(_U.RECEIVING, _U.QUARANTINED, "received"),
    Transition(_U.RECEIVING, _U.REJECTED, "refused"),
    Transition(_U.RECEIVING, _U.FAILED, "failed"),
    Transition(_U.RECEIVING, _U.ERASING, "erasure_began"),
    Transition(_U.QUARANTINED, _U.PROCESSING, "processing_began"),
    Transition(_U.QUARANTINED, _U.FAILED, "failed"),
    Transition(_U.QUARANTINED, _U.ERASING, "erasure_began"),
    Transition(_U.PROCESSING, _U.PROCESSING, "resumed"),
    Transition(_U.PROCESSING, _U.REVIEW, "sent_to_review"),
    Transition(_U.PROCESSING, _U.READY, "published"),
    Transition(_U.PROCESSING, _U.REJECTED, "refused"),
    Transition(_U.PROCESSING, _U.FAILED, "failed"),
    Transition(_U.PROCESSING, _U.ERASING, "erasure_began"),
    Transition(_U.REVIEW, _U.READY, "approved"),
    Transition(_U.REVIEW, _U.REJECTED, "refused"),
    Transition(_U.REVIEW, _U.ERASING, "erasure_began"),
    Transition(_U.READY, _U.REVIEW, "reported"),
    Transition(_U.READY, _U.ERASING, "erasure_began"),
    Transition(_U.REJECTED, _U.ERASING, "erasure_began"),
    Transition(_U.FAILED, _U.QUARANTINED, "requeued"),
    Transition(_U.FAILED, _U.ERASING, "erasure_began"),
    Transition(_U.ERASING, _U.ERASED, "erased"),
)

ARTIFACT_TRANSITIONS: tuple[Transition, ...] = (
    Transition(_A.PLANNED, _A.PRESENT, "artifact_written"),
    Transition(_A.PLANNED, _A.ERASING, "artifact_condemned"),
    Transition(_A.PRESENT, _A.ERASING, "artifact_condemned"),
    Transition(_A.BLOCKED, _A.ERASING, "artifact_tried_again"),
    Transition(_A.ERASING, _A.BLOCKED, "artifact_blocked"),
    Transition(_A.ERASING, _A.GONE, "artifact_gone"),
    Transition(_A.ERASING, _A.UNVERIFIABLE, "artifact_unverifiable"),
)

_UPLOAD_COLUMNS = frozenset({"media_type", "code", "verdict", "facts", "delete_at"})
_ARTIFACT_COLUMNS = frozenset({"media_type", "bytes", "sha256", "width", "height", "reason", "next_attempt_at"})


def move_upload(
    tx: Tx,
    upload_id: str,
    *,
    to: UploadState,
    source: UploadState | Collection[UploadState] | None = None,
    fence: int | None = None,
    raise_fence: bool = False,
    actor: str,
    detail: Mapping[str, Any] | None = None,
    **columns: Any,
) -> Upload:
    """Move an upload if it stands in `source` (any listed one when None) and, if given, its fence is still `fence`.

    `raise_fence` makes every older holder of the row a loser. Raises `NotFound` (`upload_not_found`), `StateConflict`
    (`superseded` when the fence has moved, `artifacts_left` when a copy is not at its end yet), `Defect`.
    """
    allowed = _sources(UPLOAD_TRANSITIONS, source, to)
    events.lock(tx, upload_id)
    row = _row(tx, tables.uploads, upload_id)
    was = _compare(row, allowed, fence)
    if to is UploadState.ERASED and _live_artifacts(tx, upload_id):
        raise StateConflict("a copy of this upload is not at its end yet", code="artifacts_left")
    values = _values(columns, _UPLOAD_COLUMNS)
    if to is UploadState.QUARANTINED:
        # What an earlier run made of it is void.
        values = {"code": None, "verdict": None, **values}
    values |= {"state": to, "state_at": tx.now, "fence": row.fence + int(raise_fence)}
    moved = _set(tx, tables.uploads, row, values)
    events.append(tx, upload_id, event=allowed[was], actor=actor, source=was, target=to, detail=detail)
    return to_upload(moved)


def move_artifact(
    tx: Tx,
    artifact_id: str,
    *,
    to: ArtifactState,
    source: ArtifactState | Collection[ArtifactState] | None = None,
    fence: int | None = None,
    actor: str,
    detail: Mapping[str, Any] | None = None,
    **columns: Any,
) -> Artifact:
    """Move a copy, as `move_upload`. To `erasing` only while no hold is active, looked up under the upload's lock:
    raises `HoldActive`, whoever came a moment earlier. A copy that is not at its end always has a next attempt."""
    allowed = _sources(ARTIFACT_TRANSITIONS, source, to)
    upload_id = _row(tx, tables.artifacts, artifact_id).upload_id
    events.lock(tx, upload_id)
    row = _row(tx, tables.artifacts, artifact_id, locked=True)
    was = _compare(row, allowed, fence)
    if to is ArtifactState.ERASING:
        permit_erasing(tx, upload_id)
    values = _values(columns, _ARTIFACT_COLUMNS) | {"state": to, "state_at": tx.now}
    if to in (ArtifactState.ERASING, ArtifactState.BLOCKED):
        values.setdefault("next_attempt_at", min(row.next_attempt_at, tx.now + LOOK_AGAIN))
    if to in (ArtifactState.GONE, ArtifactState.UNVERIFIABLE, ArtifactState.BLOCKED):
        values["lease_until"] = None
    moved = _set(tx, tables.artifacts, row, values)
    events.append(
        tx,
        upload_id,
        event=allowed[was],
        actor=actor,
        source=was,
        target=to,
        detail={**(detail or {}), "artifact_id": artifact_id},
    )
    return to_artifact(moved)


def permit_erasing(tx: Tx, upload_id: str) -> None:
    """Raises `HoldActive`, or `Restricted`, while something keeps this upload."""
    if _any(tx, tables.holds, upload_id, tables.ACTIVE_HOLD):
        raise HoldActive("a legal hold forbids erasing this upload; release it first")
    if restricted(tx, upload_id):
        raise Restricted("a restriction forbids erasing this upload; lift it first")


def restricted(tx: Tx, upload_id: str) -> bool:
    """Whether this upload is kept and neither shown nor processed (GDPR Art. 18)."""
    return _any(tx, tables.restrictions, upload_id, tables.ACTIVE_RESTRICTION)


def _any(tx: Tx, table: Table, upload_id: str, condition: str) -> bool:
    return bool(tx.conn.execute(_exists(table, condition), {"of": upload_id}).scalar_one())


# Built once and told their values at each call: to build them anew took more of a sweep than the database did.
@cache
def _exists(table: Table, condition: str) -> Select[tuple[bool]]:
    return select(exists().where(table.c.upload_id == bindparam("of"), text(condition)))


@cache
def _by_id(table: Table, *, locked: bool) -> Select[Any]:
    query = select(table).where(table.c.id == bindparam("row_id"))
    return query.with_for_update() if locked else query


@cache
def _guarded(table: Table) -> ReturningUpdate[Any]:
    """What is set are the other values given."""
    guard = (table.c[name] == bindparam(f"was_{name}") for name in ("id", "state", "fence"))
    return update(table).where(*guard).returning(table)


def _live_artifacts(tx: Tx, upload_id: str) -> bool:
    return _any(tx, tables.artifacts, upload_id, tables.LIVE_ARTIFACT)


def _sources(table: tuple[Transition, ...], source: str | Collection[str] | None, to: str) -> dict[str, str]:
    """The permitted sources of this move, each with its event."""
    listed = {row.source: row.event for row in table if row.target == to}
    given = listed if source is None else source
    wanted = {given} if isinstance(given, str) else set(given)
    if not wanted or wanted - set(listed):
        raise Defect(f"no transition to {to} from {', '.join(sorted(wanted - set(listed))) or 'anywhere'} is listed")
    return {state: listed[state] for state in wanted}


def _row(tx: Tx, table: Table, row_id: str, *, locked: bool = False) -> Row[Any]:
    row = tx.conn.execute(_by_id(table, locked=locked), {"row_id": row_id}).one_or_none()
    if row is None:
        raise NotFound(f"no such {table.name.removesuffix('s')}", code=f"{table.name.removesuffix('s')}_not_found")
    return row


def _compare(row: Row[Any], allowed: Mapping[str, str], fence: int | None) -> str:
    if fence is not None and row.fence != fence:
        raise StateConflict("somebody else has this row now", code="superseded")
    if row.state not in allowed:
        raise StateConflict(f"the row is {row.state}, not {' or '.join(sorted(allowed))}")
    return str(row.state)


def _values(columns: Mapping[str, Any], permitted: frozenset[str]) -> dict[str, Any]:
    if unknown := set(columns) - permitted:
        raise Defect(f"a transition does not set {min(unknown)}")
    return dict(columns)


def _set(tx: Tx, table: Table, row: Row[Any], values: Mapping[str, Any]) -> Row[Any]:
    was = {"was_id": row.id, "was_state": row.state, "was_fence": row.fence}
    moved = tx.conn.execute(_guarded(table), {**values, **was}).one_or_none()
    if moved is None:
        raise StateConflict("the row was moved by somebody else", code="superseded")
    return moved
