"""The shared collections of other people's files, looked for beside the project and never copied into it.

A fixed part of them is run by default, chosen by the hash of each name; `--whole-corpus` runs all (`make corpus`).
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Collection
from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"
LEAKCHECK = SHARED / "tools" / "leakcheck.py"


def files(folder: str, config: pytest.Config, *, one_in: int, always: Collection[str] = ()) -> list[Path]:
    """Files of a collection, in the order of their names; skips the test where it is absent. `always` are ends of names
    that are never left out."""
    place = SHARED / folder
    if not place.is_dir():
        pytest.skip(f"no ../shared/{folder} beside the project")
    found = [path for path in sorted(place.rglob("*")) if path.is_file()]
    if config.getoption("whole_corpus"):
        return found
    return [path for path in found if _chosen(path.name, one_in) or path.name.endswith(tuple(always))]


def _chosen(name: str, one_in: int) -> bool:
    return int.from_bytes(hashlib.sha256(name.encode(errors="surrogateescape")).digest()[:4], "big") % one_in == 0


def judge() -> Path:
    """The independent judge of what comes out; skips the test where it or its tool is absent."""
    if not LEAKCHECK.exists() or shutil.which("exiftool") is None:
        pytest.skip("needs ../shared/tools/leakcheck.py beside the project, and exiftool")
    return LEAKCHECK
