"""The life of a worker process: what opens after the fork, what closes, what is said of a child that died.

Also the alive file, and the voice of Celery: only its message templates, since their arguments may quote a payload.
"""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from billiard.exceptions import TimeLimitExceeded, WorkerLostError
from celery import signals

from tasks.classes import CLASSES
from tasks.guard import code_of
from tasks.seat import Seat
from tasks.task import PREFIX
from worker.ledger import leases
from worker.ledger.database import Ledger
from worker.model import WorkClass, is_id

if TYPE_CHECKING:
    from celery import Celery

    from worker.settings import Settings

_ALIVE_EVERY_S = 5.0
_LIBRARIES = ("celery", "kombu", "amqp", "billiard", "multiprocessing", "redis")


def node_name(work_class: WorkClass) -> str:
    """Unique on its host; Celery appends the host name."""
    return f"mayfly-{work_class}-{os.getpid()}@"


def attach(app: Celery, seat: Seat, work_class: WorkClass) -> None:
    """Connect the signals of a worker process. Once a process; Celery's signals are global."""
    options = CLASSES[work_class]
    settings = seat.settings

    def logging_set_up(**_: Any) -> None:
        quiet_libraries(settings.log_level)

    def opened(**_: Any) -> None:
        _open(seat)

    def closed(**_: Any) -> None:
        seat.close()

    def draining(**_: Any) -> None:
        seat.drain.begin(options.drain_s)

    def failed(sender: Any = None, exception: object = None, args: Any = (), **_: Any) -> None:
        if isinstance(exception, WorkerLostError | TimeLimitExceeded) and str(sender.name).startswith(PREFIX):
            report_crash(settings, args)

    def unknown(**_: Any) -> None:
        _stranger(seat, "unknown_task", "no task of that name; see the list of entrance tasks")

    signals.setup_logging.connect(logging_set_up, weak=False)
    signals.worker_shutting_down.connect(draining, weak=False)
    if options.pool == "prefork":
        # Engines, zygotes and clients are made in the child: what is pooled before a fork is shared by accident.
        signals.worker_process_init.connect(opened, weak=False)
        signals.worker_process_shutdown.connect(closed, weak=False)
        signals.task_failure.connect(failed, weak=False)
    else:
        signals.worker_init.connect(opened, weak=False)
        signals.worker_shutdown.connect(closed, weak=False)
        signals.task_unknown.connect(unknown, weak=False)


def report_crash(settings: Settings, args: Any) -> None:
    """A child died or was killed over its hard limit: free its lease at once instead of after its length.

    Runs in the main process, so the connection is its own and closed again: a pool here would be shared with the next
    fork. May be called twice for one death (Celery does): the fence lets only the first count.
    """
    if not (isinstance(args, list | tuple) and len(args) == 2 and is_id(args[0], "job") and type(args[1]) is int):
        return
    log = structlog.get_logger()
    try:
        ledger = Ledger(settings.ledger_url())
        try:
            with ledger.begin() as tx:
                leases.crashed(tx, str(args[0]), args[1])
        finally:
            ledger.close()
        log.warning("worker_crashed", job_id=args[0])
    except Exception as error:  # noqa: BLE001  then the lease runs out by itself
        log.warning("crash_unreported", job_id=args[0], code=code_of(error))


def _open(seat: Seat) -> None:
    """Build the house early, so that the first job need not wait; a failure is tried again with the first job."""
    try:
        seat.open()
    except Exception as error:  # noqa: BLE001  an exception here would be swallowed by the signal anyway
        structlog.get_logger().error("house_not_built", code=code_of(error))


def _stranger(seat: Seat, code: str, detail: str) -> None:
    try:
        seat.open().dead_letter("unknown", code, detail)
    except Exception as error:  # noqa: BLE001  it is already refused; only the note is missing
        structlog.get_logger().warning("dead_letter_failed", code=code_of(error))


@contextmanager
def alive_signal(path: Path) -> Iterator[None]:
    """Touch `path` every 5 s from the main thread of this process: no broker, no import, no thread (we fork).

    An interval timer and not a step of Celery's loop: that loop stands still while the broker is away, and a probe
    must not restart the whole fleet because of that. Children do not inherit the timer.
    """

    def touch(_signal: int = 0, _frame: object = None) -> None:
        with suppress(OSError):
            path.touch(mode=0o600)

    touch()
    before = signal.signal(signal.SIGALRM, touch)
    signal.setitimer(signal.ITIMER_REAL, _ALIVE_EVERY_S, _ALIVE_EVERY_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class TemplateHandler(logging.Handler):
    """Writes the template of a library's record through structlog, never its arguments or its traceback (P7)."""

    def emit(self, record: logging.LogRecord) -> None:
        said = record.msg.strip().splitlines()[0] if isinstance(record.msg, str) and record.msg.strip() else "said"
        fields: dict[str, Any] = {"kind": record.name}
        if record.exc_info and record.exc_info[0] is not None:
            fields["code"] = record.exc_info[0].__name__
        structlog.get_logger().log(record.levelno, said, **fields)


def quiet_libraries(level: str) -> None:
    """Route Celery and its friends through `TemplateHandler`; may be called twice."""
    handler = TemplateHandler()
    for name in _LIBRARIES:
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(max(logging.getLevelName(level.upper()), logging.WARNING))
