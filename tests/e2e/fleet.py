"""A fleet: the parts of Mayfly as real processes against a real Redis and a real PostgreSQL, and the house they share.

Every part leads a process group of its own and logs into a file. What became of the work is read from the ledger and
from the disk, never from the broker.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.servers import until
from worker.ledger import artifacts, events, leases, uploads
from worker.model import Artifact, ArtifactState, Upload, UploadState, WorkClass
from worker.settings import Settings
from worker.wiring import House

ROOT = Path(__file__).parents[2]
# The shared runner may be busy with anything; a part that is slow is not a part that is broken.
PATIENCE_S = 60.0
ENDED = frozenset({UploadState.READY, UploadState.REJECTED, UploadState.FAILED, UploadState.ERASED})


@dataclass(frozen=True, kw_only=True)
class Part:
    """One running part; `alive` is the file that its health check reads."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    alive: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def running(self) -> bool:
        return self.process.poll() is None

    def kill(self) -> None:
        """SIGKILL to the whole group, children included."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait()

    def ask_to_stop(self) -> None:
        """SIGTERM to the main process alone, as a container engine sends it."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)

    def ended(self, within: float = PATIENCE_S) -> int:
        """The exit status, once it has one."""
        return self.process.wait(timeout=within)


@dataclass
class Fleet:
    """`environment` holds the settings of every part; `house` is one of the test's own over the same ledger."""

    folder: Path
    environment: dict[str, str]
    parts: dict[str, Part] = field(default_factory=dict)
    _house: House | None = None

    @classmethod
    def of(cls, folder: Path, *, broker: str, database: str, **settings: object) -> Fleet:
        environment = {
            "MAYFLY_HOME": str(folder / "home"),
            "MAYFLY_BROKER_URL": broker,
            "MAYFLY_DATABASE_URL": database,
            "MAYFLY_SUBJECT_SECRET": "s" * 32,
            **{f"MAYFLY_{name.upper()}": str(value) for name, value in settings.items()},
        }
        return cls(folder=folder, environment=environment)

    @property
    def house(self) -> House:
        if self._house is None:
            self._house = House.build(Settings.load(self.environment))
        return self._house

    def start(self, name: str, argv: Sequence[str], *, environment: Mapping[str, str] | None = None) -> Part:
        """Run `python argv` as a part; returns at once. A part of that name must not be running."""
        assert name not in self.parts or not self.parts[name].running(), f"{name} runs already"
        logs = self.folder / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        alive = self.folder / f"alive-{name}"
        alive.unlink(missing_ok=True)
        own = {"MAYFLY_ALIVE_FILE": str(alive), "PYTHONUNBUFFERED": "1", **(environment or {})}
        with (logs / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, *argv],
                cwd=ROOT,
                env={**bare_environment(), **self.environment, **own},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        part = Part(name=name, process=process, log=logs / f"{name}.log", alive=alive)
        self.parts[name] = part
        return part

    def worker(self, work_class: WorkClass, *, concurrency: int = 1, name: str | None = None) -> Part:
        argv = ["-m", "worker", "worker", "--class", work_class.value, "-c", str(concurrency)]
        return self.start(name or work_class.value, argv)

    def relay(self, *, name: str = "relay") -> Part:
        return self.start(name, ["-m", "worker", "relay"])

    def ready(self, *parts: Part) -> None:
        """Wait until these parts (or all) say that they are alive."""
        for part in parts or tuple(self.parts.values()):
            until(lambda part=part: self.checked(part).alive.exists(), within=PATIENCE_S, what=f"{part.name} alive")

    def checked(self, part: Part) -> Part:
        assert part.running(), f"{part.name} ended with {part.process.returncode}: {self.said(part)[-1500:]}"
        return part

    def said(self, part: Part) -> str:
        return part.log.read_text(encoding="utf-8", errors="replace")

    def all_said(self) -> str:
        return "\n".join(path.read_text(encoding="utf-8", errors="replace") for path in self.folder.glob("logs/*.log"))

    def stop(self) -> dict[str, int]:
        """SIGTERM to all at once; returns each exit status."""
        running = [part for part in self.parts.values() if part.running()]
        for part in running:
            part.ask_to_stop()
        try:
            return {part.name: part.ended() for part in running}
        finally:
            self.kill()

    def kill(self) -> None:
        for part in self.parts.values():
            part.kill()

    def close(self) -> None:
        self.kill()
        if self._house is not None:
            self._house.close()
            self._house = None

    # --- what the ledger and the disk say -----------------------------------------------------------------------------

    def upload(self, upload_id: str) -> Upload:
        with self.house.ledger.read() as tx:
            return uploads.get(tx, upload_id)

    def find(self, upload_id: str) -> Upload | None:
        with self.house.ledger.read() as tx:
            return uploads.find(tx, upload_id)

    def copies(self, upload_id: str, *states: ArtifactState) -> list[Artifact]:
        with self.house.ledger.read() as tx:
            return artifacts.of_upload(tx, upload_id, states=list(states) or None)

    def story(self, upload_id: str) -> list[events.Event]:
        with self.house.ledger.read() as tx:
            return events.of_upload(tx, upload_id)

    def dead(self) -> list[leases.Dead]:
        with self.house.ledger.read() as tx:
            return leases.dead(tx)

    def until(self, condition: Callable[[], bool], *, what: str, within: float = PATIENCE_S) -> None:
        """Wait for a condition; says what the ledger and the logs hold when it does not come about."""
        try:
            until(condition, within=within, what=what)
        except BaseException:
            print(f"--- logs of the fleet ---\n{self.all_said()[-6000:]}")
            raise

    def until_ended(self, ids: Sequence[str], *states: UploadState, within: float = PATIENCE_S) -> None:
        wanted = frozenset(states) or ENDED

        def ended() -> bool:
            return all((found := self.find(upload_id)) is not None and found.state in wanted for upload_id in ids)

        self.until(ended, what=f"{len(ids)} uploads {'/'.join(sorted(wanted))}", within=within)

    def files(self) -> set[Path]:
        """Every file of user media in the places of this fleet."""
        settings = self.house.settings
        places = (settings.media_root(), settings.intake_root(), settings.scratch_root())
        return {path for place in places for path in place.rglob("*") if path.is_file() and path.name != ".id"}

    def path(self, copy: Artifact) -> Path:
        found = self.house.shelf.path(copy)
        assert found is not None
        return found


def bare_environment() -> dict[str, str]:
    """What a process needs to run at all; no setting of the developer's own."""
    return {name: value for name, value in os.environ.items() if not name.startswith("MAYFLY_")}
