"""Events: append-only in the database itself, chained, and closed against anything personal."""

from __future__ import annotations

import sqlite3

import pytest
from sqlalchemy import text

from tests.contract import rows
from worker.errors import Defect, NotFound
from worker.ledger import events
from worker.ledger.database import Ledger
from worker.model import UploadState, new_id


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE events SET actor = 'nobody'",
        "DELETE FROM events",
        "INSERT OR REPLACE INTO events SELECT * FROM events",
        "TRUNCATE events",
    ],
)
def test_the_database_refuses_to_change_an_event(ledger: Ledger, statement: str) -> None:
    if ledger.dialect == "sqlite" and statement.startswith("TRUNCATE"):
        pytest.skip("SQLite has no TRUNCATE")
    if ledger.dialect == "postgresql" and "REPLACE" in statement:
        pytest.skip("PostgreSQL has no INSERT OR REPLACE")
    with ledger.begin() as tx:
        upload = rows.upload(tx, UploadState.READY)
    with ledger.read() as tx:
        before = events.of_upload(tx, upload.id)

    with pytest.raises(Defect), ledger.begin() as tx:
        tx.conn.execute(text(statement))

    with ledger.read() as tx:
        assert events.of_upload(tx, upload.id) == before


def test_the_file_refuses_it_to_other_programs_too(sqlite_template: object, ledger: Ledger) -> None:
    if ledger.dialect != "sqlite":
        pytest.skip("SQLite only: triggers of PostgreSQL hold for every client")
    with ledger.begin() as tx:
        rows.upload(tx)
    stranger = sqlite3.connect(str(ledger.engine.url.database))

    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        stranger.execute("INSERT OR REPLACE INTO events SELECT * FROM events")
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        stranger.execute("DELETE FROM events")

    stranger.close()


def test_the_chain_is_numbered_and_linked(ledger: Ledger) -> None:
    with ledger.begin() as tx:
        upload = rows.upload(tx, UploadState.READY)

    with ledger.read() as tx:
        chain = events.of_upload(tx, upload.id)
        assert events.verify(tx, upload.id)
        assert not events.verify(tx, new_id("upl"))

    assert [link.event for link in chain] == ["created", "received", "processing_began", "published"]
    assert [link.seq for link in chain] == [1, 2, 3, 4]
    assert [link.prev_hash for link in chain] == [events.GENESIS, *(link.hash for link in chain[:-1])]


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE events SET actor = 'nobody' WHERE seq = 2",
        "UPDATE events SET detail = '{}' WHERE seq = 1",
        "UPDATE events SET seq = 9 WHERE seq = 3",
        "DELETE FROM events WHERE seq = 2",
        "DELETE FROM events WHERE seq = 4",
        "DELETE FROM events",
    ],
)
def test_damage_behind_our_back_is_seen(ledger: Ledger, damage: str) -> None:
    with ledger.begin() as tx:
        upload = rows.upload(tx, UploadState.READY)
    with ledger.begin() as tx:
        _disarm(ledger, tx.conn.exec_driver_sql)
        tx.conn.execute(text(damage))

    with ledger.read() as tx:
        assert not events.verify(tx, upload.id)


def _disarm(ledger: Ledger, execute: object) -> None:
    statements = ["ALTER TABLE events DISABLE TRIGGER ALL"]
    if ledger.dialect == "sqlite":
        statements = [f"DROP TRIGGER events_no_{verb}" for verb in ("update", "delete", "replace")]
    for statement in statements:
        execute(statement)  # type: ignore[operator]


def test_many_writers_make_one_chain(ledger: Ledger) -> None:
    with ledger.begin() as tx:
        upload = rows.upload(tx)

    def append(number: int) -> int:
        for _ in range(5):
            with ledger.begin() as tx:
                events.append(tx, upload.id, event="read", actor=f"writer-{number}")
        return number

    outcomes = rows.at_once(append)

    assert sorted(outcomes) == list(range(8))  # type: ignore[type-var]
    with ledger.read() as tx:
        assert events.verify(tx, upload.id)
        assert [link.seq for link in events.of_upload(tx, upload.id)] == list(range(1, 42))


@pytest.mark.parametrize(
    "detail",
    [
        {"file_name": "x"},
        {"code": "line\nbreak"},
        {"code": "x" * 201},
        {"code": 1.5},
        {"code": {"nested": 1}},
        {"code": b"bytes"},
    ],
)
def test_a_detail_outside_the_closed_set_is_a_defect(ledger: Ledger, detail: dict[str, object]) -> None:
    with ledger.begin() as tx:
        upload = rows.upload(tx)

    with pytest.raises(Defect), ledger.begin() as tx:
        events.append(tx, upload.id, event="read", actor="test", detail=detail)


def test_an_event_needs_its_upload(ledger: Ledger) -> None:
    with pytest.raises(NotFound), ledger.begin() as tx:
        events.append(tx, new_id("upl"), event="read", actor="test")
