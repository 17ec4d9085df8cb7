"""The door to the ledger: one transaction at a time and thread, each with the database's own time.

SQLite (one file, WAL) when embedded, PostgreSQL to scale. Refuses a transaction inside another one, and a database that
lives only in memory. Safe for threads by its pool; after a fork the child starts with a pool of its own.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, create_engine, event, exc, make_url

from worker.errors import Defect, UsageRefused
from worker.ledger.clock import Clock, DatabaseClock, FixedClock, ShiftedClock
from worker.ledger.faults import translated
from worker.ledger.migrations import upgrade

__all__ = ["Clock", "DatabaseClock", "FixedClock", "Ledger", "ShiftedClock", "Tx"]

_READ = "mayfly_read"
# Connections: as many as threads that one worker has at most, and a few.
_POOL = {"pool_size": 8, "max_overflow": 24, "pool_timeout": 15.0}
_BUSY_MS = 10_000
_POSTGRES_OPTIONS = (
    "-c statement_timeout=30000 -c lock_timeout=10000 -c idle_in_transaction_session_timeout=60000 -c timezone=UTC"
)


@dataclass(frozen=True)
class Tx:
    """One open transaction. `now` is the only instant that may decide anything in it."""

    conn: Connection
    now: datetime

    @property
    def postgres(self) -> bool:
        return self.conn.dialect.name == "postgresql"


class Ledger:
    """`url`: `sqlite:///file` or `postgresql://…`. Nothing is opened before the first transaction.

    Raises `UsageRefused` (`bad_database_url`) for any other URL.
    """

    def __init__(self, url: str, *, clock: Clock | None = None) -> None:
        self._url = _checked(url)
        self._clock = clock or DatabaseClock()
        self._local = threading.local()
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._engine = _engine(self._url)
        self._inherited: list[Engine] = []

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self._url.get_backend_name()

    @property
    def engine(self) -> Engine:
        """The pool, for plans and figures; work goes through `begin`."""
        with self._lock:
            if self._pid != os.getpid():
                # The parent's connections stay its own: kept referenced, so that this process never closes them.
                self._inherited.append(self._engine)
                self._engine, self._pid = _engine(self._url), os.getpid()
                self._local = threading.local()
            return self._engine

    @contextlib.contextmanager
    def begin(self) -> Iterator[Tx]:
        """A writing transaction: committed at the end, rolled back on any exception. Raises `Unavailable`
        (`ledger_unavailable`, `disk_full`, `ledger_read_only`), and `Defect` inside another transaction."""
        with self._transaction(read=False) as tx:
            yield tx

    @contextlib.contextmanager
    def read(self) -> Iterator[Tx]:
        """The same for reading only; a write in it is refused by the database."""
        with self._transaction(read=True) as tx:
            yield tx

    @contextlib.contextmanager
    def _transaction(self, *, read: bool) -> Iterator[Tx]:
        engine = self.engine
        if getattr(self._local, "open", False):
            raise Defect("a transaction inside another one of the same thread")
        self._local.open = True
        try:
            with translated(), _connected(engine, read=read) as conn:
                yield Tx(conn, self._clock.now(conn))
        finally:
            self._local.open = False

    def migrate(self) -> None:
        """Bring the database to the newest schema. May be called by many processes at once; one does it."""
        with translated():
            if self.dialect == "sqlite":
                _make_private(self._file)
            with _alone(self._file if self.dialect == "sqlite" else None):
                if self.dialect == "sqlite":
                    _write_ahead(self.engine)
                with _connected(self.engine, read=False) as conn:
                    upgrade(conn)

    def close(self) -> None:
        """Close the pool's connections; a later transaction opens new ones."""
        self.engine.dispose()

    @property
    def _file(self) -> Path:
        return Path(self._url.database or "")


def _checked(text: str) -> URL:
    try:
        url = make_url(text)
    except exc.ArgumentError:
        raise UsageRefused("the database URL cannot be read", code="bad_database_url") from None
    backend = url.get_backend_name()
    if backend in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+psycopg")
    if backend != "sqlite" or url.database in (None, "", ":memory:") or "mode=memory" in text:
        raise UsageRefused(
            "the database URL must begin with sqlite:/// and name a file, or with postgresql://",
            code="bad_database_url",
        )
    return url


def _engine(url: URL) -> Engine:
    if url.get_backend_name() == "sqlite":
        engine = create_engine(url, hide_parameters=True, connect_args={"timeout": _BUSY_MS / 1000}, **_POOL)
        event.listen(engine, "connect", _sqlite_connected)
        event.listen(engine, "begin", _sqlite_begin)
        return engine
    return create_engine(
        url,
        hide_parameters=True,
        pool_pre_ping=True,
        connect_args={
            "connect_timeout": 5,
            "options": _POSTGRES_OPTIONS,
            "application_name": "mayfly",
            # A half-open connection is noticed within half a minute.
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 30_000,
        },
        **_POOL,
    )


def _sqlite_connected(dbapi: object, _record: object) -> None:
    # The driver must not open transactions by itself: `begin` below says which kind.
    dbapi.isolation_level = None  # type: ignore[attr-defined]
    cursor = dbapi.cursor()  # type: ignore[attr-defined]
    for pragma in (f"busy_timeout = {_BUSY_MS}", "foreign_keys = ON", "synchronous = FULL", "recursive_triggers = ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _sqlite_begin(conn: Connection) -> None:
    read = conn.get_execution_options().get(_READ, False)
    conn.exec_driver_sql(f"PRAGMA query_only = {'ON' if read else 'OFF'}")
    conn.exec_driver_sql("BEGIN" if read else "BEGIN IMMEDIATE")


@contextlib.contextmanager
def _connected(engine: Engine, *, read: bool) -> Iterator[Connection]:
    options = {_READ: read}
    if engine.dialect.name == "postgresql":
        options["postgresql_readonly"] = read
    with engine.connect().execution_options(**options) as conn, conn.begin():
        yield conn


def _make_private(file: Path) -> None:
    """The file and its folder exist and are nobody else's; the write-ahead log takes the file's mode."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


def _write_ahead(engine: Engine) -> None:
    with contextlib.closing(engine.raw_connection()) as raw:
        raw.cursor().execute("PRAGMA journal_mode = WAL").close()


@contextlib.contextmanager
def _alone(file: Path | None) -> Iterator[None]:
    """One migrating process at a time on SQLite, by a lock file of its own: locking the database file itself would
    drop SQLite's locks at close. PostgreSQL locks in `upgrade`."""
    if file is None:
        yield
        return
    import fcntl

    descriptor = os.open(f"{file}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
