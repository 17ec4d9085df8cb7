"""What one worker process has in hand: its house (built after the fork, never before), its observer, its drain flag.

There is no global: the tasks of an app are bound to the seat of that app.
"""

from __future__ import annotations

import mmap
import os
import socket
import struct
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from worker.model import Job

if TYPE_CHECKING:
    from worker.flows.guard import Guard
    from worker.ledger.database import Ledger
    from worker.settings import Settings

Observer: TypeAlias = Callable[[Job, str], None]


class Log(Protocol):
    """The part of a structlog logger that the queue uses; fields are ids and codes, never values of an upload."""

    def info(self, event: str, **fields: Any) -> Any: ...
    def warning(self, event: str, **fields: Any) -> Any: ...
    def error(self, event: str, **fields: Any) -> Any: ...


class House(Protocol):
    """What the queue may ask for; `worker.wiring.House` is the one that serves."""

    @property
    def settings(self) -> Settings: ...
    @property
    def ledger(self) -> Ledger: ...
    @property
    def log(self) -> Log: ...

    def permit(self) -> None: ...
    def process(self, upload_id: str, job: Job, guard: Guard) -> None: ...
    def end_receiving(self, upload_id: str, job: Job, guard: Guard) -> None: ...
    def erase(self, upload_id: str, job: Job, guard: Guard) -> None: ...
    def preserve(self, upload_id: str, job: Job, guard: Guard) -> None: ...
    def reconcile(self, target: str, job: Job, guard: Guard) -> None: ...
    def erase_subject(self, request_id: str, job: Job, guard: Guard) -> None: ...
    def attest(self, target: str, job: Job, guard: Guard) -> None: ...
    def sweep(self, target: str, job: Job, guard: Guard) -> None: ...
    def sweep_scratch(self, guard: Guard) -> object: ...
    def give_up(self, job_kind: str, target: str, code: str) -> None: ...

    def submit(self, payload: dict[str, Any]) -> None: ...
    def renew(self, payload: dict[str, Any]) -> None: ...
    def erase_upload(self, payload: dict[str, Any]) -> None: ...
    def request_erasure(self, payload: dict[str, Any]) -> None: ...
    def dead_letter(self, task: str, code: str, detail: str) -> None: ...
    def close(self) -> None: ...


Build: TypeAlias = "Callable[[Settings], House]"


class Drain:
    """A stop request that children see: one shared page, written by the main process, read by heartbeat threads.

    A page and not a lock, because the writer is a signal handler and a reader may be killed while it reads.
    `time.monotonic` is the same clock in all processes of a host.
    """

    def __init__(self) -> None:
        self._page = mmap.mmap(-1, 8)

    def begin(self, after_s: float) -> None:
        """From `after_s` seconds on, jobs in hand give their lease back; a second call changes nothing."""
        if not self.begun():
            self._page[:] = struct.pack("d", time.monotonic() + after_s)

    def begun(self) -> bool:
        return self._at() != 0.0

    def due(self) -> bool:
        at = self._at()
        return at != 0.0 and time.monotonic() >= at

    def _at(self) -> float:
        return float(struct.unpack("d", self._page[:])[0])


class Companion(Protocol):
    """What lives as long as the house of a process does."""

    def start(self) -> None: ...
    def stop(self) -> None: ...


class Seat:
    """The house of this process, built on first use; after a fork the child builds its own, with its companion."""

    def __init__(
        self,
        settings: Settings,
        build: Build,
        *,
        observer: Observer | None = None,
        companion: Callable[[House], Companion] | None = None,
    ) -> None:
        self.settings = settings
        self.observer = observer
        self.drain = Drain()
        self._build = build
        self._lock = threading.Lock()
        self._accompany = companion
        self._companion: Companion | None = None
        self._house: House | None = None
        self._pid = 0

    def open(self) -> House:
        """The house of this process. Raises what building raises; the next call tries again."""
        with self._lock:
            if self._house is None or self._pid != os.getpid():
                self._house, self._pid = self._build(self.settings), os.getpid()
                self._companion = self._accompany(self._house) if self._accompany else None
                if self._companion is not None:
                    self._companion.start()
            return self._house

    def close(self) -> None:
        """Close the house of this process, if it has one; may be called twice."""
        with self._lock:
            house, self._house = self._house, None
            companion, self._companion = self._companion, None
        if house is not None and self._pid == os.getpid():
            if companion is not None:
                companion.stop()
            house.close()

    def holder(self) -> str:
        """Who holds a lease, for the operator: host and process, no more."""
        return f"{holder_prefix()}{os.getpid()}"


def holder_prefix() -> str:
    return f"{socket.gethostname()}:"
