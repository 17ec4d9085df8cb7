"""What a jailed child can come to: an answer, a finished tool, or a death with a code. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from worker.errors import MayflyError, Unprocessable


class Level(IntEnum):
    """How strong the walls are (security.md 4.3). L4 needs a boundary around the worker that no process can see."""

    L0 = 0
    L1 = 1
    L2 = 2
    L3 = 3
    L4 = 4


@dataclass(frozen=True, kw_only=True)
class ProbeResult:
    """One escape attempt: `blocked` is what we want; `detail` is our own word or the errno's name."""

    name: str
    blocked: bool
    detail: str


@dataclass(frozen=True, kw_only=True)
class Answer:
    """`header` is the verb's JSON, `blobs` its bytes. Both are the word of a child that may be taken over."""

    header: dict[str, Any]
    blobs: list[bytes]
    cpu_s: float = 0.0
    wall_s: float = 0.0
    peak_rss: int = 0


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A tool that ended by itself. `status` 0 is not success (S22); `stderr` is its last 64 KiB, never for a log."""

    status: int
    signal: int | None
    stdout: bytes
    stderr: bytes
    cpu_s: float
    wall_s: float
    peak_rss: int


class JailDeath(Unprocessable):
    """The child died, hung or lied. `signal` is what ended it; `where` names our own line, never text of the file."""

    def __init__(
        self,
        message: str,
        *,
        code: str,
        signal: int | None = None,
        where: str | None = None,
        cpu_s: float = 0.0,
        peak_rss: int = 0,
    ) -> None:
        super().__init__(message, code=code)
        self.signal = signal
        self.where = where
        self.cpu_s = cpu_s
        self.peak_rss = peak_rss


class Cancelled(MayflyError):
    """The caller's `cancelled()` became true; the tool was killed and reaped."""

    code = "cancelled"
    retryable = True
