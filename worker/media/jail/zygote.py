"""The zygote: a clean, warm, single-threaded process that forks one child a file, watches it, reaps it, and reports.

It never reads a byte of a user's file. It ends when its worker ends (end of the control socket, or a new parent),
and its children end with it (PDEATHSIG).
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import select
import signal
import socket
import time
from dataclasses import dataclass
from typing import Any

from worker.media.jail import child, kernel, warmth, wire
from worker.media.jail.limits import Limits
from worker.media.jail.lock import Walls, survey

# How often to look whether the parent still is the parent; the socket's end tells sooner, unless a fork holds a copy.
_LOOK_MS = 5_000


@dataclass(kw_only=True)
class Ward:
    """A living child: killed at `deadline` (monotonic seconds) or as soon as its worker says or hangs up."""

    pid: int
    pidfd: int
    status: socket.socket
    born: float
    deadline: float
    overdue: bool = False


class Zygote:
    def __init__(self, control: socket.socket, verbs: dict[str, child.Verb], walls: Walls) -> None:
        self._control = control
        self._verbs = verbs
        self._walls = walls
        self._parent = os.getppid()
        self._self = os.getpid()
        self._null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        self._wards: dict[int, Ward] = {}

    def serve(self) -> None:
        """Until the worker is gone."""
        while os.getppid() == self._parent:
            poll = select.poll()
            poll.register(self._control, select.POLLIN)
            for ward in self._wards.values():
                poll.register(ward.pidfd, select.POLLIN)
                poll.register(ward.status, select.POLLIN)
            ready = {fd for fd, _ in poll.poll(self._patience_ms())}
            for ward in list(self._wards.values()):
                self._attend(ward, ready)
            if self._control.fileno() in ready and not self._accept():
                return

    def end(self) -> None:
        """Kill and reap all children."""
        for ward in list(self._wards.values()):
            self._kill(ward)
            self._bury(ward)

    def _patience_ms(self) -> int:
        waits = [ward.deadline - time.monotonic() for ward in self._wards.values() if not ward.overdue]
        return max(0, min([_LOOK_MS, *(int(wait * 1000) + 1 for wait in waits)]))

    def _attend(self, ward: Ward, ready: set[int]) -> None:
        if ward.pidfd in ready:
            self._bury(ward)
        elif ward.status.fileno() in ready:
            # Any word or the end of this socket means the same: stop it.
            self._kill(ward)
            with contextlib.suppress(OSError):
                ward.status.recv(64, socket.MSG_DONTWAIT)
        elif not ward.overdue and time.monotonic() >= ward.deadline:
            ward.overdue = True
            self._kill(ward)

    @staticmethod
    def _kill(ward: Ward) -> None:
        """The group, so that nothing it may have started stays; and itself, should it have left the group."""
        for kill, target in ((os.killpg, ward.pid), (os.kill, ward.pid)):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                kill(target, signal.SIGKILL)

    def _bury(self, ward: Ward) -> None:
        self._kill(ward)  # not reaped yet, so the number still is its own
        _, status, usage = os.wait4(ward.pid, 0)
        ended = {
            "status": os.WEXITSTATUS(status) if os.WIFEXITED(status) else 0,
            "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else None,
            "overdue": ward.overdue,
            "cpu_s": usage.ru_utime + usage.ru_stime,
            "wall_s": time.monotonic() - ward.born,
            "peak_rss": usage.ru_maxrss * 1024,
        }
        self._tell(ward.status, ended)
        ward.status.close()
        os.close(ward.pidfd)
        del self._wards[ward.pid]

    @staticmethod
    def _tell(status: socket.socket, message: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):  # the worker may have hung up: then nobody wants to know
            status.send(wire.pack(message), socket.MSG_DONTWAIT)

    def _accept(self) -> bool:
        raw, fds, _, _ = socket.recv_fds(self._control, wire.REQUEST_BYTES, 8, socket.MSG_CMSG_CLOEXEC)
        if not raw:
            return False
        status = socket.socket(fileno=fds[0])
        try:
            self._fork(wire.unpack(raw), status, fds[1:])
        except OSError:
            self._tell(status, {"failed": "fork"})
            status.close()
        finally:
            for fd in fds[1:]:
                os.close(fd)
        return True

    def _fork(self, request: dict[str, Any], status: socket.socket, fds: list[int]) -> None:
        limits = Limits(**request["limits"])
        born = time.monotonic()
        pid = os.fork()
        if pid == 0:
            self._be_child(request, limits, fds)
        try:
            pidfd = os.pidfd_open(pid)
        except OSError:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise
        self._wards[pid] = Ward(pid=pid, pidfd=pidfd, status=status, born=born, deadline=born + limits.wall_s)

    def _be_child(self, request: dict[str, Any], limits: Limits, fds: list[int]) -> None:
        try:
            birth = child.Birth(walls=self._walls, zygote=self._self, null=self._null, limits=limits)
            if request["op"] == "run":
                child.become(birth, request, setup=fds[0], out=fds[1], err=fds[2])
            source = fds[2] if len(fds) > 2 else None
            verb = self._verbs[request["verb"]]
            child.answer(birth, verb, request["args"], setup=fds[0], out=fds[1], source=source)
        finally:
            os._exit(1)  # a child must never come back into the zygote's loop


def _load(table: dict[str, str]) -> tuple[dict[str, child.Verb], dict[str, str]]:
    """The verbs that import, and for the others the kind of error that kept them out."""
    verbs, missing = {}, {}
    for name, place in table.items():
        module, _, function = place.partition(":")
        try:
            verbs[name] = getattr(importlib.import_module(module), function)
        except Exception as error:  # noqa: BLE001 - one broken verb must not take the others along
            missing[name] = type(error).__name__
    return verbs, missing


def main(control_fd: int, *, strict: bool, table: dict[str, str]) -> None:
    """Entry of the exec'd process: warm up, say hello, serve."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    control = socket.socket(fileno=control_fd)
    verbs, missing = _load(table)
    warmth.warm()
    child.warm()
    walls = survey(strict=strict)
    threads = len(os.listdir("/proc/self/task"))
    control.send(wire.pack({"level": walls.level, "landlock": walls.landlock, "missing": missing, "threads": threads}))
    gc.collect()
    kernel.give_back()  # what warming up took and let go: a third of what each fork would copy the tables of
    gc.freeze()  # shared pages stay shared: a collection in a child would touch them all
    zygote = Zygote(control, verbs, walls)
    try:
        zygote.serve()
    finally:
        zygote.end()
        os._exit(0)
