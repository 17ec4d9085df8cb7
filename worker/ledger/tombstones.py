"""What stays of an erased upload: ids and times. Outlives every backup, so that a restore can erase it again."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, select, text, update

from worker.ledger import tables
from worker.ledger.database import Tx
from worker.ledger.uploads import insert_new
from worker.model import ArtifactKind

_T = tables.tombstones


@dataclass(frozen=True, kw_only=True)
class Tombstone:
    """`journal_seq`: the number of its line in the journal; None until it is written there."""

    upload_id: str
    artifact_ids: tuple[str, ...]
    erased_at: datetime
    expires_at: datetime
    journal_seq: int | None


def write(tx: Tx, *, upload_id: str, artifact_ids: Collection[str], erased_at: datetime, expires_at: datetime) -> None:
    """May be called again: the first one stays."""
    row = {
        "upload_id": upload_id,
        "artifact_ids": sorted(artifact_ids),
        "erased_at": erased_at,
        "expires_at": expires_at,
    }
    insert_new(tx, _T, row)


def find(tx: Tx, upload_id: str) -> Tombstone | None:
    row = tx.conn.execute(select(_T).where(_T.c.upload_id == upload_id)).one_or_none()
    return None if row is None else _tombstone(row)


def of(tx: Tx, upload_ids: Collection[str]) -> dict[str, Tombstone]:
    """Those that there are, by upload."""
    rows = tx.conn.execute(select(_T).where(_T.c.upload_id.in_(list(upload_ids))))
    return {row.upload_id: _tombstone(row) for row in rows}


def put_back(tx: Tx, stone: Tombstone) -> None:
    """As it was before the ledger was restored, whatever stands there now."""
    row = {
        "artifact_ids": sorted(stone.artifact_ids),
        "erased_at": stone.erased_at,
        "expires_at": stone.expires_at,
        "journal_seq": stone.journal_seq,
    }
    if not insert_new(tx, _T, {"upload_id": stone.upload_id, **row}):
        tx.conn.execute(update(_T).where(_T.c.upload_id == stone.upload_id).values(row))


def not_in_journal(tx: Tx, *, limit: int) -> list[Tombstone]:
    """Those that the journal lacks, the oldest first."""
    query = select(_T).where(text(tables.NOT_IN_JOURNAL)).order_by(_T.c.erased_at).limit(limit)
    return [_tombstone(row) for row in tx.conn.execute(query)]


def in_journal(tx: Tx, seq_by_upload: Mapping[str, int]) -> None:
    """They are written there now, in lines of these numbers."""
    for upload_id, seq in seq_by_upload.items():
        tx.conn.execute(update(_T).where(_T.c.upload_id == upload_id).values(journal_seq=seq))


def forget_journal(tx: Tx) -> None:
    """There is no journal any more: all are to be written into a new one."""
    tx.conn.execute(update(_T).values(journal_seq=None))


def keys_of(tx: Tx, upload_ids: Collection[str]) -> dict[str, list[str]]:
    """Every key at which a copy of these uploads has ever lain, working copies left out: no backup has those."""
    c = tables.artifacts.c
    mine = (c.upload_id.in_(list(upload_ids)), c.kind != ArtifactKind.SCRATCH)
    found: dict[str, list[str]] = {upload_id: [] for upload_id in upload_ids}
    for row in tx.conn.execute(select(c.upload_id, c.key).where(*mine).order_by(c.id)):
        found[row.upload_id].append(row.key)
    return found


def prune(tx: Tx) -> int:
    """Delete what has outlived its own last day; returns how many."""
    return tx.conn.execute(delete(_T).where(_T.c.expires_at <= tx.now)).rowcount


def _tombstone(row: Row[Any]) -> Tombstone:
    return Tombstone(**{**row._mapping, "artifact_ids": tuple(row.artifact_ids)})
