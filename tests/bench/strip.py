"""Prints who strips what: `python -m tests.bench.strip` (or `make -C tests/bench strip`).

Every file of ../shared/corpus through Mayfly's real path and through each peer that is installed, all outputs under
the same judge, against their originals. Install what is to stand beside it:
`apt-get install mat2 libimage-exiftool-perl imagemagick libjpeg-turbo-progs`, and in a folder of your own
`npm install sharp exiftool-vendored.pl`, named by `--node FOLDER`. An absent peer is named, never counted.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench import oracle, peers
from tests.bench.meter import children_s, spent_s
from tests.bench.oracle import Verdict
from tests.bench.peers import PICTURES, VIDEOS, Peer
from tests.bench.workshop import READY, Outcome, Workshop, kind_of

FILM_NAMES = frozenset({".mp4", ".mov", ".m4v", ".3gp", ".mkv", ".webm", ".avi", ".mts"})
SERIOUS = ("location", "identity", "hidden")
RENDITIONS = {PICTURES: ("display", "share", "thumb"), VIDEOS: ("video", "poster", "thumb")}


@dataclass(frozen=True, kw_only=True)
class Given:
    """The files of one kind, by relative name, and which of them a plain decoder makes something whole of."""

    kind: str
    files: dict[str, Path]
    decoded: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Row:
    """What a method made of `given` files: outputs by the original's name. `cpu_s` None where it is in another row."""

    method: str
    given: int
    outputs: dict[str, tuple[Path, ...]]
    verdict: Verdict
    cpu_s: float | None = None


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--only", action="append", default=[], help="a method, by the beginning of its name")
    options.add_argument("--kind", choices=(PICTURES, VIDEOS), help="only these")
    options.add_argument("--sample", type=int, help="so many of each kind, chosen by the hash of their names")
    options.add_argument("--jobs", type=int, default=1, help="files at a time")
    options.add_argument("--node", type=Path, default=Path("."), help="a folder with node_modules in it")
    chosen = options.parse_args()
    corpus = oracle.collection("corpus")
    console = Console(width=140)
    table = _table()
    with tempfile.TemporaryDirectory(prefix="mayfly-bench-") as home:
        ours: list[tuple[Given, list[Outcome], Row]] = []
        known = [peer for peer in peers.all_of(chosen.node.resolve()) if _wanted(peer.name, chosen.only)]
        for given in _given(corpus, chosen.kind, chosen.sample, chosen.jobs):
            table.add_row(f"[bold]{given.kind}", str(len(given.files)), "", str(len(given.decoded)))
            _add(table, given, _untouched(given, chosen.jobs))
            if _wanted("Mayfly", chosen.only):
                outcomes, rows = _ours(Path(home) / given.kind, given, corpus, chosen.jobs)
                ours.append((given, outcomes, rows[0]))
                for row in rows:
                    _add(table, given, row)
            for number, peer in enumerate(known):
                if given.kind in peer.takes and peer.version:
                    place = Path(home) / f"{given.kind}-{number}"
                    _add(table, given, _peer(peer, place, given, corpus, chosen.jobs))
            table.add_section()
        console.print(table)
        absent = [peer.name for peer in known if not peer.version]
        console.print(f"absent: {', '.join(absent) or 'nobody'}")
        for given, outcomes, row in ours:
            _tell(console, given, outcomes, row)
        return 0 if all(_good(outcomes, row) for _, outcomes, row in ours) else 1


def _wanted(name: str, only: Sequence[str]) -> bool:
    return not only or any(name.lower().startswith(each.lower()) for each in only)


def _given(corpus: Path, kind: str | None, sample: int | None, jobs: int) -> list[Given]:
    found = [path for path in sorted(corpus.rglob("*")) if path.is_file() and path != corpus / "README.md"]
    if sample is not None:
        found = sorted(found, key=lambda path: hashlib.sha256(path.name.encode()).digest())
    films = [path for path in found if _is_film(path)][:sample] if kind != PICTURES else []
    pictures = [path for path in found if not _is_film(path)][:sample] if kind != VIDEOS else []
    found = [*films, *pictures]
    script = peers.pictures_decoded()

    def decodes(path: Path) -> bool:
        if path in films:
            return peers.video_decodes(path)
        return script.ask(path, None) == "done"

    with ThreadPoolExecutor(max_workers=jobs) as pool:
        whole = dict(zip(found, pool.map(decodes, found), strict=True))
    script.close()
    kinds = {PICTURES: pictures, VIDEOS: films}
    return [
        Given(
            kind=kind,
            files={str(path.relative_to(corpus)): path for path in paths},
            decoded=frozenset(str(path.relative_to(corpus)) for path in paths if whole[path]),
        )
        for kind, paths in kinds.items()
        if paths
    ]


def _is_film(path: Path) -> bool:
    fmt = kind_of(path)
    return fmt.work_class == "video" if fmt is not None else path.suffix.lower() in FILM_NAMES


def _untouched(given: Given, jobs: int) -> Row:
    verdict = oracle.judge(list(given.files.values()), jobs=jobs)
    outputs = {name: (path,) for name, path in given.files.items()}
    return Row(method="as they came", given=len(given.files), outputs=outputs, verdict=verdict)


def _ours(home: Path, given: Given, corpus: Path, jobs: int) -> tuple[list[Outcome], list[Row]]:
    """Our row, and one for each rendition."""
    home.mkdir()
    room = Workshop(home)
    with room.opened():
        before = spent_s(room.jail)
        outcomes = room.run_all(given.files.items(), jobs)
        spent = spent_s(room.jail) - before
    made = {each.name: each.files for each in outcomes if each.code == READY}
    verdict = oracle.judge(room.renditions(), against=corpus, jobs=jobs)
    whole = {name: tuple(files.values()) for name, files in made.items()}
    rows = [Row(method="Mayfly", given=len(given.files), outputs=whole, verdict=verdict, cpu_s=spent)]
    for rendition in RENDITIONS[given.kind]:
        outputs = {name: (files[rendition],) for name, files in made.items()}
        rows.append(Row(method=f"  {rendition}", given=len(given.files), outputs=outputs, verdict=verdict))
    return outcomes, rows


def _peer(peer: Peer, place: Path, given: Given, corpus: Path, jobs: int) -> Row:
    files = given.files
    if peer.only:
        files = {name: path for name, path in files.items() if getattr(kind_of(path), "name", "") == peer.only}
    for name in files:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
    before = children_s()
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        done = list(pool.map(lambda each: _stripped(peer, each[1], place / each[0]), files.items()))
    peer.close()
    spent = children_s() - before
    outputs = {name: (place / name,) for name, there in zip(files, done, strict=True) if there}
    verdict = oracle.judge([place], against=corpus, jobs=jobs)
    return Row(method=f"{peer.name} {peer.version}", given=len(files), outputs=outputs, verdict=verdict, cpu_s=spent)


def _stripped(peer: Peer, source: Path, target: Path) -> bool:
    """Whether there is an output; what a peer that failed has left is no output."""
    done = peer.strip(source, target) and target.exists() and target.stat().st_size > 0
    if not done:
        target.unlink(missing_ok=True)
    return done


def _table() -> Table:
    table = Table(title="../shared/corpus, all outputs under the same judge; seconds of the processor, start included")
    heads = ("method", "given", "done", "of decoding", "refused", "clean", "leaky", "unread", *SERIOUS, "CPU s")
    for head in heads:
        table.add_column(head, justify="left" if head == "method" else "right", no_wrap=head == "method")
    return table


def _add(table: Table, given: Given, row: Row) -> None:
    states = Counter(row.verdict.state(paths) for paths in row.outputs.values())
    kinds = Counter(kind for paths in row.outputs.values() for kind in row.verdict.seen(paths))
    decoding = len(given.decoded & set(row.outputs)) / max(1, len(given.decoded))
    print(f"{given.kind}: {row.method}: done {len(row.outputs)}, {dict(states)}", file=sys.stderr)
    table.add_row(
        *(row.method, str(row.given), str(len(row.outputs)), f"{decoding:.1%}", str(row.given - len(row.outputs))),
        *(str(states[state]) for state in ("clean", "leaky", "unchecked")),
        *(str(kinds[kind]) for kind in SERIOUS),
        "" if row.cpu_s is None else f"{row.cpu_s:.1f}",
    )


def _tell(console: Console, given: Given, outcomes: list[Outcome], row: Row) -> None:
    """Our refusals by code, those among them that a plain decoder takes, and every finding of the judge."""
    refused = [each for each in outcomes if each.code != READY]
    codes = ", ".join(f"{code} {count}" for code, count in Counter(each.code for each in refused).most_common())
    console.print(f"\n{given.kind}: Mayfly refused {len(refused)}: {codes}")
    taken = [each for each in refused if each.name in given.decoded]
    console.print(f"  of these, a plain decoder makes something of {len(taken)}:")
    for each in sorted(taken, key=lambda each: (each.code, each.name)):
        console.print(f"    {each.code}: {each.name}", markup=False, highlight=False, soft_wrap=True)
    for paths in row.outputs.values():
        for path in paths:
            for finding in row.verdict.findings.get(path, ()):
                console.print(f"  LEAK {path.name}: {finding}", markup=False, highlight=False, soft_wrap=True)


def _good(outcomes: list[Outcome], row: Row) -> bool:
    clean = all(row.verdict.state(paths) == "clean" for paths in row.outputs.values())
    return clean and all(each.proper for each in outcomes)


if __name__ == "__main__":
    raise SystemExit(main())
