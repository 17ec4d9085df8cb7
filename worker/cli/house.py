"""Opens the house for one command, with or without somebody at work in it, and closes it whatever happens.

The queue is imported only where somebody works: a command that only looks starts without it.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator

from worker import logs
from worker.errors import Unavailable
from worker.ledger.database import Clock
from worker.settings import Settings
from worker.wiring import House

LOOK_EVERY_S = 0.05


@contextlib.contextmanager
def opened(*, clock: Clock | None = None, settings: Settings | None = None, gated: bool = True) -> Iterator[House]:
    """The house, without anybody at work in it. A command that ends answers by its own lines: unless the operator
    asked for a level, its log holds errors only (that a job waits and comes again is not one); with a broker also that
    this one is away, which would make the command wait.

    `gated=False`: for a command that only looks. It works on a ledger older than the journal of erasures, and says so.
    """
    settings = settings or Settings.load()
    quiet = "error" if settings.embedded else "warning"
    logs.configure(settings.log_level if "log_level" in settings.model_fields_set else quiet)
    warn_if_degraded(settings)
    house = House.build(settings, clock=clock, gated=gated)
    try:
        if not gated and (trouble := standing(house)):
            print(f"mayfly: {trouble} [{trouble.code}]", file=sys.stderr, flush=True)
        yield house
    finally:
        house.close()


def standing(house: House) -> Unavailable | None:
    """What keeps this ledger from being served, if anything does."""
    try:
        house.gate.check()
    except Unavailable as error:
        return error
    return None


def warn_if_degraded(settings: Settings) -> None:
    """A jail with missing walls is set by hand, and shown by every command."""
    if settings.jail != "required":
        print("mayfly: the jail is degraded; set MAYFLY_JAIL=required [jail_degraded]", file=sys.stderr, flush=True)


@contextlib.contextmanager
def working(house: House, *, jailed: bool = True) -> Iterator[House]:
    """Somebody does the work that the command asks for: this process itself, or, where there is a broker, the workers
    behind it. `jailed`: raise `Unavailable` (`jail_unavailable`) at once where the jail does not hold; an erasure goes
    on without one."""
    if not house.settings.embedded:
        with _ringing(house):
            yield house
        return
    from tasks.embedded import Embedded

    if jailed:
        house.jail.start()
    embedded = Embedded(house)
    embedded.start()
    try:
        yield house
    finally:
        embedded.stop()
        # A command ends between an erasure and its line in the journal as often as not.
        house.export()


@contextlib.contextmanager
def _ringing(house: House) -> Iterator[None]:
    """The doorbell of this process: what the command commits is on its way at once, whether a relay runs or not."""
    from tasks.app import make_app
    from tasks.relay import Relay

    stop = threading.Event()
    relay = Relay(house, make_app(house.settings), interval_s=house.settings.relay_seconds)
    thread = threading.Thread(target=relay.run, args=(stop,), name="relay", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        relay.poke()
        thread.join(timeout=10)


def wait_until(done: Callable[[], bool], *, seconds: float) -> None:
    """Look at the ledger until it says so; raises `Unavailable` (`still_running`) when it does not in time."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            raise Unavailable(
                "not finished yet; it goes on where workers run (mayfly up, mayfly worker): see mayfly status",
                code="still_running",
            )
        time.sleep(LOOK_EVERY_S)
