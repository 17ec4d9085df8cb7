"""From findings to a verdict with reasons: a pure function, so that the same findings always give the same answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from worker.model import Verdict

# Raised whenever the table below changes; every verdict names it.
POLICY_VERSION = "2026-11-1"


@dataclass(frozen=True, kw_only=True)
class Reason:
    """`code` is of a closed list (`worker.media.codes`); `check` names who says it."""

    check: str
    code: str
    verdict: Verdict


@dataclass(frozen=True, kw_only=True)
class Decision:
    verdict: Verdict
    reasons: tuple[Reason, ...]
    policy_version: str = POLICY_VERSION


_SEVERITY = (Verdict.ALLOW, Verdict.REVIEW, Verdict.BLOCK)


def decide(reasons: Sequence[Reason]) -> Decision:
    """The most severe reason decides; no reason at all means `allow`."""
    worst = max((reason.verdict for reason in reasons), key=_SEVERITY.index, default=Verdict.ALLOW)
    return Decision(verdict=worst, reasons=tuple(reasons))


def refused(code: str) -> Decision:
    """The door or a decoder limit said no: the format rules are the check that blocks."""
    return decide([Reason(check="limits", code=code, verdict=Verdict.BLOCK)])
