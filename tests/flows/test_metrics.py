"""What `/metrics` serves over real HTTP is what the ledger says, and nothing of a person."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from datetime import timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text

from tests import houses
from tests.contract import rows
from worker.api.app import serve
from worker.cli.status import status_document
from worker.ledger import brakes, leases, sightings
from worker.ledger.clock import ShiftedClock
from worker.model import UploadState, WorkClass
from worker.wiring import House

Sample = tuple[str, tuple[str, ...]]


def scraped(house: House) -> tuple[str, dict[Sample, float]]:
    with (
        serve(house, host="127.0.0.1", port=0) as address,
        urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer,
    ):
        assert answer.headers["content-type"].startswith("text/plain")
        said = answer.read().decode()
    samples = [sample for family in text_string_to_metric_families(said) for sample in family.samples]
    return said, {(each.name.removeprefix("mayfly_"), tuple(each.labels.values())): each.value for each in samples}


def test_a_fresh_house_says_zero_everywhere(house: House) -> None:
    said, numbers = scraped(house)

    assert numbers[("oldest_overdue_seconds", ())] == 0
    assert set(numbers.values()) == {0}
    assert said.count("# HELP mayfly_") == len({name for name, _ in numbers})
    house.sweeping.run(houses.FreeGuard())
    with house.ledger.read() as tx:
        assert scraped(house)[1][("sweep_last_success_timestamp_seconds", ())] <= tx.now.timestamp() + 60


def test_the_numbers_are_those_of_the_ledger_and_name_nobody(house: House) -> None:
    # Given copies that are late, a brake with an upload behind it, a dead letter, a job, and a stranger
    with house.ledger.begin() as tx:
        late = rows.upload(tx, UploadState.READY, lives=timedelta(minutes=1))
        rows.copy(tx, late, lives=timedelta(minutes=1))
        brakes.trip(tx, "retention", reason="many", amount=101, permitted=100)
        brakes.hold_back(tx, rows.upload(tx, UploadState.ERASING).id)
        leases.dead_letter(tx, kind="mayfly.submit", code="bad_arguments")
        leases.create(tx, kind="process", target=late.id, work_class=WorkClass.IMAGE)
        sightings.note(tx, location="media", key="original/shop/upl_somebody/art_1")
    later = houses.at(house, ShiftedClock(by=timedelta(hours=2)))

    said, numbers = scraped(later)

    # Then each stands there with the number that `mayfly status` has
    with later.ledger.read() as tx:
        status = status_document(later, tx)
    assert numbers[("oldest_overdue_seconds", ())] >= status["oldest_overdue_seconds"] - 60 > 3600
    assert numbers[("brake_on", ("retention",))] == numbers[("brake_waiting_uploads", ())] == 1
    assert numbers[("brake_on", ("clock",))] == 0
    assert numbers[("jobs_dead", ("control",))] == status["dead"] == 1
    assert numbers[("jobs_ready", ("image",))] == status["queues"]["image"]["ready"] == 1
    assert numbers[("strangers", ("seen",))] == 1
    assert {labels for name, labels in numbers if name == "bells"} == {(each.value,) for each in WorkClass}
    # And nothing that names an upload, an app, a person or a key
    assert not re.search(r"[0-9a-f]{32}|shop|somebody|upl_|media", said)


def test_no_number_is_served_while_the_ledger_is_away(house: House) -> None:
    with serve(house, host="127.0.0.1", port=0) as address:
        with house.ledger.begin() as tx:
            tx.conn.execute(text("ALTER TABLE leases RENAME TO lost"))
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"http://{address}/metrics", timeout=10)
    with refused.value as answer:
        assert (answer.code, b"ledger_unavailable" in answer.read()) == (503, True)
