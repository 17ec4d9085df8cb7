"""Whatever lies in the queue of the entrance, its worker lives on and serves the next message; nothing loops."""

from __future__ import annotations

import base64
import json
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests import servers
from tests.e2e.fleet import Fleet
from tests.e2e.sender import Backend, plain
from worker.model import WorkClass, new_id

pytestmark = pytest.mark.slow

CANARY = "canary-4711"
Message = dict[str, Any]


@pytest.fixture(scope="module")
def entrance(tmp_path_factory: pytest.TempPathFactory, fresh_database: Callable[[], str]) -> Iterator[Fleet]:
    """Nothing but a control worker with a broker of its own, since these messages may end a worker."""
    with servers.redis_server() as broker:
        made = Fleet.of(tmp_path_factory.mktemp("entrance"), broker=broker, database=fresh_database())
        try:
            yield made
        finally:
            made.close()


@pytest.fixture
def door(entrance: Fleet) -> Iterator[Backend]:
    """The queue is empty and its worker at work."""
    with Backend.of(entrance) as backend:
        backend.broker.flushall()
        if "control" not in entrance.parts or not entrance.parts["control"].running():
            entrance.worker(WorkClass.CONTROL)
            entrance.ready()
        yield backend


def without(*path: str) -> Callable[[], Message]:
    def make() -> Message:
        message = plain("mayfly.erase_upload", app="shop", upload_id=CANARY)
        place: Any = message
        for name in path[:-1]:
            place = place[name]
        del place[path[-1]]
        return message

    return make


def with_(value: object, *path: str) -> Callable[[], Message]:
    def make() -> Message:
        message = plain("mayfly.erase_upload", app="shop", upload_id=CANARY)
        place: Any = message
        for name in path[:-1]:
            place = place[name]
        place[path[-1]] = value
        return message

    return make


def encoded(value: object) -> str:
    return base64.b64encode(json.dumps(value).encode()).decode()


PICKLED = base64.b64encode(pickle.dumps([[], {"app": CANARY}, None])).decode()


def pickled() -> Message:
    made = with_(PICKLED, "body")()
    return made | {"content-type": "application/x-python-serialize", "content-encoding": "binary"}


GARBAGE: dict[str, Callable[[], Message | bytes]] = {
    "no body": without("body"),
    "no content encoding": without("content-encoding"),
    "no content type": without("content-type"),
    "no headers": without("headers"),
    "no properties": without("properties"),
    "no delivery tag": without("properties", "delivery_tag"),
    "no body encoding": without("properties", "body_encoding"),
    "no delivery info": without("properties", "delivery_info"),
    "no task": without("headers", "task"),
    "no id": without("headers", "id"),
    "task is an object": with_({"a": 1}, "headers", "task"),
    "id is an object": with_({"a": 1}, "headers", "id"),
    "unknown task": with_(f"{CANARY}.nope", "headers", "task"),
    "an empty object": lambda: b"{}",
    "body is no base64": with_("!!!", "body"),
    "body is an object": with_(encoded({"a": 1}), "body"),
    "body is cut": with_(base64.b64encode(b'[[], {"a":').decode(), "body"),
    "kwargs are a list": with_(encoded([[], [1], None]), "body"),
    "positional arguments": with_(encoded([[CANARY], {}, None]), "body"),
    "an argument called self": with_(encoded([[], {"self": 1, "seat": 2, "task": 3}, None]), "body"),
    "pickle": pickled,
    "unknown content type": with_("application/x-canary", "content-type"),
    "eta is no time": with_("garbage", "headers", "eta"),
    "far eta": with_("2040-01-01T00:00:00", "headers", "eta"),
    "expires is no time": with_("garbage", "headers", "expires"),
    "time limit is text": with_("garbage", "headers", "timelimit"),
    "retries is text": with_("garbage", "headers", "retries"),
    "callbacks": with_(
        encoded([[], {}, {"callbacks": [{"task": "mayfly.job.sweep", "args": [], "kwargs": {}, "options": {}}]}]),
        "body",
    ),
}

# What Redis' transport cannot even take apart: it is out of the queue by then, so it can end one worker, never two.
RAW = {"not JSON": b"not json", "a list": b"[]", "a number": b"3", "no text": b"\xff\xfe\x00"}


@pytest.mark.parametrize("kind", RAW)
def test_what_is_no_message_at_all_ends_one_worker_at_most(entrance: Fleet, door: Backend, kind: str) -> None:
    # When it lies before a good message, and the worker is started again where it ended
    before = len(refusals(entrance))
    door.push(RAW[kind])
    door.push(plain("mayfly.erase_upload", app="shop", upload_id=new_id("upl")))
    entrance.until(
        lambda: len(refusals(entrance)) > before or not entrance.parts["control"].running(), what="an end", within=8
    )
    if not entrance.parts["control"].running():
        entrance.worker(WorkClass.CONTROL)
    # Then the good one is answered by the first worker or by the next
    entrance.until(lambda: len(refusals(entrance)) > before, what=f"the answer after {kind}", within=10)
    entrance.checked(entrance.parts["control"])


@pytest.mark.parametrize("kind", GARBAGE)
def test_the_worker_outlives_it_and_serves_the_next(entrance: Fleet, door: Backend, kind: str) -> None:
    worker, asked = entrance.parts["control"], new_id("upl")

    # When a message that is none lies before a good one
    door.push(GARBAGE[kind]())
    before = len(refusals(entrance))
    door.push(plain("mayfly.erase_upload", app="shop", upload_id=asked))

    # Then the good one is answered by the same worker
    entrance.until(
        lambda: len(refusals(entrance)) > before or not worker.running(), what=f"the answer after {kind}", within=8
    )
    assert worker.running(), entrance.said(worker)[-500:]
    # And what was bad is neither kept for another round nor told to anybody
    settings = ("mayfly:control", "mayfly:unacked.control")
    entrance.until(lambda: not any(door.broker.exists(key) for key in settings), what="an empty queue", within=8)
    assert CANARY not in entrance.all_said()
    assert CANARY not in str(entrance.dead())


def refusals(entrance: Fleet) -> list[str]:
    return [letter.job_id for letter in entrance.dead() if letter.code == "upload_not_found"]
