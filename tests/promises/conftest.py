"""One jail for all promises that process something, and a fresh house for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import houses
from worker.media.jail import Jail
from worker.wiring import House


@pytest.fixture(scope="session")
def shared_jail() -> Iterator[Jail]:
    made = Jail()
    made.start()
    yield made
    made.close()


@pytest.fixture
def house(tmp_path: Path, shared_jail: Jail) -> Iterator[House]:
    made = houses.build(tmp_path / "home", jail=shared_jail)
    yield made
    made.ledger.close()
