"""The same tasks, claim and relay in one process: memory broker, threads, a relay thread. No server, no fork.

The queue dies with the process and nothing is lost by that: the relay rings everything again at the next start.
Threads have no time limit; the jail's deadline is the limit. One per process: the memory broker is process-wide.
"""

from __future__ import annotations

import threading
from typing import Any

from celery.worker import WorkController
from kombu.transport.memory import Channel

from tasks.app import make_app
from tasks.classes import CLASSES
from tasks.life import quiet_libraries
from tasks.relay import Relay
from tasks.schedule import DUTIES, Duty
from tasks.seat import House, Observer, Seat
from worker.errors import Defect
from worker.model import WorkClass

# One pool a group, so that clips cannot take the threads of pictures, nor either of them those of erasures.
GROUPS: tuple[tuple[WorkClass, ...], ...] = (
    (WorkClass.IMAGE,),
    (WorkClass.VIDEO,),
    (WorkClass.LIFECYCLE, WorkClass.PARTNER, WorkClass.CONTROL),
)
_RELAY_S = 0.25
_STOP_S = 30.0
_ONE = threading.Lock()
# Consumers of an earlier one in this process: they look at their stop sign only every two seconds. Nothing of ours runs
# in them any more, so a command need not wait for them; another one must, or they would take its messages.
_FADING: list[threading.Thread] = []


class Embedded:
    """`start`, then work flows by itself; `ring` after a commit makes it flow at once; `stop` when done."""

    def __init__(self, house: House, *, observer: Observer | None = None, duties: tuple[Duty, ...] = DUTIES) -> None:
        self._house = house
        self._seat = Seat(house.settings, lambda _settings: house, observer=observer)
        self._publisher = make_app(house.settings)
        self._relay = Relay(
            house, self._publisher, interval_s=min(_RELAY_S, house.settings.relay_seconds), duties=duties
        )
        self._stop = threading.Event()
        self._workers: list[Any] = []
        self._ready: list[threading.Event] = []
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Start all pools and the relay. Raises `Defect` where this process already runs one."""
        if not _ONE.acquire(blocking=False):
            raise Defect("the embedded mode already runs in this process; stop it first")
        while _FADING:
            _FADING.pop().join()
        quiet_libraries(self._house.settings.log_level)
        Channel.queues.clear()  # messages of an earlier life: their rows are rung again if they are still due
        for group in GROUPS:
            self._workers.append(self._controller(group))
        for worker in self._workers:
            self._threads.append(threading.Thread(target=worker.start, name=worker.hostname, daemon=True))
        self._threads.append(threading.Thread(target=self._relay.run, args=(self._stop,), name="relay", daemon=True))
        for thread in self._threads:
            thread.start()
        # A worker that is still on its way up does not hear a stop.
        for ready in self._ready:
            ready.wait(_STOP_S)

    def ring(self) -> None:
        """Something was committed: let it begin now. Never blocks."""
        self._relay.poke()

    def stop(self, *, drain_s: float = 0.0) -> None:
        """Take no more; jobs in hand may go on for `drain_s` seconds, then give their lease back. Ends when still."""
        self._stop.set()
        self._relay.poke()
        self._seat.drain.begin(drain_s)
        for worker in self._workers:
            worker.stop()
        *consumers, relay = self._threads
        relay.join(_STOP_S)
        _FADING.extend(consumers)
        self._workers.clear()
        self._ready.clear()
        self._threads.clear()
        _ONE.release()

    def _controller(self, group: tuple[WorkClass, ...]) -> Any:
        options = [CLASSES[work_class] for work_class in group]
        polling_s = min(each.polling_s for each in options)
        app = make_app(self._house.settings, seat=self._seat, polling_s=polling_s)
        # Celery's threads look a task up in the process's default application; ours all know the same tasks.
        app.set_default()
        ready = threading.Event()
        self._ready.append(ready)
        return WorkController(
            app=app,
            ready_callback=lambda _consumer: ready.set(),
            hostname=f"embedded-{group[0]}@mayfly",
            pool="threads",
            concurrency=sum(each.embedded_concurrency for each in options),
            queues=[str(work_class) for work_class in group],
            loglevel="WARNING",
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
        )
