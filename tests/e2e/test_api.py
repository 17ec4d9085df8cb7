"""The health edge over real HTTP, alone and within `mayfly up`: alive, ready, and gone at SIGTERM with status 0."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import socket
import sqlite3
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests import samples
from tests.commands import mayfly, running
from tests.servers import free_port, listens, postgres_server, until

pytestmark = pytest.mark.slow


def get(url: str) -> tuple[int, dict[str, Any]]:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def address(line: str) -> str:
    """Where a part says that it listens."""
    return next(word.rstrip(";") for word in line.split() if word.startswith("http://"))


def states(home: Path) -> list[str]:
    """The state of every upload, read past all of our code while others write."""
    if not (home / "ledger.db").exists():
        return []
    with contextlib.closing(sqlite3.connect(f"file:{home / 'ledger.db'}?mode=ro", uri=True)) as ledger:
        try:
            return [state for (state,) in ledger.execute("SELECT state FROM uploads")]
        except sqlite3.OperationalError:
            return []  # no tables yet


@pytest.mark.parametrize("part", ["api", "up"])
def test_it_is_alive_and_ready_and_ends_at_sigterm(tmp_path: Path, part: str) -> None:
    with running(tmp_path / "home", part, "--port", "0") as started:
        url = address(started.says("http://"))

        assert get(f"{url}/healthz") == (200, {"status": "ok"})
        ready = {"status": "ok", "oldest_overdue_seconds": 0, "jail": "required"}
        assert get(f"{url}/readyz") == (200, ready)
        # Health is all there is: no documentation page, no schema.
        assert get(f"{url}/docs")[0] == get(f"{url}/openapi.json")[0] == 404

        # The system may hand a signal to any thread. When this one was not the main one, nobody woke up, now and then.
        other = max(int(thread) for thread in os.listdir(f"/proc/{started.process.pid}/task"))
        assert other != started.process.pid
        assert ctypes.CDLL(None).tgkill(started.process.pid, other, signal.SIGTERM) == 0
        assert started.process.wait(timeout=30) == 0
    assert not listens(int(url.rpartition(":")[2]))
    assert not [line for line in started.err if "Traceback" in line]


def test_ctrl_c_is_an_ordinary_end_and_json_says_where_it_listens(tmp_path: Path) -> None:
    with running(tmp_path / "home", "api", "--port", "0", "--json") as started:
        url = address(started.says("http://"))
        started.process.send_signal(signal.SIGINT)
        assert started.process.wait(timeout=30) == 0
        assert started.process.stdout is not None
        assert json.load(started.process.stdout) == {"url": url}


def test_a_degraded_jail_is_shown(tmp_path: Path) -> None:
    with running(tmp_path / "home", "api", "--port", "0", settings={"MAYFLY_JAIL": "degraded"}) as started:
        url = address(started.says("http://"))
        assert get(f"{url}/readyz")[1]["status"] == "degraded"
        assert started.err[0].endswith("[jail_degraded]\n")


@pytest.mark.parametrize("part", ["api", "up"])
def test_a_port_in_use_is_refused(tmp_path: Path, part: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ran = mayfly(tmp_path / "home", part, "--port", str(taken.getsockname()[1]))
    assert (ran.status, ran.code) == (1, "port_in_use")


def test_a_host_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    ran = mayfly(tmp_path / "home", "api", settings={"MAYFLY_API_HOST": "192.0.2.1"})
    assert (ran.status, ran.code) == (1, "address_unavailable")


def test_what_a_killed_command_had_begun_is_done_by_up(tmp_path: Path) -> None:
    """Whatever was taken in is in the ledger; whoever runs next does it, here `mayfly up`."""
    home, photo, short = tmp_path / "home", tmp_path / "photo.jpg", {"MAYFLY_LEASE_SECONDS": "2"}
    photo.write_bytes(samples.photo((3000, 2000)))
    with running(home, "process", str(photo), "--subject", "anna", settings=short) as killed:
        until(lambda: "processing" in states(home), what="a worker has begun")
        killed.process.kill()
    assert killed.process.wait() == -signal.SIGKILL

    with running(home, "up", "--port", "0", settings=short) as started:
        started.says("http://")
        until(lambda: states(home) == ["ready"], within=60, what="ready")
        assert started.end() == 0


def test_it_is_not_ready_while_the_ledger_is_away(tmp_path: Path) -> None:
    with postgres_server() as url:
        database = {"MAYFLY_DATABASE_URL": url}
        with running(tmp_path / "home", "api", "--port", str(free_port()), settings=database) as started:
            here = address(started.says("http://"))
            assert get(f"{here}/readyz")[0] == 200
            _stop(url)
            until(lambda: get(f"{here}/readyz") == (503, {"status": "unavailable", "code": "ledger_unavailable"}))
            assert get(f"{here}/healthz") == (200, {"status": "ok"})
            assert started.end() == 0


def _stop(url: str) -> None:
    """End the server's sessions and refuse new ones, as a fail-over does."""
    import psycopg

    with psycopg.connect(url.rpartition("/")[0] + "/template1", autocommit=True) as conn:
        conn.execute("ALTER DATABASE postgres ALLOW_CONNECTIONS false")
        conn.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'postgres'")
