"""What tests of the jail look at from outside: a process's children, and waiting on a condition with a deadline."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from worker.media.jail import Jail, Limits

MIB = 1024 * 1024
SMALL = Limits(address_space=1024 * MIB, cpu_s=5, wall_s=10)
TOOL = Limits(address_space=1024 * MIB, cpu_s=20, wall_s=30, file_size=64 * MIB, open_files=64)
PYTHON = Path(os.path.realpath(sys.executable))


def children_of(pid: int) -> set[int]:
    """The living children, zombies left out."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    return {int(child) for child in children.read_text().split() if alive(int(child))} if children.exists() else set()


def alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def eventually(true: Callable[[], bool], seconds: float = 8.0) -> bool:
    """Whether the condition comes true within the time."""
    end = time.monotonic() + seconds
    wait = threading.Event()
    while time.monotonic() < end:
        if true():
            return True
        wait.wait(0.01)
    return true()


def zygote(jail: Jail) -> int:
    host = jail._host
    assert host is not None
    return host.pid
