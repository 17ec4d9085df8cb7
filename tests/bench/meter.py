"""What files cost: the processor's seconds of this process, its zygotes and their children, and each child's memory."""

from __future__ import annotations

import os
import resource
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from worker.media.jail import Jail, judge
from worker.media.jail.host import Ended


class Meter:
    """Hears how every child of the jail ended, also of those whose file was refused, by thread."""

    def __init__(self) -> None:
        self._mine = threading.local()

    @contextmanager
    def listening(self) -> Iterator[None]:
        """While this lasts, the place where ends become answers tells us of each end before it judges it."""
        answer, finished = judge.answer, judge.finished

        def heard_answer(ended: Ended, *given: Any) -> Any:
            self._ends().append(ended)
            return answer(ended, *given)

        def heard_finished(ended: Ended, *given: Any, **named: Any) -> Any:
            self._ends().append(ended)
            return finished(ended, *given, **named)

        judge.answer, judge.finished = heard_answer, heard_finished
        try:
            yield
        finally:
            judge.answer, judge.finished = answer, finished

    def taken(self) -> tuple[float, int]:
        """Processor seconds of this thread's children since the last call, and the largest one's bytes."""
        ends, self._mine.ends = self._ends(), []
        return sum(end.cpu_s for end in ends), max((end.peak_rss for end in ends), default=0)

    def _ends(self) -> list[Ended]:
        if not hasattr(self._mine, "ends"):
            self._mine.ends = []
        ends: list[Ended] = self._mine.ends
        return ends


def children_s() -> float:
    """Processor seconds of all children that were waited for, with theirs."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def spent_s(jail: Jail) -> float:
    """Processor seconds of this process and of everything it started, the living zygote and its dead included."""
    host = jail._host
    living = 0.0 if host is None else zygote_s(host.pid)
    return time.process_time() + children_s() + living


def zygote_s(pid: int) -> float:
    """Of a process and of its children that were waited for: fields 14 to 17 of proc(5)'s stat."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:15]) / os.sysconf("SC_CLK_TCK")
