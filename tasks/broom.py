"""Sweeps the scratch of this host while one of its processes lives: working copies of killed runs, when they are due.

The rows say what and when; this only looks. Any worker of the host may do it, claims settle which; no other host can,
since scratch lies on a local disk.
"""

from __future__ import annotations

import threading

from tasks.guard import code_of
from tasks.seat import House

EVERY_S = 60.0


class Broom:
    """A thread of one worker process, started with its house and ended before it. Also the `Guard` of its own sweep:
    no lease is needed, a stop is a stop."""

    def __init__(self, house: House, *, every_s: float = EVERY_S) -> None:
        self._house, self._every_s = house, every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="broom", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """May be called twice; returns when the sweep in hand is over."""
        self._stop.set()
        self._thread.join()

    def step(self, name: str) -> None:
        """Nobody asks how far it is."""

    def check(self) -> None:
        """Each batch is claimed for itself, so there is nothing to lose."""

    def cancelled(self) -> bool:
        return self._stop.is_set()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._house.sweep_scratch(self)
            except Exception as error:  # noqa: BLE001  a ledger or a disk that is away: it looks again in a minute
                self._house.log.warning("broom_waits", code=code_of(error))
            self._stop.wait(self._every_s)
