"""What a machine of hypothesis plays with: a clock set by hand, a power cut, somebody who comes in between, a disk that
lies, a studio that remembers."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event

from storage_backends.filesystem import FilesystemStorage
from storage_backends.keys import Key
from storage_backends.scratch import ScratchStorage
from storage_backends.storage import Capabilities, Erased, Stored
from worker.ledger.database import Ledger
from worker.media.formats import Format
from worker.media.jail import Jail
from worker.media.rendered import Made, Proof, Rendered
from worker.media.studio import Studio


class Killed(BaseException):
    """The power went: nothing is settled, nothing is said, the lease stays as it is."""


@dataclass
class Fate:
    """What befalls whoever works in this thread, after so many of its transactions and touches of a disk: somebody
    else acts (`act`, in a thread of its own, to its end), or the power goes. Then nothing is written any more, by no
    `finally` either, until it is `over`."""

    within: int = 0
    act: Callable[[], None] | None = None
    dead: bool = False
    broken: BaseException | None = None
    _owner: int = field(default_factory=threading.get_ident)

    def comes(self, within: int, act: Callable[[], None] | None = None) -> None:
        self.within, self.act = within, act

    def over(self) -> None:
        self.within, self.act, self.dead = 0, None, False

    def cut(self) -> None:
        self.dead = True
        raise Killed

    def alive(self) -> None:
        if self.dead and threading.get_ident() == self._owner:
            raise Killed

    def passes(self) -> None:
        """Between two of its acts."""
        if threading.get_ident() != self._owner or self.within == 0 or self.dead:
            return
        self.within -= 1
        if self.within == 0:
            if self.act is None:
                self.dead = True
            else:
                other = threading.Thread(target=self._other, args=(self.act,))
                other.start()
                other.join()

    def _other(self, act: Callable[[], None]) -> None:
        try:
            act()
        except BaseException as error:  # told in the thread of the test
            self.breaks(error)

    def breaks(self, error: BaseException) -> None:
        """What a job would swallow and try again is told after the step."""
        self.broken = self.broken or error

    def watch(self, ledger: Ledger) -> None:
        """A connection that comes back to the pool was in a transaction that is over."""
        event.listen(ledger.engine, "checkin", lambda *_: self.passes())


@dataclass(frozen=True)
class Doomed:
    """A guard that dies at a named step, or at its first `check`; with none it dies when its fate says so."""

    fate: Fate
    at: str | None

    def step(self, name: str) -> None:
        if name == self.at:
            self.fate.cut()

    def check(self) -> None:
        self.step("check")

    def cancelled(self) -> bool:
        return False


@dataclass
class Hand:
    """A clock that is set by hand; where the power is off nobody reads it."""

    at: datetime
    fate: Fate

    def now(self, conn: Connection) -> datetime:
        self.fate.alive()
        return self.at


class Disk(FilesystemStorage):
    """The real one, with an eye on who writes and destroys what. While `stuck` it says that it destroyed, and did not;
    like a bucket it has rules of its own, so that what is held is copied."""

    def __init__(self, name: str, root: Path, fate: Fate, eye: Eye) -> None:
        super().__init__(name, root)
        self._fate, self._eye = fate, eye
        self.stuck = False

    def capabilities(self) -> Capabilities:
        return replace(super().capabilities(), lifecycle=True)

    def put(self, key: Key, chunks: Iterable[bytes], *, most_bytes: int | None = None) -> Stored:
        self._fate.passes()
        self._fate.alive()
        self._seen(self._eye.writes, key)
        stored = super().put(key, chunks, most_bytes=most_bytes)
        self._fate.passes()
        return stored

    def erase(self, keys: Iterable[Key]) -> Iterator[Erased]:
        for key in keys:
            self._fate.alive()
            self._seen(self._eye.destroys, key)
            yield from super().erase([key])
            self._fate.passes()

    def _destroy(self, key: Key) -> int:
        return 0 if self.stuck else super()._destroy(key)

    def _seen(self, law: Callable[[str, str], None], key: Key) -> None:
        try:
            law(self.name, str(key))
        except AssertionError as error:
            self._fate.breaks(error)
            raise


class Scratch(ScratchStorage):
    """The real one; where the power is off nothing is made or removed."""

    def __init__(self, root: Path, fate: Fate) -> None:
        super().__init__(root)
        self._fate = fate

    def make(self, key: Key) -> Path:
        self._fate.alive()
        return super().make(key)

    def erase(self, keys: Iterable[Key]) -> Iterator[Erased]:
        self._fate.alive()
        return super().erase(keys)


@dataclass(frozen=True, kw_only=True)
class Eye:
    """What holds in the moment in which bytes are touched: laws over the location and the key."""

    writes: Callable[[str, str], None]
    destroys: Callable[[str, str], None]


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


class Dice(random.Random):
    """Where ids come from, in place of `secrets.token_hex`: the same draws make the same rows, in the same order."""

    def token_hex(self, nbytes: int | None = None) -> str:
        return self.randbytes(nbytes or 32).hex()


@dataclass(frozen=True, kw_only=True)
class World:
    """What all examples share."""

    jail: Jail
    template: Path
    studio: Remembering
    dice: Dice
