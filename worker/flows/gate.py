"""Is the ledger as young as the journal of erasures? An older one is a restored backup: it knows people as alive whom
Mayfly has erased, so nothing is served or processed from it until `mayfly restore` has replayed what it missed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

from worker.errors import Unavailable
from worker.ledger import cursors, tombstones
from worker.ledger.database import Ledger
from worker.privacy.journal import Entry, Journal, Place, changed

# Where the ledger remembers the last line that it knows of.
KNOWN = "journal"
PAGE = 200
LOOK_EVERY_S = 5.0


@dataclass(kw_only=True)
class _Seen:
    """What was there when all was well the last time, and when that was (by the monotonic clock)."""

    at: float = float("-inf")
    known: str = ""
    size: int | None = None


@dataclass(frozen=True, kw_only=True)
class Gate:
    ledger: Ledger
    journal: Journal
    _seen: _Seen = field(default_factory=_Seen)

    def check(self) -> None:
        """Raises `Unavailable`: `restore_needed` where the ledger is older than the journal, `journal_missing`,
        `journal_cut`, `journal_changed`, `journal_unreadable` where the journal is not what the ledger knows."""
        with self.ledger.read() as tx:
            text = cursors.read(tx, KNOWN)
        size = self.journal.size()
        if (text, size) != (self._seen.known, self._seen.size) or text == "":
            ahead = self.ahead(Place.parse(text))
            # Lines of which the ledger holds the tombstone were written a moment ago, perhaps by one that was killed
            # before it could say so. They are read in a transaction that begins later than the file was read.
            while page := list(islice(ahead, PAGE)):
                self.permit(page)
        self._seen.at, self._seen.known, self._seen.size = time.monotonic(), text, size

    def look(self) -> None:
        """The same for those who ask all the time: at most every few seconds, and cheap where nothing has changed."""
        if time.monotonic() - self._seen.at >= LOOK_EVERY_S:
            self.check()

    def forget(self) -> None:
        """The next look is a real one."""
        self._seen.at, self._seen.size = float("-inf"), None

    def permit(self, page: list[tuple[Entry, Place]]) -> None:
        """Raises `Unavailable` (`restore_needed`) where one of these lines tells of an erasure that is not in the
        ledger."""
        with self.ledger.read() as tx:
            stones = tombstones.of(tx, [entry.upload_id for entry, _place in page])
        for entry, place in page:
            stone = stones.get(entry.upload_id)
            if stone is None or stone.journal_seq not in (None, place.seq):
                raise older()

    def ahead(self, known: Place | None) -> Iterator[tuple[Entry, Place]]:
        """The lines behind the last one that the ledger knows. Raises what `check` raises of the journal itself, and
        `restore_needed` where this is another journal."""
        size = self.journal.size()
        if known is None:
            return self.journal.read()
        if size is None:
            raise Unavailable(
                "the journal of erasures is not where MAYFLY_JOURNAL says; put it back, or see mayfly restore --help",
                code="journal_missing",
            )
        if size < known.offset or not self.journal.holds(known):
            raise self._told_apart(known)
        return self.journal.read(known)

    def _told_apart(self, known: Place) -> Unavailable:
        """Why the last line that the ledger knows is not where it was."""
        end = self.journal.end()
        if end is not None and end.journal != known.journal:
            return older()
        if end is None or end.seq < known.seq:
            return Unavailable(
                "the journal of erasures was cut off; put its whole copy back, or see mayfly restore --help",
                code="journal_cut",
            )
        return changed()


def older() -> Unavailable:
    return Unavailable(
        "the ledger is older than the journal of erasures, as after restoring a backup; run: mayfly restore",
        code="restore_needed",
    )
