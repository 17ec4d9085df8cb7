"""An app backend that knows nothing of our code: it sends by name, through Celery or as plain JSON into Redis."""

from __future__ import annotations

import base64
import contextlib
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis
from celery import Celery

from tests.e2e.fleet import Fleet

QUEUE = "control"


@dataclass(frozen=True)
class Backend:
    """A foreign Celery application; the key prefix is all that it must know of ours."""

    app: Celery
    broker: redis.Redis

    @classmethod
    @contextlib.contextmanager
    def of(cls, fleet: Fleet) -> Iterator[Backend]:
        url = broker_url(fleet)
        app = Celery("backend", broker=url, set_as_current=False)
        app.conf.broker_transport_options = {"global_keyprefix": "mayfly:"}
        client = redis.Redis.from_url(url)
        try:
            yield cls(app, client)
        finally:
            client.close()
            app.close()

    def send(self, task: str, *args: object, queue: str = QUEUE, **payload: object) -> None:
        self.app.send_task(task, args=list(args), kwargs=payload, queue=queue, ignore_result=True)

    def push(self, message: dict[str, Any] | bytes, *, queue: str = QUEUE) -> None:
        """Put raw bytes, or a message as JSON, into a queue."""
        self.broker.lpush(f"mayfly:{queue}", message if isinstance(message, bytes) else json.dumps(message))


def broker_url(fleet: Fleet) -> str:
    if (url := fleet.environment.get("MAYFLY_BROKER_URL")) is not None:
        return url
    return Path(fleet.environment["MAYFLY_BROKER_URL_FILE"]).read_text(encoding="utf-8")


def plain(task: str, **payload: object) -> dict[str, Any]:
    """The message as a backend in any language builds it by hand; the README shows this one."""
    body = json.dumps([[], payload, None])
    return {
        "body": base64.b64encode(body.encode()).decode(),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {"task": task, "id": str(uuid.uuid4())},
        "properties": {
            "body_encoding": "base64",
            "delivery_tag": str(uuid.uuid4()),
            "delivery_info": {"exchange": "", "routing_key": QUEUE},
        },
    }
