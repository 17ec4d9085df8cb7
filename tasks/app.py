"""The Celery application and how its parts are started. JSON only, no results, no beat, one queue a class.

Refuses a queue that is not of the five. Nothing here retries, schedules or keeps state: the ledger does.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from celery import Celery
from kombu.entity import Exchange, Queue

from tasks import life, privacy, retention, uploads
from tasks.broom import Broom
from tasks.classes import CLASSES, ClassOptions
from tasks.entrance import ENTRANCES, Entrance, enter
from tasks.relay import Relay
from tasks.seat import Build, House, Observer, Seat
from tasks.task import JobTask, perform
from worker.model import WorkClass

if TYPE_CHECKING:
    from worker.settings import Settings

# Every job the queue may carry. An explicit list: Celery's discovery finds nothing in a package called `tasks`, and
# says nothing about it.
JOBS: tuple[JobTask, ...] = (
    uploads.process,
    uploads.end_receiving,
    retention.sweep,
    retention.erase,
    retention.preserve,
    retention.reconcile,
    privacy.erase_subject,
    privacy.attest,
)

KEY_PREFIX = "mayfly:"

COMMON: Mapping[str, object] = {
    # Pickle accepted = code execution for whoever can write to the broker.
    "task_serializer": "json",
    "result_serializer": "json",
    "accept_content": ["json"],
    "result_accept_content": ["json"],
    # A result is a ledger row. Saves 0.3-0.6 ms and the rebuilding of exceptions out of a store (CVE-2021-23727).
    "task_ignore_result": True,
    "task_store_errors_even_if_ignored": False,
    "result_backend": None,
    # Second net for messages that were fetched but not claimed; unstarted ones go back on a warm stop.
    "task_acks_late": True,
    # Retries are the ledger's: a message is spent whatever became of its task. Without the second, one task that hit
    # its time limit ran 5 times in 20 s.
    "task_acks_on_failure": True,
    "task_acks_on_timeout": True,
    # The first loops without bound for a file that kills its worker (25 runs in 60 s); the second helps nobody when
    # the whole worker dies. Attempts are counted at the claim.
    "task_reject_on_worker_lost": False,
    "task_retry_on_worker_lost": False,
    # A prefetched message waits behind a long task; nothing measurable is lost against 4 or 16.
    "worker_prefetch_multiplier": 1,
    # True kills the work at once and brings it back only after the visibility timeout; 6.0 will default to True.
    "worker_cancel_long_running_tasks_on_connection_loss": False,
    # A typing error in a queue name is an error, not a queue that nobody reads.
    "task_create_missing_queues": False,
    "task_default_queue": str(WorkClass.LIFECYCLE),
    # There are no ETA tasks; if a stranger sends some they cannot fill the memory.
    "worker_eta_task_limit": 100,
    # Broker refuses: an error after 0.8 s. `task_publish_retry=False` is slower (6.6 s of the client's own retries).
    "task_publish_retry_policy": {"max_retries": 2, "interval_start": 0, "interval_step": 0.2, "interval_max": 0.5},
    # A worker waits for its broker, and never ends because of it.
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,
    # No endless wait for a connection of the pool.
    "broker_pool_acquire_timeout": 10,
    # Events cost a third of the throughput; the figures come from the ledger.
    "worker_send_task_events": False,
    "task_send_sent_event": False,
    # Nothing of ours needs it, and who can write to the broker could stop workers.
    "worker_enable_remote_control": False,
    # A slow start on a loaded host is not a dead child.
    "worker_proc_alive_timeout": 30,
    # Right only while the parent has no threads and no pools: everything is built in the child (`tasks/life.py`).
    "worker_pool_start_method": "fork",
    # Warm stop plus drain plus a long grace; a cold stop raises between any two instructions and may deadlock.
    "worker_soft_shutdown_timeout": 0,
    # A message that is none would end worker after worker: it is refused before Celery's own code meets it.
    "worker_consumer": "tasks.consumer:CarefulConsumer",
    # Our own handler writes templates without their arguments (P7); see `tasks/life.py`.
    "worker_hijack_root_logger": False,
    "worker_redirect_stdouts": False,
}


def make_app(
    settings: Settings,
    work_class: WorkClass | None = None,
    *,
    seat: Seat | None = None,
    polling_s: float | None = None,
) -> Celery:
    """An application of our settings; with a `seat` it can also run tasks, without one it only publishes.

    `work_class` = a worker of that class; None = a publisher. `polling_s` only matters to the memory broker.
    """
    url = settings.broker_url.get_secret_value() if settings.broker_url else "memory://localhost/"
    app = Celery("mayfly", broker=url, set_as_current=False)
    app.conf.update(COMMON)
    app.conf.task_queues = [Queue(str(c), Exchange(str(c), type="direct"), routing_key=str(c)) for c in WorkClass]
    app.conf.broker_transport_options = (
        {"polling_interval": polling_s} if url.startswith("memory:") else broker_options(work_class)
    )
    if work_class is not None:
        app.conf.update(_class_settings(CLASSES[work_class]))
    if seat is not None:
        _register(app, seat)
    return app


def broker_options(work_class: WorkClass | None) -> dict[str, object]:
    """Options of the Redis transport for a worker of that class, or for a publisher (None)."""
    options: dict[str, object] = {
        # One shared Redis; makes a narrow ACL possible.
        "global_keyprefix": KEY_PREFIX,
        # Without both a half-open connection hangs for ever. A publisher must say so sooner than a worker.
        "socket_timeout": 10 if work_class else 2,
        "socket_connect_timeout": 5 if work_class else 2,
        "socket_keepalive": True,
        "health_check_interval": 10,
        # `CLIENT LIST` becomes readable.
        "client_name": f"mayfly-{work_class or 'publisher'}",
    }
    if work_class is None:
        # How often a look at a queue's length is tried; the default waits 6 s for a broker that refuses.
        return options | {"max_retries": 1, "interval_start": 0, "interval_step": 0.1, "interval_max": 0.1}
    return options | {
        "visibility_timeout": CLASSES[work_class].visibility_s,
        # Sets of its own: otherwise the shortest visibility timeout of the whole fleet rules everybody.
        "unacked_key": f"unacked.{work_class}",
        "unacked_index_key": f"unacked_index.{work_class}",
        "unacked_mutex_key": f"unacked_mutex.{work_class}",
        # A worker killed while it holds the mutex blocks every restore that long (default 300).
        "unacked_mutex_expire": 30,
        # Default: a look only every 100 s, whatever the visibility timeout.
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,
    }


def _class_settings(options: ClassOptions) -> dict[str, object]:
    return {
        "task_soft_time_limit": options.soft_s,
        "task_time_limit": options.hard_s,
        "worker_max_tasks_per_child": options.max_tasks_per_child,
        "worker_max_memory_per_child": options.max_memory_kib,
        "visibility_timeout": options.visibility_s,
    }


def _register(app: Celery, seat: Seat) -> None:
    for task in JOBS:
        app.task(name=task.name, shared=False)(_deliver(seat, task))
    for entrance in ENTRANCES:
        app.task(name=entrance.name, shared=False)(_entered(seat, entrance))


def _deliver(seat: Seat, task: JobTask) -> Callable[..., None]:
    def deliver(*args: object, **surplus: object) -> None:
        row_id, fence = args if len(args) == 2 and not surplus else (None, None)
        perform(seat, task, row_id, fence)

    return deliver


def _entered(seat: Seat, entrance: Entrance) -> Callable[..., None]:
    def entered(*args: object, **payload: Any) -> None:
        enter(seat, entrance, args, payload)

    return entered


def built(settings: Settings) -> House:
    """The house that serves; imported late, so that a publisher carries no decoders."""
    from worker.wiring import House as Wired

    return Wired.build(settings)


def run_worker(
    settings: Settings,
    work_class: WorkClass,
    concurrency: int | Literal["auto"] | None = None,
    *,
    build: Build = built,
    observer: Observer | None = None,
) -> int:
    """Serve one class until SIGTERM (warm: jobs in hand end or give their lease back); returns the exit status.

    SIGKILL is safe at any time. A broker that is away is waited for.
    """
    options = CLASSES[work_class]
    seat = Seat(settings, build, observer=observer, companion=Broom)
    app = make_app(settings, work_class, seat=seat)
    life.attach(app, seat, work_class)
    worker = app.Worker(
        hostname=life.node_name(work_class),
        pool=options.pool,
        concurrency=concurrency or options.concurrency,
        queues=[str(work_class)],
        loglevel=settings.log_level.upper(),
        optimization="fair",
        quiet=True,
        # Less chatter over pub/sub, and fewer connections (a worker of two had eleven).
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    )
    with life.alive_signal(settings.alive_path(work_class)):
        worker.start()
    return int(worker.exitcode or 0)


def run_relay(settings: Settings, *, build: Build = built) -> int:
    """Relay until SIGTERM or SIGINT; returns the exit status. Any number may run."""
    stop = threading.Event()
    life.quiet_libraries(settings.log_level)
    house = build(settings)
    relay = Relay(house, make_app(settings), interval_s=settings.relay_seconds)

    def ask(_signal: int, _frame: object) -> None:
        stop.set()
        relay.poke()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask)
    try:
        with life.alive_signal(settings.alive_path("relay")):
            relay.run(stop)
    finally:
        house.close()
    return 0
