"""What was found in a file reaches the ledger as counts and the answer as words, and never as a value."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from tests import canaries, houses, pieces, samples
from worker.cli import views
from worker.ledger import tables
from worker.media.image.metadata import KINDS
from worker.wiring import House

SOURCE = "http://cv.iptc.org/newscodes/digitalsourcetype/"


def generated(source: str) -> bytes:
    """A PNG whose XMP says how it came to be."""
    said = f'<x:xmpmeta><rdf:Description Iptc4xmpExt:DigitalSourceType="{SOURCE}{source}"/></x:xmpmeta>'
    return pieces.with_chunks(samples.deep_png(), pieces.chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + said.encode()))


def answers(house: House, body: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """What `process` and what `show` say of one file."""
    upload = houses.receive(house, body)
    houses.work(house)
    ended = houses.upload_of(house, upload.id)
    with house.ledger.read() as tx:
        shown = views.show_document(house, tx, ended)
    return views.upload_document(house, upload.id), shown


@pytest.mark.parametrize(("source", "ai"), [("trainedAlgorithmicMedia", True), ("digitalCapture", False)])
def test_that_a_model_made_the_picture_survives_in_the_answer_alone(house: House, source: str, ai: bool) -> None:
    processed, shown = answers(house, generated(source))

    assert processed["state"] == "ready"
    assert (processed["ai_generated"], shown["ai_generated"]) == (ai, ai)
    copies = [path.read_bytes() for path in houses.files_below(house.settings.home)]
    assert len(copies) == 3
    assert not any(canaries.found([source, "DigitalSourceType"], copy) for copy in copies)


def test_of_a_file_that_was_never_read_nothing_is_said(house: House) -> None:
    processed, shown = answers(house, samples.photo()[:9_000])

    assert processed["state"] == "failed"
    assert "ai_generated" not in processed
    assert "ai_generated" not in shown


def test_the_ledger_counts_by_kind_and_holds_no_value(house: House) -> None:
    processed, shown = answers(house, samples.photo(canary="CANARY_7731"))

    assert processed["removed"] == sorted(shown["removed"])
    assert set(shown["removed"]) <= KINDS
    assert shown["removed"]["location"] >= 4
    with house.ledger.read() as tx:
        rows = [repr(row) for table in tables.METADATA.sorted_tables for row in tx.conn.execute(select(table))]
    assert len(rows) > 5
    assert canaries.found(["CANARY_7731", samples.SERIAL, samples.OWNER, "Examplecam"], "".join(rows).encode()) == []
