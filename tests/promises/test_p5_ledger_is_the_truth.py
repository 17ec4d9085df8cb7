"""P5: kill anything, lose any message, deliver any message a hundred times: same end, nothing lost, nothing twice.

A model of one job's life: hypothesis rings, delivers late and double, kills, heartbeats, recalls and lets time pass in
any order it can think of; whatever it does, the ledger keeps what it promises.
"""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from worker.errors import LeaseLost
from worker.ledger import leases, outbox
from worker.ledger.database import FixedClock, Ledger
from worker.ledger.outbox import Bell
from worker.model import Job, WorkClass

pytestmark = pytest.mark.slow

JOBS = ("a", "b", "c")
_TEMPLATE: list[bytes] = []


def template() -> bytes:
    """A migrated database file, made once."""
    if not _TEMPLATE:
        with tempfile.TemporaryDirectory() as folder:
            ledger = Ledger(f"sqlite:///{folder}/ledger.db")
            ledger.migrate()
            ledger.close()
            _TEMPLATE.append(Path(folder, "ledger.db").read_bytes())
    return _TEMPLATE[0]


class Life(RuleBasedStateMachine):
    """`flying` are messages that may still arrive (any of them, any number of times, in any order)."""

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        file = Path(self.folder.name, "ledger.db")
        file.write_bytes(template())
        self.now = datetime(2030, 1, 1, tzinfo=UTC)
        self.ledger = Ledger(f"sqlite:///{file}", clock=FixedClock(self.now))
        self.ids: dict[str, str] = {}
        self.flying: list[Bell] = []
        self.working: list[Job] = []
        self.effects: dict[str, int] = dict.fromkeys(JOBS, 0)
        self.fences: dict[str, int] = {}
        self.recalled: set[str] = set()

    def teardown(self) -> None:
        if hasattr(self, "ledger"):
            self.ledger.close()
            self.folder.cleanup()

    @rule(name=st.sampled_from(JOBS))
    def create(self, name: str) -> None:
        if name not in self.ids:
            with self.ledger.begin() as tx:
                self.ids[name] = leases.create(tx, kind="process", target=name, work_class=WorkClass.IMAGE)

    @rule()
    def relay_rings(self) -> None:
        with self.ledger.begin() as tx:
            for dead in leases.expired(tx, 10):
                if dead.exhausted:
                    leases.bury(tx, dead.job, code="crashed")
                else:
                    outbox.put(tx, dead.job_id, tx.now)
        with self.ledger.begin() as tx:
            self.flying += outbox.take(tx, limit=10)

    @precondition(lambda self: self.flying)
    @rule(data=st.data())
    def deliver(self, data: st.DataObject) -> None:
        """The message stays in the air: it may come again."""
        bell = data.draw(st.sampled_from(self.flying))
        with self.ledger.begin() as tx:
            job = leases.claim(tx, bell.job_id, bell.fence, "worker")
        if job is not None:
            assert job.attempts <= leases.ATTEMPTS
            assert job.fence > self.fences.get(job.id, -1)
            assert job.target not in self.recalled
            self.fences[job.id] = job.fence
            self.working.append(job)

    @rule()
    def flush(self) -> None:
        """The broker loses everything, in flight and queued; the relay sees empty queues."""
        self.flying.clear()
        with self.ledger.begin() as tx:
            outbox.ring_all(tx, WorkClass.IMAGE)

    @precondition(lambda self: self.working)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        """The effect and the end are one commit, under the fence."""
        job = data.draw(st.sampled_from(self.working))
        self.working.remove(job)
        try:
            with self.ledger.begin() as tx:
                leases.check(tx, job)
                leases.finish(tx, job)
        except LeaseLost:
            with self.ledger.begin() as tx:
                leases.let_go(tx, job)
        else:
            self.effects[job.target] += 1

    @precondition(lambda self: self.working)
    @rule(data=st.data(), reported=st.booleans())
    def crash(self, data: st.DataObject, reported: bool) -> None:
        job = data.draw(st.sampled_from(self.working))
        self.working.remove(job)
        if reported:
            with self.ledger.begin() as tx:
                leases.crashed(tx, job.id, job.fence - 1)

    @precondition(lambda self: self.working)
    @rule(data=st.data())
    def wait(self, data: st.DataObject) -> None:
        job = data.draw(st.sampled_from(self.working))
        self.working.remove(job)
        try:
            with self.ledger.begin() as tx:
                leases.wait(tx, job, delay=timedelta(seconds=5), code="away")
        except LeaseLost:
            return

    @precondition(lambda self: self.working)
    @rule(data=st.data())
    def heartbeat(self, data: st.DataObject) -> None:
        job = data.draw(st.sampled_from(self.working))
        try:
            with self.ledger.begin() as tx:
                leases.heartbeat(tx, job)
        except LeaseLost:
            self.working.remove(job)

    @rule(name=st.sampled_from(JOBS))
    def recall(self, name: str) -> None:
        if name in self.ids:
            with self.ledger.begin() as tx:
                state = tx.conn.exec_driver_sql(f"SELECT state FROM leases WHERE id = '{self.ids[name]}'").scalar_one()
                leases.recall(tx, "process", name)
            if state in ("ready", "leased"):
                self.recalled.add(name)

    @rule(seconds=st.sampled_from([1, 10, 31, 700]))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)
        self.ledger._clock = FixedClock(self.now)

    @invariant()
    def no_effect_twice(self) -> None:
        if hasattr(self, "effects"):
            assert max(self.effects.values()) <= 1

    @invariant()
    def every_job_has_a_way_to_its_end(self) -> None:
        """A ready job has a bell, a leased one a lease that ends, and nothing else is unfinished."""
        if not hasattr(self, "ledger"):
            return
        with self.ledger.read() as tx:
            lost = tx.conn.exec_driver_sql(
                "SELECT count(*) FROM leases LEFT JOIN outbox ON outbox.job_id = leases.id "
                "WHERE (leases.state = 'ready' AND outbox.job_id IS NULL) "
                "OR (leases.state = 'leased' AND leases.lease_until IS NULL) OR leases.attempts > 3"
            ).scalar_one()
        assert lost == 0

    @invariant()
    def what_is_done_was_done_or_called_back(self) -> None:
        if not hasattr(self, "ledger"):
            return
        with self.ledger.read() as tx:
            done = {row.target for row in tx.conn.exec_driver_sql("SELECT target FROM leases WHERE state = 'done'")}
        assert done <= {target for target, times in self.effects.items() if times} | self.recalled


Life.TestCase.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
TestLife = Life.TestCase
