"""Whether a sweep may destroy what is due, and whether its clocks can be believed: numbers in, a verdict out.

A mistake shows in numbers before it shows anywhere else: a policy with a digit too few, a clock a year ahead, a lost
hold. What falls due is counted as uploads. `least` is the floor of both limits: one hundredth of a house of fifty would
be less than one upload, and every sweep there would trip. What an operator has released does not count again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from worker.retention.book import Brakes

# How many whole days before today the median is of; a day without any counts as 0.
HISTORY_DAYS = 14
# How far the database's clock and the host's may be apart, and how much earlier than the last sweep one may be: hosts
# and transactions overlap by seconds, not by minutes.
DRIFT = timedelta(hours=1)
BACK = timedelta(minutes=1)


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """Uploads. `begun`: whose erasure began today by retention alone; `due`: now; `history`: began on each day before,
    of any number of days; `living`: all that are not being erased, the due ones among them."""

    begun: int
    due: int
    history: tuple[int, ...] = ()
    living: int


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """`amount` of `permitted`: uploads, or seconds of a clock; `reason` is one line for the operator."""

    tripped: bool
    reason: str
    amount: int
    permitted: int


def budget(brakes: Brakes, numbers: Numbers) -> Verdict:
    """Trips where today's uploads exceed the day's limit, or those due at once the limit of what lives."""
    daily = int(max(brakes.least, brakes.factor * _usual(numbers.history)))
    at_once = int(max(brakes.least, brakes.share * numbers.living))
    today = numbers.begun + numbers.due
    if today > daily:
        reason = f"{today} uploads would end today, and {daily} may: {_of_day(brakes)}"
        return Verdict(tripped=True, reason=reason, amount=today, permitted=daily)
    if numbers.due > at_once:
        reason = f"{numbers.due} of {numbers.living} uploads are due at once, and {at_once} may: {_of_all(brakes)}"
        return Verdict(tripped=True, reason=reason, amount=numbers.due, permitted=at_once)
    return Verdict(tripped=False, reason="within the budget", amount=today, permitted=daily)


def living_that_matter(brakes: Brakes, due: int) -> int:
    """How many of the living need to be counted at most: with so many, those due are no more than their share."""
    return 0 if due <= brakes.least else int(due / brakes.share) + 1


def clocks(*, database: datetime, host: datetime, last: datetime | None) -> Verdict:
    """Trips where the two clocks disagree, or the database's is behind the last sweep's, `last`."""
    apart = abs(database - host)
    if apart > DRIFT:
        reason = f"the database's clock and the host's are {_seconds(apart)} s apart"
        return Verdict(tripped=True, reason=reason, amount=_seconds(apart), permitted=_seconds(DRIFT))
    back = last - database if last is not None else timedelta(0)
    if back > BACK:
        reason = f"time runs backwards: the last sweep was {_seconds(back)} s later than now"
        return Verdict(tripped=True, reason=reason, amount=_seconds(back), permitted=_seconds(BACK))
    return Verdict(tripped=False, reason="the clocks agree", amount=_seconds(apart), permitted=_seconds(DRIFT))


def _usual(history: tuple[int, ...]) -> float:
    return median([*history, *[0] * max(0, HISTORY_DAYS - len(history))])


def _of_day(brakes: Brakes) -> str:
    return f"{brakes.least}, or {brakes.factor:g} times the median of {HISTORY_DAYS} days"


def _of_all(brakes: Brakes) -> str:
    return f"{brakes.least}, or {brakes.share:.3g} of what lives"


def _seconds(span: timedelta) -> int:
    return int(span.total_seconds())
