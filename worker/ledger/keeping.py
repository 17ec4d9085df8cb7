"""What happens when the last reason to keep an upload ends: whatever has passed its day is due in the same commit."""

from __future__ import annotations

from sqlalchemy import or_, select, text, update

from worker.ledger import leases, tables
from worker.ledger.database import Tx
from worker.ledger.uploads import after_birth, kept
from worker.model import ArtifactKind, ArtifactState


def due_again(tx: Tx, upload_id: str) -> None:
    """Nothing, while another hold or restriction keeps the upload. Call it under the upload's lock."""
    owners, copies = tables.uploads, tables.artifacts
    if tx.conn.execute(select(owners.c.id).where(owners.c.id == upload_id, kept(owners.c.id))).first() is not None:
        return
    c = copies.c
    live = (c.upload_id == upload_id, text(tables.LIVE_ARTIFACT))
    # Evidence was kept for the hold alone. It may have been planned in this very moment.
    for row in tx.conn.execute(select(c.id, c.created_at).where(*live, c.kind == ArtifactKind.EVIDENCE)).all():
        tx.conn.execute(update(copies).where(c.id == row.id).values(delete_at=after_birth(tx.now, row.created_at)))
    begun = c.state.in_((ArtifactState.ERASING, ArtifactState.BLOCKED))
    free = or_(c.lease_until.is_(None), c.lease_until <= tx.now)
    due = or_(begun, c.kind == ArtifactKind.EVIDENCE, c.delete_at <= tx.now)
    tx.conn.execute(update(copies).where(*live, due, free).values(next_attempt_at=tx.now))
    for kind in ("process", "erase"):
        leases.hurry(tx, kind, upload_id)
