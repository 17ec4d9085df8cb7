"""Structured logs with an allow-list of fields: what is not listed is not written (P7).

Every line is JSON on standard error, or readable text at a terminal. A field that holds free text from outside does not
exist; an exception is logged by its class and code, never by its message or traceback.
"""

from __future__ import annotations

import logging
import sys
import threading
import warnings
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog

FIELDS = frozenset(
    {
        "event", "level", "timestamp", "app", "artifact_id", "attempts", "bytes", "code", "count", "cpu_s", "erased",
        "error", "fence", "job_id", "kept", "kind", "level_of_jail", "location", "media_type", "missing", "net_fired",
        "part", "percent", "policy", "port", "queue", "request_id", "rings", "seconds", "state", "step", "strangers",
        "target", "task", "unfinished", "uploads", "upload_id", "work_class",
    }
)  # fmt: skip


def allow_listed(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Drop every field that is not on the list, and make values plain: one line, no control characters."""
    return {name: _plain(value) for name, value in event.items() if name in FIELDS}


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    text = str(value)
    return "".join(char if char.isprintable() else "?" for char in text)[:200]


def configure(level: str, stream: TextIO | None = None) -> None:
    """Once per process. Libraries' own loggers go the same way, by name and level only."""
    out = stream or sys.stderr
    renderer: Any = structlog.dev.ConsoleRenderer(colors=False) if out.isatty() else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            allow_listed,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers[:] = [_LibraryHandler()]
    root.setLevel(logging.WARNING)
    warnings.showwarning = _warned
    threading.excepthook = _thread_died
    sys.unraisablehook = _unraisable


def _warned(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """A warning is logged by its class: which one, not what of."""
    structlog.get_logger().warning("library", part="warnings", error=category.__name__)


def _thread_died(died: threading.ExceptHookArgs) -> None:
    """Python would print a traceback, with the message of the exception (P7)."""
    structlog.get_logger().error("thread_died", part=died.thread and died.thread.name, error=died.exc_type.__name__)


def _unraisable(lost: sys.UnraisableHookArgs) -> None:
    structlog.get_logger().warning("unraisable", error=lost.exc_type.__name__)


class _LibraryHandler(logging.Handler):
    """A library's record says which logger and which level, never its message: messages quote arguments and names."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else None
        structlog.get_logger().warning("library", part=record.name, state=record.levelname.lower(), error=error)
