"""What Alembic runs: the steps, on the connection and in the transaction of `upgrade`."""

from __future__ import annotations

from alembic import context

from worker.ledger.tables import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA)
with context.begin_transaction():
    context.run_migrations()
