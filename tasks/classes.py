"""One row a class of work: its pool, its limits, its patience. One queue, one deployment and one unacked set each.

Threads have no time limit in Celery, neither soft nor hard: there the timeouts of the jail, HTTP and the database
are the limit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from worker.model import WorkClass


@dataclass(frozen=True, kw_only=True)
class ClassOptions:
    """How one class runs. All `_s` are seconds.

    `visibility_s` must exceed `hard_s`: a message may not come back while its task may still run. `drain_s` is how
    long a job may still go on after SIGTERM before its lease is given back uncounted; the stop grace of the container
    must be longer. `polling_s` is how often the embedded mode looks into this class's queue.
    """

    pool: Literal["prefork", "threads"]
    concurrency: int | Literal["auto"]
    embedded_concurrency: int
    visibility_s: int
    drain_s: float
    polling_s: float
    soft_s: float | None = None
    hard_s: float | None = None
    max_tasks_per_child: int | None = None
    max_memory_kib: int | None = None


CLASSES: Mapping[WorkClass, ClassOptions] = MappingProxyType(
    {
        # Decoding is processor work: processes. A picture takes 0.3 s, so after SIGTERM it may simply finish.
        WorkClass.IMAGE: ClassOptions(
            pool="prefork",
            concurrency="auto",
            embedded_concurrency=2,
            soft_s=60,
            hard_s=90,
            visibility_s=210,
            drain_s=100,
            polling_s=0.01,
            max_tasks_per_child=200,  # leaks of C libraries; at 50 tiny tasks lost 60 % of their throughput
            max_memory_kib=400_000,  # acts only after a task has ended; the guard is the jail's own limit
        ),
        # One process a clip: ffmpeg brings its own threads. The jail's deadline fires before the soft limit. A clip
        # takes minutes, so after SIGTERM it is given back soon and begins anew elsewhere.
        WorkClass.VIDEO: ClassOptions(
            pool="prefork",
            concurrency=1,
            embedded_concurrency=1,
            soft_s=840,
            hard_s=900,
            visibility_s=1_020,
            drain_s=5,
            polling_s=0.05,
            max_tasks_per_child=20,
        ),
        # Waiting for other companies is network work: threads.
        WorkClass.PARTNER: ClassOptions(
            pool="threads", concurrency=16, embedded_concurrency=2, visibility_s=180, drain_s=15, polling_s=0.05
        ),
        # Sweep, erase, fulfil: claimed batches, each bounded by storage and database timeouts.
        WorkClass.LIFECYCLE: ClassOptions(
            pool="threads", concurrency=8, embedded_concurrency=2, visibility_s=300, drain_s=15, polling_s=0.05
        ),
        # Entrance tasks and small duties: never behind a video.
        WorkClass.CONTROL: ClassOptions(
            pool="threads", concurrency=2, embedded_concurrency=1, visibility_s=60, drain_s=5, polling_s=0.05
        ),
    }
)
