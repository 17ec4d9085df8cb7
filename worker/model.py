"""The words of Mayfly, as frozen values: states, kinds, ids, and what an app hands over with an upload.

Nothing here does anything: no input, no output, no clock. Every other room speaks in these words.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

# 128 random bits: an id must not be guessable, and must tell nothing about its neighbours or its time of birth.
_ID_HEX = 32
_ID = re.compile(r"^(upl|art|req|job|rcp|hold|rst)_[0-9a-f]{32}$")
APP = re.compile(r"^[a-z0-9][a-z0-9-]{0,31}$")
SUBJECT_KEY = re.compile(r"^[0-9a-f]{64}$")


class Purpose(StrEnum):
    """What media may be used for. A closed set: anything else is refused at the door (P3)."""

    DISPLAY = "display"
    SHARING = "sharing"


class Context(StrEnum):
    """Where the app shows the upload; some checks may be off for private messages."""

    PUBLIC = "public"
    GROUP = "group"
    PRIVATE_MESSAGE = "private_message"


class LegalBasis(StrEnum):
    """GDPR Art. 6(1) grounds that an app may state for an upload."""

    CONSENT = "consent"
    CONTRACT = "contract"
    LEGITIMATE_INTERESTS = "legitimate_interests"
    LEGAL_OBLIGATION = "legal_obligation"


class UploadState(StrEnum):
    """Where an upload stands; the permitted moves are `worker.ledger.states.UPLOAD_TRANSITIONS`."""

    RECEIVING = "receiving"
    QUARANTINED = "quarantined"
    PROCESSING = "processing"
    REVIEW = "review"
    READY = "ready"
    REJECTED = "rejected"
    FAILED = "failed"
    ERASING = "erasing"
    ERASED = "erased"


class ArtifactKind(StrEnum):
    """What a copy is."""

    ORIGINAL = "original"
    RENDITION = "rendition"
    POSTER = "poster"
    EVIDENCE = "evidence"
    EXPORT = "export"
    PARTNER_COPY = "partner_copy"
    CDN_COPY = "cdn_copy"
    SCRATCH = "scratch"


class ArtifactState(StrEnum):
    """Where a copy stands; the permitted moves are `worker.ledger.states.ARTIFACT_TRANSITIONS`."""

    PLANNED = "planned"
    PRESENT = "present"
    ERASING = "erasing"
    BLOCKED = "blocked"
    UNVERIFIABLE = "unverifiable"
    GONE = "gone"


class Verdict(StrEnum):
    ALLOW = "allow"
    REVIEW = "review"
    BLOCK = "block"


class WorkClass(StrEnum):
    """One queue, one pool, one deployment each (`mayfly worker --class`)."""

    IMAGE = "image"
    VIDEO = "video"
    PARTNER = "partner"
    LIFECYCLE = "lifecycle"
    CONTROL = "control"


class Trigger(StrEnum):
    """Why an erasure happens; stands in the receipt."""

    DSR = "dsr"
    USER = "user"
    RETENTION = "retention"
    MODERATION = "moderation"
    RESTORE = "restore"


def new_id(prefix: str) -> str:
    """A typed random id, such as `upl_` and 32 hexadecimal digits (128 bits)."""
    made = f"{prefix}_{secrets.token_hex(_ID_HEX // 2)}"
    if not _ID.match(made):
        raise ValueError(f"unknown id prefix {prefix!r}")
    return made


def is_id(value: object, prefix: str) -> bool:
    """Whether `value` is an id of that type; the wrong type is refused, never guessed."""
    return isinstance(value, str) and bool(_ID.match(value)) and value.startswith(f"{prefix}_")


@dataclass(frozen=True, kw_only=True)
class NewUpload:
    """What an app says of an upload before its bytes arrive; the subject is already pseudonymised."""

    app: str
    subject_key: str
    purposes: frozenset[Purpose]
    context: Context = Context.PUBLIC
    legal_basis: LegalBasis = LegalBasis.CONSENT
    keep_for: timedelta | None = None
    declared_type: str | None = None
    upload_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class Upload:
    """One row of the ledger. `media_type` is our own sniff, never what was declared."""

    id: str
    app: str
    subject_key: str | None
    state: UploadState
    fence: int
    purposes: frozenset[Purpose]
    context: Context
    legal_basis: LegalBasis
    keep_for: timedelta
    media_type: str | None
    code: str | None
    verdict: Verdict | None
    facts: dict[str, object]
    created_at: datetime
    state_at: datetime
    delete_at: datetime


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """One copy of bytes of an upload: where it lies, by which rule it lives, when it must die."""

    id: str
    upload_id: str
    kind: ArtifactKind
    name: str
    state: ArtifactState
    fence: int
    location: str
    key: str
    rule: str
    media_type: str | None
    bytes: int | None
    sha256: str | None
    width: int | None
    height: int | None
    created_at: datetime
    delete_at: datetime
    next_attempt_at: datetime
    reason: str | None


@dataclass(frozen=True, kw_only=True)
class Job:
    """A claimed piece of work: the lease is ours as long as `fence` is the row's.

    `attempts` counts claims that ended in a crash or may yet; `waits` those that found something we need away. A
    `lasting` job must be done and is never set aside: an erasure, or a duty that comes again for ever.
    """

    id: str
    kind: str
    target: str
    work_class: WorkClass
    fence: int
    attempts: int
    waits: int = 0
    lasting: bool = False
    lease_until: datetime


@dataclass(frozen=True, kw_only=True)
class Hold:
    """A legal hold on one upload: nothing may erase it while `released_at` is None. `two_person`: two people must ask
    for the release; `release_asked` says that one has."""

    id: str
    upload_id: str
    case_ref: str
    reason: str
    authority: str
    placed_at: datetime
    review_at: datetime | None
    released_at: datetime | None
    two_person: bool = False
    release_asked: bool = False
