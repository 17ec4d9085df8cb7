"""One fleet for the session, started by the compose file's own commands, and databases and brokers for others."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from tests import servers
from tests.conftest import database_url
from tests.e2e.compose import OURS, fleet_of_compose, start_service
from tests.e2e.fleet import Fleet

_NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def fresh_database(postgres_template: str) -> Callable[[], str]:
    """Makes a migrated database with nothing in it; returns its URL."""

    def make() -> str:
        name = f"mayfly_e2e_{next(_NUMBERS)}"
        with psycopg.connect(postgres_template, autocommit=True) as conn:
            conn.execute(f"CREATE DATABASE {name} TEMPLATE mayfly_template")  # type: ignore[call-overload]
        return database_url(postgres_template, name)

    return make


@pytest.fixture(scope="session")
def fleet(tmp_path_factory: pytest.TempPathFactory, fresh_database: Callable[[], str]) -> Iterator[Fleet]:
    """All services of the compose file at work, at log level debug; at the end each must stop by itself."""
    folder = tmp_path_factory.mktemp("fleet")
    with servers.redis_server() as broker:
        made = fleet_of_compose(folder, broker=broker, database=fresh_database(), log_level="debug")
        yield from _at_work(made)


def _at_work(made: Fleet) -> Iterator[Fleet]:
    try:
        for name in sorted(OURS):
            start_service(made, name, port=servers.free_port() if name == "api" else None)
        made.ready(*(part for name, part in made.parts.items() if name != "api"))
        yield made
        assert set(made.stop().values()) == {0}
    finally:
        made.close()


@pytest.fixture
def small_fleet(tmp_path: Path, fresh_database: Callable[[], str]) -> Iterator[Fleet]:
    """An empty fleet with short leases and a broker of its own, whose parts a test starts and kills as it likes."""
    with servers.redis_server() as broker:
        made = Fleet.of(tmp_path, broker=broker, database=fresh_database(), lease_seconds=2)
        try:
            yield made
        finally:
            made.close()
