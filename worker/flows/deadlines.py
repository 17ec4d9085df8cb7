"""Write the last day of copies anew whenever their upload changes state: the same rules that the sweep obeys."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from worker.ledger import artifacts
from worker.ledger.database import Tx
from worker.model import Artifact, Upload
from worker.retention.rules import RULES, Rule, deadline, rule_for


def rewrite(tx: Tx, upload: Upload, copies: Iterable[Artifact], *, actor: str, rules: tuple[Rule, ...] = RULES) -> None:
    """Set `delete_at` of each copy from the rule for its kind and the upload's present state; the rule's ground is
    recorded as the basis."""
    for copy in copies:
        rule = rule_for(copy.kind, upload.state, rules)
        artifacts.set_deadline(
            tx,
            copy.id,
            delete_at=last_day(rule, copy, upload, state_entered_at=tx.now, keep_for=upload.keep_for),
            rule=rule.name,
            basis=rule.ground,
            actor=actor,
        )


def last_day(
    rule: Rule, copy: Artifact, upload: Upload, *, state_entered_at: datetime, keep_for: timedelta
) -> datetime:
    """What the rule says of this copy. One that came after its time, since its making had to wait, is due at once: no
    copy has a last day before its birth. (`after_birth` forgives hosts whose clocks differ, and no more.)"""
    by_rule = deadline(
        rule,
        artifact_created_at=copy.created_at,
        upload_created_at=upload.created_at,
        state_entered_at=state_entered_at,
        keep_for=keep_for,
    )
    return max(by_rule, copy.created_at + timedelta.resolution)
