"""Rows and empty files in numbers: uploads whose day has come, made by whole pages of rows as no app could."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import Table, insert

from storage_backends.keys import Key
from worker.ledger import tables
from worker.ledger.database import Ledger, Tx
from worker.ledger.events import GENESIS
from worker.model import Context, LegalBasis, Purpose, UploadState, new_id

APP, SUBJECT = "shop", "a" * 64
COPIES = 5  # of one upload: its original and four renditions
_PAGE = 10_000
DAY = timedelta(days=1)


def fill(ledger: Ledger, *, uploads: int, copies: int, location: str, due: bool, subject: str = SUBJECT) -> list[Key]:
    """Ready uploads with so many present copies each; `due`: their last day was yesterday."""
    keys: list[Key] = []
    with ledger.begin() as tx:
        owners = [_upload(tx, due=due, subject=subject) for _ in range(uploads)]
        _insert(tx, tables.uploads, iter(owners))
        _insert(tx, tables.artifacts, _copies(tx, owners, copies, location, keys))
    return keys


def lay(root: Path, keys: list[Key]) -> None:
    """An empty file for each key below the folder of a location."""
    for key in keys:
        path = root.joinpath(*key.parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def _upload(tx: Tx, *, due: bool, subject: str) -> dict[str, Any]:
    born = tx.now - 10 * DAY
    return {
        "id": new_id("upl"),
        "app": APP,
        "subject_key": subject,
        "state": UploadState.READY,
        "fence": 0,
        "purposes": sorted(Purpose),
        "context": Context.PUBLIC,
        "legal_basis": LegalBasis.CONSENT,
        "keep_for": 9 * DAY if due else 90 * DAY,
        "facts": {},
        "created_at": born,
        "state_at": born,
        "delete_at": tx.now - DAY if due else tx.now + 80 * DAY,
        "chain_seq": 0,
        "chain_hash": GENESIS,
    }


def _copies(
    tx: Tx, owners: list[dict[str, Any]], copies: int, location: str, keys: list[Key]
) -> Iterator[dict[str, Any]]:
    for owner in owners:
        for _ in range(copies):
            artifact_id = new_id("art")
            key = Key(retention_class="rendition", app=APP, upload_id=owner["id"], artifact_id=artifact_id)
            keys.append(key)
            yield {
                "id": artifact_id,
                "upload_id": owner["id"],
                "kind": "rendition",
                "name": "display",
                "state": "present",
                "fence": 0,
                "location": location,
                "key": str(key),
                "rule": "rendition.published",
                "created_at": owner["created_at"],
                "state_at": owner["created_at"],
                "delete_at": owner["delete_at"],
                "next_attempt_at": owner["delete_at"],
            }


def _insert(tx: Tx, table: Table, rows: Iterator[dict[str, Any]]) -> None:
    while page := list(islice(rows, _PAGE)):
        tx.conn.execute(insert(table), page)
