"""Write the tombstones that the journal lacks into it, and remember how far it goes; the one who appends is alone.

A kill between the file and the commit leaves lines that the ledger does not know: the next run finds their tombstones
and takes them for written. So a tombstone is in the journal a moment after its erasure, and nothing is lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from worker.flows.gate import KNOWN, PAGE, Gate, older
from worker.ledger import cursors, tombstones
from worker.ledger.database import Ledger, Tx
from worker.ledger.tombstones import Tombstone
from worker.privacy.journal import Entry, Journal, Place


@dataclass(frozen=True, kw_only=True)
class Export:
    ledger: Ledger
    journal: Journal
    gate: Gate

    def run(self) -> int:
        """Until the journal lacks nothing; returns how many lines were written. Raises what `Gate.check` raises: to an
        older ledger's journal nothing is added."""
        written = 0
        while self._lacking():
            with self.ledger.begin() as tx:
                # In the transaction that holds the lock, so that there is one who writes, whatever the number of hosts.
                end = self._adopt(tx, Place.parse(cursors.lock(tx, KNOWN)))
                stones = tombstones.not_in_journal(tx, limit=PAGE)
                places = self.journal.append(end, self._entries(tx, stones)) if stones else []
                numbers = {stone.upload_id: place.seq for stone, place in zip(stones, places, strict=True)}
                tombstones.in_journal(tx, numbers)
                if places or end:
                    cursors.write(tx, KNOWN, str(places[-1] if places else end))
            written += len(places)
        return written

    def _lacking(self) -> bool:
        with self.ledger.read() as tx:
            return bool(tombstones.not_in_journal(tx, limit=1))

    def _adopt(self, tx: Tx, known: Place | None) -> Place | None:
        """The end of the journal, once what a killed run has written there is known to the ledger."""
        end = known
        for entry, place in self.gate.ahead(known):
            stone = tombstones.find(tx, entry.upload_id)
            if stone is None or stone.journal_seq not in (None, place.seq):
                raise older()
            tombstones.in_journal(tx, {entry.upload_id: place.seq})
            end = place
        return end

    def _entries(self, tx: Tx, stones: list[Tombstone]) -> list[Entry]:
        keys = tombstones.keys_of(tx, [stone.upload_id for stone in stones])
        return [
            Entry(
                upload_id=stone.upload_id,
                artifact_ids=stone.artifact_ids,
                keys=tuple(keys[stone.upload_id]),
                erased_at=_iso(stone.erased_at),
                expires_at=_iso(stone.expires_at),
            )
            for stone in stones
        ]


def _iso(at: datetime) -> str:
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")
