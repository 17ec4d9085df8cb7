"""`mayfly up`, and the parts for many hosts: `worker`, `relay`, `api`.

Web server and queue are imported by the command that needs them: half a second that no other command waits for.
"""

from __future__ import annotations

import contextlib
import signal
import socket
from collections.abc import Callable, Iterator
from typing import Annotated

import typer

from worker import logs
from worker.cli.house import opened, warn_if_degraded, working
from worker.cli.terminal import DONE, Terminal
from worker.errors import Unavailable, UsageRefused
from worker.flows.gate import Gate
from worker.ledger.database import Ledger
from worker.model import WorkClass
from worker.privacy.journal import Journal
from worker.settings import Settings
from worker.wiring import House


def up(
    ctx: typer.Context,
    port: Annotated[int | None, typer.Option(min=0, max=65_535, help="Port of the HTTP edge on loopback.")] = None,
) -> int:
    """Everything in one process without any server: API, workers, relay. Ends at SIGTERM or Ctrl-C."""
    terminal: Terminal = ctx.obj
    from worker.api.app import serve

    settings = Settings.load()
    if not settings.embedded:
        raise UsageRefused(
            "mayfly up runs without a broker: unset MAYFLY_BROKER_URL, or start worker, relay and api",
            code="broker_set",
        )
    with _told_to_end() as wait_for_end, opened(settings=settings) as house, working(house):
        logs.configure(house.settings.log_level)
        bound = port if port is not None else house.settings.api_port
        with serve(house, host=house.settings.api_host, port=bound) as address:
            _say(terminal, "mayfly is up", address)
            wait_for_end()
    return DONE


def worker(
    work_class: Annotated[
        str, typer.Option("--class", metavar="CLASS", help="image, video, partner, lifecycle or control.")
    ],
    concurrency: Annotated[int | None, typer.Option("-c", "--concurrency", min=1, help="Processes or threads.")] = None,
) -> int:
    """One class of workers, fed by the broker. SIGTERM finishes what is in hand; SIGKILL is always safe."""
    from tasks.app import run_worker

    settings = _with_broker()
    wanted = _class(work_class)
    _refuse_old(settings)
    return run_worker(settings, wanted, concurrency, build=House.build)


def relay() -> int:
    """Ring for what waits, what was lost, and what the dead held. Any number may run."""
    from tasks.app import run_relay

    return run_relay(_with_broker(), build=House.build)


def api(
    ctx: typer.Context,
    port: Annotated[int | None, typer.Option(min=0, max=65_535, help="Port to listen on.")] = None,
) -> int:
    """The HTTP edge alone."""
    from tasks.life import alive_signal
    from worker.api.app import serve

    terminal: Terminal = ctx.obj
    with _told_to_end() as wait_for_end, opened() as house:
        logs.configure(house.settings.log_level)
        bound = port if port is not None else house.settings.api_port
        with serve(house, host=house.settings.api_host, port=bound) as address:
            _say(terminal, "the API listens", address)
            with alive_signal(house.settings.alive_path("api")):
                wait_for_end()
    return DONE


def _say(terminal: Terminal, what: str, address: str) -> None:
    """Where to find us: at port 0 this is the only place where it is said."""
    if terminal.json:
        terminal.document({"url": f"http://{address}"})
    terminal.err.print(f"{what} at http://{address}; stop it with Ctrl-C or SIGTERM", soft_wrap=True, markup=False)


@contextlib.contextmanager
def _told_to_end() -> Iterator[Callable[[], None]]:
    """From here on SIGTERM and Ctrl-C are the ordinary end, with status 0; yields what waits for the first of them.

    The system may hand a signal to any thread, or just before the main one falls asleep, and a lock that this one
    waits for does not open by that. A byte in a pipe, which the signal leaves behind, is there whoever takes it.
    """
    ends = (signal.SIGTERM, signal.SIGINT)

    def wait() -> None:
        while signaled.recv(1)[0] not in ends:
            pass

    signaled, noted = socket.socketpair()
    with signaled, noted:
        noted.setblocking(False)
        signal.set_wakeup_fd(noted.fileno(), warn_on_full_buffer=False)
        before = {number: signal.signal(number, lambda _number, _frame: None) for number in ends}
        try:
            yield wait
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(-1)


def _class(word: str) -> WorkClass:
    try:
        return WorkClass(word)
    except ValueError:
        raise UsageRefused("a class is image, video, partner, lifecycle or control", code="bad_class") from None


def _refuse_old(settings: Settings) -> None:
    """A fleet on a restored ledger does not even start. What else is away now, its processes wait for by themselves;
    nothing that is opened here is open when they are forked."""
    ledger = Ledger(settings.ledger_url())
    try:
        ledger.migrate()
        Gate(ledger=ledger, journal=Journal(path=settings.journal_path())).check()
    except Unavailable as error:
        if error.code == "restore_needed" or error.code.startswith("journal_"):
            raise
    finally:
        ledger.close()


def _with_broker() -> Settings:
    settings = Settings.load()
    logs.configure(settings.log_level)
    warn_if_degraded(settings)
    if settings.broker_url is None:
        raise UsageRefused("set MAYFLY_BROKER_URL, such as redis://host:6379/0; or use `mayfly up`", code="no_broker")
    return settings
