"""The whole life of uploads in any order: submitted, held, restricted, renewed, erased, swept, killed, another policy.

Hypothesis plays the app, the operator, the broker and the power cut on a real house; a model of a few lines says what
must have become of each upload once the dust has settled, and the laws hold after every step.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tasks.app import JOBS
from tasks.seat import Observer, Seat
from tasks.task import perform
from tests import houses, samples
from tests.promises import laws
from tests.promises.stage import Doomed, Hand, Killed, Remembering, World
from worker.errors import HoldActive, NotFound, StateConflict, Unavailable
from worker.flows import steps
from worker.ledger import leases, outbox, restrictions, uploads
from worker.ledger.outbox import Bell
from worker.media.jail import Jail
from worker.model import ArtifactKind, ArtifactState, Job, Trigger, Upload, UploadState
from worker.settings import Settings
from worker.wiring import House

pytestmark = pytest.mark.slow

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SUBJECTS = (houses.ANNA, houses.BERT)
CASES = ("c1", "c2")
KEEPS = (HOUR, DAY, 30 * DAY, 300 * DAY)
MOST = 4
# A copy in the hands of somebody who died is looked at again after this long.
CLAIMED = timedelta(minutes=5)
POLICIES = ("", '[rules]\n"rendition.published" = "1d"', '[rules]\n"rendition.published" = "40d"')
KILLS = [("process", step) for step in steps.PROCESS] + [("erase", step) for step in steps.ERASE]
KILLS += [(kind, step) for kind in ("sweep", "erase_subject") for step in steps.SWEEP]
KILLS += [("sweep", "check"), ("erase_subject", "check"), ("reconcile", "check")]
PNG = samples.png((16, 16))


@dataclass
class Known:
    """The model of one upload: who keeps it, who wants it gone, and whether it is."""

    subject: str
    holds: set[str] = field(default_factory=set)
    restricted: bool = False
    asked: bool = False
    gone: bool = False

    @property
    def kept(self) -> bool:
        return bool(self.holds) or self.restricted


class Lifecycle(RuleBasedStateMachine):
    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.folder = tempfile.TemporaryDirectory()
        self.home = Path(self.folder.name, "home")
        self.home.mkdir()
        shutil.copy(world.template, self.home / "ledger.db")
        self.clock = Hand(datetime.now(UTC))
        self.known: dict[str, Known] = {}
        self.born: dict[str, Upload] = {}
        self.rung: list[Bell] = []
        self.live: Counter[str] = Counter()
        self.kept: set[str] = set()
        self.policy = ""
        self.house = self._open()

    def _open(self) -> House:
        file = self.home / "policy.toml"
        file.write_text(self.policy, encoding="utf-8")
        named = {"policy": file} if self.policy else {}
        named_settings = Settings.model_validate({"home": self.home, **named})
        house = House.build(named_settings, clock=self.clock, jail=self.world.jail)
        return replace(house, processing=replace(house.processing, studio=self.world.studio))

    def teardown(self) -> None:
        try:
            self._settle()
        finally:
            self.house.ledger.close()
            self.folder.cleanup()

    # What the app does

    @precondition(lambda self: len(self.known) < MOST)
    @rule(subject=st.sampled_from(SUBJECTS), keep_for=st.sampled_from(KEEPS), good=st.sampled_from((True, True, False)))
    def submit(self, subject: str, keep_for: timedelta, good: bool) -> None:
        body = PNG if good else PNG[:40]
        new = houses.new_upload(subject_key=subject, upload_id=f"upl_{len(self.known):032x}")
        upload = self.house.receive.run(new, [body], keep_for=keep_for)
        self.known[upload.id] = Known(subject)
        self.born[upload.id] = upload

    @precondition(lambda self: self.known)
    @rule(data=st.data(), keep_for=st.sampled_from(KEEPS))
    def renew(self, data: st.DataObject, keep_for: timedelta) -> None:
        with contextlib.suppress(StateConflict):
            self.house.renewing.run(houses.APP, self._any(data), keep_for, most=365 * DAY)

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def erase(self, data: st.DataObject) -> None:
        self._ask(self._any(data), lambda upload_id: self.house.erasing.begin(upload_id, Trigger.USER))

    @rule(subject=st.sampled_from(SUBJECTS))
    def erase_subject(self, subject: str) -> None:
        self.house.fulfilling.open(houses.APP, subject)
        for known in self.known.values():
            if known.subject == subject:
                known.asked, known.restricted = True, known.restricted and bool(known.holds)
        self._work()

    def _ask(self, upload_id: str, begin: Callable[[str], object]) -> None:
        known = self.known[upload_id]
        known.asked = True
        try:
            begin(upload_id)
        except HoldActive:
            assert known.holds
        else:
            assert known.gone or not known.holds or self._state(upload_id) is UploadState.ERASING
            known.restricted = False

    # What the operator does

    @precondition(lambda self: self.known)
    @rule(data=st.data(), case=st.sampled_from(CASES))
    def hold(self, data: st.DataObject, case: str) -> None:
        upload_id = self._any(data)
        try:
            self.house.holding.place(upload_id=upload_id, case_ref=case, reason="order", authority="court")
        except StateConflict:
            assert self._state(upload_id) is UploadState.ERASED
        else:
            self.known[upload_id].holds.add(case)

    @rule(at=st.sampled_from(steps.PROCESS))
    def erase_in_the_middle_of_processing(self, at: str) -> None:
        """Whoever works on it is overtaken, and nothing of it may stay."""

        def observe(job: Job, step: str) -> None:
            if job.kind == "process" and step == at:
                self._ask(job.target, lambda upload_id: self.house.erasing.begin(upload_id, Trigger.USER))
                self._work()

        self._work(observe=observe)

    @rule(at=st.sampled_from(steps.ERASE), case=st.sampled_from(CASES))
    def hold_in_the_middle_of_an_erasure(self, at: str, case: str) -> None:
        """What is not yet destroyed at that moment stays."""

        def observe(job: Job, step: str) -> None:
            if job.kind == "erase" and step == at and case not in self.known[job.target].holds:
                with contextlib.suppress(StateConflict):
                    self.house.holding.place(upload_id=job.target, case_ref=case, reason="order", authority="court")
                    self.known[job.target].holds.add(case)
                    self.kept.add(job.target)
                    copies = houses.copies_of(self.house, job.target)
                    self.live[job.target] = sum(copy.state is ArtifactState.PRESENT for copy in copies)

        self._work(observe=observe)

    @precondition(lambda self: any(known.holds for known in self.known.values()))
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        held = [(i, case) for i, known in self.known.items() for case in sorted(known.holds)]
        upload_id, case = data.draw(st.sampled_from(held))
        self.house.holding.release(upload_id=upload_id, case_ref=case)
        known = self.known[upload_id]
        known.holds.discard(case)
        if not known.kept:
            self._due_in_the_same_commit(upload_id)

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def restrict(self, data: st.DataObject) -> None:
        upload_id = self._any(data)
        with contextlib.suppress(StateConflict), self.house.ledger.begin() as tx:
            restrictions.place(tx, upload_id=upload_id, reason="contested")
            self.known[upload_id].restricted = True

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def lift(self, data: st.DataObject) -> None:
        upload_id = self._any(data)
        known = self.known[upload_id]
        try:
            with self.house.ledger.begin() as tx:
                restrictions.lift(tx, upload_id=upload_id, actor="operator")
        except NotFound:
            assert not known.restricted
            return
        known.restricted = False
        if not known.kept:
            self._due_in_the_same_commit(upload_id)

    @rule(policy=st.sampled_from(POLICIES), later=st.booleans())
    def another_policy(self, policy: str, later: bool) -> None:
        if policy != self.policy:
            self.house.ledger.close()
            self.policy = policy
            self.house = self._open()
        self.house.repolicing.run(houses.FreeGuard(), apply=True, later=later)

    # What time, the queue and the power do

    @rule(by=st.sampled_from((timedelta(seconds=31), HOUR, DAY, 31 * DAY)))
    def time_passes(self, by: timedelta) -> None:
        self.clock.at += by

    @rule()
    def work(self) -> None:
        self._work()

    @rule(kill=st.sampled_from(KILLS))
    def work_until_killed(self, kill: tuple[str, str]) -> None:
        self._work(kill)

    @precondition(lambda self: self.rung)
    @rule(data=st.data(), times=st.sampled_from((1, 3)))
    def an_old_message_again(self, data: st.DataObject, times: int) -> None:
        bell = data.draw(st.sampled_from(self.rung[-20:]))
        for _ in range(times):
            self._deliver(bell, None)

    @precondition(lambda self: self.born)
    @rule(data=st.data())
    def a_late_writer(self, data: st.DataObject) -> None:
        """Somebody wakes up with the upload as it was at its birth, and wants to write a copy of it."""
        upload = self.born[data.draw(st.sampled_from(list(self.born)))]
        ending = self._state(upload.id) in (UploadState.ERASING, UploadState.ERASED)
        if ending:
            with pytest.raises(StateConflict):
                self.house.shelf.plan(upload, ArtifactKind.RENDITION, "late", media_type="image/jpeg")

    # The laws

    @invariant()
    def laws_hold(self) -> None:
        sight = laws.hold_of(self.house)
        for known in self.known.values():
            if known.subject in sight.asking:
                # While the request is open, everything of the person is to go, also what comes in or is restricted.
                known.asked, known.restricted = True, known.restricted and bool(known.holds)
        live = Counter(
            copy.upload_id
            for copy in sight.copies
            if copy.state in (ArtifactState.PLANNED, ArtifactState.PRESENT) and copy.kind is not ArtifactKind.SCRATCH
        )
        for upload_id, known in self.known.items():
            state = sight.uploads[upload_id].state
            assert not known.gone or state is UploadState.ERASED  # I9
            known.gone = state is UploadState.ERASED
            if known.kept and upload_id in self.kept:
                assert live[upload_id] >= self.live[upload_id]  # I4, I6
        self.live, self.kept = live, {i for i, known in self.known.items() if known.kept}

    def _due_in_the_same_commit(self, upload_id: str) -> None:
        """I4: what has passed its day is due by the commit that let go of it."""
        with self.house.ledger.read() as tx:
            upload = uploads.get(tx, upload_id)
            due = uploads.due(tx, 100)
        if upload.state not in (UploadState.ERASING, UploadState.ERASED):
            assert (upload_id in due) == (upload.delete_at <= self.clock.at)
        for copy in laws.look(self.house).overdue(upload_id):
            assert copy.next_attempt_at - self.clock.at <= CLAIMED

    def _settle(self) -> None:
        """Everybody is back, and time enough for every lease and every pause: now the model must be right."""
        for _ in range(3):
            self.clock.at += timedelta(minutes=11)
            self._work()
        with self.house.ledger.begin() as tx:
            leases.hurry(tx, "sweep", "all")
        self._work()
        sight = laws.hold_of(self.house)
        for upload_id, known in self.known.items():
            upload = sight.uploads[upload_id]
            if known.kept:
                assert known.gone or upload.state is not UploadState.ERASED or known.asked
            elif known.asked or upload.delete_at <= self.clock.at:
                assert upload.state is UploadState.ERASED, upload.state
            else:
                assert upload.state in (UploadState.READY, UploadState.FAILED), upload.state
                assert not sight.overdue(upload_id)

    # Hands

    def _any(self, data: st.DataObject) -> str:
        return data.draw(st.sampled_from(list(self.known)))

    def _state(self, upload_id: str) -> UploadState:
        return houses.upload_of(self.house, upload_id).state

    def _work(self, kill: tuple[str, str] | None = None, observe: Observer = houses.unwatched) -> None:
        """Do what is due; the first job of the kind that is to be killed dies at its step."""
        # No pause of random length: what happens follows from the draws alone.
        with self.house.ledger.begin() as tx:
            houses.hurry(tx)
        for _ in range(6):
            self._tend_the_dead()
            with self.house.ledger.begin() as tx:
                bells = outbox.take(tx, limit=100)
            self.rung += bells
            for bell in bells:
                if self._deliver(bell, kill, observe):
                    kill = None
            if not bells:
                return

    def _deliver(self, bell: Bell, kill: tuple[str, str] | None, observe: Observer = houses.unwatched) -> bool:
        """Whether it was killed."""
        tasks = {task.kind: task for task in JOBS}
        if kill is None or bell.kind != kill[0]:
            seat = Seat(self.house.settings, lambda _settings: self.house, observer=observe)
            perform(seat, tasks[bell.kind], bell.job_id, bell.fence)
            return False
        with self.house.ledger.begin() as tx:
            job = leases.claim(tx, bell.job_id, bell.fence, "doomed")
        if job is None:
            return False
        try:
            tasks[bell.kind](self.house, job.target, job, Doomed(kill[1]))
        except (Killed, Unavailable):
            return True
        return True

    def _tend_the_dead(self) -> None:
        with self.house.ledger.begin() as tx:
            dead = leases.expired(tx, 100)
            for row in dead:
                if not row.exhausted:
                    outbox.put(tx, row.job_id, tx.now)
        for row in dead:
            if row.exhausted:
                self.house.give_up(row.kind, row.target, "crashed")
                with self.house.ledger.begin() as tx:
                    leases.bury(tx, row.job, code="crashed")


@pytest.fixture(scope="module")
def world(jail: Jail, tmp_path_factory: pytest.TempPathFactory) -> World:
    first = houses.build(tmp_path_factory.mktemp("first"), jail=jail)
    known = first.processing.studio
    studio = Remembering(jail=jail, limits=known.limits, video_threads=known.video_threads)
    first.ledger.close()
    return World(jail=jail, template=first.settings.home / "ledger.db", studio=studio)


def test_whatever_happens_in_whatever_order_the_laws_hold(world: World, request: pytest.FixtureRequest) -> None:
    many = request.config.getoption("--whole-corpus")
    run_state_machine_as_test(
        lambda: Lifecycle(world),
        settings=settings(
            max_examples=2_000 if many else 10,
            stateful_step_count=40 if many else 20,
            derandomize=not many,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.generate,) if many else (Phase.generate, Phase.shrink),
        ),
    )
