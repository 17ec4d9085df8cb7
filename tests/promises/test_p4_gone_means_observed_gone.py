"""P4: gone means observed gone. No acknowledgement is a proof; no receipt before every copy was looked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from storage_backends.keys import Key
from storage_backends.memory import MemoryStorage
from storage_backends.storage import Erased, Method, Observation
from tests import houses, samples
from worker.ledger import receipts
from worker.model import ArtifactState, Trigger, UploadState
from worker.places import MEDIA
from worker.wiring import House


class LyingStorage(MemoryStorage):
    """Says that it deleted, and keeps the bytes: what it can still list is not gone."""

    honest = False

    def erase(self, keys: Iterable[Key]) -> Iterator[Erased]:
        for key in keys:
            if self.honest:
                yield from super().erase([key])
            else:
                still = any(found.key == key for found in self.list())
                yield Erased(
                    key=key,
                    method=Method.DELETE,
                    removed=1,
                    observation=None if still else Observation.LIST_ABSENT,
                    blocked="still_there" if still else None,
                )


def test_an_acknowledgement_is_no_proof(house: House) -> None:
    """P4: a place that only says "deleted" blocks the erasure until the copy cannot be found any more."""
    # Given an upload whose copies lie at a place that lies
    lying = LyingStorage(MEDIA)
    shelf = replace(house.shelf, locations={**house.shelf.locations, MEDIA: lying})
    other = replace(
        house,
        shelf=shelf,
        receive=replace(house.receive, shelf=shelf, refuse=replace(house.receive.refuse, shelf=shelf)),
        processing=replace(house.processing, shelf=shelf),
        erasing=replace(house.erasing, shelf=shelf),
    )
    upload = houses.receive(other, samples.png())

    # When it is erased, Then it is never called erased while the bytes can be listed
    other.erasing.begin(upload.id, Trigger.USER)
    houses.work(other, rounds=4)
    assert houses.upload_of(other, upload.id).state is UploadState.ERASING
    (blocked,) = [copy for copy in houses.copies_of(other, upload.id) if copy.state is ArtifactState.BLOCKED]
    assert blocked.reason == "still_there"
    with other.ledger.read() as tx:
        assert receipts.of_upload(tx, upload.id) is None

    # And when it has come to its senses, the same erasure ends with a receipt
    lying.honest = True
    with other.ledger.begin() as tx:
        tx.conn.exec_driver_sql("UPDATE artifacts SET lease_until = NULL, next_attempt_at = state_at")
    houses.work(other)
    assert houses.upload_of(other, upload.id).state is UploadState.ERASED


def test_the_receipt_names_every_copy_that_ever_was_and_when_it_was_looked_for(house: House) -> None:
    # Given an upload whose original and working copy are long gone
    upload = houses.receive(house, samples.png())
    houses.work(house)

    # When the upload is erased
    house.erasing.begin(upload.id, Trigger.USER)
    houses.work(house)

    # Then its receipt names these too
    with house.ledger.read() as tx:
        kept = receipts.of_upload(tx, upload.id)
    assert kept is not None
    copies = houses.copies_of(house, upload.id)
    assert len(copies) == 5
    assert all(copy.id in kept.body for copy in copies)
    assert kept.body.count('"looked_at"') == len(copies)
