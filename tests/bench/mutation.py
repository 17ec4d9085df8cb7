"""Mutates finished renditions for minutes: `python -m tests.bench.mutation [--minutes N] [--seed N] [--keep N]`.

Each mutant (`tests.mutants`) is refused by the second reader or is clean: nothing planted in it may be proven, and of
those that are proven all the same a sample of each kind goes to the independent judge, in one folder.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random

from tests import clips, mutants
from tests.bench import oracle
from tests.darkroom import LIMITS
from tests.unit.test_mutants import PICTURES, finished, proven
from worker.media.formats import format_named
from worker.media.jail import Jail
from worker.media.studio import Studio


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--minutes", type=float, default=10.0, help="for all kinds together")
    options.add_argument("--seed", type=int, default=1_000_000)
    options.add_argument("--keep", type=int, default=300, help="mutants of a kind that the judge is asked about")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="mayfly-bench-") as folder:
        kept, begun = Path(folder) / "kept", Path(folder) / "begun"
        kept.mkdir()
        begun.mkdir()
        cases = {kind: finished(kind) for kind in PICTURES} | {"film": (_film(begun), "video/mp4")}
        print(f"{'kind':16} {'mutants':>9} {'refused':>9} {'proven':>8} {'planted':>8}  what was done to those proven")
        holes = 0
        for kind, (body, media_type) in cases.items():
            holes += _run(kind, body, media_type, 60 * chosen.minutes / len(cases), chosen.seed, kept, chosen.keep)
        verdict = oracle.judge([kept])
    leaky = {path.name: lines for path, lines in verdict.findings.items()}
    print(f"planted and proven: {holes}; leaky to the judge: {len(leaky)}")
    for name, lines in list(leaky.items())[:20]:
        print(f"  {name}: {'; '.join(lines[:2])}")
    return 1 if holes or leaky else 0


def _run(kind: str, body: bytes, media_type: str, seconds: float, seed: int, kept: Path, keep: int) -> int:
    """Seeds upwards until the time is over; a mutant's file name tells its seed."""
    counts, what, end = Counter[str](), Counter[str](), time.monotonic() + seconds
    while time.monotonic() < end:
        seed += 1
        made = mutants.mutant(media_type, body, Random(seed), ours=not kind.startswith("original"))
        if made.body == body:
            continue
        counts["made"] += 1
        if not proven(kind, made.body, media_type):
            continue
        counts["proven"] += 1
        what[made.what.partition(" at ")[0]] += 1
        if made.planted:
            counts["planted"] += 1
            print(f"  planted and proven: {kind}, seed {seed}: {made.what}")
        if what[made.what.partition(" at ")[0]] <= 20 and counts["kept"] < keep:
            counts["kept"] += 1
            (kept / f"{kind}-{seed}.{media_type.partition('/')[2]}").write_bytes(made.body)
    most = ", ".join(f"{name} {count}" for name, count in what.most_common(5))
    refused = counts["made"] - counts["proven"]
    print(f"{kind:16} {counts['made']:9} {refused:9} {counts['proven']:8} {counts['planted']:8}  {most}", flush=True)
    return counts["planted"]


def _film(folder: Path) -> bytes:
    clip = clips.mp4(folder, seconds=0.4, size="64x48")
    jail = Jail()
    try:
        studio = Studio(jail=jail, limits=LIMITS, video_threads=1)
        rendered = studio.render(clip, format_named("mp4"), folder, lambda _done: None, lambda: False)
        (path,) = (made.path for made in rendered.made if made.media_type == "video/mp4")
        return path.read_bytes() if path else b""
    finally:
        jail.close()


if __name__ == "__main__":
    sys.exit(main())
