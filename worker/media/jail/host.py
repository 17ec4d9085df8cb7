"""The worker's side of one zygote: starts it, hands it work with descriptors, and attends to each child to its end.

It reads what a child says only through bounded sinks, and trusts the zygote alone for how the child ended.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from worker.errors import Defect, Unavailable
from worker.media.jail import wire
from worker.media.jail.limits import Limits

_ROOT = Path(__file__).resolve().parents[3]
_BOOT = (
    "import json,sys; given=json.loads(sys.argv[1]); sys.path[:0]=given['path'];"
    "from worker.media.jail.zygote import main; main(given['fd'], strict=given['strict'], table=given['table'])"
)
_START_S = 60.0  # a cold disk and two busy cores; the usual start takes under a second
_GRACE_S = 5.0  # how long after a deadline the zygote may stay silent before it is taken for stuck
_PIPE_BYTES = 1024 * 1024
_TICK_MS = 200
_SETUP_BYTES = 64


class Sink(Protocol):
    """Takes what a child writes: `feed` reads what is there and returns False at the end of the stream."""

    def feed(self, fd: int) -> bool: ...


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a child ended, by the zygote's word. `setup` names the wall that could not be raised, else empty."""

    status: int
    signal: int | None
    overdue: bool
    cpu_s: float
    wall_s: float
    peak_rss: int
    setup: str = ""


class ZygoteLost(Exception):
    """The zygote died or hung while this child lived; the child is dead with it."""

    def __init__(self, *, overdue: bool) -> None:
        super().__init__("the zygote is gone")
        self.overdue = overdue


class Host:
    """One zygote process. Safe to use from several threads; not from a fork of the process that made it."""

    def __init__(self, *, strict: bool, table: dict[str, str], extra_path: Sequence[Path]) -> None:
        """Start it and wait for its hello. Raises Unavailable(code="jail_unavailable") when none comes."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            given = {"path": _search_path(extra_path), "fd": theirs.fileno(), "strict": strict, "table": table}
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-c", _BOOT, json.dumps(given)],
                env={},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,  # Ctrl-C at the worker's terminal is the worker's to handle
            )
        self._control = ours
        self._lock = threading.Lock()
        self.started = 0
        self.dead = False
        try:
            self.hello = self._await_hello()
        except BaseException:
            self.close()
            raise

    def _await_hello(self) -> dict[str, Any]:
        self._control.settimeout(_START_S)
        try:
            raw = self._control.recv(wire.REQUEST_BYTES)
        except OSError:
            raw = b""
        if not raw:
            raise Unavailable(
                "the decoding jail does not start; run `mayfly doctor` and reinstall the media libraries",
                code="jail_unavailable",
            )
        self._control.settimeout(None)
        hello = wire.unpack(raw)
        if hello["threads"] != 1:
            raise Defect("a verb module starts threads when it is imported; the zygote must stay single-threaded")
        return hello

    @property
    def alive(self) -> bool:
        return not self.dead and self._process.poll() is None

    def abandon(self) -> None:
        """For a fork of the worker: let go of the copy, so that the zygote still notices when its worker dies."""
        self.dead = True
        self._control.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    def begin(self, request: dict[str, Any], limits: Limits, fds: Sequence[int]) -> Child:
        """Have a child forked. `fds` follow the setup pipe in the child; the caller closes its own copies."""
        packed = wire.pack({**request, "limits": limits.as_wire()})
        if len(packed) > wire.REQUEST_BYTES:
            raise Defect("a request to the jail is over 128 KiB")
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        setup_read, setup_write = os.pipe()
        try:
            with self._lock:
                socket.send_fds(self._control, [packed], [theirs.fileno(), setup_write, *fds])
                self.started += 1
        except OSError as error:
            ours.close()
            os.close(setup_read)
            self.dead = True
            raise ZygoteLost(overdue=False) from error
        finally:
            theirs.close()
            os.close(setup_write)
        return Child(self, ours, setup_read, limits)

    def kill(self) -> None:
        """The zygote at once; the kernel kills its children with it (PDEATHSIG)."""
        self.dead = True
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    def close(self) -> None:
        """End it and reap it. Its children die with it. May be called twice."""
        self._control.close()
        try:
            self._process.wait(timeout=1.0)
        except subprocess.TimeoutExpired:
            self.kill()
            self._process.wait()


class Child:
    """One child on its way. Use as a context manager: leaving it early kills the child and waits for its end."""

    def __init__(self, host: Host, status: socket.socket, setup: int, limits: Limits) -> None:
        self._host = host
        self._status = status
        self._setup = setup
        self._give_up = time.monotonic() + limits.wall_s + _GRACE_S
        self._ended: Ended | None = None
        self._killed = False

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *exception: object) -> None:
        try:
            if self._ended is None and not self._host.dead:
                self.kill()
                with contextlib.suppress(ZygoteLost):
                    self.attend({})
        finally:
            self._status.close()
            os.close(self._setup)

    def kill(self) -> None:
        """Ask for its end; `attend` still has to see it."""
        if not self._killed:
            self._killed = True
            self._give_up = time.monotonic() + _GRACE_S
            with contextlib.suppress(OSError):
                self._status.send(b"kill", socket.MSG_DONTWAIT)

    def attend(self, sinks: dict[int, Sink], look: Callable[[], None] | None = None) -> Ended:
        """Feed the sinks until the child is reaped and their streams are at an end; `look` is called between.

        Raises what a sink or `look` raises, and ZygoteLost.
        """
        poll = select.poll()
        poll.register(self._status, select.POLLIN)
        for fd in sinks:
            poll.register(fd, select.POLLIN)
        open_fds = set(sinks)
        while self._ended is None or open_fds:
            for fd, _ in poll.poll(_TICK_MS):
                if fd in open_fds:
                    if not sinks[fd].feed(fd):
                        open_fds.discard(fd)
                        poll.unregister(fd)
                elif self._ended is None:
                    self._ended = self._hear()
                    poll.unregister(self._status)
            if look is not None:
                look()
            if time.monotonic() > self._give_up:
                self._host.kill()
                raise ZygoteLost(overdue=True)
        return self._ended

    def _hear(self) -> Ended:
        try:
            raw = self._status.recv(4096)
        except OSError:
            raw = b""
        if not raw:
            self._host.dead = True
            raise ZygoteLost(overdue=False)
        told = wire.unpack(raw)
        if told.get("failed") == "fork":
            raise Unavailable(
                "this host has no room for another process; free memory or raise the process limit",
                code="jail_unavailable",
            )
        os.set_blocking(self._setup, False)
        try:
            setup = os.read(self._setup, _SETUP_BYTES).decode("ascii", "replace")
        except BlockingIOError:
            setup = ""
        return Ended(**told, setup=setup)


def pipe() -> tuple[int, int]:
    """A wide pipe whose reading end does not block."""
    read, write = os.pipe()
    os.set_blocking(read, False)
    with contextlib.suppress(OSError):  # over the user's pipe quota: narrow works too
        fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    return read, write


def _search_path(extra: Sequence[Path]) -> list[str]:
    """Where the zygote finds our code and the libraries: `-I` ignores PYTHONPATH and the working directory."""
    sites = [p for p in sys.path if p and Path(p).name in ("site-packages", "dist-packages") and os.path.isabs(p)]
    return list(dict.fromkeys([str(_ROOT), *(str(p) for p in extra), *sites]))
