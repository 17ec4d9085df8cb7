"""A Redis that can die and come back on the same port, with nothing kept."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis

from tests.servers import free_port, listens, until


@dataclass
class Broker:
    home: Path
    port: int
    _process: subprocess.Popen[bytes] | None = None

    @classmethod
    @contextlib.contextmanager
    def running(cls, home: Path) -> Iterator[Broker]:
        if shutil.which("redis-server") is None:
            pytest.skip("redis-server is not installed; apt-get install redis-server")
        broker = cls(home, free_port())
        broker.start()
        try:
            yield broker
        finally:
            broker.end(signal.SIGTERM)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        argv = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.home), "--save", ""]
        quiet = subprocess.DEVNULL
        self._process = subprocess.Popen(argv, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True)
        until(lambda: listens(self.port), what="redis-server")

    def end(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait()

    def flush(self) -> None:
        with redis.Redis.from_url(self.url) as client:
            client.flushall()
