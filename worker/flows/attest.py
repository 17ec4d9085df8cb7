"""State once for each day which receipts it has: a root over all of them, signed, chained to the day before.

From then on a receipt of that day can be neither taken away nor put in without `recount` seeing it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, TypeAlias

from worker.errors import NotFound, Refused
from worker.flows.guard import Guard
from worker.ledger import days, receipts
from worker.ledger.clock import host_now
from worker.ledger.database import Ledger, Tx
from worker.privacy import merkle, statement
from worker.privacy.receipt import Signer, signed_by, verify

PublicKey: TypeAlias = Callable[[str], bytes]
DAY = timedelta(days=1)
# A receipt has the time at which its commit began. None takes this long, so the day before is complete by then.
SETTLED = timedelta(hours=1)


@dataclass(frozen=True, kw_only=True)
class Changed:
    """A day whose receipts or statement are not what they were, and what is wrong: one of our own words."""

    day: str
    what: str


@dataclass(frozen=True, kw_only=True)
class Attest:
    ledger: Ledger
    signer: Signer

    def run(self, guard: Guard) -> int:
        """State every day that is over and was not stated yet, oldest first; returns how many. May run anywhere, any
        number at once: the first statement of a day stays."""
        stated = 0
        while (due := self._due()) is not None:
            guard.check()
            self._state(*due)
            stated += 1
        return stated

    def _due(self) -> tuple[date, str | None] | None:
        """The next day, and the root of the day before it."""
        with self.ledger.read() as tx:
            last = days.last(tx)
            day = last + DAY if last else receipts.first_day(tx)
            # By the host's clock too: a sweep as of a later time must not close days that are not over.
            now = min(tx.now, host_now())
            if day is None or now < datetime.combine(day, time(), UTC) + DAY + SETTLED:
                return None
            before = days.find(tx, last) if last else None
        return day, statement.root_of(before) if before else None

    def _state(self, day: date, previous_root: str | None) -> None:
        with self.ledger.read() as tx:
            size, root = merkle.root(_leaves(tx, day))
            said = statement.body(day=day, tree_size=size, root=root, previous_root=previous_root, now=tx.now)
        with self.ledger.begin() as tx:
            days.keep(tx, day=day, body=self.signer.sign(said))

    def prove(self, receipt_id: str) -> tuple[receipts.Receipt, str | None]:
        """A receipt and, once its day is stated, the proof that it is in that day. Raises `NotFound`
        (`receipt_not_found`), `Refused` (`not_in_day`)."""
        with self.ledger.read() as tx:
            kept = receipts.get(tx, receipt_id)
            if kept is None:
                raise NotFound("no such receipt", code="receipt_not_found")
            day = kept.kept_at.date()
            said = days.find(tx, day)
            if said is None:
                return kept, None
            leaves = list(_leaves(tx, day))
        own = merkle.leaf(kept.body.encode())
        return kept, statement.proof(said, index=leaves.index(own), leaves=leaves)

    def recount(self, elsewhere: Mapping[str, str], public_key: PublicKey) -> Iterator[Changed]:
        """Every day whose statement does not fit: to its receipts, to the day before, or to the copy of it that is
        kept `elsewhere` (by day). `public_key` gives the PEM for the id of a key."""
        with self.ledger.read() as tx:
            kept = {day.isoformat(): text for day, text in days.every(tx)}
        before: dict[str, Any] | None = None
        for number, day in enumerate(sorted({*kept, *elsewhere})):
            text = kept.get(day) or elsewhere[day]
            said = _said(day, text, public_key)
            if day not in kept:
                yield Changed(day=day, what="statement_lost")
            elif said is None or elsewhere.get(day, text) != text:
                yield Changed(day=day, what="statement_changed")
            elif not _follows(said, before, first=number == 0):
                yield Changed(day=day, what="chain_broken")
            elif not self._counted(said):
                yield Changed(day=day, what="receipts_changed")
            before = said

    def _counted(self, said: dict[str, Any]) -> bool:
        with self.ledger.read() as tx:
            size, root = merkle.root(_leaves(tx, date.fromisoformat(said["day"])))
        return bool((size, root.hex()) == (said["tree_size"], said["root"]))


def _said(day: str, text: str, public_key: PublicKey) -> dict[str, Any] | None:
    """What a statement says, where it is that day's and one of our keys signed it."""
    try:
        said = verify(text, public_key(signed_by(text)))
    except Refused:
        return None
    return said if said.get("day") == day else None


def _follows(said: dict[str, Any], before: dict[str, Any] | None, *, first: bool) -> bool:
    if first:
        return said["previous_root"] is None
    if before is None:  # it is told already that nobody can know
        return True
    next_day = date.fromisoformat(before["day"]) + DAY
    return bool(said["previous_root"] == before["root"] and said["day"] == next_day.isoformat())


def _leaves(tx: Tx, day: date) -> Iterator[bytes]:
    return (merkle.leaf(body.encode()) for _id, body in receipts.of_day(tx, day))
