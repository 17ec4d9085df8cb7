"""A ledger whose time is what the test says, and the jobs in it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from worker.ledger import leases, outbox
from worker.ledger.database import FixedClock, Ledger
from worker.ledger.outbox import Bell
from worker.model import Job, WorkClass

START = datetime(2030, 1, 1, tzinfo=UTC)


class Timed:
    """A ledger whose time is what the test says."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = Ledger(ledger.engine.url.render_as_string(hide_password=False), clock=FixedClock(START))
        self.at = START

    def go(self, by: timedelta) -> None:
        self.at += by
        self.ledger._clock = FixedClock(self.at)

    def create(self, target: str = "t", **wishes: object) -> str:
        with self.ledger.begin() as tx:
            return leases.create(tx, kind="process", target=target, work_class=WorkClass.IMAGE, **wishes)  # type: ignore[arg-type]

    def take(self) -> list[Bell]:
        with self.ledger.begin() as tx:
            return outbox.take(tx, limit=100)

    def claim(self, job_id: str, fence: int) -> Job | None:
        with self.ledger.begin() as tx:
            return leases.claim(tx, job_id, fence, "here")

    def answer(self) -> Job:
        (bell,) = self.take()
        job = self.claim(bell.job_id, bell.fence)
        assert job is not None
        return job
