"""The self-test from the worker's side: all fourteen escapes tried at once, then one decode that must work (S25)."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from worker.errors import MayflyError
from worker.media.jail import probes
from worker.media.jail.child import INPUT
from worker.media.jail.limits import GIB, Limits
from worker.media.jail.outcome import Answer, JailDeath, ProbeResult

DECODE = "decode_still_works"
_LIMITS = Limits(address_space=GIB, cpu_s=1, wall_s=8.0)
# The spinning probe ends by the same clock of the kernel as a decoder does, only sooner: each start pays for it.
_SPIN = Limits(address_space=GIB, cpu_s=0.05, wall_s=8.0)
_SIGSYS = 31

Call = Callable[[str, int | None, dict[str, object], Limits], Answer]


def run(call: Call) -> list[ProbeResult]:
    """Fourteen results in the order of `probes.PROBES`, then the decode, whose `blocked` means that it worked."""
    with ThreadPoolExecutor(max_workers=len(probes.PROBES)) as pool:
        results = list(pool.map(lambda name: _probe(call, name), probes.PROBES))
    return [*results, _decode(call)]


def _memfd(content: bytes) -> int:
    fd = os.memfd_create("mayfly-probe")
    os.write(fd, content)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def _probe(call: Call, name: str) -> ProbeResult:
    # The memory file is open for writing, so that only the file-size limit can stop the probe that writes to it.
    fd = _memfd(b"") if name == "big_file" else None
    args: dict[str, object] = {"probe": name, "worker": os.getpid(), "file": probes.__file__, "fd": INPUT}
    try:
        header = call("jail.probe", fd, args, _SPIN if name == "cpu_time" else _LIMITS).header
        return ProbeResult(name=name, blocked=header.get("blocked") is True, detail=str(header.get("detail"))[:40])
    except JailDeath as death:
        expected = probes.BY_LIMIT.get(name)
        blocked = death.code == expected if expected else death.signal == _SIGSYS
        return ProbeResult(name=name, blocked=blocked, detail="SIGSYS" if death.signal == _SIGSYS else death.code)
    except MayflyError as error:
        return ProbeResult(name=name, blocked=False, detail=error.code)
    finally:
        if fd is not None:
            os.close(fd)


def _decode(call: Call) -> ProbeResult:
    fd = _memfd(probes.sample())
    try:
        answer = call("jail.decode", fd, {}, _LIMITS)
        good = answer.header == {"width": 32, "height": 24} and answer.blobs[0][8:12] == b"WEBP"
        return ProbeResult(name=DECODE, blocked=good, detail="32 by 24" if good else "wrong answer")
    except MayflyError as error:
        return ProbeResult(name=DECODE, blocked=False, detail=error.code)
    finally:
        os.close(fd)
