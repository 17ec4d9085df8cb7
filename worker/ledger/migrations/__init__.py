"""Schema steps, packaged with the code. `upgrade` is the only way in; there is no way back, only forward."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text

# The newest step in `versions`.
HEAD = "0001"
# Any constant will do, as long as every process takes the same one.
_LOCK = 5_702_231_109


def upgrade(conn: Connection) -> None:
    """Run what is missing inside the caller's transaction: all of it, or nothing."""
    if conn.dialect.name == "postgresql":
        conn.execute(text("SET LOCAL lock_timeout = 0"))
        conn.execute(text("SET LOCAL statement_timeout = 0"))
        conn.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    if _revision(conn) != HEAD:
        _run(conn)


def _revision(conn: Connection) -> str | None:
    if not inspect(conn).has_table("alembic_version"):
        return None
    revision = conn.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return None if revision is None else str(revision)


def _run(conn: Connection) -> None:
    # Read here, where there is something to do: every command opens the ledger, and Alembic takes a tenth of a second.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = conn
    command.upgrade(config, "head")
