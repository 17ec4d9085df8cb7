"""The order in which a child gives everything up (security.md 4.1). What cannot be given up stops the child."""

from __future__ import annotations

import contextlib
import os
import platform
import signal
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from worker.media.jail import kernel, landlock, limits, seccomp
from worker.media.jail.syscalls import MACHINES


class LockFailed(Exception):
    """`step` is the wall that could not be raised."""

    def __init__(self, step: str) -> None:
        super().__init__(step)
        self.step = step


@dataclass(frozen=True, kw_only=True)
class Walls:
    """What this kernel offers, and whether to go on without what it lacks (`strict` False = mode degraded)."""

    landlock: int
    seccomp: bool
    strict: bool

    @property
    def level(self) -> int:
        if not self.seccomp:
            return 0
        if self.landlock == 0:
            return 1
        return 3 if self.landlock >= 4 else 2


def survey(*, strict: bool) -> Walls:
    """Ask the kernel; nothing is locked yet."""
    return Walls(landlock=landlock.abi(), seccomp=_has_seccomp(), strict=strict)


def _has_seccomp() -> bool:
    if platform.machine() not in MACHINES:
        return False
    try:
        # A filter at address 0: EFAULT where filters exist, EINVAL where they do not. Nothing is installed.
        kernel.prctl(kernel.PR_SET_SECCOMP, 2, 0)
    except OSError as error:
        return error.errno == 14
    return True


def leave_the_family(zygote: int) -> None:
    """Own session and group, dead with the zygote, first in line when the kernel runs out of memory.

    The look at the parent comes after the death signal is set: it closes the race of a zygote that died in between.
    """
    os.setsid()
    with contextlib.suppress(OSError):
        score = os.open("/proc/self/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(score, b"1000")  # the kernel then takes the child and leaves the worker alone
        finally:
            os.close(score)
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != zygote:
        os._exit(1)


def shut(walls: Walls, *, grants: Iterable[landlock.Grant], threads: bool, tool: bool) -> None:
    """no_new_privs, Landlock, seccomp. Raises `LockFailed` when a wall that should stand does not."""
    _raise_wall("no_new_privs", lambda: kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1))
    if walls.landlock or walls.strict:
        _raise_wall("landlock", lambda: landlock.restrict(grants))
    if walls.seccomp or walls.strict:
        _raise_wall("seccomp", lambda: seccomp.install(_filter(threads=threads, tool=tool)))


def _filter(*, threads: bool, tool: bool) -> tuple[seccomp.Step, ...]:
    machine = MACHINES.get(platform.machine())
    if machine is None:
        raise LockFailed("seccomp")
    return seccomp.tool_program(machine, pid=os.getpid()) if tool else seccomp.image_program(machine, threads=threads)


def _raise_wall(step: str, build: Callable[[], object]) -> None:
    try:
        build()
    except OSError as error:
        raise LockFailed(step) from error


def bound(wanted: limits.Limits) -> None:
    try:
        limits.apply(wanted)
    except (OSError, ValueError) as error:
        raise LockFailed("rlimits") from error
