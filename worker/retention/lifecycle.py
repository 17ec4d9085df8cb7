"""The safety net: how long each class of copies may lie in a bucket at the very most, as rules of the bucket itself.

It would erase everything if Mayfly and its ledger were gone for good. It is never evidence: what it does is in no log,
and on a versioned bucket it only hides at first (deletion reference, R15). That it fired is a defect.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from math import ceil

from worker.model import ArtifactKind
from worker.retention.rules import RULES, Rule

# The net hangs this much below the rules: the sweep has had a week of tries by then.
SLACK = timedelta(days=7)
# A class that keys have and no kind of copy: what apps put into the intake location.
_INTAKE = "intake"
# What is kept for a hold must not be expired by anything; what a CDN keeps lies in no bucket.
_KEPT = frozenset({ArtifactKind.EVIDENCE, ArtifactKind.CDN_COPY})


def days_by_class(rules: Iterable[Rule] = RULES) -> dict[str, int]:
    """Whole days after which a bucket may expire what lies below each class, longest rule and slack."""
    longest: dict[str, timedelta] = {}
    for rule in rules:
        if rule.kind not in _KEPT:
            longest[rule.kind.value] = max(longest.get(rule.kind.value, timedelta(0)), rule.most)
    longest[_INTAKE] = longest[ArtifactKind.ORIGINAL.value]
    return {name: ceil((most + SLACK) / timedelta(days=1)) for name, most in sorted(longest.items())}
