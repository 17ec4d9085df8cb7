"""Small disks that are really full or really read-only."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def mounted(place: Path, options: str) -> Iterator[None]:
    """A file system of its own at `place`, for as long as the block lasts. Skips the test where that needs more rights
    than we have; a directory without write permission would not do, because root may write there."""
    place.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system needs root and is not permitted here")
    try:
        yield
    finally:
        subprocess.run(["umount", str(place)], check=True)


def make_read_only(place: Path) -> None:
    """From now on nothing can be written at the mounted `place`."""
    subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
