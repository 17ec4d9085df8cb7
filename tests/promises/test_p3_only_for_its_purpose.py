"""P3: two purposes and no third; whoever reads media says for which, and the ledger remembers."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests import houses, samples
from worker.cli.process import parse_purposes
from worker.errors import Refused
from worker.ledger import events
from worker.model import Purpose
from worker.wiring import House

ROOT = Path(__file__).parents[2]


def test_there_are_two_purposes_and_no_third() -> None:
    assert {purpose.value for purpose in Purpose} == {"display", "sharing"}


@pytest.mark.parametrize("word", ["training", "analytics", "advertising", "DISPLAY", "", "display,sharing"])
def test_any_other_purpose_is_refused_at_the_door(word: str) -> None:
    with pytest.raises(Refused) as refused:
        parse_purposes([word])
    assert refused.value.code == "bad_purpose"


def test_processing_reads_once_and_says_for_what(house: House) -> None:
    upload = houses.receive(house, samples.png(), purposes=frozenset({Purpose.DISPLAY}))
    houses.work(house)

    with house.ledger.read() as tx:
        reads = [event for event in events.of_upload(tx, upload.id) if event.event == "read"]
    assert [event.detail["purposes"] for event in reads] == [["display"]]


def test_bytes_are_opened_through_the_shelf_alone() -> None:
    """Every other way to the bytes of an artifact would have no purpose: only the shelf calls `open` of a backend, and
    only the command line reads files, those that it is given."""
    openers = []
    for path in sorted((ROOT / "worker").rglob("*.py")) + sorted((ROOT / "tasks").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("_storage(artifact.location).open",)):
                openers.append(str(path.relative_to(ROOT)))
    assert openers == ["worker/shelf.py"]
