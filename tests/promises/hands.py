"""The hands of the machine: a house on a disk that is watched, the queue, the relay, the backup of an operator."""

from __future__ import annotations

import copy
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tasks.app import JOBS
from tasks.seat import Observer, Seat
from tasks.task import perform
from tests import houses
from tests.promises import laws
from tests.promises.model import DAY, Known
from tests.promises.stage import Disk, Doomed, Eye, Fate, Hand, Killed, Scratch, World
from worker.errors import MayflyError
from worker.ledger import leases, outbox
from worker.ledger.outbox import Bell
from worker.model import ArtifactKind, ArtifactState, Upload, UploadState
from worker.settings import Settings
from worker.wiring import House

# What an operator saves together; the journal is not of the set.
SAVED = ("media", "scratch", "intake")


@dataclass(frozen=True, kw_only=True)
class Doom:
    """The first job of that kind dies: at a named step, or after so many of its transactions and writes."""

    kind: str
    at: str | None = None
    within: int = 0


@dataclass(frozen=True, kw_only=True)
class Meanwhile:
    """Somebody else acts while the first job of that kind works, after so many of its transactions and writes."""

    kind: str
    within: int
    act: Callable[[str], None]


class Hands:
    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        world.dice.seed(0)
        self.folder = tempfile.TemporaryDirectory()
        self.home = Path(self.folder.name, "home")
        self.home.mkdir()
        shutil.copy(world.template, self.home / "ledger.db")
        self.fate = Fate()
        self.clock = Hand(datetime.now(UTC), self.fate)
        self.known: dict[str, Known] = {}
        self.born: dict[str, Upload | None] = {}
        self.rung: list[Bell] = []
        self.later: list[Bell] = []
        self.saved: dict[str, Known] | None = None
        self.doing = ""
        self.stuck = False
        self.policy, self.most = "", 60 * DAY
        self.house = self.open()

    def open(self, *, gated: bool = True) -> House:
        """A start, with the disk under watch. Raises what the gate raises."""
        file = self.home / "policy.toml"
        file.write_text(self.policy, encoding="utf-8")
        named = {"policy": file} if self.policy else {}
        limits = {"keep_for": DAY, "keep_for_most": self.most}
        made = Settings.model_validate({"home": self.home, **limits, **named})
        house = House.build(made, clock=self.clock, jail=self.world.jail, gated=gated)
        eye = Eye(
            writes=lambda *at: laws.p1_p4_a_row_before_the_bytes_and_nothing_after_the_last_look(house.ledger, *at),
            destroys=lambda *at: laws.i4_nothing_is_destroyed_that_is_kept(
                house.ledger, *at, safe=self.safe(), by=self.doing
            ),
        )
        root = house.settings.media_root()
        self.disk = Disk("media", root, self.fate, eye)
        self.disk.stuck = self.stuck
        house.shelf.locations["media"] = self.disk  # type: ignore[index]
        object.__setattr__(house.shelf, "scratch", Scratch(house.settings.scratch_root(), self.fate))
        self.fate.watch(house.ledger)
        return replace(house, processing=replace(house.processing, studio=self.world.studio))

    def reopen(self) -> None:
        self.house.ledger.close()
        self.house = self.open()

    def safe(self) -> set[str]:
        """Copies that nobody may touch. Who asks to be erased lifts a restriction, by a job that may run just now."""
        return {each for known in self.known.values() for each in known.safe if known.holds or not known.asked}

    def shield(self, upload_id: str) -> None:
        """From now on somebody keeps what there is of it."""
        there = (ArtifactState.PLANNED, ArtifactState.PRESENT)
        copies = houses.copies_of(self.house, upload_id)
        self.known[upload_id].safe |= {
            each.id for each in copies if each.state in there and each.kind is not ArtifactKind.SCRATCH
        }

    def state(self, upload_id: str) -> UploadState:
        return houses.upload_of(self.house, upload_id).state

    # The queue and the relay

    def do(
        self,
        doom: Doom | None = None,
        *,
        observe: Observer = houses.unwatched,
        meanwhile: Meanwhile | None = None,
        only: str | None = None,
    ) -> None:
        """Do what is due; what is to befall a job befalls the first one of its kind. `only`: the bells of other kinds
        of jobs are late."""
        # No pause of random length: what happens follows from the draws alone.
        with self.house.ledger.begin() as tx:
            houses.hurry(tx)
        for _ in range(6):
            self.tend_the_dead()
            with self.house.ledger.begin() as tx:
                bells = self.later + outbox.take(tx, limit=100)
            self.later = [bell for bell in bells if only not in (None, bell.kind)]
            bells = [bell for bell in bells if bell not in self.later]
            self.rung += bells
            for bell in bells:
                if doom and bell.kind == doom.kind:
                    doom = None if self.doomed(bell, doom) else doom
                    continue
                if meanwhile and bell.kind == meanwhile.kind:
                    self.interrupted(bell, meanwhile)
                    meanwhile = None
                    continue
                self.deliver(bell, observe)
            if not bells:
                return

    def interrupted(self, bell: Bell, meanwhile: Meanwhile) -> None:
        with self.house.ledger.read() as tx:
            target = next((j.target for j in laws.unfinished(tx) if j.id == bell.job_id), "")
        self.fate.comes(meanwhile.within, lambda: self.aside(lambda: meanwhile.act(target)))
        try:
            self.deliver(bell)
        finally:
            self.fate.over()

    def aside(self, act: Callable[[], None]) -> None:
        doing, self.doing = self.doing, ""
        try:
            act()
        finally:
            self.doing = doing

    def deliver(self, bell: Bell, observe: Observer = houses.unwatched) -> None:
        doing, self.doing = self.doing, bell.kind
        seat = Seat(self.house.settings, lambda _settings: self.house, observer=observe)
        perform(seat, TASKS[bell.kind], bell.job_id, bell.fence)
        self.doing = doing

    def doomed(self, bell: Bell, doom: Doom) -> bool:
        """Whether there was a job to kill; it is left as a dead process leaves it."""
        with self.house.ledger.begin() as tx:
            job = leases.claim(tx, bell.job_id, bell.fence, "doomed")
        if job is None:
            return False
        self.doing = bell.kind
        self.dies(lambda: TASKS[bell.kind](self.house, job.target, job, Doomed(self.fate, doom.at)), doom.within)
        return True

    def dies(self, work: Callable[[], object], within: int) -> None:
        """Where it comes to its end before the power goes, it is killed with its last word unsaid."""
        self.fate.comes(within)
        try:
            with suppress(Killed, MayflyError):
                work()
        finally:
            self.fate.over()
            self.doing = ""

    def tend_the_dead(self) -> None:
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

    # The operator's backup

    def back_up(self) -> None:
        self.saved = copy.deepcopy(self.known)
        with (
            closing(sqlite3.connect(self.home / "ledger.db")) as source,
            closing(sqlite3.connect(self.home.parent / "ledger.bak")) as target,
        ):
            source.backup(target)
        for place in SAVED:
            _replace(self.home / place, self.home.parent / f"{place}.bak")

    def put_back(self) -> None:
        self.house.ledger.close()
        for suffix in ("", "-wal", "-shm"):
            Path(self.home, f"ledger.db{suffix}").unlink(missing_ok=True)
        shutil.copy(self.home.parent / "ledger.bak", self.home / "ledger.db")
        for place in SAVED:
            _replace(self.home.parent / f"{place}.bak", self.home / place)

    def journal(self) -> str:
        file = self.home / "journal"
        return file.read_text(encoding="utf-8") if file.exists() else ""

    def again(self, house: House) -> Callable[[str], None]:
        """What a replay does of an erasure, some minutes after the last try."""

        def once(upload_id: str) -> None:
            self.clock.at += timedelta(minutes=6)
            with house.ledger.begin() as tx:
                leases.hurry(tx, "erase", upload_id)
                bell = outbox.bell_of(tx, "erase", upload_id)
            if bell is not None:
                perform(Seat(house.settings, lambda _settings: house), TASKS["erase"], bell.job_id, bell.fence)

        return once


def _replace(source: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    if source.exists():
        shutil.copytree(source, target)


TASKS = {task.kind: task for task in JOBS}
