"""The whole life of uploads in any order: submitted, held, restricted, renewed, erased, swept, killed, another policy,
a backup put back, a disk that lies, and everybody between any two acts of everybody else.

Hypothesis plays the app, the operator, the broker and the power cut on a real house (`hands`, `stage`); a model of a
few lines (`model`) says what must have become of each upload once the dust has settled; the laws hold after each step.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests import houses
from tests.promises import laws
from tests.promises.acts import BROKEN, ENDING, LIVING, MOST, PNG, Acts
from tests.promises.hands import Doom, Meanwhile
from tests.promises.model import DAY, POLICIES, Known
from tests.promises.stage import Dice, Remembering, World
from worker.errors import StateConflict, Unavailable
from worker.flows import steps
from worker.media.jail import Jail
from worker.model import ArtifactKind, ArtifactState, Job, Upload, UploadState

pytestmark = pytest.mark.slow

HOUR = timedelta(hours=1)
# Of a long run: some minutes.
EXAMPLES = 250
KEEPS = (HOUR, 15 * DAY, 50 * DAY, 50 * DAY)
MOSTS = (60 * DAY, 20 * DAY)
KILLS = [Doom(kind="process", at=step) for step in steps.PROCESS] + [Doom(kind="erase", at=s) for s in steps.ERASE]
KILLS += [Doom(kind=kind, at=step) for kind in ("sweep", "erase_subject") for step in (*steps.SWEEP, "check")]
KILLS += [Doom(kind="reconcile", at="check")]
# How many transactions and touches of the disk a job has, about.
WITHIN = {"process": 34, "erase": 8, "sweep": 8, "erase_subject": 10, "preserve": 12}
CASES = ("c1", "c2")

subjects = st.sampled_from((houses.ANNA, houses.BERT))
cases = st.sampled_from(CASES)
which = st.integers(0, MOST - 1)
moments = st.sampled_from(sorted(WITHIN)).flatmap(lambda kind: st.tuples(st.just(kind), st.integers(1, WITHIN[kind])))


class Lifecycle(Acts, RuleBasedStateMachine):
    def teardown(self) -> None:
        try:
            self._settle()
        finally:
            self.house.ledger.close()
            self.folder.cleanup()

    # What the app does

    @initialize(keep_for=st.sampled_from(KEEPS), broken=st.booleans(), ready=st.booleans())
    def somebody_is_there(self, keep_for: timedelta, broken: bool, ready: bool) -> None:
        self.sent(houses.ANNA, keep_for)
        if broken:
            self.sent(houses.BERT, keep_for, BROKEN)
        if ready:
            self.do()

    @precondition(lambda self: self.room)
    @rule(subject=subjects, keep_for=st.sampled_from(KEEPS), good=st.sampled_from((True, True, False)))
    def submit(self, subject: str, keep_for: timedelta, good: bool) -> None:
        self.sent(subject, keep_for, PNG if good else BROKEN)

    @precondition(lambda self: self.room)
    @rule(subject=subjects, within=st.integers(1, 9))
    def the_power_goes_while_one_comes_in(self, subject: str, within: int) -> None:
        self.dies(lambda: self.sent(subject, DAY), within)
        for upload_id in laws.look(self.house).uploads:
            self.known.setdefault(upload_id, Known(subject))

    @rule(which=which, keep_for=st.sampled_from((HOUR, 15 * DAY, 80 * DAY)))
    def renew(self, which: int, keep_for: timedelta) -> None:
        self.renewed(self.pick(which), keep_for)

    @rule(which=which, all_of_theirs=st.booleans(), at_once=st.booleans(), stuck=st.sampled_from((False, False, True)))
    def erase(self, which: int, all_of_theirs: bool, at_once: bool, stuck: bool) -> None:
        """`stuck`: from now on the disk says that it destroys, and does not."""
        self.stuck = self.disk.stuck = stuck
        upload_id = self.pick(which)
        if all_of_theirs:
            self.asked_for_all(self.known[upload_id].subject)
        else:
            self.asked(upload_id)
        if at_once or stuck:
            self.do()

    # What the operator does

    @rule(which=which, how=st.sampled_from((*CASES, "restriction")), in_vain=st.booleans())
    def keep(self, which: int, how: str, in_vain: bool) -> None:
        upload_id = self.pick(which)
        if how == "restriction":
            self.restricted(upload_id)
        else:
            self.held(upload_id, how)
        if in_vain:
            self.asked(upload_id)

    @rule(which=which, worked=st.booleans(), altogether=st.booleans())
    def let_somebody_go(self, which: int, worked: bool, altogether: bool) -> None:
        upload_id = self.kept_or(which)
        known = self.known[upload_id]
        if worked:
            self.do()
        if altogether:
            self.let_go(upload_id)
        elif known.holds:
            self.released(upload_id, min(known.holds))
        elif known.restricted:
            self.lifted(upload_id)

    @rule(policies=st.permutations(sorted(POLICIES)), later=st.booleans(), most=st.sampled_from(MOSTS))
    def another_policy(self, policies: list[str], later: bool, most: timedelta) -> None:
        """And yet another: what the first took away the second does not give back unasked."""
        self.do()
        self.decreed(policies[0], self.most, later=later)
        self.decreed(policies[1], most, later=later)

    @precondition(lambda self: self.saved is None)
    @rule()
    def save(self) -> None:
        self.back_up()

    @precondition(lambda self: self.saved is not None)
    @rule(which=which, many=st.booleans())
    def restore(self, which: int, many: bool) -> None:
        """An old ledger and its media are put back, the journal is younger: nothing starts before it was replayed."""
        assert self.saved is not None
        for upload_id in {self.pick(which), self.pick(which + many)}:
            self.asked(upload_id)
        self.do()
        told = self.journal()
        with self.house.ledger.read() as tx:
            was_known = laws.stones(tx)
        self.put_back()
        self.stuck, self.known, self.saved = False, self.saved, None
        house = self.open(gated=False)
        with house.ledger.read() as tx:
            missed = {upload_id for upload_id in was_known - laws.stones(tx) if upload_id in told}
        if missed:
            with pytest.raises(Unavailable) as refused:
                self.open()
            assert refused.value.code == "restore_needed"
        report = house.restoring.run(self.again(house))
        assert report.lines >= len(missed)
        house.ledger.close()
        self.house = self.open()
        for upload_id in missed & set(self.known):
            known = self.known[upload_id]
            known.asked = True
            assert (upload_id in report.kept) == known.kept
            assert known.kept or self.state(upload_id) is UploadState.ERASED
        lying = [path for path in houses.files_below(self.home) if "scratch" not in path.parts]
        for upload_id in missed:
            assert (upload_id in report.kept) or not any(upload_id in str(path) for path in lying)

    # What time, the queue, the disk and the power do

    @rule(by=st.sampled_from((timedelta(seconds=31), timedelta(minutes=6), HOUR, DAY, 31 * DAY)))
    def time_passes(self, by: timedelta) -> None:
        self.clock.at += by

    @rule()
    def work(self) -> None:
        self.do()

    @rule()
    def sweep(self) -> None:
        self.swept()
        self.do()

    @precondition(lambda self: self.stuck)
    @rule()
    def the_disk_is_mended(self) -> None:
        self.stuck = self.disk.stuck = False

    @rule(doom=st.sampled_from(KILLS))
    def work_until_killed(self, doom: Doom) -> None:
        self.do(doom)

    @rule(moment=moments, which=which)
    def work_until_the_power_goes(self, moment: tuple[str, int], which: int) -> None:
        """Between any two transactions, before or after any touch of the disk."""
        self.prepare(moment[0], which)
        self.do(Doom(kind=moment[0], within=moment[1]))

    @precondition(lambda self: self.room)
    @rule(at=st.sampled_from(steps.PROCESS))
    def erase_in_the_middle_of_processing(self, at: str) -> None:
        """Whoever works on it is overtaken, and nothing of it may stay."""

        def observe(job: Job, step: str) -> None:
            if job.kind == "process" and step == at:
                self.asked(job.target)
                self.do()

        self.prepare("process", 0)
        self.do(observe=observe)

    @rule(moment=moments, act=st.sampled_from(("hold", "restrict")), case=cases, which=which)
    def somebody_keeps_it_meanwhile(self, moment: tuple[str, int], act: str, case: str, which: int) -> None:
        """Between any two acts of a job somebody else acts on what it works on."""
        self._meanwhile(moment, act, case, which)

    @rule(moment=moments, act=st.sampled_from(("erase", "erase", "erase all", "let go", "work", "sweep")), which=which)
    def somebody_ends_it_meanwhile(self, moment: tuple[str, int], act: str, which: int) -> None:
        self._meanwhile(moment, act, "c1", which)

    def _meanwhile(self, moment: tuple[str, int], act: str, case: str, which: int) -> None:
        self.prepare(moment[0], which)
        self.do(meanwhile=Meanwhile(kind=moment[0], within=moment[1], act=lambda to: self.does(act, to, case, which)))

    def does(self, act: str, target: str, case: str, which: int) -> None:
        upload_id = target if target in self.known else self.pick(which)
        if act == "hold":
            self.held(upload_id, case)
        elif act == "restrict":
            self.restricted(upload_id)
        elif act == "let go":
            self.let_go(upload_id)
        elif act == "erase":
            self.let_go(upload_id)
            self.asked(upload_id)
        elif act == "erase all":
            self.asked_for_all(self.known[upload_id].subject)
        elif act == "sweep":
            self.house.sweeping.run(houses.FreeGuard())
        if act in ("let go", "erase", "erase all", "work"):
            self.do()

    @rule(which=st.integers(0, 19), times=st.sampled_from((1, 3)))
    def somebody_is_late(self, which: int, times: int) -> None:
        """An old message is delivered again; and who wakes up with an upload as it was at its birth writes nothing."""
        bells = self.rung[-20:]
        for _ in range(times if bells else 0):
            self.deliver(bells[which % len(bells)])
        births = [self.born[upload_id] for upload_id in self.known]
        upload = births[which % len(births)]
        if upload is not None and self.state(upload.id) in ENDING:
            with pytest.raises(StateConflict):
                self.house.shelf.plan(upload, ArtifactKind.RENDITION, "late", media_type="image/jpeg")

    # The laws

    @invariant()
    def laws_hold(self) -> None:
        if self.fate.broken is not None:
            raise self.fate.broken
        sight = laws.hold_of(self.house)
        copies = {each.id: each for each in sight.copies}
        for upload_id, known in self.known.items():
            if known.subject in sight.asking:
                # While the request is open, everything of the person is to go, also what comes in or is restricted.
                known.asked = True
            known.restricted = known.restricted and (known.holds != set() or upload_id in sight.restricted)
            known.freed()
            state = sight.uploads[upload_id].state
            assert not known.gone or state is UploadState.ERASED  # I9
            known.gone = state is UploadState.ERASED
            assert all(copies[each].state in LIVING for each in known.safe)  # I4, I6
        assert sight.held == {i for i, known in self.known.items() if known.holds}

    def _settle(self) -> None:
        """Everybody is back, and time enough for every lease and every pause: now the model must be right."""
        self.stuck = self.disk.stuck = False
        for _ in range(3):
            self.clock.at += timedelta(minutes=11)
            self.do()
        self.swept()
        self.do()
        self.laws_hold()
        sight = laws.hold_of(self.house, chains=True)
        assert not sight.asking or any(known.holds for known in self.known.values())
        for upload_id, known in self.known.items():
            upload = sight.uploads[upload_id]
            if known.kept:
                assert known.gone or upload.state is not UploadState.ERASED or known.asked
                self._preserved(sight, upload)
            elif known.asked or upload.delete_at <= self.clock.at:
                assert upload.state is UploadState.ERASED, upload.state
            else:
                assert upload.state in (UploadState.READY, UploadState.FAILED), upload.state
                assert not sight.overdue(upload_id)

    def _preserved(self, sight: laws.Sight, upload: Upload) -> None:
        """What is held was copied out of reach of the disk's own rules."""
        copies = [each for each in sight.of(upload.id) if each.state is ArtifactState.PRESENT]
        evidence = {each.name for each in copies if each.kind is ArtifactKind.EVIDENCE}
        if self.known[upload.id].holds and upload.state in (UploadState.READY, UploadState.FAILED):
            kinds = (ArtifactKind.ORIGINAL, ArtifactKind.RENDITION)
            assert (
                not {each.name for each in copies if each.kind in kinds and each.created_at < upload.state_at}
                - evidence
            )


@pytest.fixture(scope="module")
def world(jail: Jail, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    first = houses.build(tmp_path_factory.mktemp("first"), jail=jail)
    known = first.processing.studio
    studio = Remembering(jail=jail, limits=known.limits, video_threads=known.video_threads)
    first.ledger.close()
    dice = Dice()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(secrets, "token_hex", dice.token_hex)
        yield World(jail=jail, template=first.settings.home / "ledger.db", studio=studio, dice=dice)


@pytest.mark.parametrize(("kind", "act"), [("erase", "hold"), ("preserve", "erase")])
def test_at_every_moment_of_a_job_somebody_else_may_act(world: World, kind: str, act: str) -> None:
    machine = Lifecycle(world)
    try:
        for within in range(1, WITHIN[kind] + 1):
            machine.sent(houses.ANNA, DAY)
            upload_id = list(machine.known)[-1]
            if kind == "erase":
                machine.asked(upload_id)
            else:
                machine.held(upload_id, "c1")
            acts = Meanwhile(kind=kind, within=within, act=lambda to: machine.does(act, to, "c2", 0))
            machine.do(meanwhile=acts, only=kind)
            machine.laws_hold()
    finally:
        machine.teardown()


def test_whatever_happens_in_whatever_order_the_laws_hold(world: World, request: pytest.FixtureRequest) -> None:
    many = request.config.getoption("--whole-corpus")
    # A few long lives see more than many short ones; one number, so that a change fails for its own sake.
    lives = (lambda: Lifecycle(world)) if many else seed(20261125)(lambda: Lifecycle(world))
    run_state_machine_as_test(
        lives,
        settings=settings(
            max_examples=EXAMPLES if many else 14,
            stateful_step_count=40,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.generate, Phase.shrink),
        ),
    )
