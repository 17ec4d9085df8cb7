"""Prints what ../shared/corpus-hostile does to Mayfly: `python -m tests.bench.hostile`.

Every file through the real path in one jail: each must be ready and clean, or refused with a code; what it cost; and
what is left of it afterwards.
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
from pathlib import Path

from rich.console import Console

from tests.bench import oracle, report
from tests.bench.workshop import Workshop

NAME = "corpus-hostile"


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--sample", type=int, help="so many files, chosen by the hash of their names")
    options.add_argument("--jobs", type=int, default=1, help="files at a time")
    chosen = options.parse_args()
    place = oracle.collection(NAME)
    found = [path for path in sorted(place.rglob("*")) if path.is_file() and path != place / "README.md"]
    if chosen.sample is not None:
        found = sorted(found, key=lambda path: hashlib.sha256(path.name.encode()).digest())[: chosen.sample]
    console = Console(width=140)
    with tempfile.TemporaryDirectory(prefix="mayfly-bench-") as home:
        room = Workshop(Path(home))
        with room.opened():
            outcomes = room.run_all(((str(path.relative_to(place)), path) for path in found), chosen.jobs)
            health = room.health(outcomes)
        verdict = oracle.judge(room.renditions(), against=place, jobs=chosen.jobs)
    report.by_code(console, f"../shared/{NAME}: {len(outcomes)} files", outcomes)
    report.dearest(console, "the ten slowest", outcomes, lambda each: each.cpu_s)
    report.dearest(console, "the ten largest", outcomes, lambda each: each.peak)
    return 0 if report.held(console, outcomes, verdict, health) else 1


if __name__ == "__main__":
    raise SystemExit(main())
