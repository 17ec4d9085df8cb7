"""The benches start, take a few files through the real path, and hold what they promise of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests import corpus
from tests.bench import bombs

pytestmark = [pytest.mark.slow, pytest.mark.wide]

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "argv",
    [
        ("strip", "--only", "Mayfly", "--sample", "1"),
        ("hostile", "--sample", "1"),
        ("bombs", "--alone", "--sample", "1"),
    ],
)
def test_a_bench_runs_on_a_few_files(argv: tuple[str, ...]) -> None:
    corpus.judge()
    if not (corpus.SHARED / "corpus-hostile").is_dir():
        pytest.skip("no ../shared/corpus-hostile beside the project")

    command = [sys.executable, "-m", f"tests.bench.{argv[0]}", *argv[1:]]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "CPU s" in done.stdout


def test_there_are_bombs_of_every_kind() -> None:
    made = list(bombs._makers())
    groups = {group for group, *_ in made}

    assert groups == {"picture", "large", "polyglot", "stranger", "film", "text"}
    assert len(made) >= 45
    assert len({(group, name) for group, name, *_ in made}) == len(made)
