"""The schema, written once for both databases; `migrations/` brings a database here and a test compares the two.

The conditions of partial indexes are constants on purpose: a query must repeat them word for word, never as bound
values, or SQLite cannot use the index.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    text,
)

from worker.ledger.columns import Instant, Json, Span

METADATA = MetaData()

# No copy and no upload can have been promised a last day before Mayfly existed: catches zero and lost years.
FLOOR = "2020-01-01T00:00:00.000000Z"
LAST_DAY = f"delete_at > created_at AND delete_at > '{FLOOR}'"

LIVE_ARTIFACT = "artifacts.state IN ('planned', 'present', 'erasing', 'blocked')"
LIVE_UPLOAD = "uploads.state NOT IN ('erasing', 'erased')"
ERASING_UPLOAD = "uploads.state = 'erasing'"
KNOWN_SUBJECT = "uploads.subject_key IS NOT NULL"
LIVE_JOB = "leases.state IN ('ready', 'leased')"
READY_JOB = "leases.state = 'ready'"
LEASED_JOB = "leases.state = 'leased'"
DEAD_JOB = "leases.state = 'dead'"
DONE_JOB = "leases.state = 'done'"
ACTIVE_HOLD = "holds.released_at IS NULL"
ACTIVE_RESTRICTION = "restrictions.lifted_at IS NULL"
OPEN_SIGHTING = "sightings.state <> 'gone'"
OPEN_REQUEST = "requests.state = 'open'"
NOT_IN_JOURNAL = "tombstones.journal_seq IS NULL"


# Keys are compared as stores list them, byte by byte, whatever the language of the database.
KEY = String(259).with_variant(String(259, collation="C"), "postgresql")


def _bare(condition: str) -> str:
    """The condition as an index definition wants it: without the table's name."""
    return condition.split(".", 1)[1]


def partial(name: str, *columns: str, where: str, unique: bool = False) -> Index:
    """An index over the rows for which `where` (a constant of this module) holds."""
    clause = text(_bare(where))
    return Index(name, *columns, unique=unique, sqlite_where=clause, postgresql_where=clause)


uploads = Table(
    "uploads",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("app", String(32), nullable=False),
    Column("subject_key", String(64)),
    Column("state", String(16), nullable=False),
    Column("fence", Integer, nullable=False),
    Column("purposes", Json, nullable=False),
    Column("context", String(32), nullable=False),
    Column("legal_basis", String(32), nullable=False),
    Column("keep_for", Span, nullable=False),
    Column("media_type", String(64)),
    Column("code", String(64)),
    Column("verdict", String(16)),
    Column("facts", Json, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("state_at", Instant, nullable=False),
    Column("delete_at", Instant, nullable=False),
    # The head of the upload's chain of events, so that a cut-off tail shows.
    Column("chain_seq", Integer, nullable=False),
    Column("chain_hash", String(64), nullable=False),
    CheckConstraint(
        "state IN ('receiving', 'quarantined', 'processing', 'review', 'ready', 'rejected', 'failed', 'erasing', "
        "'erased')",
        name="uploads_state",
    ),
    CheckConstraint(LAST_DAY, name="uploads_last_day"),
    partial("uploads_of_subject", "app", "subject_key", "id", where=KNOWN_SUBJECT),
    partial("uploads_due", "delete_at", where=LIVE_UPLOAD),
    partial("uploads_erasing", "state_at", where=ERASING_UPLOAD),
)

artifacts = Table(
    "artifacts",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("upload_id", String(36), ForeignKey("uploads.id"), nullable=False, index=True),
    Column("kind", String(16), nullable=False),
    Column("name", String(32), nullable=False),
    Column("state", String(16), nullable=False),
    Column("fence", Integer, nullable=False),
    Column("location", String(64), nullable=False),
    Column("key", KEY, nullable=False),
    Column("rule", String(64), nullable=False),
    Column("media_type", String(64)),
    Column("bytes", BigInteger),
    Column("sha256", String(64)),
    Column("width", Integer),
    Column("height", Integer),
    Column("created_at", Instant, nullable=False),
    Column("state_at", Instant, nullable=False),
    Column("delete_at", Instant, nullable=False),
    Column("next_attempt_at", Instant, nullable=False),
    Column("lease_until", Instant),
    Column("reason", String(200)),
    CheckConstraint(
        "state IN ('planned', 'present', 'erasing', 'blocked', 'unverifiable', 'gone')", name="artifacts_state"
    ),
    CheckConstraint(LAST_DAY, name="artifacts_last_day"),
    Index("artifacts_of_place", "location", "key", unique=True),
    partial("artifacts_due", "next_attempt_at", where=LIVE_ARTIFACT),
    partial("artifacts_overdue", "delete_at", where=LIVE_ARTIFACT),
)

events = Table(
    "events",
    METADATA,
    Column("upload_id", String(36), ForeignKey("uploads.id"), primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("event", String(64), nullable=False),
    Column("actor", String(64), nullable=False),
    Column("source", String(16)),
    Column("target", String(16)),
    Column("detail", Json, nullable=False),
    Column("prev_hash", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
)

leases = Table(
    "leases",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("kind", String(64), nullable=False),
    Column("target", String(64), nullable=False),
    Column("work_class", String(16), nullable=False),
    Column("state", String(8), nullable=False),
    Column("fence", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
    # How often it was put off because something it needs was away; such a try is no attempt.
    Column("waits", Integer, nullable=False),
    Column("not_before", Instant, nullable=False),
    Column("lease_until", Instant),
    Column("holder", String(128)),
    Column("step", String(64)),
    Column("code", String(64)),
    # One line for the operator, of our own words.
    Column("detail", String(200)),
    Column("every", Span),
    # It must be done, however often it fails: never set aside.
    Column("lasting", Boolean(create_constraint=False), nullable=False),
    # Somebody asked for this job while it was running: it runs once more.
    Column("again", Boolean(create_constraint=False), nullable=False),
    # It is no longer wanted: its holder loses it at the next heartbeat, and nobody claims it again.
    Column("recalled", Boolean(create_constraint=False), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("state_at", Instant, nullable=False),
    CheckConstraint("state IN ('ready', 'leased', 'done', 'dead')", name="leases_state"),
    CheckConstraint("(state = 'leased') = (lease_until IS NOT NULL)", name="leases_leased"),
    CheckConstraint("fence >= 0 AND attempts >= 0 AND waits >= 0", name="leases_counters"),
    partial("leases_live", "kind", "target", where=LIVE_JOB, unique=True),
    partial("leases_ready", "not_before", where=READY_JOB),
    partial("leases_running", "lease_until", where=LEASED_JOB),
    partial("leases_dead", "state_at", where=DEAD_JOB),
    partial("leases_done", "state_at", where=DONE_JOB),
)

outbox = Table(
    "outbox",
    METADATA,
    Column("job_id", String(36), ForeignKey("leases.id"), primary_key=True),
    Column("ring_at", Instant, nullable=False, index=True),
    Column("rung_at", Instant),
    Column("rings", Integer, nullable=False),
)

holds = Table(
    "holds",
    METADATA,
    Column("id", String(37), primary_key=True),
    Column("upload_id", String(36), ForeignKey("uploads.id"), nullable=False),
    Column("case_ref", String(128), nullable=False),
    Column("reason", String(500), nullable=False),
    Column("authority", String(200), nullable=False),
    Column("placed_at", Instant, nullable=False),
    Column("review_at", Instant),
    Column("two_person", Boolean(create_constraint=False), nullable=False),
    # A keyed hash of who asked first: only whether the second is another person is ever asked of it.
    Column("release_asked_by", String(64)),
    Column("released_at", Instant),
    partial("holds_active", "upload_id", "case_ref", where=ACTIVE_HOLD, unique=True),
)

restrictions = Table(
    "restrictions",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("upload_id", String(36), ForeignKey("uploads.id"), nullable=False),
    Column("reason", String(200), nullable=False),
    Column("placed_at", Instant, nullable=False),
    Column("lifted_at", Instant),
    partial("restrictions_active", "upload_id", where=ACTIVE_RESTRICTION, unique=True),
)

requests = Table(
    "requests",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("app", String(32), nullable=False),
    Column("subject_key", String(64)),
    Column("right", String(16), nullable=False, quote=True),
    Column("state", String(16), nullable=False),
    Column("uploads", Integer, nullable=False),
    Column("artifacts", Integer, nullable=False),
    Column("opened_at", Instant, nullable=False),
    Column("closed_at", Instant),
    Column("receipt_id", String(36)),
    CheckConstraint("(state = 'open') = (closed_at IS NULL)", name="requests_closed"),
    CheckConstraint("(state = 'open') = (subject_key IS NOT NULL)", name="requests_forgotten"),
    partial("requests_open", "app", "subject_key", "right", where=OPEN_REQUEST, unique=True),
)

request_uploads = Table(
    "request_uploads",
    METADATA,
    Column("request_id", String(36), ForeignKey("requests.id"), primary_key=True),
    Column("upload_id", String(36), ForeignKey("uploads.id"), primary_key=True),
)

receipts = Table(
    "receipts",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("upload_id", String(36), ForeignKey("uploads.id"), unique=True),
    Column("request_id", String(36), ForeignKey("requests.id"), unique=True),
    Column("body", Text, nullable=False),
    Column("kept_at", Instant, nullable=False),
    # Neither: for bytes that no row named.
    CheckConstraint("upload_id IS NULL OR request_id IS NULL", name="receipts_of_one"),
    Index("receipts_of_day", "kept_at", "id"),
)

# The salts of commitments, until they are handed over or their time is up.
salts = Table(
    "salts",
    METADATA,
    Column("receipt_id", String(36), ForeignKey("receipts.id"), primary_key=True),
    Column("salt", String(64), nullable=False),
    Column("expires_at", Instant, nullable=False, index=True),
)

# The signed statement of what receipts a day has.
receipt_days = Table(
    "receipt_days",
    METADATA,
    Column("day", String(10), primary_key=True),
    Column("body", Text, nullable=False),
)

# What lies somewhere and no row names it.
sightings = Table(
    "sightings",
    METADATA,
    Column("location", String(64), primary_key=True),
    Column("key", KEY, primary_key=True),
    Column("first_seen_at", Instant, nullable=False),
    Column("last_seen_at", Instant, nullable=False),
    Column("state", String(8), nullable=False),
    Column("reason", String(200)),
    Column("receipt_id", String(36), ForeignKey("receipts.id")),
    CheckConstraint("state IN ('seen', 'gone', 'blocked')", name="sightings_state"),
    CheckConstraint("(state = 'gone') = (receipt_id IS NOT NULL)", name="sightings_proven"),
    partial("sightings_open", "first_seen_at", where=OPEN_SIGHTING),
)

# How far a long walk has come.
cursors = Table(
    "cursors",
    METADATA,
    Column("name", String(128), primary_key=True),
    Column("position", String(259), nullable=False),
    Column("moved_at", Instant, nullable=False),
)

# How many erasures of uploads began on a day (UTC, ISO 8601), and how many of these an operator had released.
tallies = Table(
    "tallies",
    METADATA,
    Column("day", String(10), primary_key=True),
    Column("trigger", String(16), primary_key=True),
    Column("uploads", Integer, nullable=False),
    Column("released", Integer, nullable=False),
)

brakes = Table(
    "brakes",
    METADATA,
    Column("trigger", String(16), primary_key=True),
    Column("reason", String(200), nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("permitted", BigInteger, nullable=False),
    Column("tripped_at", Instant, nullable=False),
    Column("ended_at", Instant),
    Column("released_at", Instant),
    Column("released_count", Integer),
    Column("released_until", Instant),
)

# Hidden, and not destroyed before an operator says so.
braked = Table(
    "braked",
    METADATA,
    Column("upload_id", String(36), ForeignKey("uploads.id"), primary_key=True),
    Column("since", Instant, nullable=False),
    Column("released_until", Instant),
)

# No reference to uploads: a tombstone outlives every other row, and is what a restored backup is measured against.
tombstones = Table(
    "tombstones",
    METADATA,
    Column("upload_id", String(36), primary_key=True),
    Column("artifact_ids", Json, nullable=False),
    Column("erased_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    # The number of its line in the journal outside the database; NULL until it is written there.
    Column("journal_seq", BigInteger),
    CheckConstraint("expires_at > erased_at", name="tombstones_outlive"),
    partial("tombstones_not_in_journal", "erased_at", where=NOT_IN_JOURNAL),
)
