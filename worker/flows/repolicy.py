"""A change of policy: the last day of every living copy computed anew, told first, then written with its ground.

Earlier is free; later needs the operator's word and stands in the chain of events; past the maximum is impossible.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from worker.flows.deadlines import last_day
from worker.flows.guard import Guard
from worker.ledger import artifacts, uploads
from worker.ledger.database import Ledger
from worker.model import Artifact, ArtifactState, Upload
from worker.retention.book import Book
from worker.retention.rules import Rule, rule_for

PAGE = 500


@dataclass(kw_only=True)
class Shift:
    """How many copies move, by rule, and how many would be due at once that are not now."""

    copies: int = 0
    earlier: int = 0
    later: int = 0
    due_at_once: int = 0
    uploads_due_at_once: int = 0
    by_rule: dict[str, dict[str, int]] = field(default_factory=dict)

    def count(self, rule: str, way: str) -> None:
        row = self.by_rule.setdefault(rule, {"earlier": 0, "later": 0})
        row[way] += 1


@dataclass(frozen=True, kw_only=True)
class Repolicy:
    """`most` says how long an app may keep at the most now."""

    ledger: Ledger
    book: Book
    most: Callable[[str], timedelta]

    def run(self, guard: Guard, *, apply: bool, later: bool = False) -> Shift:
        """`later`: days that move later are written as well."""
        shift, ended = Shift(), set[str]()
        for page in self._pages(guard):
            with self.ledger.begin() as tx:
                for seen in page:
                    copy = artifacts.get(tx, seen.id)
                    if copy.state not in (ArtifactState.PLANNED, ArtifactState.PRESENT):
                        continue
                    owner = uploads.get(tx, copy.upload_id)
                    rule, day = self._day(copy, owner)
                    self._tell(shift, copy, rule, day, tx.now, ended)
                    if apply and (day < copy.delete_at or (later and day > copy.delete_at)):
                        basis = f"policy {self.book.version}"
                        artifacts.set_deadline(
                            tx, copy.id, delete_at=day, rule=rule.name, basis=basis, actor="operator"
                        )
                        if rule.keep_for and day < owner.delete_at:
                            uploads.describe(tx, owner.id, keep_for=day - owner.created_at, delete_at=day)
        shift.uploads_due_at_once = len(ended)
        return shift

    def _day(self, copy: Artifact, owner: Upload) -> tuple[Rule, datetime]:
        rule = rule_for(copy.kind, owner.state, self.book.rules)
        keep_for = min(owner.keep_for, self.most(owner.app))
        return rule, last_day(rule, copy, owner, state_entered_at=owner.state_at, keep_for=keep_for)

    @staticmethod
    def _tell(shift: Shift, copy: Artifact, rule: Rule, day: datetime, now: datetime, ended: set[str]) -> None:
        shift.copies += 1
        if day < copy.delete_at:
            shift.earlier += 1
            shift.count(rule.name, "earlier")
        elif day > copy.delete_at:
            shift.later += 1
            shift.count(rule.name, "later")
        if day <= now < copy.delete_at:
            shift.due_at_once += 1
            if rule.keep_for:
                ended.add(copy.upload_id)

    def _pages(self, guard: Guard) -> Iterator[list[Artifact]]:
        after = ""
        while True:
            guard.check()
            with self.ledger.read() as tx:
                page = artifacts.living(tx, after=after, limit=PAGE)
            if not page:
                return
            yield page
            after = page[-1].id
