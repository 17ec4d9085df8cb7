"""One jail for all flow tests (its self-test takes a second or two), and a fresh house for each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import houses
from worker.media.jail import Jail
from worker.wiring import House


@pytest.fixture(scope="session")
def jail() -> Iterator[Jail]:
    made = Jail()
    made.start()
    yield made
    made.close()


@pytest.fixture
def house(tmp_path: Path, jail: Jail) -> Iterator[House]:
    made = houses.build(tmp_path / "home", jail=jail)
    yield made
    made.ledger.close()
