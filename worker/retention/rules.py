"""The retention table: one row for each artifact kind and condition, with its maximum age and its ground.

The same rows set the deadline at birth, decide in the sweep and are printed as the public statement, so that what is
promised and what is done cannot drift apart. A kind without a row cannot be planned.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from worker.errors import Refused
from worker.model import ArtifactKind, UploadState

KEEP_FOR_DEFAULT = timedelta(days=90)
KEEP_FOR_MOST = timedelta(days=730)
KEEP_FOR_LEAST = timedelta(minutes=1)


class Anchor(StrEnum):
    """From which instant a maximum age counts."""

    ARTIFACT_CREATED = "artifact_created"
    UPLOAD_STATE_ENTERED = "upload_state_entered"
    UPLOAD_CREATED = "upload_created"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """`states` empty means: whatever the state of the upload. `keep_for`: the app's wish shortens the maximum."""

    name: str
    kind: ArtifactKind
    states: frozenset[UploadState] = frozenset()
    most: timedelta
    anchor: Anchor
    keep_for: bool = False
    ground: str


_WAITING = frozenset({UploadState.RECEIVING, UploadState.QUARANTINED, UploadState.PROCESSING})
_REFUSED = frozenset({UploadState.REJECTED, UploadState.FAILED})
_SHOWN = frozenset({UploadState.READY})
_REVIEWED = frozenset({UploadState.REVIEW})
_ENDING = frozenset({UploadState.ERASING, UploadState.ERASED})
_DAY = timedelta(days=1)

# fmt: off
# Order matters only for reading: exactly one row matches a kind and a state (tests/unit/test_retention.py).
RULES: tuple[Rule, ...] = (
    Rule(name="scratch", kind=ArtifactKind.SCRATCH, states=frozenset(UploadState) - _ENDING,
         most=timedelta(hours=1), anchor=Anchor.ARTIFACT_CREATED,
         ground="working copy, needed only while one step runs"),
    Rule(name="original.waiting", kind=ArtifactKind.ORIGINAL, states=_WAITING, most=_DAY,
         anchor=Anchor.ARTIFACT_CREATED, ground="needed to make the renditions; an unfinished upload is not kept"),
    Rule(name="original.published", kind=ArtifactKind.ORIGINAL, states=_SHOWN, most=timedelta(0),
         anchor=Anchor.UPLOAD_STATE_ENTERED, ground="not needed once the renditions are published"),
    Rule(name="original.refused", kind=ArtifactKind.ORIGINAL, states=_REFUSED, most=7 * _DAY,
         anchor=Anchor.UPLOAD_STATE_ENTERED, ground="evidence while the refusal can be questioned"),
    Rule(name="original.reviewed", kind=ArtifactKind.ORIGINAL, states=_REVIEWED, most=7 * _DAY,
         anchor=Anchor.UPLOAD_STATE_ENTERED, ground="needed for the review"),
    Rule(name="rendition.waiting", kind=ArtifactKind.RENDITION, states=_WAITING | _REVIEWED | _REFUSED, most=_DAY,
         anchor=Anchor.ARTIFACT_CREATED, ground="made but not published"),
    Rule(name="rendition.published", kind=ArtifactKind.RENDITION, states=_SHOWN, most=KEEP_FOR_MOST,
         anchor=Anchor.UPLOAD_CREATED, keep_for=True, ground="shown or shared for as long as the app keeps it"),
    Rule(name="poster.waiting", kind=ArtifactKind.POSTER, states=_WAITING | _REVIEWED | _REFUSED, most=_DAY,
         anchor=Anchor.ARTIFACT_CREATED, ground="made but not published"),
    Rule(name="poster.published", kind=ArtifactKind.POSTER, states=_SHOWN, most=KEEP_FOR_MOST,
         anchor=Anchor.UPLOAD_CREATED, keep_for=True, ground="shown or shared for as long as the app keeps it"),
    Rule(name="cdn_copy.waiting", kind=ArtifactKind.CDN_COPY, states=_WAITING | _REVIEWED | _REFUSED, most=_DAY,
         anchor=Anchor.ARTIFACT_CREATED, ground="an address that nobody was told yet"),
    Rule(name="cdn_copy.published", kind=ArtifactKind.CDN_COPY, states=_SHOWN, most=KEEP_FOR_MOST,
         anchor=Anchor.UPLOAD_CREATED, keep_for=True, ground="shown by a CDN as long as what it was made from"),
    Rule(name="evidence.held", kind=ArtifactKind.EVIDENCE, states=frozenset(UploadState) - _ENDING,
         most=400 * _DAY, anchor=Anchor.ARTIFACT_CREATED,
         ground="kept for a legal hold, and due with its release"),
    *(
        Rule(name=f"{kind}.ending", kind=kind, states=_ENDING, most=timedelta(0),
             anchor=Anchor.UPLOAD_STATE_ENTERED, ground="the upload is being erased")
        for kind in (ArtifactKind.ORIGINAL, ArtifactKind.RENDITION, ArtifactKind.POSTER, ArtifactKind.EVIDENCE,
                     ArtifactKind.SCRATCH, ArtifactKind.CDN_COPY)
    ),
)
# fmt: on


def rule_for(kind: ArtifactKind, state: UploadState, rules: tuple[Rule, ...] = RULES) -> Rule:
    """The one row that governs copies of this kind while the upload is in this state.

    Raises `LookupError` where the table has no row: nothing of that kind may be written.
    """
    for rule in rules:
        if rule.kind is kind and (not rule.states or state in rule.states):
            return rule
    raise LookupError(f"no retention rule for {kind} while {state}")


def deadline(
    rule: Rule,
    *,
    artifact_created_at: datetime,
    upload_created_at: datetime,
    state_entered_at: datetime,
    keep_for: timedelta,
) -> datetime:
    """The latest instant (UTC) at which a copy under `rule` must be destroyed."""
    anchor = {
        Anchor.ARTIFACT_CREATED: artifact_created_at,
        Anchor.UPLOAD_CREATED: upload_created_at,
        Anchor.UPLOAD_STATE_ENTERED: state_entered_at,
    }[rule.anchor]
    return anchor + (min(rule.most, keep_for) if rule.keep_for else rule.most)


def checked_keep_for(wish: timedelta | None, *, default: timedelta, most: timedelta) -> timedelta:
    """The app's wish within the limits of its settings; raises `Refused` (`keep_for_out_of_range`)."""
    keep = default if wish is None else wish
    if not KEEP_FOR_LEAST <= keep <= min(most, KEEP_FOR_MOST):
        raise Refused(
            f"keep_for must lie between 1 minute and {min(most, KEEP_FOR_MOST).days} days",
            code="keep_for_out_of_range",
        )
    return keep
