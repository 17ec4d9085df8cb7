"""The canary of the queue's settings: what Celery makes of them is what was measured, setting by setting."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from celery.exceptions import QueueNotFound

from tasks.app import JOBS, make_app
from tasks.classes import CLASSES
from tasks.entrance import ENTRANCES
from tasks.seat import Seat
from tasks.task import job
from worker.media.limits import MediaLimits
from worker.media.proving import VIDEO_PROOF_S
from worker.media.video.render import DEADLINE_S
from worker.model import WorkClass
from worker.settings import Settings
from worker.wiring import House

ROOT = Path(__file__).parents[2]
BROKER = "redis://127.0.0.1:1/0"

COMMON: dict[str, Any] = {
    "task_serializer": "json",
    "result_serializer": "json",
    "accept_content": ["json"],
    "result_accept_content": ["json"],
    "task_ignore_result": True,
    "task_store_errors_even_if_ignored": False,
    "result_backend": None,
    "task_acks_late": True,
    "task_acks_on_failure": True,
    "task_acks_on_timeout": True,
    "task_reject_on_worker_lost": False,
    "task_retry_on_worker_lost": False,
    "worker_prefetch_multiplier": 1,
    "worker_cancel_long_running_tasks_on_connection_loss": False,
    "task_create_missing_queues": False,
    "task_default_queue": "lifecycle",
    "worker_eta_task_limit": 100,
    "task_publish_retry": True,
    "task_publish_retry_policy": {"max_retries": 2, "interval_start": 0, "interval_step": 0.2, "interval_max": 0.5},
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,
    "broker_pool_acquire_timeout": 10,
    "worker_send_task_events": False,
    "task_send_sent_event": False,
    "worker_enable_remote_control": False,
    "worker_proc_alive_timeout": 30,
    "worker_pool_start_method": "fork",
    "worker_soft_shutdown_timeout": 0,
    "worker_hijack_root_logger": False,
    "worker_redirect_stdouts": False,
    "task_always_eager": False,
    "beat_schedule": {},
    "timezone": None,
    "enable_utc": True,
}
TRANSPORT: dict[str, Any] = {
    "global_keyprefix": "mayfly:",
    "unacked_mutex_expire": 30,
    "unacked_restore_interval": 5,
    "unacked_restore_throttle": 1,
    "socket_timeout": 10,
    "socket_connect_timeout": 5,
    "socket_keepalive": True,
    "health_check_interval": 10,
}
# class: soft, hard, visibility (seconds), tasks a child, memory of a child (KiB)
LIMITS: dict[str, tuple[float | None, float | None, int, int | None, int | None]] = {
    "image": (60, 90, 210, 200, 400_000),
    "video": (840, 900, 1_020, 20, None),
    "partner": (None, None, 180, None, None),
    "lifecycle": (None, None, 300, None, None),
    "control": (None, None, 60, None, None),
}


def settings(tmp_path: Path) -> Settings:
    return Settings.model_validate({"home": tmp_path, "broker_url": BROKER})


@pytest.fixture(params=list(WorkClass))
def app(request: pytest.FixtureRequest, tmp_path: Path) -> Celery:
    given = settings(tmp_path)
    return make_app(given, request.param, seat=Seat(given, House.build))


def class_of(app: Celery) -> str:
    return str(app.conf.broker_transport_options["client_name"]).removeprefix("mayfly-")


def test_common_settings_are_the_measured_ones(app: Celery) -> None:
    # When the merged configuration of a worker is read, Then each setting has its measured value
    assert {name: app.conf[name] for name in COMMON} == COMMON


def test_every_class_has_its_own_limits_and_its_own_unacked_set(app: Celery) -> None:
    # When the configuration of one class is read
    name = class_of(app)
    soft, hard, visibility, tasks, memory = LIMITS[name]
    # Then its limits are those of the table
    assert (app.conf.task_soft_time_limit, app.conf.task_time_limit) == (soft, hard)
    assert (app.conf.worker_max_tasks_per_child, app.conf.worker_max_memory_per_child) == (tasks, memory)
    # And all three visibility timeouts say the same, longer than a task may run
    options = app.conf.broker_transport_options
    assert {app.conf.visibility_timeout, options["visibility_timeout"]} == {visibility}
    assert visibility >= (hard or 0) + 60
    # And what it fetched is kept apart from what others fetched
    own = {
        key: f"{key.removesuffix('_key')}.{name}" for key in ("unacked_key", "unacked_index_key", "unacked_mutex_key")
    }
    assert {key: options[key] for key in own} == own
    assert {key: options[key] for key in TRANSPORT} == TRANSPORT


def test_a_publisher_gives_up_soon(tmp_path: Path) -> None:
    options = make_app(settings(tmp_path)).conf.broker_transport_options
    assert (options["socket_timeout"], options["socket_connect_timeout"]) == (2, 2)
    assert options["global_keyprefix"] == "mayfly:"


def test_the_queues_are_the_five_classes_and_no_other_is_taken(app: Celery) -> None:
    # When the queues are read, Then there are five, without priorities
    queues = {queue.name: queue for queue in app.conf.task_queues}
    assert set(queues) == {str(work_class) for work_class in WorkClass}
    assert all(queue.queue_arguments is None and queue.max_priority is None for queue in queues.values())
    # And a misspelt one is an error, not a queue that nobody reads
    with pytest.raises(QueueNotFound):
        app.send_task("mayfly.job.process", args=["job", 0], queue="imgae")


def test_every_task_stands_in_the_list(app: Celery) -> None:
    # When the registry is read, Then it holds what the lists name, and nothing that Celery brings along but its own
    named = {task.name for task in JOBS} | {entrance.name for entrance in ENTRANCES}
    assert {name for name in app.tasks if not name.startswith("celery.")} == named
    # And every kind of job that the code declares is in the list
    declared = {
        kind
        for path in (ROOT / "tasks").glob("*.py")
        for kind in re.findall(r"@job\(\s*kind=\"(\w+)\"", path.read_text(encoding="utf-8"))
    }
    assert declared == {task.kind for task in JOBS}
    # And none has options of its own that would undo the common ones
    for name in named:
        assert (app.tasks[name].acks_late, app.tasks[name].ignore_result) == (True, True)
        assert not getattr(app.tasks[name], "autoretry_for", ())


@pytest.mark.parametrize("option", ["knid", "work_clas", "soft_time_limit", "autoretry_for", "queue", "bind"])
def test_a_misspelt_or_foreign_option_is_refused(option: str) -> None:
    good: dict[str, Any] = {"kind": "process", "work_class": WorkClass.IMAGE}
    with pytest.raises(TypeError):
        job(**good, **{option: True})


def test_options_of_a_job_are_given_by_name() -> None:
    assert all(
        parameter.kind is inspect.Parameter.KEYWORD_ONLY for parameter in inspect.signature(job).parameters.values()
    )


@pytest.mark.parametrize(
    "word", ["apply_async(", ".delay(", "countdown=", "eta=", "chain(", "chord(", "group(", "beat_schedule", "crontab"]
)
def test_nothing_of_ours_uses_what_redis_cannot_keep(word: str) -> None:
    # When the code of the queue is searched, Then no timer, canvas or schedule of Celery's is in it
    for path in (ROOT / "tasks").glob("*.py"):
        code = re.sub(r'""".*?"""|#.*', "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        assert word not in code, f"{path.name} uses {word}"


def test_the_jail_ends_a_file_before_the_queue_ends_its_task() -> None:
    """A deadline of the jail is a result with a code; the queue's own limit is a crash."""
    image, video = CLASSES[WorkClass.IMAGE], CLASSES[WorkClass.VIDEO]
    assert image.soft_s is not None
    assert video.soft_s is not None
    assert MediaLimits().image_wall_s < image.soft_s
    assert MediaLimits(pixels=400_000_000).image_wall_s < image.soft_s
    assert video.soft_s > DEADLINE_S + VIDEO_PROOF_S
