"""Plain Pillow and plain ffmpeg on a bomb, as a hurried backend calls them, within 40 s of the processor and 2 GB."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SECONDS, BYTES = 40, 2 << 30
_WALL_S = 6.0 * SECONDS  # for one that waits; the processor may be shared
_LOOK_S = 0.005
_PILLOW = """
import sys
import pillow_heif
from PIL import Image, ImageSequence
pillow_heif.register_heif_opener()
try:
    with Image.open(sys.argv[1]) as image:
        for frame in ImageSequence.Iterator(image):
            frame.load()
    print("ok")
except BaseException as error:
    print(type(error).__name__)
"""


@dataclass(frozen=True, kw_only=True)
class Plain:
    """Processor seconds, bytes (looked at every few milliseconds), and what came of it."""

    cpu_s: float
    peak: int
    result: str


def pillow(path: Path) -> Plain:
    """Opens the file whatever it is and loads every frame."""
    done, said, _ = _bounded([sys.executable, "-W", "ignore", "-c", _PILLOW, str(path)])
    return done if done.result else _with(done, said.strip() or "died")


def ffmpeg(path: Path, target: Path, neighbour: Path) -> Plain:
    """A film at a constant rate; "stolen" where the neighbour's samples, or what it is otherwise, lie in it."""
    argv = ["ffmpeg", "-v", "error", "-nostdin", "-y", "-i", f"file:{path}"]
    copied, _, status = _bounded([*argv, "-map", "0:v", "-c", "copy", f"file:{target}.mkv"])
    stolen = _holds(target.with_name(f"{target.name}.mkv"), neighbour)
    if stolen:
        return _with(copied, f"stolen, status {status}")
    how = ("-fps_mode", "cfr", "-r", "30", "-c:v", "libx264", "-preset", "ultrafast")
    done, _, status = _bounded([*argv, *how, f"file:{target}.mp4"])
    return done if done.result else _with(done, f"status {status}" if status else "ok")


def _holds(target: Path, neighbour: Path) -> bool:
    return target.exists() and neighbour.exists() and neighbour.read_bytes()[5_000:5_064] in target.read_bytes()


def _with(done: Plain, result: str) -> Plain:
    return Plain(cpu_s=done.cpu_s, peak=done.peak, result=result)


def _bounded(argv: Sequence[str]) -> tuple[Plain, str, int]:
    """`result` is empty for what ended by itself; then what it printed, and its status."""
    limits = ["prlimit", f"--as={BYTES}", f"--cpu={SECONDS}", f"--fsize={BYTES}", "--"]
    process = subprocess.Popen([*limits, *argv], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    peak, end, tick = 0, time.monotonic() + _WALL_S, threading.Event()
    while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        peak = max(peak, _high_water(process.pid))
        if time.monotonic() > end:
            process.kill()
        tick.wait(_LOOK_S)
    assert process.stdout is not None
    said = process.stdout.read()
    process.stdout.close()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    result = f"killed by signal {-process.returncode}" if process.returncode < 0 else ""
    cpu_s = usage.ru_utime + usage.ru_stime
    return Plain(cpu_s=cpu_s, peak=peak, result=result), said, process.returncode


def _high_water(pid: int) -> int:
    """VmHWM of proc(5), in bytes; 0 of a process that is just ending."""
    try:
        found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0
    return int(found[1]) * 1024 if found else 0
