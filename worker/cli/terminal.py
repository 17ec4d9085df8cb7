"""What the commands print: one JSON document on standard output, or readable text; errors in one line with a code."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rich.console import Console

from worker.errors import MayflyError

DONE, REFUSED, WRONG_USAGE = 0, 1, 2


@dataclass(frozen=True, kw_only=True)
class Terminal:
    """`json`: standard output carries exactly one JSON document; everything else goes to standard error."""

    json: bool
    out: Console
    err: Console

    @classmethod
    def standard(cls, *, as_json: bool) -> Terminal:
        return cls(json=as_json, out=Console(highlight=False), err=Console(stderr=True, highlight=False))

    def document(self, value: Any) -> None:
        """Print the one JSON document."""
        sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
        sys.stdout.flush()

    def error(self, error: MayflyError) -> None:
        """One line for people on standard error; with `--json` also the document that says so."""
        if self.json:
            self.document({"error": {"code": error.code, "message": str(error)}})
        self.err.print(f"mayfly: {error} [{error.code}]", markup=False, soft_wrap=True)


def iso(at: datetime) -> str:
    """ISO 8601 in UTC, to the second."""
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")


def human_bytes(size: int) -> str:
    """1.4 MB, 312 kB: powers of ten, as storage is sold."""
    for unit, scale in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= scale:
            return f"{size / scale:.1f} {unit}"
    return f"{size} B"
