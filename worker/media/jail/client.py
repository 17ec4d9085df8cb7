"""The jail as the worker sees it: `call` a verb on one file, or `run` a tool, each in a locked child of its own.

Untrusted bytes are decoded nowhere else (P6). Whatever a child does, `call` and `run` come back: with an answer, or
with an error whose code is of the closed list.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from worker.errors import Defect, Unavailable
from worker.media.jail import judge, selftest, wire
from worker.media.jail.host import Host, ZygoteLost, pipe
from worker.media.jail.limits import Limits
from worker.media.jail.outcome import Answer, Cancelled, Finished, Level, ProbeResult
from worker.media.jail.sinks import Lines, Ring, Store
from worker.media.jail.verbs import VERBS

# How many files one zygote serves before a fresh one takes over: small leaks of the parent's heap end here.
RENEW_AFTER = 1_000
TOOLS = ("ffmpeg", "ffprobe")


class Jail:
    """One zygote and its children. Thread-safe. Make it after a fork: a forked copy starts a zygote of its own.

    `mode` "required" works only where every escape is blocked; "degraded" also works with walls missing.
    `tools` maps a tool's name to its program, beside or instead of what the path holds.
    """

    def __init__(
        self,
        mode: Literal["required", "degraded"] = "required",
        *,
        tools: Mapping[str, Path] | None = None,
        extra_verbs: Mapping[str, str] | None = None,
        extra_path: Sequence[Path] = (),
        renew_after: int = RENEW_AFTER,
    ) -> None:
        self._mode = mode
        found = {name: shutil.which(name) for name in TOOLS}
        self._tools = {name: os.path.realpath(path) for name, path in found.items() if path}
        self._tools.update({name: os.path.realpath(path) for name, path in (tools or {}).items()})
        self._table = {**VERBS, **(extra_verbs or {})}
        self._extra_path = tuple(extra_path)
        self._renew_after = renew_after
        self._abandoned: list[Host] = []
        self._host: Host | None = None
        self._clear()

    def _clear(self) -> None:
        self._owner = os.getpid()
        self._lock = threading.Lock()
        self._host = None
        self._borrowed: dict[Host, int] = {}
        self._results: list[ProbeResult] | None = None
        self._level = Level.L0

    def start(self) -> None:
        """Start the zygote, run the self-test. Raises Unavailable("jail_unavailable") where `mode` forbids to go on."""
        with self._borrow():
            pass

    @property
    def level(self) -> Level:
        """How strong the walls are; starts the jail when it is not."""
        self.start()
        return self._level

    def self_test(self) -> list[ProbeResult]:
        """Try every escape now (about a second). Never raises for a wall that is missing: it says so."""
        with self._borrow(tested=False) as host:
            return selftest.run(lambda *given: self._call(host, *given))

    def call(
        self,
        verb: str,
        input: int | None,
        args: dict[str, Any],
        limits: Limits,
        *,
        max_answer: int = wire.ANSWER_BYTES,
    ) -> Answer:
        """Run a verb on the file behind descriptor `input`, which must be open for reading only.

        Raises Unprocessable with the verb's code, JailDeath with what became of the child, Unavailable when the jail
        cannot work. `max_answer` bounds the bytes of all blobs together.
        """
        if input is not None and (os.get_blocking(input), _access(input)) != (True, os.O_RDONLY):
            raise Defect("the jail takes a blocking descriptor that is open for reading only")
        with self._borrow() as host:
            return self._call(host, verb, input, args, limits, max_answer=max_answer)

    def _call(
        self,
        host: Host,
        verb: str,
        source: int | None,
        args: dict[str, Any],
        limits: Limits,
        *,
        max_answer: int = wire.ANSWER_BYTES,
    ) -> Answer:
        if verb not in self._table or verb in host.hello["missing"]:
            raise Defect(f"the jail has no verb {verb}: {host.hello['missing'].get(verb, 'not in its table')}")
        reader = wire.FrameReader(max_bytes=max_answer)
        out, out_write = pipe()
        try:
            try:
                fds = [out_write] if source is None else [out_write, source]
                child = host.begin({"op": "call", "verb": verb, "args": args}, limits, fds)
            finally:
                os.close(out_write)
            with child:
                return judge.answer(child.attend({out: reader}), reader.frame, limits)
        except wire.ProtocolError as error:
            raise judge.death("decoder_protocol_error") from error
        except ZygoteLost as lost:
            raise judge.death("decoder_timeout" if lost.overdue else "decoder_crash") from lost
        finally:
            os.close(out)

    def run(
        self,
        argv: Sequence[str],
        *,
        read: Sequence[Path],
        write: Path | None,
        limits: Limits,
        on_line: Callable[[str], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Finished:
        """Run a tool by name (`argv[0]`): it reads the files of `read`, writes in `write`, starts and reaches nothing.

        Standard output goes to `on_line` by line, or is kept up to 4 MiB. Raises JailDeath when it was killed,
        Cancelled when `cancelled()` became true, Unavailable (`ffmpeg_missing`) without the program. A status other
        than 0 is returned.
        """
        request = {"op": "run", "argv": list(argv), **self._places(argv[0], read, write)}
        with self._borrow() as host:
            if self._level < Level.L2:
                raise Unavailable(
                    "videos need Landlock, which this kernel lacks; use Linux 5.13 or newer", code="jail_unavailable"
                )
            return self._run(host, request, limits, on_line, cancelled)

    def _places(self, tool: str, read: Sequence[Path], write: Path | None) -> dict[str, Any]:
        program = self._tools.get(tool)
        if program is None or not os.access(program, os.X_OK):
            raise Unavailable(f"{tool} is not installed; install the package ffmpeg", code="ffmpeg_missing")
        for path in read:
            if not stat.S_ISREG(os.lstat(path).st_mode):
                raise Defect("a tool may read regular files only")
        places = [os.path.abspath(path) for path in read]
        return {"program": program, "read": places, "write": None if write is None else os.path.abspath(write)}

    def _run(
        self,
        host: Host,
        request: dict[str, Any],
        limits: Limits,
        on_line: Callable[[str], None] | None,
        cancelled: Callable[[], bool] | None,
    ) -> Finished:
        lines = Store() if on_line is None else Lines(on_line)
        errors = Ring()
        (out, out_write), (err, err_write) = pipe(), pipe()
        try:
            try:
                child = host.begin(request, limits, [out_write, err_write])
            finally:
                os.close(out_write)
                os.close(err_write)
            with child:
                ended = child.attend({out: lines, err: errors}, _look(cancelled))
                return judge.finished(ended, limits, stdout=lines.kept(), stderr=errors.kept())
        except wire.ProtocolError as error:
            raise judge.death("decoder_protocol_error") from error
        except ZygoteLost as lost:
            raise judge.death("decoder_timeout" if lost.overdue else "decoder_crash") from lost
        finally:
            os.close(out)
            os.close(err)

    def close(self) -> None:
        """End the zygote and all children. The jail starts again at the next call."""
        with self._lock:
            hosts = set(self._borrowed) | ({self._host} if self._host else set())
            self._host = None
            self._borrowed.clear()
        for host in hosts:
            host.dead = True
            host.close()

    @contextlib.contextmanager
    def _borrow(self, *, tested: bool = True) -> Iterator[Host]:
        """A living zygote, tested if the mode asks for it; the last to give back one that was replaced ends it."""
        if os.getpid() != self._owner:
            if self._host is not None:
                self._host.abandon()
                self._abandoned.append(self._host)
            self._clear()  # we are a fork: the zygote belongs to the other, and so may a held lock
        with self._lock:
            host = self._ready()
            if tested and self._results is None:
                self._test(host)
            self._borrowed[host] = self._borrowed.get(host, 0) + 1
        try:
            yield host
        finally:
            with self._lock:
                left = self._borrowed.pop(host, 1) - 1
                if left:
                    self._borrowed[host] = left
                last = not left and host is not self._host
            if last:
                host.close()

    def _ready(self) -> Host:
        host = self._host
        if host is not None and host.alive and host.started < self._renew_after:
            return host
        self._host = None
        if host is not None and host not in self._borrowed:
            host.close()
        self._host = Host(strict=self._mode == "required", table=self._table, extra_path=self._extra_path)
        self._level = Level(self._host.hello["level"])
        return self._host

    def _test(self, host: Host) -> None:
        results = selftest.run(lambda *given: self._call(host, *given))
        failed = [result.name for result in results if not result.blocked]
        if self._mode == "required" and (failed or self._level < Level.L2):
            raise Unavailable(
                "the decoding jail is not tight on this host, so nothing is processed; run `mayfly doctor`"
                + (f" (not blocked: {', '.join(failed)})" if failed else ""),
                code="jail_unavailable",
            )
        self._results = results


def _access(fd: int) -> int:
    return fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE


def _look(cancelled: Callable[[], bool] | None) -> Callable[[], None] | None:
    if cancelled is None:
        return None

    def look() -> None:
        if cancelled():
            raise Cancelled("stopped, because its worker may not go on")

    return look
