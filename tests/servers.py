"""Throw-away PostgreSQL and Redis on free loopback ports, in a directory that is removed at the end.

A missing program skips the tests that need it, with the reason; where `CI=true` it fails them instead.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import pytest

START_S = 30.0
PACKAGES = ("redis-server", "postgresql", "util-linux", "nginx")
_POSTGRES_PLACES = ("/usr/lib/postgresql", "/usr/local/pgsql", "/opt/homebrew/opt")
_POLL = threading.Event()


def free_port() -> int:
    """A loopback port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(condition: Callable[[], bool], *, within: float = START_S, what: str = "the condition") -> None:
    """Wait for a condition, with a deadline; fails the test when it passes."""
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"{what} did not come about within {within:g} s")
        _POLL.wait(0.02)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def redis_server(*options: str) -> Iterator[str]:
    """A Redis that keeps nothing on disk; yields its URL."""
    program = installed("redis-server", shutil.which("redis-server"))
    with tempfile.TemporaryDirectory(prefix="mayfly-redis-") as home:
        port = free_port()
        argv = [program, "--port", str(port), "--bind", "127.0.0.1", "--dir", home, "--save", "", *options]
        with running(argv, stop=signal.SIGTERM) as process:
            until(lambda: alive(process) and listens(port), what="redis-server")
            yield f"redis://127.0.0.1:{port}/0"


@dataclass
class Postgres:
    """One that may be stopped and started again on its data."""

    url: str
    argv: Sequence[str]
    home: str
    life: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def start(self) -> None:
        # SIGINT: fast shutdown, open sessions are ended.
        process = self.life.enter_context(running(self.argv, stop=signal.SIGINT, cwd=self.home))
        until(lambda: alive(process) and _answers(self.url), what="postgres")

    def stop(self) -> None:
        self.life.close()


@contextlib.contextmanager
def postgres_server() -> Iterator[str]:
    """A PostgreSQL without fsync, with the superuser `mayfly` and no password; yields its URL."""
    with postgres() as server:
        yield server.url


@contextlib.contextmanager
def postgres() -> Iterator[Postgres]:
    """The same as something to stop and start."""
    programs = _postgres_programs()
    with tempfile.TemporaryDirectory(prefix="mayfly-postgres-") as home:
        data, port, user = Path(home) / "data", free_port(), _unprivileged()
        if user is not None:
            os.chown(home, user.pw_uid, user.pw_gid)
        initdb = [str(programs / "initdb"), "-D", str(data), "-U", "mayfly", "-A", "trust", "-E", "UTF8", "--no-locale"]
        done = subprocess.run([*_as(user), *initdb, "--no-sync"], capture_output=True, text=True, check=False, cwd=home)
        if done.returncode != 0:
            pytest.fail(f"initdb failed: {done.stderr.strip()[-500:]}")
        settings = {
            "listen_addresses": "127.0.0.1", "port": str(port), "unix_socket_directories": home, "fsync": "off",
            "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "100", "shared_buffers": "64MB",
        }  # fmt: skip
        argv = [str(programs / "postgres"), "-D", str(data)]
        for name, value in settings.items():
            argv += ["-c", f"{name}={value}"]
        url = f"postgresql://mayfly@127.0.0.1:{port}/postgres"
        server = Postgres(url=url, argv=[*_as(user), *argv], home=home)
        with server.life:
            server.start()
            yield server


def fresh_database(server: str, name: str) -> str:
    """An empty database of that name on a server; its URL."""
    import psycopg

    with psycopg.connect(server, autocommit=True) as conn:
        conn.execute(f"CREATE DATABASE {name}")  # type: ignore[call-overload]
    return f"{server.rsplit('/', 1)[0]}/{name}"


def _answers(url: str) -> bool:
    import psycopg

    try:
        with psycopg.connect(url, connect_timeout=2):
            return True
    except psycopg.OperationalError:
        return False


def alive(process: subprocess.Popen[bytes]) -> bool:
    """Fails the test where the server has ended already."""
    if process.poll() is not None:
        pytest.fail(f"a server ended at its start with status {process.returncode}")
    return True


@contextlib.contextmanager
def running(argv: Sequence[str], *, stop: signal.Signals, cwd: str | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """In a session of its own, so that a Ctrl-C at the terminal ends the tests first."""
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(argv, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True, cwd=cwd)
    try:
        yield process
    finally:
        process.send_signal(stop)
        try:
            process.wait(timeout=START_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _unprivileged() -> pwd.struct_passwd | None:
    """PostgreSQL refuses to run as root; then it runs as somebody who owns nothing else."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    return _missing("an unprivileged user to run PostgreSQL as")


def _as(user: pwd.struct_passwd | None) -> list[str]:
    if user is None:
        return []
    setpriv = installed("setpriv", shutil.which("setpriv"))
    return [
        setpriv,
        f"--reuid={user.pw_uid}",
        f"--regid={user.pw_gid}",
        "--clear-groups",
        "--pdeathsig",
        "SIGINT",
        "--",
    ]


def _postgres_programs() -> Path:
    found = [Path(path).parent for path in (shutil.which("postgres"),) if path]
    for place in _POSTGRES_PLACES:
        found += sorted((path.parent for path in Path(place).glob("*/bin/postgres")), reverse=True)
    return next((bin_ for bin_ in found if (bin_ / "initdb").exists()), None) or _missing("postgresql")


def installed(name: str, path: str | None) -> str:
    """The path of a program; the test is skipped, or failed in CI, where there is none."""
    return path or _missing(name)


def _missing(what: str) -> NoReturn:
    reason = f"{what} is not installed; apt-get install {' '.join(PACKAGES)}"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
