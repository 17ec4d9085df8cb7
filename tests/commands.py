"""Runs the real command as a user would: its own process, a clean environment, a home of its own."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog

from tests.servers import until
from worker.cli import app

LONGEST_S = 120.0


@dataclass(frozen=True, kw_only=True)
class Ran:
    """What a command left behind: its status and both of its streams."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on standard output; fails where there is more, less or other."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[str]:
        """The lines on standard error."""
        return self.err.splitlines()

    @property
    def code(self) -> str | None:
        """The code at the end of the one line on standard error."""
        return self.lines[0].rpartition("[")[2].rstrip("]") if len(self.lines) == 1 else None


def environment(home: Path, settings: Mapping[str, str] | None = None) -> dict[str, str]:
    """What a command finds: nothing of the developer's own."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "TMPDIR") if name in os.environ}
    return {**kept, "MAYFLY_HOME": str(home), **(settings or {})}


def mayfly(
    home: Path,
    *argv: str | bytes | Path,
    settings: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    before: Sequence[str] = (),
) -> Ran:
    """One command to its end. `before` goes in front, such as `unprivileged()`."""
    done = subprocess.run(
        [*before, sys.executable, "-m", "worker", *argv],
        env=environment(home, settings),
        cwd=cwd or home.parent,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=LONGEST_S,
    )
    return Ran(
        status=done.returncode,
        out=done.stdout.decode("utf-8", "surrogateescape"),
        err=done.stderr.decode("utf-8", "surrogateescape"),
    )


class Running:
    """A command that goes on until it is told to end; its standard error is read while it runs."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.err: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        self.err.extend(iter(self.process.stderr.readline, ""))

    def says(self, words: str) -> str:
        """Wait until standard error holds a line with these words; returns the line."""
        until(lambda: self.process.poll() is not None or any(words in line for line in self.err), what=words)
        return next((line for line in self.err if words in line), "")

    def end(self) -> int:
        """SIGTERM, and the status it leaves with."""
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(timeout=LONGEST_S)
        self._reader.join(timeout=10)
        return status


@contextlib.contextmanager
def running(home: Path, *argv: str, settings: Mapping[str, str] | None = None) -> Iterator[Running]:
    """Start a command; whatever happens in the block, nothing of it is left."""
    with subprocess.Popen(
        [sys.executable, "-m", "worker", *argv],
        env=environment(home, settings),
        cwd=home.parent,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Running(process)
        finally:
            process.kill()


def unprivileged() -> list[str]:
    """In front of a command: file permissions hold for it, also where the tests run as root."""
    if os.geteuid() != 0:
        return []
    if (setpriv := shutil.which("setpriv")) is None:
        pytest.skip("root may read and write everything, and setpriv, which could change that, is not installed")
    return [setpriv, "--bounding-set", "-dac_override,-dac_read_search", "--"]


@dataclass(frozen=True, kw_only=True)
class InProcess:
    """Runs commands in this process, on the home that the environment names: quick, and shares the tests' jail."""

    captured: pytest.CaptureFixture[str]

    def __call__(self, *words: object, status: int = 0) -> dict[str, Any]:
        """The document of a command that ends with `status`."""
        with _own_logs():
            got = app.run([*map(str, words), "--json"])
        said = self.captured.readouterr()
        assert got == status, said.err
        document: dict[str, Any] = json.loads(said.out)
        return document

    def refused(self, *words: object, status: int = 1) -> str:
        """The code of a refusal."""
        return str(self(*words, status=status)["error"]["code"])


@contextlib.contextmanager
def _own_logs() -> Iterator[None]:
    """A command sets up the logs of its process; here it gives them back."""
    root = logging.getLogger()
    voices, handlers, level = structlog.get_config(), list(root.handlers), root.level
    hooks = warnings.showwarning, threading.excepthook, sys.unraisablehook
    try:
        yield
    finally:
        structlog.configure(**voices)
        root.handlers[:], root.level = handlers, level
        warnings.showwarning, threading.excepthook, sys.unraisablehook = hooks
