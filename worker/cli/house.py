"""Opens the house for one command, with or without the embedded worker, and closes it whatever happens."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

from tasks.embedded import Embedded
from worker import logs
from worker.errors import Unavailable
from worker.ledger.database import Clock
from worker.settings import Settings
from worker.wiring import House

LOOK_EVERY_S = 0.05


@contextlib.contextmanager
def opened(*, clock: Clock | None = None, quiet: bool = True) -> Iterator[House]:
    """The house, without anybody at work in it. `quiet`: only warnings are logged."""
    settings = Settings.load()
    logs.configure("warning" if quiet and settings.log_level == "info" else settings.log_level)
    house = House.build(settings, clock=clock)
    try:
        yield house
    finally:
        house.close()


@contextlib.contextmanager
def at_work(*, clock: Clock | None = None) -> Iterator[House]:
    """The house with the embedded worker and relay running. Raises `Unavailable` where the jail does not hold."""
    with opened(clock=clock) as house:
        house.jail.start()
        embedded = Embedded(house)
        embedded.start()
        try:
            yield house
        finally:
            embedded.stop()


def wait_until(done: Callable[[], bool], *, seconds: float) -> None:
    """Look at the ledger until it says so; raises `Unavailable` (`still_running`) when it does not in time."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            raise Unavailable(
                "not finished yet; the work goes on with `mayfly up`, see `mayfly status`", code="still_running"
            )
        time.sleep(LOOK_EVERY_S)
