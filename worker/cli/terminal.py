"""What the commands print: one JSON document on standard output, or readable text; errors in one line with a code."""

from __future__ import annotations

import contextlib
import io
import json
import sys
import textwrap
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from worker.errors import MayflyError

DONE, REFUSED, WRONG_USAGE, INTERRUPTED = 0, 1, 2, 130
# Where nobody looks at columns (a pipe, a file) lines are never broken, so that grep and cut find them whole.
_UNBROKEN = 4096
NARROW = 64
_LABEL = 9


@dataclass(frozen=True, kw_only=True)
class Terminal:
    """`json`: standard output carries exactly one JSON document; everything else goes to standard error."""

    json: bool
    out: Console
    err: Console

    @classmethod
    def standard(cls, *, as_json: bool) -> Terminal:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                # A home whose path is not valid text is printed as the bytes that it is, and never ends a command.
                stream.reconfigure(errors="surrogateescape")
        return cls(json=as_json, out=_console(stderr=False), err=_console(stderr=True))

    def document(self, value: Any) -> None:
        """Print the one JSON document."""
        sys.stdout.write(json.dumps(value, indent=2) + "\n")
        sys.stdout.flush()

    def error(self, error: MayflyError) -> None:
        """One line for people on standard error; with `--json` also the document that says so."""
        if self.json:
            self.document({"error": {"code": error.code, "message": str(error)}})
        self.complain(str(error), error.code)

    def complain(self, message: str, code: str) -> None:
        """The one line on standard error; for what did not go well while the command's document stands by itself."""
        self.err.print(f"mayfly: {message} [{code}]", markup=False, soft_wrap=True)

    def note(self, message: str) -> None:
        """A line of progress on standard error, only where somebody looks."""
        if self.err.is_terminal:
            self.err.print(message, markup=False, style="dim")


def _console(*, stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, highlight=False, emoji=False, width=None if stream.isatty() else _UNBROKEN)


def field(console: Console, label: str, text: str, *, style: str = "") -> None:
    """A label and what it is; long text goes on below itself, not below the label."""
    lines = textwrap.wrap(text, max(20, console.width - _LABEL - 3), break_on_hyphens=False) or [""]
    for number, line in enumerate(lines):
        console.print(Text.assemble("  ", f"{'' if number else label:<{_LABEL}} ", (line, style)), soft_wrap=True)


def place(console: Console, path: str | None, *, indent: int = 4) -> None:
    """A path on a line of its own and never broken by us, so that it can be copied whole at any width."""
    if path is not None:
        console.print(" " * indent + near(path), style="dim", markup=False, soft_wrap=True)


def near(path: str) -> str:
    """The path as seen from the working directory where it lies below, which is shorter."""
    with contextlib.suppress(ValueError, OSError):
        return str(Path(path).relative_to(Path.cwd()))
    return path


def iso(at: datetime) -> str:
    """ISO 8601 in UTC, to the second."""
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")


def human_bytes(size: int) -> str:
    """1.4 MB, 312.0 kB: powers of ten, as storage is sold."""
    for unit, scale in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= scale:
            return f"{size / scale:.1f} {unit}"
    return f"{size} B"


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """1 copy, 2 copies."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"
