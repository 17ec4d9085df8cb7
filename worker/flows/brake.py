"""The brakes of the sweep: who trips them, what waits behind them, and the one word that lets it go.

A person's own erasure never meets them. They stop a mistake that would be seen by nobody before it is done.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from worker.errors import Refused
from worker.flows.guard import Guard
from worker.ledger import brakes, events, leases, uploads
from worker.ledger.clock import HostClock
from worker.ledger.database import Ledger, Tx
from worker.model import Trigger
from worker.retention.book import Book
from worker.retention.brakes import HISTORY_DAYS, Numbers, Verdict, budget, clocks, living_that_matter

# How long a release counts: a number that was right an hour ago may not be.
RELEASED_FOR = timedelta(hours=1)
_TALLIES_LIVE = timedelta(days=60)
_PAGE = 500


@dataclass(frozen=True, kw_only=True)
class Stop:
    """`on`: the sweep may not destroy; `tripped`: it was this sweep that found out."""

    on: bool
    tripped: bool = False


@dataclass(frozen=True, kw_only=True)
class Released:
    """How many uploads may go, and until when."""

    count: int
    until: datetime


@dataclass(frozen=True, kw_only=True)
class Brake:
    """`host` is the clock of this host; None where somebody gave the house a time of its own: their word counts."""

    ledger: Ledger
    book: Book
    host: HostClock | None

    def clock(self) -> Stop:
        """Before anything is looked for. Ends by itself when the clocks agree again."""
        if self.host is None:
            return Stop(on=False)
        with self.ledger.begin() as tx:
            verdict = clocks(database=tx.now, host=self.host(), last=brakes.last_sweep(tx))
            if not verdict.tripped:
                brakes.end(tx, brakes.CLOCK)
                return Stop(on=False)
            before = brakes.find(tx, brakes.CLOCK)
            if before and before.released_until and before.ended_at and before.released_until > tx.now:
                return Stop(on=False)
            return Stop(on=True, tripped=_trip(tx, brakes.CLOCK, verdict))

    def budget(self) -> Stop:
        """Before the erasure of what is due begins: as many as usual, or more than that."""
        with self.ledger.begin() as tx:
            if brakes.waiting(tx) or any(brake.trigger == Trigger.RETENTION for brake in brakes.all_on(tx)):
                return Stop(on=True)
            due = uploads.count_due(tx)
            numbers = Numbers(
                begun=brakes.begun_today(tx, Trigger.RETENTION),
                due=due,
                history=brakes.history(tx, Trigger.RETENTION, days=HISTORY_DAYS),
                living=uploads.count_living(tx, at_most=living_that_matter(self.book.brakes, due)),
            )
            verdict = budget(self.book.brakes, numbers)
            if not verdict.tripped:
                return Stop(on=False)
            return Stop(on=True, tripped=_trip(tx, Trigger.RETENTION, verdict))

    def settle(self, tx: Tx) -> None:
        """At the end of a sweep: when it was, and that a brake behind which nothing waits is off."""
        if self.host is not None:
            brakes.swept(tx)
        if not brakes.waiting(tx) and not uploads.count_due(tx):
            brakes.end(tx, Trigger.RETENTION)
        brakes.prune(tx, older=_TALLIES_LIVE)

    def release(self, count: int, guard: Guard) -> Released:
        """Raises `Refused` (`not_braked`, `count_wrong`). Counts for an hour, and for what waits now, nothing else."""
        with self.ledger.begin() as tx:
            on = brakes.all_on(tx)
            freed = brakes.release(tx, count=count, lasts=RELEASED_FOR)
            # Behind the clock's brake nothing was hidden yet: what waits there is what is due.
            due = uploads.count_due(tx) if any(brake.trigger == brakes.CLOCK for brake in on) else 0
            if not on and not freed:
                raise Refused("no brake is on, and nothing waits behind one", code="not_braked")
            if count != freed + due:
                raise Refused(
                    "that is not how many uploads wait behind the brake; see mayfly status", code="count_wrong"
                )
            if freed:
                brakes.tally(tx, Trigger.RETENTION, released=freed)
            until = tx.now + RELEASED_FOR
        self._hurry(guard)
        return Released(count=count, until=until)

    def _hurry(self, guard: Guard) -> None:
        """Their jobs now. They look again by themselves as well: a kill in here costs patience, nothing else."""
        after = ""
        while page := self._page(after):
            guard.check()
            with self.ledger.begin() as tx:
                for upload_id in page:
                    leases.hurry(tx, "erase", upload_id)
                    events.append(tx, upload_id, event="erasure_released", actor="operator")
            after = page[-1]

    def _page(self, after: str) -> list[str]:
        with self.ledger.read() as tx:
            return brakes.released(tx, after=after, limit=_PAGE)


def waiting(tx: Tx) -> int:
    """The number that a release must say: uploads hidden behind a brake, and those due while the clock's is on."""
    clock = any(brake.trigger == brakes.CLOCK for brake in brakes.all_on(tx))
    return brakes.waiting(tx) + (uploads.count_due(tx) if clock else 0)


def _trip(tx: Tx, trigger: str, verdict: Verdict) -> bool:
    return brakes.trip(tx, trigger, reason=verdict.reason, amount=verdict.amount, permitted=verdict.permitted)
