"""When a sweep trips a brake: numbers in, a verdict out, held in a golden file; and clocks that can be believed."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.retention.book import Brakes
from worker.retention.brakes import BACK, DRIFT, Numbers, budget, clocks, living_that_matter

GOLDEN = Path(__file__).parent.parent / "golden" / "retention" / "brakes.json"
NOW = datetime(2027, 3, 28, 1, 30, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MANY = st.integers(min_value=0, max_value=10**7)


def test_golden_budgets() -> None:
    """Each case in the file is a sentence that a privacy officer can read and check."""
    for case in json.loads(GOLDEN.read_text(encoding="utf-8")):
        given_ = case["given"]
        set_ = {name: given_.pop(name) for name in ("least", "factor", "share") if name in given_}
        numbers = Numbers(**{**given_, "history": tuple(given_.get("history", ()))})
        said = budget(Brakes(**set_), numbers)
        assert {name: getattr(said, name) for name in case["then"]} == case["then"], case["title"]
        assert str(said.permitted) in said.reason or not said.tripped


@given(begun=MANY, due=MANY, living=MANY, history=st.lists(MANY, max_size=14))
def test_more_due_never_lets_a_brake_off_and_a_capped_count_decides_the_same(
    begun: int, due: int, living: int, history: list[int]
) -> None:
    brakes = Brakes()
    numbers = Numbers(begun=begun, due=due, living=living, history=tuple(history))
    tripped = budget(brakes, numbers).tripped

    if tripped:
        assert budget(brakes, replace(numbers, due=due + 1)).tripped
    counted = min(living, living_that_matter(brakes, due))
    assert budget(brakes, replace(numbers, living=counted)).tripped == tripped


@pytest.mark.parametrize(
    ("database", "last", "tripped"),
    [
        (NOW, None, False),
        (NOW + DRIFT, None, False),
        (NOW + DRIFT + SECOND, None, True),
        (NOW - DRIFT, None, False),
        (NOW - DRIFT - SECOND, None, True),
        (NOW, NOW + BACK, False),
        (NOW, NOW + BACK + SECOND, True),
        (NOW, NOW - timedelta(days=400), False),
    ],
)
def test_clocks_that_jump_trip(database: datetime, last: datetime | None, tripped: bool) -> None:
    said = clocks(database=database, host=NOW, last=last)

    assert said.tripped is tripped
    assert (said.amount > said.permitted) is tripped
