"""Workers that die, or misbehave, at a named step of the jobs that a plan names; else the real worker, run for real.

    python -m tests.e2e.victim CLASS CONCURRENCY PLAN

This process only imports everything, forks a worker into a process group of its own, and forks the next one when that
one was killed, as a container engine would: a start then costs no imports. PLAN is a JSON file:
`{"kind:target": {"step": …, "deed": …, "times": …}}`. What was done is noted in the directory beside it, one file a
deed, before it is done, so that a life after death goes on where the last one ended; so is every start.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from pathlib import Path

from tasks.app import run_worker
from worker import logs
from worker.model import Job, WorkClass
from worker.settings import Settings
from worker.wiring import House


def kill_group() -> None:
    """The whole worker: main process and children."""
    os.killpg(os.getpgid(0), signal.SIGKILL)
    signal.pause()


def kill_child() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def no_memory() -> None:
    raise MemoryError


def leave() -> None:
    sys.exit(3)


DEEDS = {"kill_group": kill_group, "kill_child": kill_child, "no_memory": no_memory, "leave": leave}


class Fate:
    """The observer: looks at every step whether something is to happen here."""

    def __init__(self, plan: Path) -> None:
        self._plan, self._done = plan, plan.with_suffix(".done")
        self._done.mkdir(exist_ok=True)

    def __call__(self, job: Job, step: str) -> None:
        fate = json.loads(self._plan.read_text()).get(f"{job.kind}:{job.target}")
        if fate is None or fate["step"] != step:
            return
        for number in range(fate.get("times", 1)):
            try:
                (self._done / f"{job.kind}-{job.target}-{step}-{number}").touch(exist_ok=False)
            except FileExistsError:
                continue
            DEEDS[fate["deed"]]()


def main() -> int:
    work_class, concurrency, plan = sys.argv[1:]
    settings = Settings.load()
    logs.configure(settings.log_level)
    starts = Path(plan).with_suffix(f".{os.getpid()}.starts")
    while True:
        with starts.open("a") as told:
            told.write(f"{work_class}\n")
        if (child := os.fork()) == 0:
            os.setpgid(0, 0)
            die_with_parent()
            os._exit(
                run_worker(
                    settings, WorkClass(work_class), int(concurrency), observer=Fate(Path(plan)), build=House.build
                )
            )
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status) or os.WTERMSIG(status) != signal.SIGKILL:
            return 1


def die_with_parent() -> None:
    """PR_SET_PDEATHSIG: when the test ends this process, its worker goes with it."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
