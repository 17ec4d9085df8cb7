"""What happens between fork and death: descriptors moved, walls raised, one verb or one tool, then the end.

Two lives: `answer` runs a verb of ours on one input and writes one frame; `become` turns into ffmpeg or ffprobe.
"""

from __future__ import annotations

import builtins
import json
import mmap
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO, NoReturn

from worker.errors import Unprocessable
from worker.media.jail import landlock, seccomp, wire
from worker.media.jail.limits import Limits
from worker.media.jail.lock import LockFailed, Walls, bound, leave_the_family, shut
from worker.media.jail.syscalls import MACHINES

Verb = Callable[[BinaryIO | mmap.mmap | None, dict[str, Any]], tuple[dict[str, Any], list[bytes]]]

# Where things lie after the move. SETUP is closed before the first byte of the user's is read (or by exec), so what
# stands in it was said by our own code alone.
SETUP, ANSWER, INPUT = 3, 4, 5
_LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib")


@dataclass(frozen=True, kw_only=True)
class Birth:
    """What the zygote knows of a new child; `null` is the null device, open for both ways."""

    walls: Walls
    zygote: int
    null: int
    limits: Limits


def _move(places: list[int]) -> None:
    """Put `places[i]` at descriptor i and close all else. Two rounds, so that no move buries another's source."""
    lifted = []
    for fd in places:
        copy = fd
        while copy < len(places):
            copy = os.dup(copy)
        lifted.append(copy)
    for target, fd in enumerate(lifted):
        os.dup2(fd, target, inheritable=True)
    os.closerange(len(places), os.sysconf("SC_OPEN_MAX"))


def _setup_failed(step: str) -> NoReturn:
    os.write(SETUP, step.encode())
    os._exit(wire.EXIT_LOCK)


def answer(birth: Birth, verb: Verb, args: dict[str, Any], *, setup: int, out: int, source: int | None) -> NoReturn:
    """Never returns. Exit status 0 means that a frame was written."""
    places = [birth.null, birth.null, birth.null, setup, out]
    try:
        _move(places if source is None else [*places, source])
        leave_the_family(birth.zygote)
        stream = None if source is None else _input(birth.limits)
        bound(birth.limits)
        shut(birth.walls, grants=(), threads=birth.limits.threads, tool=False)
    except LockFailed as failure:
        _setup_failed(failure.step)
    except OSError:
        _setup_failed("descriptors")
    os.close(SETUP)
    os._exit(_work(verb, stream, args))


def _input(limits: Limits) -> BinaryIO | mmap.mmap:
    """Opened before the lock: both ask fstat."""
    stream = open(INPUT, "rb")  # noqa: SIM115 - it lives as long as the child
    if limits.mapped and 0 < os.fstat(INPUT).st_size <= limits.address_space // 2:
        return mmap.mmap(INPUT, 0, prot=mmap.PROT_READ)
    return stream


def _work(verb: Verb, stream: BinaryIO | mmap.mmap | None, args: dict[str, Any]) -> int:
    try:
        header, blobs = verb(stream, args)
        wire.write_frame(ANSWER, wire.ANSWERED, header, blobs)
    except MemoryError:
        return wire.EXIT_MEMORY  # a number needs no memory; a frame would
    except Unprocessable as refusal:
        wire.write_frame(ANSWER, wire.REFUSED, {"code": refusal.code}, [])
    except BrokenPipeError:
        return 1
    except BaseException as error:  # noqa: BLE001 - the child's last word, whatever it was
        try:
            wire.write_frame(ANSWER, wire.BROKEN, _whereabouts(error), [])
        except MemoryError:
            return wire.EXIT_MEMORY
    return 0


def _whereabouts(error: BaseException) -> dict[str, Any]:
    """The kind of error and our own line it passed last; never its text, which may quote the file (P7)."""
    kind = next((c.__name__ for c in type(error).__mro__ if getattr(builtins, c.__name__, None) is c), "Exception")
    where, trace = None, error.__traceback__
    while trace is not None:
        module = trace.tb_frame.f_globals.get("__name__", "")
        if isinstance(module, str) and module.startswith("worker.") and not module.startswith("worker.media.jail."):
            where = f"{module}:{trace.tb_lineno}"
        trace = trace.tb_next
    return {"kind": kind, "where": where}


def _tool_grants(program: str, read: list[str], write: str | None) -> list[landlock.Grant]:
    grants = [landlock.Grant(program, landlock.PROGRAM), landlock.Grant("/dev/null", landlock.DEVICE)]
    grants += [landlock.Grant(path, landlock.READ, follow=False) for path in read]
    if write is not None:
        grants.append(landlock.Grant(write, landlock.SCRATCH, follow=False))
    own = os.path.join(os.path.dirname(os.path.dirname(program)), "lib")
    grants += [landlock.Grant(path, landlock.TREE, optional=True) for path in (*_LIBRARIES, own)]
    grants.append(landlock.Grant("/etc/ld.so.cache", landlock.READ, optional=True))
    return grants


def become(birth: Birth, job: dict[str, Any], *, setup: int, out: int, err: int) -> NoReturn:
    """Lock, then exec with an empty environment: the tool inherits no secret and every wall. Never returns."""
    try:
        _move([birth.null, out, err, setup])
        leave_the_family(birth.zygote)
        grants = _tool_grants(job["program"], job["read"], job["write"])
        os.set_inheritable(SETUP, False)
        if job["write"] is not None:
            os.chdir(job["write"])
        os.umask(0o077)
        bound(birth.limits)
        # Python ignores these two, and an ignored signal would stay ignored in the tool.
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        shut(birth.walls, grants=grants, threads=True, tool=True)
    except LockFailed as failure:
        _setup_failed(failure.step)
    except OSError:
        _setup_failed("descriptors")
    try:
        os.execve(job["program"], job["argv"], {})
    except (OSError, ValueError):
        _setup_failed("exec")


def warm() -> None:
    """Touch what the lines above need late: the first use of some of them opens files."""
    json.dumps({"a": 1})
    for machine in MACHINES.values():
        for threads in (False, True):
            seccomp.instructions(seccomp.image_program(machine, threads=threads))
    _whereabouts(ValueError())
