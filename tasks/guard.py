"""Keeps one lease alive while its job runs, and says when the job must stop: lease lost, or worker draining.

A lease that could not be renewed for its whole length counts as lost, whatever the reason: no guess.
"""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Self

from tasks.seat import Drain, Log, Observer
from worker.errors import LeaseLost, MayflyError
from worker.ledger import leases
from worker.model import Job

if TYPE_CHECKING:
    from worker.ledger.database import Ledger

# How late a stop request may be seen; a look is one read of shared memory.
_TICK_S = 0.25
# A heartbeat waits on the database at most this long (its own timeouts are shorter); then the slot goes on without it.
_JOIN_S = 30.0


class LeaseGuard:
    """`worker.flows.guard.Guard` over a real lease; use as a context manager around the flow, no longer.

    `beat_s` must be well below `lease_s` (a third), so that two lost beats are survived.
    """

    def __init__(
        self,
        ledger: Ledger,
        job: Job,
        *,
        drain: Drain,
        log: Log,
        lease_s: float,
        beat_s: float,
        observer: Observer | None = None,
    ) -> None:
        self._ledger, self._job, self._drain, self._log = ledger, job, drain, log
        self._lease_s, self._beat_s, self._observer = lease_s, beat_s, observer
        self._step: str | None = None
        self._held_at = time.monotonic()
        self._lost = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"lease-{job.id}", daemon=True)

    def step(self, name: str) -> None:
        self._step = name
        if self._observer is not None:
            self._observer(self._job, name)

    def check(self) -> None:
        if self.cancelled():
            raise LeaseLost("the lease of this job is over; its work is discarded")

    def cancelled(self) -> bool:
        return self._lost.is_set() or time.monotonic() - self._held_at >= self._lease_s

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(_JOIN_S)

    def _beat(self) -> None:
        next_at = self._held_at + self._beat_s
        while not self._stop.wait(max(0.0, min(_TICK_S, next_at - time.monotonic()))):
            if self._drain.due():
                self._give_back()
                return
            if time.monotonic() >= next_at:
                next_at = time.monotonic() + self._beat_s
                self._renew()
            if self.cancelled():
                self._lost.set()
                return

    def _renew(self) -> None:
        asked_at = time.monotonic()
        try:
            with self._ledger.begin() as tx:
                leases.heartbeat(tx, self._job, self._step, lease=timedelta(seconds=self._lease_s))
            self._held_at = asked_at
        except LeaseLost:
            self._lost.set()
        except Exception as error:  # noqa: BLE001  whatever ails the database, the lease's own age decides
            self._log.warning("heartbeat_failed", job_id=self._job.id, code=code_of(error))

    def _give_back(self) -> None:
        """The worker stops: another may begin at once, and the attempt does not count (nobody crashed)."""
        self._lost.set()
        try:
            with self._ledger.begin() as tx:
                leases.release(tx, self._job)
            self._log.info("lease_given_back", job_id=self._job.id, kind=self._job.kind)
        except LeaseLost:
            return
        except Exception as error:  # noqa: BLE001  then the lease runs out by itself
            self._log.warning("release_failed", job_id=self._job.id, code=code_of(error))


def code_of(error: BaseException) -> str:
    """What may be logged of an error: its own code, or the name of its class; never its text (P7)."""
    if isinstance(error, MayflyError):
        return error.code
    code = getattr(error, "code", None)
    return code if isinstance(code, str) and code.isidentifier() else type(error).__name__
