"""Prints what bombs do to Mayfly, and to plain Pillow or ffmpeg beside it: `python -m tests.bench.bombs`.

Every bomb of `tests.bombs` and `tests.hostile_clips`, made anew and taken through the real path in one jail; the plain
decoders get 40 s and 2 GB each.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests import bombs, clips, hostile_clips
from tests.bench import oracle, plain, report
from tests.bench.plain import Plain
from tests.bench.report import MIB
from tests.bench.workshop import READY, Outcome, Workshop

_HEAD = b"\0\0\0\x18ftypisom\0\0\2\0isomavc1"
_NO_PORT = 9  # discard: nobody listens


@dataclass(frozen=True, kw_only=True)
class Bomb:
    """`codes` are those that are right for it; none where any is."""

    name: str
    path: Path
    size: int
    film: bool
    codes: frozenset[str] = frozenset()

    def right(self, code: str) -> bool:
        return not self.codes or code in self.codes


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--sample", type=int, help="so many of them, evenly chosen")
    options.add_argument("--jobs", type=int, default=1, help="files at a time")
    options.add_argument("--alone", action="store_true", help="without the plain decoders, which take minutes")
    chosen = options.parse_args()
    console = Console(width=140)
    with tempfile.TemporaryDirectory(prefix="mayfly-bench-") as home:
        made = list(_made(Path(home), chosen.sample))
        room = Workshop(Path(home))
        with room.opened():
            outcomes = room.run_all(((each.name, each.path) for each in made), chosen.jobs)
            health = room.health(outcomes)
        wrong = [each.name for each, outcome in zip(made, outcomes, strict=True) if not each.right(_word(outcome))]
        health[f"every code is the right one for its bomb {wrong or ''}".strip()] = not wrong
        verdict = oracle.judge(room.renditions(), canary="CANARY", jobs=chosen.jobs)
        others = [None if chosen.alone else _plain(each, Path(home)) for each in made]
    _print(console, made, outcomes, others)
    report.by_code(console, f"{len(made)} bombs", outcomes)
    return 0 if report.held(console, outcomes, verdict, health) else 1


def _word(outcome: Outcome) -> str:
    """The table of bombs has "" for a file that is ready."""
    return "" if outcome.code == READY else outcome.code


def _made(home: Path, sample: int | None) -> Iterator[Bomb]:
    """Each in a folder of its own below `home`/made, beside nothing but what it would reach."""
    makers = list(_makers())
    step = max(1, len(makers) // sample) if sample else 1
    for group, name, film, codes, make in makers[::step][:sample]:
        word = re.sub(r"[^A-Za-z0-9]+", "-", name)
        folder = home / "made" / group / word
        folder.mkdir(parents=True)
        path = make(folder)
        relative = str(path.relative_to(home / "made"))
        yield Bomb(name=relative, path=path, size=path.stat().st_size, film=film, codes=codes)


Maker = tuple[str, str, bool, frozenset[str], Callable[[Path], Path]]


def _makers() -> Iterator[Maker]:
    """Group, name, whether it would be a film, right codes, maker."""
    for group, table in (("picture", bombs.PICTURES), ("large", bombs.FULL_SIZE)):
        for name, (make, codes) in table.items():
            yield group, name, False, codes, _file("bomb", make)
    for name, make in bombs.POLYGLOTS.items():
        yield "polyglot", name, False, frozenset({""}), _file("bomb", make)
    for name, data in bombs.STRANGERS.items():
        yield "stranger", name, False, frozenset({"unsupported_type"}), _file("bomb", lambda data=data: data)
    for name, (clip, code) in hostile_clips.BAD.items():
        yield "film", name, True, frozenset({code}), clip
    yield "film", "gap that is lied about", True, frozenset({""}), lambda to: hostile_clips.gap(to, says_s=0.4)
    yield "film", "name of a protocol", True, frozenset({""}), _named_like_a_protocol
    for name in (*hostile_clips.FOLLOWERS, *hostile_clips.REACHING):
        yield "text", name, True, frozenset({"unsupported_type"}), _reaching(name, b"")
        yield "text", f"{name} behind a head", True, frozenset(), _reaching(name, _HEAD)


def _file(name: str, make: Callable[[], bytes]) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(make())
        return path

    return write


def _named_like_a_protocol(folder: Path) -> Path:
    return clips.silent(folder).rename(folder / "concat:other.mp4|clip.mp4")


def _reaching(name: str, head: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        other = clips.silent(folder).rename(folder / "other.mp4")
        text = hostile_clips.FOLLOWERS[name][1] if name in hostile_clips.FOLLOWERS else hostile_clips.REACHING[name]
        path = folder / "upload.mp4"
        path.write_bytes(head + text.format(other=other, port=_NO_PORT).encode("latin-1"))
        return path

    return write


def _plain(bomb: Bomb, home: Path) -> Plain:
    if not bomb.film:
        return plain.pillow(bomb.path)
    done = plain.ffmpeg(bomb.path, home / "plain", bomb.path.with_name("other.mp4"))
    for left in home.glob("plain.*"):
        left.unlink()
    return done


def _print(console: Console, made: list[Bomb], outcomes: list[Outcome], others: list[Plain | None]) -> None:
    table = Table(title="bombs; the plain decoder is Pillow or ffmpeg with 40 s and 2 GB", title_justify="left")
    heads = ("bomb", "bytes", "Mayfly", "CPU s", "wall s", "MB", "plain", "CPU s", "MB")
    for head in heads:
        table.add_column(head, justify="left" if head in ("bomb", "Mayfly", "plain") else "right")
    for bomb, outcome, other in zip(made, outcomes, others, strict=True):
        figures = (f"{outcome.cpu_s:.2f}", f"{outcome.wall_s:.2f}", f"{outcome.peak / MIB:.0f}")
        beside = ("", "", "") if other is None else (other.result, f"{other.cpu_s:.1f}", f"{other.peak / MIB:.0f}")
        name = bomb.name.rsplit("/", 1)[0]
        table.add_row(name, f"{bomb.size:,}", outcome.code, *figures, *beside)
    console.print(table)


if __name__ == "__main__":
    raise SystemExit(main())
