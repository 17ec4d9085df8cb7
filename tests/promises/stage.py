"""What a machine of hypothesis plays with: a power cut, a clock that is set by hand, a studio that remembers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from worker.media.formats import Format
from worker.media.jail import Jail
from worker.media.rendered import Made, Proof, Rendered
from worker.media.studio import Studio


class Killed(BaseException):
    """The power went: nothing is settled, nothing is said, the lease stays as it is."""


@dataclass(frozen=True)
class Doomed:
    """A guard that dies at a named step, or at its first `check`."""

    at: str

    def step(self, name: str) -> None:
        if name == self.at:
            raise Killed

    def check(self) -> None:
        self.step("check")

    def cancelled(self) -> bool:
        return False


@dataclass
class Hand:
    """A clock that is set by hand."""

    at: datetime

    def now(self, conn: Connection) -> datetime:
        return self.at


@dataclass(frozen=True, kw_only=True)
class Remembering(Studio):
    """The real studio, asked once for each picture: what it makes of the same bytes is the same."""

    made: dict[bytes, Rendered] = field(default_factory=dict)
    proven: dict[tuple[bytes | None, ...], dict[str, Proof]] = field(default_factory=dict)

    def render(
        self,
        source: Path,
        fmt: Format,
        room: Path,
        on_progress: Callable[[int], None],
        cancelled: Callable[[], bool],
    ) -> Rendered:
        body = source.read_bytes()
        if body not in self.made:
            self.made[body] = super().render(source, fmt, room, on_progress, cancelled)
        return self.made[body]

    def prove_all(self, made: Any) -> dict[str, Proof]:
        wanted: list[Made] = list(made)
        known = tuple(each.body for each in wanted)
        if known not in self.proven:
            self.proven[known] = super().prove_all(wanted)
        return self.proven[known]


@dataclass(frozen=True, kw_only=True)
class World:
    """What all examples share."""

    jail: Jail
    template: Path
    studio: Remembering
