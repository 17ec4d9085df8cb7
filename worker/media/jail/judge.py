"""From how a child ended to what the worker is told: the one place where deaths get their codes."""

from __future__ import annotations

import re
import signal

from worker.errors import Unavailable
from worker.media.codes import CODES, unprocessable
from worker.media.jail import wire
from worker.media.jail.host import Ended
from worker.media.jail.limits import Limits
from worker.media.jail.outcome import Answer, Finished, JailDeath

# A child's word about our own line: builtin error name, module of ours, line number. Anything else is dropped.
_KIND = re.compile(r"^[A-Z][A-Za-z]{2,30}$")
_WHERE = re.compile(r"^worker(\.[a-z0-9_]{1,30}){1,4}:\d{1,5}$")
# Of the timer of processor time, and of its limit in whole seconds.
_OUT_OF_TIME = (signal.SIGPROF, signal.SIGXCPU)


def death(code: str, ended: Ended | None = None, *, where: str | None = None) -> JailDeath:
    """The error for one of the four decoder codes."""
    return JailDeath(
        CODES[code].text,
        code=code,
        where=where,
        signal=None if ended is None else ended.signal,
        cpu_s=0.0 if ended is None else ended.cpu_s,
        peak_rss=0 if ended is None else ended.peak_rss,
    )


def _check_end(ended: Ended, limits: Limits) -> None:
    """Raises for a child that did not end by itself.

    SIGKILL that is not ours has two senders: the CPU limit's hard end, and the kernel out of memory.
    """
    if ended.setup:
        raise Unavailable(
            f"a jailed child could not raise its walls ({ended.setup}); run `mayfly doctor`", code="jail_unavailable"
        )
    if ended.overdue or ended.signal in _OUT_OF_TIME:
        raise death("decoder_timeout", ended)
    if ended.signal == signal.SIGKILL:
        raise death("decoder_timeout" if ended.cpu_s >= limits.cpu_s else "decoder_memory", ended)
    if ended.signal is not None:
        raise death("decoder_crash", ended)


def answer(ended: Ended, frame: wire.Frame | None, limits: Limits) -> Answer:
    """The verb's answer, or the error that its end means."""
    _check_end(ended, limits)
    if ended.status == wire.EXIT_MEMORY:
        raise death("decoder_memory", ended)
    if ended.status != 0:
        raise death("decoder_crash", ended)
    if frame is None:
        raise death("decoder_protocol_error", ended)
    if frame.kind == wire.REFUSED:
        code = frame.header.get("code")
        if not isinstance(code, str) or code not in CODES:
            raise death("decoder_protocol_error", ended)
        raise unprocessable(code)
    if frame.kind == wire.BROKEN:
        raise death("decoder_crash", ended, where=_where(frame))
    return Answer(
        header=frame.header, blobs=frame.blobs, cpu_s=ended.cpu_s, wall_s=ended.wall_s, peak_rss=ended.peak_rss
    )


def _where(frame: wire.Frame) -> str | None:
    kind, where = frame.header.get("kind"), frame.header.get("where")
    if not isinstance(kind, str) or not _KIND.match(kind):
        return None
    return f"{kind} {where}" if isinstance(where, str) and _WHERE.match(where) else kind


def finished(ended: Ended, limits: Limits, *, stdout: bytes, stderr: bytes) -> Finished:
    """A tool that ended by itself, or the error that its death means."""
    _check_end(ended, limits)
    return Finished(
        status=ended.status,
        signal=ended.signal,
        stdout=stdout,
        stderr=stderr,
        cpu_s=ended.cpu_s,
        wall_s=ended.wall_s,
        peak_rss=ended.peak_rss,
    )
