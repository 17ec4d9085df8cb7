"""Whose time it is: the database's, so that hosts with wrong clocks agree. Tests and `--as-of` bring their own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol, TypeAlias

from sqlalchemy import Connection, text

# What the clock of this host says: never decides what is due, only whether the database's can be believed.
HostClock: TypeAlias = Callable[[], datetime]


def host_now() -> datetime:
    """This host's clock, UTC."""
    return datetime.now(UTC)


class Clock(Protocol):
    def now(self, conn: Connection) -> datetime:
        """The instant of this transaction, timezone-aware UTC."""


@dataclass(frozen=True)
class DatabaseClock:
    """PostgreSQL: the start of the transaction, microseconds. SQLite: the host's clock as SQLite reads it, milliseconds
    (its `subsec` modifier needs 3.42)."""

    def now(self, conn: Connection) -> datetime:
        if conn.dialect.name == "postgresql":
            value: datetime = conn.execute(text("SELECT now()")).scalar_one()
            return value.astimezone(UTC)
        return datetime.fromisoformat(conn.execute(text("SELECT strftime('%Y-%m-%dT%H:%M:%fZ', 'now')")).scalar_one())


@dataclass(frozen=True)
class FixedClock:
    """Always the same instant."""

    at: datetime

    def now(self, conn: Connection) -> datetime:
        return self.at.astimezone(UTC)


@dataclass(frozen=True)
class ShiftedClock:
    """The database's clock, moved by a constant."""

    by: timedelta

    def now(self, conn: Connection) -> datetime:
        return DatabaseClock().now(conn) + self.by
