"""Prints how fast a JPEG is rewritten: `python -m tests.bench.lossless` (or `make -C tests/bench lossless`).

The camera JPEGs of ../shared/corpus and one of twelve megapixels made in code, in process and as whole jail calls,
beside `jpegtran -copy none`, exiftool and mat2: each peer as a process of its own, which is how it is used. An absent
peer is named. Bytes a second are of the original, by the clock and by the processor; the best of `--rounds` counts.
"""

from __future__ import annotations

import argparse
import io
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from rich.console import Console
from rich.table import Table

from tests import corpus, samples
from tests.bench import peers
from tests.bench.meter import spent_s
from tests.bench.peers import Peer
from worker.errors import Unprocessable
from worker.media.formats import format_named, sniff
from worker.media.image.client import jail_limits, render_image
from worker.media.image.orientation import orientation
from worker.media.image.probe import probe
from worker.media.jail import Jail
from worker.media.limits import MediaLimits
from worker.media.lossless import Stored, rewritten
from worker.media.proving import prove

LIMITS, JPEG, ROW = MediaLimits(), format_named("jpeg"), "original_clean"
BESIDE = ("jpegtran", "exiftool -all=", "mat2")
MB = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Photo:
    """A camera's JPEG that decodes: `way_up` is its orientation, `stored` what the decoder says of its pixels."""

    path: Path
    data: bytes
    way_up: int
    stored: Stored


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--sample", type=int, help="so many of the photos")
    chosen = options.parse_args()
    console = Console()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made = folder / "camera.jpg"
        made.write_bytes(samples.camera_photo(12))
        collections = {"12 megapixels, made in code": [_photo(made)]}
        place = corpus.SHARED / "corpus"
        if place.is_dir():
            found = [photo for path in sorted(place.rglob("*")) if path.is_file() and (photo := _photo(path))]
            collections = {"camera JPEGs of ../shared/corpus": found[: chosen.sample]} | collections
        else:
            console.print("absent: ../shared/corpus")
        for title, photos in collections.items():
            console.print(_table(title, [photo for photo in photos if photo], folder, chosen.rounds, console))
    return 0


def _photo(path: Path) -> Photo | None:
    data = path.read_bytes()
    if sniff(data[:4096]) != JPEG:
        return None
    try:
        walked = probe(data, JPEG, LIMITS)
        with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
            image.load()
            stored = Stored(mode=image.mode, profile=image.info.get("icc_profile"))
            way_up = orientation(image, JPEG, walked)
    except (Unprocessable, OSError, ValueError, SyntaxError):
        return None
    # What a camera wrote says so in EXIF.
    if not any(carrier.form == "exif" for carrier in walked.carriers):
        return None
    return Photo(path=path, data=data, way_up=way_up, stored=stored)


def _table(title: str, photos: list[Photo], folder: Path, rounds: int, console: Console) -> Table:
    size = sum(len(photo.data) for photo in photos)
    table = Table(title=f"{title}: {len(photos)} files, {size / MB:.1f} MB", title_justify="left")
    for head in ("method", "done", "wall s", "MB/s", "CPU s", "CPU MB/s"):
        table.add_column(head, justify="left" if head == "method" else "right", overflow="fold")
    jail = Jail()
    jail.start()
    methods: list[tuple[str, Callable[[Photo], bool]]] = [
        ("Mayfly, the rewriting, in process", _in_process),
        ("Mayfly, a jail call for this copy alone", lambda photo: _called(jail, photo, (ROW,))),
        ("Mayfly, a jail call for all copies", lambda photo: _called(jail, photo, None)),
        ("Mayfly, the second reader's jail call", _reader(jail, photos)),
    ]
    for peer in peers.all_of(folder):
        if peer.name.startswith(BESIDE) and peer.version:
            methods.append((f"{peer.name} {peer.version}", _beside(peer, folder)))
        elif peer.name.startswith(BESIDE):
            console.print(f"absent: {peer.name}")
    try:
        for name, method in methods:
            done, wall, cpu = min((_round(method, photos, jail) for _ in range(rounds)), key=lambda each: each[1])
            table.add_row(
                name, str(done), f"{wall:.2f}", f"{size / MB / wall:.1f}", f"{cpu:.2f}", f"{size / MB / cpu:.1f}"
            )
    finally:
        jail.close()
    return table


def _round(method: Callable[[Photo], bool], photos: list[Photo], jail: Jail) -> tuple[int, float, float]:
    """How many were done, and the seconds of the clock and of the processor."""
    wall, cpu = time.monotonic(), spent_s(jail)
    done = sum(method(photo) for photo in photos)
    return done, time.monotonic() - wall, max(spent_s(jail) - cpu, 1e-9)


def _in_process(photo: Photo) -> bool:
    walked = probe(photo.data, JPEG, LIMITS)
    return rewritten(photo.data, JPEG, walked, photo.way_up, photo.stored).body is not None


def _called(jail: Jail, photo: Photo, names: tuple[str, ...] | None) -> bool:
    made = render_image(jail, photo.path, JPEG, LIMITS, names, on=(ROW,)).made
    return any(copy.name == ROW for copy in made)


def _reader(jail: Jail, photos: list[Photo]) -> Callable[[Photo], bool]:
    bodies: dict[Path, bytes] = {}
    for photo in photos:
        walked = probe(photo.data, JPEG, LIMITS)
        body = rewritten(photo.data, JPEG, walked, photo.way_up, photo.stored).body
        if body is not None:
            bodies[photo.path] = body

    def read(photo: Photo) -> bool:
        if photo.path not in bodies:
            return False
        try:
            prove(jail, bodies[photo.path], JPEG.media_type, rewritten_within=jail_limits(LIMITS, threads=False))
        except Unprocessable:
            return False
        return True

    return read


def _beside(peer: Peer, folder: Path) -> Callable[[Photo], bool]:
    target = folder / "out.jpg"

    def strip(photo: Photo) -> bool:
        target.unlink(missing_ok=True)
        return peer.strip(photo.path, target)

    return strip


if __name__ == "__main__":
    raise SystemExit(main())
