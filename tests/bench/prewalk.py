"""Prints what the first wall costs: `python -m tests.bench.prewalk [--films] [--corpus] [--worst N]`.

For each flood of `tests.floods` at the size limit, each bomb, and with `--corpus` each picture of the shared
collections (with `--films`: each of `tests.film_floods`, each clip of `tests.clips` and of the collections): processor
time and memory of the walk (`probe`) and of counting what it found (`removed`), each file in a
process of its own, forked, with the file mapped as in the jail, best of three. The aim is 50 ms and 30 MB for the walk.
"""

from __future__ import annotations

import argparse
import json
import mmap
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests import bombs, clips, corpus, film_floods, floods
from tests.darkroom import LIMITS
from worker.errors import Unprocessable
from worker.media.formats import HEAD_BYTES, sniff
from worker.media.image import metadata
from worker.media.image.probe import probe
from worker.media.video import prewalk as films

MIB = 1 << 20
AIM_MS, AIM_BYTES = 50.0, 30_000_000
_COLLECTIONS = ("corpus", "corpus-hostile")


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Milliseconds of processor time, and bytes that the process grew by at its highest."""

    name: str
    size: int
    code: str
    walk_ms: float
    count_ms: float
    grown: int


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--corpus", action="store_true", help="also every picture of the shared collections")
    options.add_argument("--films", action="store_true", help="clips instead of pictures")
    options.add_argument("--worst", type=int, default=10)
    options.add_argument("--size", type=int, default=LIMITS.image_bytes - 100_000, help="bytes of each flood")
    options.add_argument("--only", default="", help="files whose name holds this")
    chosen = options.parse_args()
    costs = []
    with tempfile.TemporaryDirectory(prefix="mayfly-bench-") as folder:
        made = _clips(Path(folder)) if chosen.films else _pictures(Path(folder), chosen.size)
        for name, path in _files(made, corpus_too=chosen.corpus, only=chosen.only):
            cost = _cost(name, path, "video" if chosen.films else "image")
            if cost is not None:
                costs.append(cost)
    _print(costs, chosen.worst)
    over = [cost.name for cost in costs if cost.walk_ms > AIM_MS or cost.grown > AIM_BYTES]
    aim = f"{AIM_MS:.0f} ms or {AIM_BYTES / 1e6:.0f} MB"
    print(f"{len(costs)} files, {len(over)} over {aim}: {', '.join(over) or 'none'}")
    return 1 if over else 0


def _pictures(folder: Path, size: int) -> Iterator[tuple[str, Path]]:
    made = {f"flood {name}": lambda maker=maker: maker(size) for name, (maker, _codes) in floods.PICTURES.items()}
    made |= {f"bomb {name}": maker for name, (maker, _codes) in bombs.PICTURES.items()}
    made |= {f"polyglot {name}": maker for name, maker in bombs.POLYGLOTS.items()}
    for name, maker in made.items():
        path = folder / "file"
        path.write_bytes(maker())
        yield name, path
        path.unlink()


def _clips(folder: Path) -> Iterator[tuple[str, Path]]:
    for name, (make, _codes) in film_floods.CLIPS.items():
        path = folder / "file"
        make(path)
        yield f"flood {name}", path
        path.unlink()
    for name, good in clips.GOOD.items():
        place = folder / f"good-{name}"
        place.mkdir()
        yield f"good {name}", good(place)


def _files(made: Iterator[tuple[str, Path]], *, corpus_too: bool, only: str) -> Iterator[tuple[str, Path]]:
    yield from ((name, path) for name, path in made if only in name)
    for collection in _COLLECTIONS if corpus_too else ():
        for path in sorted((corpus.SHARED / collection).rglob("*")):
            if path.is_file() and only in path.name:
                yield f"{collection} {path.name}", path


def _cost(name: str, path: Path, work_class: str) -> Cost | None:
    """The best of three; None for what is no file of this class."""
    with path.open("rb") as stream:
        fmt = sniff(stream.read(HEAD_BYTES))
    if fmt is None or fmt.work_class != work_class:
        return None
    measured = _measured if work_class == "image" else _walked
    return min((_once(name, path, measured) for _ in range(3)), key=lambda cost: cost.walk_ms)


def _once(name: str, path: Path, measured: Callable[[Path], dict[str, object]]) -> Cost:
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(reader)
        os.write(writer, json.dumps(measured(path)).encode())
        os._exit(0)
    os.close(writer)
    with open(reader, "rb") as pipe:
        said = json.load(pipe)
    os.waitpid(child, 0)
    return Cost(name=name, size=path.stat().st_size, **said)


def _measured(path: Path) -> dict[str, object]:
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmRSS")
    start = time.process_time()
    code, count_ms, carriers = "", 0.0, []
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, prot=mmap.PROT_READ) as data:
        fmt = sniff(data[:HEAD_BYTES])
        assert fmt is not None
        try:
            carriers = probe(data, fmt, LIMITS).carriers
        except Unprocessable as refusal:
            code = refusal.code
        except MemoryError:
            code = "no memory"
        walked = time.process_time()
    grown = _status("VmHWM") - before
    metadata.removed(carriers)
    count_ms = 1000 * (time.process_time() - walked)
    return {"code": code, "walk_ms": 1000 * (walked - start), "count_ms": count_ms, "grown": grown}


def _walked(path: Path) -> dict[str, object]:
    """A clip: what it carries is counted while it is walked."""
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmRSS")
    start, code = time.process_time(), ""
    with path.open("rb") as stream:
        fmt = sniff(stream.read(HEAD_BYTES))
        assert fmt is not None
        try:
            films.walk(stream, fmt, LIMITS)
        except Unprocessable as refusal:
            code = refusal.code
    spent = 1000 * (time.process_time() - start)
    return {"code": code, "walk_ms": spent, "count_ms": 0.0, "grown": _status("VmHWM") - before}


def _status(name: str) -> int:
    found = re.search(rf"{name}:\s+(\d+)", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def _print(costs: list[Cost], worst: int) -> None:
    print(f"{'file':44} {'MB':>6} {'walk ms':>8} {'count ms':>8} {'MB more':>8}  code")
    slow = sorted(costs, key=lambda cost: cost.walk_ms, reverse=True)[:worst]
    large = sorted(costs, key=lambda cost: cost.grown, reverse=True)[:worst]
    for title, some in (("slowest", slow), ("largest", large)):
        print(f"-- {title}")
        for cost in some:
            print(
                f"{cost.name[:44]:44} {cost.size / 1e6:6.1f} {cost.walk_ms:8.1f} {cost.count_ms:8.1f} "
                f"{cost.grown / 1e6:8.1f}  {cost.code}"
            )


if __name__ == "__main__":
    sys.exit(main())
