"""Keep or erase, and why: a pure function over records, rules, holds and an instant. No clock, no ledger."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from worker.model import ArtifactKind, UploadState
from worker.retention.rules import RULES, Rule, deadline, rule_for


class Action(StrEnum):
    KEEP = "keep"
    ERASE = "erase"


@dataclass(frozen=True, kw_only=True)
class Record:
    """What the decision needs to know of one copy. `delete_at` is the promise written at its birth or renewed since."""

    artifact_id: str
    upload_id: str
    kind: ArtifactKind
    upload_state: UploadState
    artifact_created_at: datetime
    upload_created_at: datetime
    state_entered_at: datetime
    keep_for: timedelta
    delete_at: datetime


@dataclass(frozen=True, kw_only=True)
class Decision:
    """`due_at`: from when on the copy must die by its deadline alone, holds apart."""

    artifact_id: str
    action: Action
    reason: str
    rule: str
    due_at: datetime


def decide(
    records: Iterable[Record],
    *,
    holds: Mapping[str, Collection[str]],
    now: datetime,
    rules: tuple[Rule, ...] = RULES,
) -> list[Decision]:
    """One decision a record, in order. `holds` maps an upload id to the cases that hold it.

    The earlier of the written `delete_at` and the rule's own deadline counts: a promise may be kept early, never late.
    """
    return [_decide(record, holds.get(record.upload_id, ()), now, rules) for record in records]


def _decide(record: Record, cases: Collection[str], now: datetime, rules: tuple[Rule, ...]) -> Decision:
    rule = rule_for(record.kind, record.upload_state, rules)
    longest = deadline(
        rule,
        artifact_created_at=record.artifact_created_at,
        upload_created_at=record.upload_created_at,
        state_entered_at=record.state_entered_at,
        keep_for=max(record.keep_for, rule.most) if rule.keep_for else record.keep_for,
    )
    due_at = min(record.delete_at, longest)
    if cases:
        action, reason = Action.KEEP, f"held: {len(cases)} active hold{'s' if len(cases) > 1 else ''}"
    elif now >= due_at:
        action, reason = Action.ERASE, f"due: {rule.ground}"
    else:
        action, reason = Action.KEEP, f"not due: {rule.ground}"
    return Decision(artifact_id=record.artifact_id, action=action, reason=reason, rule=rule.name, due_at=due_at)
