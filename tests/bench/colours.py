"""Prints how far rendered colours are from a reference: `python -m tests.bench.colours [--corpus FOLDER]`.

First the chart of the tests in each way of saying colours, then the pictures of the shared collection that carry a
profile, against littleCMS, and against what dropping the profile would have cost. Levels of 255 and CIEDE2000, means.
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from tests import charts, corpus
from tests.bench.contact_sheet import viewed
from tests.darkroom import Darkroom, opened, rendition
from tests.unit.test_colour_chart import CASES
from worker.errors import Unprocessable
from worker.media.formats import sniff

_SIDE, _MOST_BYTES = 64, 3_000_000


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--corpus", type=Path, default=corpus.SHARED / "corpus")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="mayfly-bench-") as folder:
        room = Darkroom(Path(folder))
        room.jail.start()
        try:
            _chart(room)
            _corpus(room, chosen.corpus)
        finally:
            room.jail.close()


def _chart(room: Darkroom) -> None:
    print(
        f"{'chart, 24 fields and 4 ramps':44}{'share':>8}{'dE00':>7}{'ramps':>7}{'display':>9}{'dE00':>7}{'ramps':>7}"
    )
    for name, case in CASES.items():
        data, wanted = case()
        rendered = room.render(data, names=("share", "display"))
        figures = [_figures(opened(rendition(rendered, copy)), wanted) for copy in ("share", "display")]
        print(f"{name:44}" + "".join(f"{a:{8 + n}.2f}{b:7.2f}{c:7.2f}" for n, (a, b, c) in enumerate(figures)))


def _figures(found: Image.Image, wanted: Image.Image) -> tuple[float, float, float]:
    fields = charts.fields(found), charts.fields(wanted)
    ramps = zip(charts.ramps(found), charts.ramps(wanted), strict=True)
    return charts.levels(*fields), charts.apart(*fields), max(charts.levels(*pair) for pair in ramps)


def _corpus(room: Darkroom, folder: Path) -> None:
    rows = list(_compared(room, folder))
    if not rows:
        print(f"no pictures with a profile in {folder.name}")
        return
    for title, column in (("Mayfly", 0), ("profile dropped", 1)):
        values = [row[column] for row in rows]
        print(f"{len(rows)} pictures with a profile, {title}: dE00 {charts.mean(values):.2f}, worst {max(values):.2f}")


def _compared(room: Darkroom, folder: Path) -> Iterator[tuple[float, float]]:
    """dE00 of the shared copy, and of the pixels without their profile, over a picture's 64 by 64 mean colours."""
    for path in sorted(folder.rglob("*")):
        data = path.read_bytes() if path.is_file() and path.stat().st_size < _MOST_BYTES else b""
        fmt = sniff(data[:4096])
        if fmt is None or fmt.work_class != "image" or fmt.name == "gif":
            continue
        managed, plain = viewed(data), viewed(data, managed=False)
        if managed is None or plain is None or "icc_profile" not in plain.info:
            continue
        try:
            made = opened(rendition(room.render(data, names=("share",)), "share"))
        except Unprocessable:
            continue
        wanted = _means(managed)
        yield charts.apart(_means(made), wanted), charts.apart(_means(plain), wanted)


def _means(image: Image.Image) -> list[charts.Colour]:
    ground = Image.new("RGBA", image.size, (0, 0, 0, 255))
    ground.alpha_composite(image.convert("RGBA"))
    small = ground.convert("RGB").resize((_SIDE, _SIDE), Image.Resampling.BOX).tobytes()
    return [tuple(small[at : at + 3]) for at in range(0, len(small), 3 * 16)]


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        main()
