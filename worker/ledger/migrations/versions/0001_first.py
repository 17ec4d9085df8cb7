"""The first schema: every table, its checks and partial indexes, and triggers that keep events append-only."""

from __future__ import annotations

from typing import Any

from alembic import op
from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Integer,
    PrimaryKeyConstraint,
    String,
    Text,
    UniqueConstraint,
    text,
)

from worker.ledger.columns import Instant, Json, Span

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_SQLITE_GUARDS = (
    "CREATE TRIGGER events_no_update BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'events are append-only'); END",
    "CREATE TRIGGER events_no_delete BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'events are append-only'); END",
    # INSERT OR REPLACE would delete without asking the trigger above.
    "CREATE TRIGGER events_no_replace BEFORE INSERT ON events "
    "WHEN EXISTS (SELECT 1 FROM events WHERE upload_id = NEW.upload_id AND seq = NEW.seq) "
    "BEGIN SELECT RAISE(ABORT, 'events are append-only'); END",
)
_POSTGRES_GUARDS = (
    "CREATE FUNCTION events_append_only() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE EXCEPTION 'events are append-only'; END $$",
    "CREATE TRIGGER events_no_change BEFORE UPDATE OR DELETE ON events "
    "FOR EACH ROW EXECUTE FUNCTION events_append_only()",
    "CREATE TRIGGER events_no_truncate BEFORE TRUNCATE ON events "
    "FOR EACH STATEMENT EXECUTE FUNCTION events_append_only()",
)


_KEY = String(259).with_variant(String(259, collation="C"), "postgresql")


def upgrade() -> None:
    _leases()
    _requests()
    _tombstones()
    _uploads()
    _artifacts()
    _events()
    _holds()
    _restrictions()
    _brakes()
    _outbox()
    _receipts()
    _sightings()
    _request_uploads()
    for statement in _POSTGRES_GUARDS if op.get_bind().dialect.name == "postgresql" else _SQLITE_GUARDS:
        op.execute(statement)


def _where(condition: str) -> dict[str, Any]:
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


def _leases() -> None:
    op.create_table(
        "leases",
        Column("id", String(36), nullable=False),
        Column("kind", String(64), nullable=False),
        Column("target", String(64), nullable=False),
        Column("work_class", String(16), nullable=False),
        Column("state", String(8), nullable=False),
        Column("fence", Integer(), nullable=False),
        Column("attempts", Integer(), nullable=False),
        Column("waits", Integer(), nullable=False),
        Column("not_before", Instant(), nullable=False),
        Column("lease_until", Instant(), nullable=True),
        Column("holder", String(128), nullable=True),
        Column("step", String(64), nullable=True),
        Column("code", String(64), nullable=True),
        Column("detail", String(200), nullable=True),
        Column("every", Span(), nullable=True),
        Column("lasting", Boolean(), nullable=False),
        Column("again", Boolean(), nullable=False),
        Column("recalled", Boolean(), nullable=False),
        Column("created_at", Instant(), nullable=False),
        Column("state_at", Instant(), nullable=False),
        CheckConstraint("(state = 'leased') = (lease_until IS NOT NULL)", name="leases_leased"),
        CheckConstraint("state IN ('ready', 'leased', 'done', 'dead')", name="leases_state"),
        CheckConstraint("fence >= 0 AND attempts >= 0 AND waits >= 0", name="leases_counters"),
        PrimaryKeyConstraint("id"),
    )
    op.create_index("leases_dead", "leases", ["state_at"], **_where("state = 'dead'"))
    op.create_index("leases_done", "leases", ["state_at"], **_where("state = 'done'"))
    op.create_index("leases_live", "leases", ["kind", "target"], unique=True, **_where("state IN ('ready', 'leased')"))
    op.create_index("leases_ready", "leases", ["not_before"], **_where("state = 'ready'"))
    op.create_index("leases_running", "leases", ["lease_until"], **_where("state = 'leased'"))


def _requests() -> None:
    op.create_table(
        "requests",
        Column("id", String(36), nullable=False),
        Column("app", String(32), nullable=False),
        Column("subject_key", String(64), nullable=True),
        Column("right", String(16), nullable=False),
        Column("state", String(16), nullable=False),
        Column("uploads", Integer(), nullable=False),
        Column("artifacts", Integer(), nullable=False),
        Column("opened_at", Instant(), nullable=False),
        Column("closed_at", Instant(), nullable=True),
        Column("receipt_id", String(36), nullable=True),
        CheckConstraint("(state = 'open') = (closed_at IS NULL)", name="requests_closed"),
        CheckConstraint("(state = 'open') = (subject_key IS NOT NULL)", name="requests_forgotten"),
        PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "requests_open", "requests", ["app", "subject_key", "right"], unique=True, **_where("state = 'open'")
    )


def _tombstones() -> None:
    op.create_table(
        "tombstones",
        Column("upload_id", String(36), nullable=False),
        Column("artifact_ids", Json(), nullable=False),
        Column("erased_at", Instant(), nullable=False),
        Column("expires_at", Instant(), nullable=False),
        Column("journal_seq", BigInteger(), nullable=True),
        CheckConstraint("expires_at > erased_at", name="tombstones_outlive"),
        PrimaryKeyConstraint("upload_id"),
    )
    op.create_index("tombstones_not_in_journal", "tombstones", ["erased_at"], **_where("journal_seq IS NULL"))


def _uploads() -> None:
    op.create_table(
        "uploads",
        Column("id", String(36), nullable=False),
        Column("app", String(32), nullable=False),
        Column("subject_key", String(64), nullable=True),
        Column("state", String(16), nullable=False),
        Column("fence", Integer(), nullable=False),
        Column("purposes", Json(), nullable=False),
        Column("context", String(32), nullable=False),
        Column("legal_basis", String(32), nullable=False),
        Column("keep_for", Span(), nullable=False),
        Column("media_type", String(64), nullable=True),
        Column("code", String(64), nullable=True),
        Column("verdict", String(16), nullable=True),
        Column("facts", Json(), nullable=False),
        Column("created_at", Instant(), nullable=False),
        Column("state_at", Instant(), nullable=False),
        Column("delete_at", Instant(), nullable=False),
        Column("chain_seq", Integer(), nullable=False),
        Column("chain_hash", String(64), nullable=False),
        CheckConstraint(
            "delete_at > created_at AND delete_at > '2020-01-01T00:00:00.000000Z'", name="uploads_last_day"
        ),
        CheckConstraint(
            "state IN ('receiving', 'quarantined', 'processing', 'review', 'ready', 'rejected', 'failed', 'erasing', "
            "'erased')",
            name="uploads_state",
        ),
        PrimaryKeyConstraint("id"),
    )
    op.create_index("uploads_due", "uploads", ["delete_at"], **_where("state NOT IN ('erasing', 'erased')"))
    op.create_index("uploads_erasing", "uploads", ["state_at"], **_where("state = 'erasing'"))
    op.create_index("uploads_of_subject", "uploads", ["app", "subject_key", "id"], **_where("subject_key IS NOT NULL"))


def _artifacts() -> None:
    op.create_table(
        "artifacts",
        Column("id", String(36), nullable=False),
        Column("upload_id", String(36), nullable=False),
        Column("kind", String(16), nullable=False),
        Column("name", String(32), nullable=False),
        Column("state", String(16), nullable=False),
        Column("fence", Integer(), nullable=False),
        Column("location", String(64), nullable=False),
        Column("key", _KEY, nullable=False),
        Column("rule", String(64), nullable=False),
        Column("media_type", String(64), nullable=True),
        Column("bytes", BigInteger(), nullable=True),
        Column("sha256", String(64), nullable=True),
        Column("width", Integer(), nullable=True),
        Column("height", Integer(), nullable=True),
        Column("created_at", Instant(), nullable=False),
        Column("state_at", Instant(), nullable=False),
        Column("delete_at", Instant(), nullable=False),
        Column("next_attempt_at", Instant(), nullable=False),
        Column("lease_until", Instant(), nullable=True),
        Column("reason", String(200), nullable=True),
        CheckConstraint(
            "delete_at > created_at AND delete_at > '2020-01-01T00:00:00.000000Z'", name="artifacts_last_day"
        ),
        CheckConstraint(
            "state IN ('planned', 'present', 'erasing', 'blocked', 'unverifiable', 'gone')", name="artifacts_state"
        ),
        ForeignKeyConstraint(["upload_id"], ["uploads.id"]),
        PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "artifacts_due",
        "artifacts",
        ["next_attempt_at"],
        **_where("state IN ('planned', 'present', 'erasing', 'blocked')"),
    )
    op.create_index("artifacts_of_place", "artifacts", ["location", "key"], unique=True)
    op.create_index(
        "artifacts_overdue",
        "artifacts",
        ["delete_at"],
        **_where("state IN ('planned', 'present', 'erasing', 'blocked')"),
    )
    op.create_index("ix_artifacts_upload_id", "artifacts", ["upload_id"])


def _events() -> None:
    op.create_table(
        "events",
        Column("upload_id", String(36), nullable=False),
        Column("seq", Integer(), nullable=False),
        Column("at", Instant(), nullable=False),
        Column("event", String(64), nullable=False),
        Column("actor", String(64), nullable=False),
        Column("source", String(16), nullable=True),
        Column("target", String(16), nullable=True),
        Column("detail", Json(), nullable=False),
        Column("prev_hash", String(64), nullable=False),
        Column("hash", String(64), nullable=False),
        ForeignKeyConstraint(["upload_id"], ["uploads.id"]),
        PrimaryKeyConstraint("upload_id", "seq"),
    )


def _holds() -> None:
    op.create_table(
        "holds",
        Column("id", String(37), nullable=False),
        Column("upload_id", String(36), nullable=False),
        Column("case_ref", String(128), nullable=False),
        Column("reason", String(500), nullable=False),
        Column("authority", String(200), nullable=False),
        Column("placed_at", Instant(), nullable=False),
        Column("review_at", Instant(), nullable=True),
        Column("two_person", Boolean(create_constraint=False), nullable=False),
        Column("release_asked_by", String(64), nullable=True),
        Column("released_at", Instant(), nullable=True),
        ForeignKeyConstraint(["upload_id"], ["uploads.id"]),
        PrimaryKeyConstraint("id"),
    )
    op.create_index("holds_active", "holds", ["upload_id", "case_ref"], unique=True, **_where("released_at IS NULL"))


def _restrictions() -> None:
    op.create_table(
        "restrictions",
        Column("id", String(36), nullable=False),
        Column("upload_id", String(36), nullable=False),
        Column("reason", String(200), nullable=False),
        Column("placed_at", Instant(), nullable=False),
        Column("lifted_at", Instant(), nullable=True),
        ForeignKeyConstraint(["upload_id"], ["uploads.id"]),
        PrimaryKeyConstraint("id"),
    )
    op.create_index("restrictions_active", "restrictions", ["upload_id"], unique=True, **_where("lifted_at IS NULL"))


def _sightings() -> None:
    op.create_table(
        "sightings",
        Column("location", String(64), nullable=False),
        Column("key", _KEY, nullable=False),
        Column("first_seen_at", Instant(), nullable=False),
        Column("last_seen_at", Instant(), nullable=False),
        Column("state", String(8), nullable=False),
        Column("reason", String(200), nullable=True),
        Column("receipt_id", String(36), nullable=True),
        CheckConstraint("state IN ('seen', 'gone', 'blocked')", name="sightings_state"),
        CheckConstraint("(state = 'gone') = (receipt_id IS NOT NULL)", name="sightings_proven"),
        ForeignKeyConstraint(["receipt_id"], ["receipts.id"]),
        PrimaryKeyConstraint("location", "key"),
    )
    op.create_index("sightings_open", "sightings", ["first_seen_at"], **_where("state <> 'gone'"))
    op.create_table(
        "cursors",
        Column("name", String(128), nullable=False),
        Column("position", String(259), nullable=False),
        Column("moved_at", Instant(), nullable=False),
        PrimaryKeyConstraint("name"),
    )


def _brakes() -> None:
    op.create_table(
        "tallies",
        Column("day", String(10), nullable=False),
        Column("trigger", String(16), nullable=False),
        Column("uploads", Integer(), nullable=False),
        Column("released", Integer(), nullable=False),
        PrimaryKeyConstraint("day", "trigger"),
    )
    op.create_table(
        "brakes",
        Column("trigger", String(16), nullable=False),
        Column("reason", String(200), nullable=False),
        Column("amount", BigInteger(), nullable=False),
        Column("permitted", BigInteger(), nullable=False),
        Column("tripped_at", Instant(), nullable=False),
        Column("ended_at", Instant(), nullable=True),
        Column("released_at", Instant(), nullable=True),
        Column("released_count", Integer(), nullable=True),
        Column("released_until", Instant(), nullable=True),
        PrimaryKeyConstraint("trigger"),
    )
    op.create_table(
        "braked",
        Column("upload_id", String(36), nullable=False),
        Column("since", Instant(), nullable=False),
        Column("released_until", Instant(), nullable=True),
        ForeignKeyConstraint(["upload_id"], ["uploads.id"]),
        PrimaryKeyConstraint("upload_id"),
    )


def _outbox() -> None:
    op.create_table(
        "outbox",
        Column("job_id", String(36), nullable=False),
        Column("ring_at", Instant(), nullable=False),
        Column("rung_at", Instant(), nullable=True),
        Column("rings", Integer(), nullable=False),
        ForeignKeyConstraint(["job_id"], ["leases.id"]),
        PrimaryKeyConstraint("job_id"),
    )
    op.create_index("ix_outbox_ring_at", "outbox", ["ring_at"])


def _receipts() -> None:
    op.create_table(
        "receipts",
        Column("id", String(36), nullable=False),
        Column("upload_id", String(36), nullable=True),
        Column("request_id", String(36), nullable=True),
        Column("body", Text(), nullable=False),
        Column("kept_at", Instant(), nullable=False),
        CheckConstraint("upload_id IS NULL OR request_id IS NULL", name="receipts_of_one"),
        ForeignKeyConstraint(["request_id"], ["requests.id"]),
        ForeignKeyConstraint(["upload_id"], ["uploads.id"]),
        PrimaryKeyConstraint("id"),
        UniqueConstraint("request_id"),
        UniqueConstraint("upload_id"),
    )
    op.create_index("receipts_of_day", "receipts", ["kept_at", "id"])
    op.create_table(
        "salts",
        Column("receipt_id", String(36), nullable=False),
        Column("salt", String(64), nullable=False),
        Column("expires_at", Instant(), nullable=False),
        ForeignKeyConstraint(["receipt_id"], ["receipts.id"]),
        PrimaryKeyConstraint("receipt_id"),
    )
    op.create_index("ix_salts_expires_at", "salts", ["expires_at"])
    op.create_table(
        "receipt_days",
        Column("day", String(10), nullable=False),
        Column("body", Text(), nullable=False),
        PrimaryKeyConstraint("day"),
    )


def _request_uploads() -> None:
    op.create_table(
        "request_uploads",
        Column("request_id", String(36), nullable=False),
        Column("upload_id", String(36), nullable=False),
        ForeignKeyConstraint(["request_id"], ["requests.id"]),
        ForeignKeyConstraint(["upload_id"], ["uploads.id"]),
        PrimaryKeyConstraint("request_id", "upload_id"),
    )
