"""Celery's consumer, with a look at each message before Celery's own code meets it.

A message of a wrong shape raises inside Celery: it ends the worker or reconnects it, is given back to the head of the
queue, and does the same to the next worker, for ever. Here it is taken out of the queue and noted instead.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import structlog
from celery.worker.consumer import Consumer

_TEXT = ("task", "id")


def sound(message: Any) -> bool:
    """Whether Celery can make a request of this message: protocol 2, JSON, `[list, object, object or null]`."""
    headers = message.headers
    if not isinstance(headers, dict) or not all(isinstance(headers.get(name), str) for name in _TEXT):
        return False
    if headers.get("eta") is not None or headers.get("expires") is not None:
        return False  # there are no timers here; a message that waits in the worker keeps its slot
    if headers.get("timelimit") not in (None, [None, None]):
        return False
    body = message.payload
    return (
        isinstance(body, list)
        and len(body) == 3
        and isinstance(body[0], list)
        and isinstance(body[1], dict)
        and (body[2] is None or (isinstance(body[2], dict) and not any(body[2].values())))
    )


class CarefulConsumer(Consumer):  # type: ignore[misc]
    """Refuses what is not sound; `app.conf.worker_consumer` names it."""

    def create_task_handler(self) -> Callable[[Any], None]:
        handle = super().create_task_handler()

        def careful(message: Any) -> None:
            try:
                good = sound(message)
            except Exception:  # noqa: BLE001  whatever a stranger's bytes raise, they are no message
                good = False
            if good:
                handle(message)
                return
            structlog.get_logger().warning("message_refused", code="bad_message")
            message.reject_log_error(_Quiet(), self.connection_errors)

        return careful


class _Quiet:
    """`reject_log_error` tells its logger when the broker is away; the message then comes again by itself."""

    def critical(self, *_: object, **__: object) -> None:
        structlog.get_logger().warning("message_not_removed", code="broker_away")
