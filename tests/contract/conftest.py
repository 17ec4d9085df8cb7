"""Fixtures of the contract suites."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.timed import Timed
from worker.ledger.database import Ledger


@pytest.fixture
def timed(ledger: Ledger) -> Iterator[Timed]:
    made = Timed(ledger)
    yield made
    made.ledger.close()
