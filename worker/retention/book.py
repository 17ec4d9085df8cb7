"""The operator's policy: the retention table with shorter maxima, and the brakes. From a TOML file, or as built in.

[rules]
"rendition.published" = "365d"      # never longer than the table of `worker.retention.rules`
[brakes]
least = 100
factor = 3
share = 0.01
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from worker.errors import UsageRefused
from worker.retention.rules import RULES, Rule

BUILT_IN = "built-in"


@dataclass(frozen=True, kw_only=True)
class Brakes:
    """A sweep that would end more uploads in a day than `least` and `factor` times the median of 14 days, or more at
    once than `least` and the `share` of all that live, hides them and waits for an operator."""

    least: int = 100
    factor: float = 3.0
    share: float = 0.01


@dataclass(frozen=True, kw_only=True)
class Book:
    """`version` names the policy in events and receipts: a digest of the file's content."""

    rules: tuple[Rule, ...] = RULES
    brakes: Brakes = Brakes()
    version: str = BUILT_IN


def parse(text: str) -> Book:
    """A book from the text of a policy file. Raises `UsageRefused` (`bad_policy`) naming the entry that is wrong."""
    try:
        given = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise UsageRefused("the policy file is not TOML", code="bad_policy") from None
    if unknown := set(given) - {"rules", "brakes"}:
        raise UsageRefused(f"the policy file has no section {min(unknown)!r}", code="bad_policy")
    rules = _rules(given.get("rules", {}))
    brakes = _brakes(given.get("brakes", {}))
    digest = hashlib.sha256(repr((rules, brakes)).encode()).hexdigest()[:12]
    return Book(rules=rules, brakes=brakes, version=digest)


def _rules(given: Mapping[str, Any]) -> tuple[Rule, ...]:
    named = {rule.name: rule for rule in RULES}
    for name, wish in given.items():
        rule = named.get(name)
        if rule is None:
            raise UsageRefused(f"the policy file names a rule that is none: {name!r}", code="bad_policy")
        most = _span(name, wish)
        if most > rule.most:
            raise UsageRefused(f"rule {name!r} may be shorter than {_days(rule.most)}, not longer", code="bad_policy")
        named[name] = replace(rule, most=most)
    return tuple(named[rule.name] for rule in RULES)


def _brakes(given: Mapping[str, Any]) -> Brakes:
    if unknown := set(given) - {"least", "factor", "share"}:
        raise UsageRefused(f"the brakes have no {min(unknown)!r}", code="bad_policy")
    for name, value in given.items():
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value <= 1e9:
            raise UsageRefused(f"the brake {name!r} is a number above 0", code="bad_policy")
    return Brakes(**{**given, "least": int(given.get("least", Brakes.least))})


_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def _span(name: str, wish: object) -> timedelta:
    if isinstance(wish, str) and wish[-1:] in _UNITS and wish[:-1].isdecimal() and len(wish) <= 10:
        return timedelta(seconds=int(wish[:-1]) * _UNITS[wish[-1]])
    raise UsageRefused(f"rule {name!r} takes a length of time such as '30d'", code="bad_policy")


def _days(most: timedelta) -> str:
    return f"{most.days} days" if most >= timedelta(days=1) else f"{int(most.total_seconds())} s"
