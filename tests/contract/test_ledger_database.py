"""The door itself: its time, its threads, its schema, and one clear line for whatever is away, full or shut."""

from __future__ import annotations

import multiprocessing
import os
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from tests import servers
from tests.conftest import database_url
from tests.contract import rows
from worker.errors import Defect, StateConflict, Unavailable, UsageRefused
from worker.ledger import migrations, tables, uploads
from worker.ledger.database import FixedClock, Ledger, ShiftedClock
from worker.model import UploadState


def test_the_migrated_schema_is_the_one_in_the_code(ledger: Ledger) -> None:
    with ledger.read() as tx:
        context = MigrationContext.configure(tx.conn, opts={"compare_type": False})

        assert compare_metadata(context, tables.METADATA) == []


def test_the_newest_step_is_the_one_that_is_looked_for() -> None:
    steps = ScriptDirectory(str(Path(migrations.__file__).parent))

    assert steps.get_current_head() == migrations.HEAD


def test_the_checks_are_in_the_migration_too(ledger: Ledger) -> None:
    wanted = {str(check.name) for table in tables.METADATA.sorted_tables for check in table.constraints if check.name}
    with ledger.read() as tx:
        if tx.postgres:
            found = set(tx.conn.execute(text("SELECT conname FROM pg_constraint")).scalars())
        else:
            found = set(
                " ".join(tx.conn.execute(text("SELECT sql FROM sqlite_master WHERE sql > ''")).scalars()).split()
            )

    assert wanted - found == set()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_many_processes_may_migrate_at_once(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if kind == "sqlite":
        url = f"sqlite:///{tmp_path / 'new' / 'ledger.db'}"
    else:
        server = request.getfixturevalue("postgres_url")
        _on_server(server, "CREATE DATABASE crowd")
        url = database_url(server, "crowd")
    spawn = multiprocessing.get_context("spawn")
    crowd = [spawn.Process(target=_migrate, args=(url,)) for _ in range(4)]

    for process in crowd:
        process.start()
    for process in crowd:
        process.join(60)

    assert [process.exitcode for process in crowd] == [0, 0, 0, 0]
    ledger = Ledger(url)
    with ledger.begin() as tx:
        rows.upload(tx)
    ledger.close()


def _migrate(url: str) -> None:
    ledger = Ledger(url)
    ledger.migrate()
    ledger.close()


def _on_server(url: str, statement: str) -> None:
    import psycopg

    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(statement)  # type: ignore[call-overload]


def test_a_transaction_commits_whole_or_not_at_all(ledger: Ledger) -> None:
    with pytest.raises(StateConflict), ledger.begin() as tx:
        rows.upload(tx)
        raise StateConflict("changed our mind")

    with ledger.read() as tx:
        assert uploads.counts(tx) == {}


def test_a_transaction_inside_another_is_a_defect_and_the_next_one_works(ledger: Ledger) -> None:
    for inner in (ledger.begin, ledger.read):
        with pytest.raises(Defect), ledger.begin(), inner():
            pytest.fail("two transactions in one thread")

    with ledger.begin() as tx:
        assert rows.upload(tx).state is UploadState.RECEIVING


def test_reading_cannot_write(ledger: Ledger) -> None:
    with pytest.raises(Unavailable) as refused, ledger.read() as tx:
        rows.upload(tx)

    assert refused.value.code == "ledger_read_only"
    with ledger.begin() as tx:
        rows.upload(tx)


def test_time_is_the_database_s_unless_it_is_brought(ledger: Ledger) -> None:
    with ledger.begin() as tx:
        assert abs(tx.now - datetime.now(UTC)) < timedelta(seconds=5)
        assert tx.now.utcoffset() == timedelta(0)
    url = ledger.engine.url.render_as_string(hide_password=False)

    for clock, wanted in (
        (ShiftedClock(rows.DAY), datetime.now(UTC) + rows.DAY),
        (
            FixedClock(datetime(2030, 2, 28, 23, 59, 59, 5, tzinfo=UTC)),
            datetime(2030, 2, 28, 23, 59, 59, 5, tzinfo=UTC),
        ),
    ):
        other = Ledger(url, clock=clock)
        with other.begin() as tx:
            made = rows.upload(tx)
            assert abs(tx.now - wanted) < timedelta(seconds=5)
            assert uploads.get(tx, made.id).created_at == tx.now
        other.close()


def test_many_threads_use_one_ledger(ledger: Ledger) -> None:
    def work(_number: int) -> int:
        for _ in range(5):
            with ledger.begin() as tx:
                rows.upload(tx, UploadState.READY)
        with ledger.read() as tx:
            return len(uploads.of_subject(tx, "shop", rows.ANNA, limit=1000))

    outcomes = rows.at_once(work, 16)

    assert max(outcomes) == 80  # type: ignore[type-var]
    assert all(isinstance(outcome, int) for outcome in outcomes)


def test_a_forked_child_brings_its_own_connections(ledger: Ledger) -> None:
    with ledger.begin() as tx:
        rows.upload(tx)

    child = multiprocessing.get_context("fork").Process(target=_one_more, args=(ledger,))
    child.start()
    child.join(30)

    assert child.exitcode == 0
    with ledger.begin() as tx:
        assert uploads.counts(tx) == {"receiving": 2}


def _one_more(ledger: Ledger) -> None:
    with ledger.begin() as tx:
        rows.upload(tx)


@pytest.mark.parametrize(
    "url", ["", "nonsense", "sqlite://", "sqlite:///:memory:", "mysql://u:secret@h/d", "sqlite:///file:x?mode=memory"]
)
def test_other_databases_are_refused_without_quoting_the_url(url: str) -> None:
    with pytest.raises(UsageRefused) as refused:
        Ledger(url)

    assert refused.value.code == "bad_database_url"
    assert "secret" not in str(refused.value)


def test_postgres_under_its_short_name(postgres_template: str) -> None:
    ledger = Ledger(database_url(postgres_template, "mayfly_template").replace("postgresql://", "postgres://"))

    assert ledger.dialect == "postgresql"


def test_the_file_and_its_folder_are_private(tmp_path: Path) -> None:
    file = tmp_path / "home" / "ledger.db"
    before = os.umask(0)
    try:
        ledger = Ledger(f"sqlite:///{file}")
        ledger.migrate()
        with ledger.begin() as tx:
            rows.upload(tx)
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in file.parent.iterdir()}
            assert tx.conn.execute(text("PRAGMA journal_mode")).scalar_one() == "wal"
    finally:
        os.umask(before)
    ledger.close()

    assert {"ledger.db", "ledger.db-wal"} <= set(modes)
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def _full(ledger: Ledger) -> None:
    with ledger.begin() as tx:
        tx.conn.execute(text("PRAGMA max_page_count = 1"))
        for _ in range(2000):
            rows.upload(tx)


def _unmigrated(ledger: Ledger) -> None:
    with ledger.begin() as tx:
        tx.conn.execute(text("SELECT * FROM nothing_of_that_name"))


def _busy(ledger: Ledger) -> None:
    other = Ledger(str(ledger.engine.url))
    with ledger.begin(), other.read() as tx:
        tx.conn.exec_driver_sql("COMMIT")
        tx.conn.exec_driver_sql("PRAGMA query_only = OFF")
        tx.conn.exec_driver_sql("PRAGMA busy_timeout = 10")
        tx.conn.exec_driver_sql("BEGIN IMMEDIATE")


@pytest.mark.parametrize(
    ("trouble", "code"),
    [(_full, "disk_full"), (_unmigrated, "ledger_unavailable"), (_busy, "ledger_unavailable")],
)
def test_trouble_with_the_file_is_named(
    sqlite_template: Path, tmp_path: Path, trouble: Callable[[Ledger], None], code: str
) -> None:
    file = tmp_path / "ledger.db"
    file.write_bytes(sqlite_template.read_bytes())
    ledger = Ledger(f"sqlite:///{file}")

    with pytest.raises(Unavailable) as refused:
        trouble(ledger)

    ledger.close()
    _assert_one_clear_line(refused.value, code, str(file))


def _assert_one_clear_line(error: Unavailable, code: str, secret: str) -> None:
    assert (error.code, error.retryable) == (code, True)
    assert "\n" not in str(error)
    assert secret not in str(error)
    assert error.__suppress_context__


def test_a_file_that_is_no_ledger_is_said_to_be_none(tmp_path: Path) -> None:
    file = tmp_path / "ledger.db"
    file.write_bytes(b"not a database at all, whatever its name says" * 100)
    ledger = Ledger(f"sqlite:///{file}")

    with pytest.raises(Unavailable) as refused:
        ledger.migrate()

    ledger.close()
    _assert_one_clear_line(refused.value, "ledger_unavailable", str(file))


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ledger = Ledger(f"sqlite:///{tmp_path / 'file' / 'ledger.db'}")

    with pytest.raises(Unavailable) as refused:
        ledger.migrate()

    _assert_one_clear_line(refused.value, "ledger_unavailable", str(tmp_path))


def test_a_read_only_file_is_named(sqlite_template: Path) -> None:
    ledger = Ledger(f"sqlite:///file:{sqlite_template}?mode=ro&uri=true")

    with pytest.raises(Unavailable) as refused, ledger.begin() as tx:
        rows.upload(tx)

    ledger.close()
    _assert_one_clear_line(refused.value, "ledger_read_only", str(sqlite_template))


def test_an_unreachable_database_is_named_without_its_password() -> None:
    ledger = Ledger(f"postgresql://mayfly:secret@127.0.0.1:{servers.free_port()}/mayfly")

    with pytest.raises(Unavailable) as refused, ledger.begin():
        pytest.fail("nobody is there")

    _assert_one_clear_line(refused.value, "ledger_unavailable", "secret")


def test_a_server_that_comes_back_is_used_again(ledger: Ledger) -> None:
    if ledger.dialect != "postgresql":
        pytest.skip("PostgreSQL only: a file does not go away")
    with ledger.begin() as tx:
        rows.upload(tx)
        mine = tx.conn.execute(text("SELECT pg_backend_pid()")).scalar_one()
    _on_server(
        ledger.engine.url.set(drivername="postgresql").render_as_string(hide_password=False),
        f"SELECT pg_terminate_backend({int(mine)})",
    )

    with ledger.begin() as tx:
        rows.upload(tx)
        assert uploads.counts(tx) == {"receiving": 2}
