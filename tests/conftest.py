"""What every test may ask for: throw-away servers, a fresh ledger on SQLite and on PostgreSQL, a house, a jail."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import darkroom as darkrooms
from tests import houses, servers
from tests.buckets import S3Server, s3_server
from tests.darkroom import Darkroom
from worker.ledger.database import Ledger
from worker.media.jail import Jail
from worker.wiring import House

_NUMBERS = itertools.count(1)
_TEMPLATE = "mayfly_template"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--contact-sheet", metavar="OUT.png", help="where to keep pictures before and after, to look at")
    parser.addoption("--whole-corpus", action="store_true", help="run every file of the shared collections")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first, so that the processes that share the work end together: whole processes, then what is slow."""
    items.sort(key=lambda item: (item.get_closest_marker("slow") is None, "e2e" not in item.nodeid))


@pytest.fixture(scope="session", autouse=True)
def _clean_environment() -> Iterator[dict[str, str]]:
    """No setting of the developer's own leaks into a test; gives what was taken away."""
    kept = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("MAYFLY_")}
    yield kept
    os.environ.update(kept)


@pytest.fixture(scope="session")
def jail() -> Iterator[Jail]:
    """One jail to share, with the verbs of the darkroom beside its own: a start takes half a second."""
    made = Jail(extra_verbs=darkrooms.VERBS)
    made.start()
    yield made
    made.close()


@pytest.fixture
def house(tmp_path: Path, jail: Jail) -> Iterator[House]:
    """A fresh house, with nobody at work in it."""
    made = houses.build(tmp_path / "home", jail=jail)
    yield made
    made.ledger.close()


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The URL of an empty PostgreSQL that lives for the session; its user may create databases."""
    with servers.postgres_server() as url:
        yield url


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """The URL of a Redis that lives for the session. Tests that need it empty flush it or start their own."""
    with servers.redis_server() as url:
        yield url


@pytest.fixture(scope="session")
def s3(_clean_environment: dict[str, str]) -> Iterator[S3Server]:
    """An S3 protocol server that lives for the session, or the one that the environment names."""
    with s3_server(_clean_environment) as server:
        yield server


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database file to copy."""
    file = tmp_path_factory.mktemp("template") / "ledger.db"
    ledger = Ledger(f"sqlite:///{file}")
    ledger.migrate()
    ledger.close()
    return file


@pytest.fixture(scope="session")
def postgres_template(postgres_url: str) -> str:
    """A migrated database to copy; returns the URL of the server."""
    _execute(postgres_url, f"CREATE DATABASE {_TEMPLATE}")
    ledger = Ledger(database_url(postgres_url, _TEMPLATE))
    ledger.migrate()
    ledger.close()
    return postgres_url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a fresh, migrated database, once on each kind."""
    if request.param == "sqlite":
        file = tmp_path / "ledger.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), file)
        yield f"sqlite:///{file}"
        return
    server = request.getfixturevalue("postgres_template")
    name = f"mayfly_{next(_NUMBERS)}"
    _execute(server, f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}")
    yield database_url(server, name)
    _execute(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    """A fresh ledger, once on each kind of database."""
    made = Ledger(ledger_url)
    yield made
    made.close()


def database_url(server: str, name: str) -> str:
    """The URL of another database of the same server."""
    return f"{server.rsplit('/', 1)[0]}/{name}"


def _execute(url: str, statement: str) -> None:
    import psycopg

    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(statement)  # type: ignore[call-overload]


@pytest.fixture(scope="session")
def darkroom(tmp_path_factory: pytest.TempPathFactory, jail: Jail) -> Darkroom:
    """For all tests of pictures."""
    return Darkroom(tmp_path_factory.mktemp("darkroom"), jail=jail)
