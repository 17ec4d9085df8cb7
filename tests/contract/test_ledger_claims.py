"""Due copies: claimed once, found by index, never while held. The cost follows what is due, not what exists."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, insert, text

from tests.contract import rows
from worker.errors import Defect, StateConflict
from worker.ledger import artifacts, events, holds, states, tables, uploads
from worker.ledger.database import Ledger, Tx
from worker.model import Artifact, ArtifactState, UploadState

ALL = 20_000
DUE = 100
NEVER = timedelta(seconds=1)


def _overdue(tx: Tx, *copies: Artifact, by: timedelta = rows.DAY) -> None:
    """Age rows: born and due `by` ago and more."""
    a = tables.artifacts
    for copy in copies:
        then = {"created_at": tx.now - 2 * by, "delete_at": tx.now - by, "next_attempt_at": tx.now - by}
        tx.conn.execute(a.update().where(a.c.id == copy.id).values(then))


def test_two_claimers_never_get_the_same_copy(ledger: Ledger) -> None:
    with ledger.begin() as tx:
        owner = rows.upload(tx)
        copies = [rows.copy(tx, owner) for _ in range(40)]
        _overdue(tx, *copies)

    def claim(_number: int) -> list[Artifact]:
        with ledger.begin() as tx:
            return artifacts.claim_due(tx, limit=10, lease=rows.LEASE, locations=[rows.MEDIA])

    claimed = [copy.id for batch in rows.at_once(claim) for copy in batch]  # type: ignore[union-attr]

    assert sorted(claimed) == sorted(copy.id for copy in copies)


def test_a_claim_raises_the_fence_and_hides_the_copy_until_its_lease_is_over(ledger: Ledger) -> None:
    with ledger.begin() as tx:
        copy = rows.copy(tx, rows.upload(tx))
        _overdue(tx, copy)

    with ledger.begin() as tx:
        (claimed,) = artifacts.claim_due(tx, limit=10, lease=rows.LEASE, locations=[rows.MEDIA])
        assert claimed.fence == copy.fence + 1
        assert artifacts.claim_due(tx, limit=10, lease=rows.LEASE, locations=[rows.MEDIA]) == []
        assert artifacts.claim_of_uploads(tx, [copy.upload_id], lease=rows.LEASE, locations=[rows.MEDIA]) == []
        later = Tx(tx.conn, tx.now + rows.LEASE)
        (again,) = artifacts.claim_due(later, limit=10, lease=rows.LEASE, locations=[rows.MEDIA])

    assert again.fence == copy.fence + 2
    with pytest.raises(StateConflict), ledger.begin() as tx:
        artifacts.defer(tx, claimed, until=tx.now, reason="late")
    with pytest.raises(StateConflict), ledger.begin() as tx:
        states.move_artifact(tx, copy.id, to=ArtifactState.ERASING, fence=claimed.fence, actor="late")


def test_only_what_is_due_here_and_not_held_is_claimed_the_oldest_first(ledger: Ledger) -> None:
    with ledger.begin() as tx:
        owner, held_owner = rows.upload(tx), rows.upload(tx)
        young = rows.copy(tx, owner)
        held = rows.copy(tx, held_owner)
        elsewhere = rows.copy(tx, owner, location="scratch-00000000")
        gone = rows.copy(tx, owner, ArtifactState.GONE)
        late, later = rows.copy(tx, owner), rows.copy(tx, owner, ArtifactState.PLANNED)
        _overdue(tx, held, elsewhere, gone, late)
        _overdue(tx, later, by=2 * rows.DAY)
        holds.place(tx, upload_id=held_owner.id, case_ref="c1", reason="r", authority="a")

    with ledger.begin() as tx:
        claimed = artifacts.claim_due(tx, limit=10, lease=rows.LEASE, locations=[rows.MEDIA])
        assert [copy.id for copy in claimed] == [later.id, late.id]
        assert artifacts.claim_of_uploads(tx, [held_owner.id], lease=rows.LEASE, locations=[rows.MEDIA]) == []
        assert not artifacts.any_due(tx, [rows.MEDIA])
        assert artifacts.any_due(tx, [elsewhere.location])
        whole = artifacts.claim_of_uploads(tx, [owner.id], lease=rows.LEASE, locations=[rows.MEDIA])
        assert [copy.id for copy in whole] == [young.id]


def test_the_last_release_makes_it_due_in_the_same_commit(ledger: Ledger) -> None:
    with ledger.begin() as tx:
        owner = rows.upload(tx)
        passed, young = rows.copy(tx, owner), rows.copy(tx, owner)
        _overdue(tx, passed)
        for case in ("c1", "c2"):
            holds.place(tx, upload_id=owner.id, case_ref=case, reason="r", authority="a")
        artifacts.defer(tx, artifacts.get(tx, passed.id), until=tx.now + rows.DAY, reason="held")
        assert artifacts.oldest_overdue_seconds(tx) == 0

    with ledger.begin() as tx:
        holds.release(tx, upload_id=owner.id, case_ref="c1")
        assert artifacts.claim_due(tx, limit=10, lease=rows.LEASE, locations=[rows.MEDIA]) == []
        holds.release(tx, upload_id=owner.id, case_ref="c2")
        assert artifacts.oldest_overdue_seconds(tx) == int(rows.DAY.total_seconds())
        (due,) = artifacts.claim_due(tx, limit=10, lease=rows.LEASE, locations=[rows.MEDIA])

    assert due.id == passed.id
    assert young.delete_at == young.next_attempt_at


@pytest.mark.parametrize("lives", [timedelta(0), -timedelta(days=9000), -timedelta(days=19_000)])
def test_no_copy_is_born_without_a_last_day_after_its_birth(ledger: Ledger, lives: timedelta) -> None:
    with ledger.begin() as tx:
        owner = rows.upload(tx)

    with pytest.raises(Defect) as copy, ledger.begin() as tx:
        rows.copy(tx, owner, lives=lives)
    with pytest.raises(Defect), ledger.begin() as tx:
        rows.upload(tx, lives=lives)

    assert copy.value.code == "ledger_constraint"


@pytest.mark.parametrize("table", ["artifacts", "uploads"])
def test_the_database_refuses_a_row_without_a_last_day(ledger: Ledger, table: str) -> None:
    with ledger.begin() as tx:
        rows.copy(tx, rows.upload(tx))

    for value in ("NULL", "created_at", "'1970-01-01T00:00:00.000000Z'"):
        with pytest.raises(Defect), ledger.begin() as tx:
            tx.conn.execute(text(f"UPDATE {table} SET delete_at = {value}"))


def test_a_deadline_moves_with_its_ground_in_the_chain(ledger: Ledger) -> None:
    with ledger.begin() as tx:
        copy = rows.copy(tx, rows.upload(tx))

    with ledger.begin() as tx:
        now = tx.now
        moved = artifacts.set_deadline(tx, copy.id, delete_at=now, rule="r2", basis="no longer needed", actor="test")
        last = events.of_upload(tx, copy.upload_id)[-1]

    assert moved.delete_at == moved.next_attempt_at
    assert moved.delete_at - now <= timedelta(milliseconds=1)
    assert (moved.rule, last.detail["basis"]) == ("r2", "no longer needed")
    with ledger.begin() as tx:
        states.move_artifact(tx, copy.id, to=ArtifactState.ERASING, actor="test")
    with pytest.raises(StateConflict), ledger.begin() as tx:
        artifacts.set_deadline(tx, copy.id, delete_at=tx.now + rows.DAY, rule="r", basis="b", actor="test")


def test_due_uploads_are_those_past_their_day_that_nobody_holds(ledger: Ledger) -> None:
    with ledger.begin() as tx:
        young, late, held = rows.upload(tx), rows.upload(tx, UploadState.READY), rows.upload(tx)
        begun = rows.upload(tx, UploadState.ERASING)
        holds.place(tx, upload_id=held.id, case_ref="c1", reason="r", authority="a")
        for owner in (late, held, begun):
            past = {"created_at": tx.now - 2 * rows.DAY, "delete_at": tx.now - rows.DAY}
            tx.conn.execute(tables.uploads.update().where(tables.uploads.c.id == owner.id).values(past))

    with ledger.read() as tx:
        assert uploads.due(tx, 10) == [late.id]
        assert uploads.get(tx, young.id).delete_at > tx.now


@pytest.mark.slow
def test_20_000_copies_100_due_the_claim_touches_only_the_due_ones(ledger: Ledger) -> None:
    with ledger.begin() as tx:
        _many(tx, rows.upload(tx).id)
    with ledger.begin() as tx:
        # PostgreSQL keeps its statistics by itself; SQLite never has any, and must find the way without.
        if tx.postgres:
            tx.conn.execute(text("ANALYZE"))
    heard: list[tuple[str, Any]] = []
    event.listen(
        ledger.engine, "before_cursor_execute", lambda _c, _u, sql, values, _x, _m: heard.append((sql, values))
    )

    with pytest.raises(Undone), ledger.begin() as tx:
        claimed = artifacts.claim_due(tx, limit=500, lease=rows.LEASE, locations=[rows.MEDIA])
        raise Undone

    assert len(claimed) == DUE
    statements = [(sql, values) for sql, values in heard if "artifacts" in sql]
    assert [sql.split()[0] for sql, _values in statements] == ["SELECT", "UPDATE"]
    with ledger.begin() as tx:
        for sql, values in statements:
            _assert_plan(tx, sql, values)


class Undone(Exception):
    """The claim is rolled back, so that its statements can be explained with the same rows due."""


def _many(tx: Tx, upload_id: str) -> None:
    born = tx.now - 10 * rows.DAY
    made = []
    for number in range(ALL):
        due = number % (ALL // DUE) == 0
        at = tx.now - NEVER if due else tx.now + rows.DAY + timedelta(seconds=number)
        made.append(
            {
                "id": f"art_{number:032x}",
                "upload_id": upload_id,
                "kind": "rendition",
                "name": "display",
                "state": ("present", "planned", "blocked")[number % 3] if due else "present",
                "fence": 0,
                "location": rows.MEDIA,
                "key": f"rendition/shop/{upload_id}/art_{number:032x}",
                "rule": "r",
                "created_at": born,
                "state_at": born,
                "delete_at": at,
                "next_attempt_at": at,
            }
        )
    if tx.postgres:
        cursor = tx.conn.connection.cursor()
        with cursor.copy(f"COPY artifacts ({', '.join(made[0])}) FROM STDIN") as lines:
            for row in made:
                lines.write_row(tuple(row.values()))
        return
    for start in range(0, ALL, 10_000):
        tx.conn.execute(insert(tables.artifacts), made[start : start + 10_000])


def _assert_plan(tx: Tx, sql: str, values: Any) -> None:
    """By an index, and no row is looked at that is not due."""
    if not tx.postgres:
        plan = " / ".join(row[-1] for row in tx.conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values))
        assert "SCAN artifacts" not in plan, plan
        assert "artifacts_due" in plan or "sqlite_autoindex_artifacts_1" in plan, plan
        assert "TEMP B-TREE" not in plan, plan
        return
    (document,) = tx.conn.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", values).scalar_one()
    nodes = list(_nodes(document["Plan"]))
    read = [node for node in nodes if node.get("Relation Name") == "artifacts" or node["Node Type"] == "ModifyTable"]
    looked = [node for node in read if "Scan" in node["Node Type"]]
    assert looked, json.dumps(document)
    assert all(node["Node Type"] != "Seq Scan" for node in looked), json.dumps(document)
    assert all(node["Actual Rows"] + node.get("Rows Removed by Filter", 0) <= DUE for node in looked)


def _nodes(plan: dict[str, Any]) -> Any:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)
