"""What stays of an erased upload: ids and times. Outlives every backup, so that a restore can erase it again."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select

from worker.ledger import tables
from worker.ledger.database import Tx
from worker.ledger.uploads import insert_new

_T = tables.tombstones


@dataclass(frozen=True, kw_only=True)
class Tombstone:
    upload_id: str
    artifact_ids: tuple[str, ...]
    erased_at: datetime
    expires_at: datetime


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
    if row is None:
        return None
    return Tombstone(
        upload_id=row.upload_id,
        artifact_ids=tuple(row.artifact_ids),
        erased_at=row.erased_at,
        expires_at=row.expires_at,
    )


def prune(tx: Tx) -> int:
    """Delete what has outlived its own last day; returns how many."""
    return tx.conn.execute(delete(_T).where(_T.c.expires_at <= tx.now)).rowcount
