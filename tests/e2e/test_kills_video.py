"""A video worker that must stop in the middle of a clip: asked, it gives the clip back; killed, it leaves no ffmpeg."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from tests import clips
from tests.e2e.fleet import Fleet, Part
from tests.e2e.victims import attempts, job_state
from tests.houses import new_upload
from tests.processes import alive, children_of
from worker.model import WorkClass

pytestmark = [pytest.mark.slow, pytest.mark.wide]


def test_stopped_in_the_middle_of_a_clip(small_fleet: Fleet, tmp_path: Path) -> None:
    # Given a clip that takes longer than a stopping worker may go on with it
    fleet = small_fleet
    long = tmp_path / "long.mp4"
    clips.ffmpeg("-stream_loop", "19", "-i", clips.mp4(tmp_path, size="1280x720"), "-c", "copy", long)
    clip = fleet.house.receive.run(new_upload(), [long.read_bytes()], keep_for=timedelta(days=90)).id
    fleet.relay()

    # When its worker is asked to stop in the middle
    worker = fleet.worker(WorkClass.VIDEO)
    below = encoding(fleet, worker)
    worker.ask_to_stop()
    # Then it ends by itself with status 0, the attempt was none, and no process of it is left
    assert worker.ended() == 0
    assert job_state(fleet, "process", clip) == "ready"
    assert attempts(fleet, "process", clip) == 0
    fleet.until(lambda: not any(map(alive, below)), what="nothing left of the worker", within=5)

    # When the next worker is killed in the middle
    worker = fleet.worker(WorkClass.VIDEO)
    below = encoding(fleet, worker)
    worker.kill()
    # Then nothing of it is left either
    fleet.until(lambda: not any(map(alive, below)), what="nothing left of the worker", within=5)


def encoding(fleet: Fleet, worker: Part) -> set[int]:
    """Waits until ffmpeg encodes; returns every process below the worker."""
    fleet.until(lambda: any(map(is_ffmpeg, family(worker.pid))), what="ffmpeg at work")
    return family(worker.pid)


def family(pid: int) -> set[int]:
    found = children_of(pid)
    return found.union(*map(family, found)) if found else found


def is_ffmpeg(pid: int) -> bool:
    try:
        argv = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return argv[0].endswith(b"ffmpeg") and b"libx264" in argv
