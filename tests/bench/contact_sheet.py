"""Draws before and after side by side: `python -m tests.bench.contact_sheet OUT.png [--corpus FOLDER] [--wide]`.

Left is the file as a viewer with colour management shows it (Pillow turns it, littleCMS takes its profile to sRGB), or
the reference of the colour tests; right is Mayfly's display copy. Under a pair: its name, and the mean difference.
"""

from __future__ import annotations

import argparse
import io
import math
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pillow_heif
from PIL import Image, ImageChops, ImageDraw, ImageOps, ImageStat

from tests import charts, corpus, samples
from tests.darkroom import Darkroom, rendition
from tests.unit.test_colour_chart import CASES
from tests.unit.test_image import turned
from worker.errors import Unprocessable
from worker.media.formats import sniff

_CELL, _TEXT, _COLUMNS = 150, 26, 4
_PAPER = (236, 236, 236)
_TURNED = ("jpeg", "png", "webp", "avif", "heic")
# Files of the shared collection that show something: wide gamuts, inks, greys, alpha, high dynamic range, orientations.
_SHOWN = ("colors_", "cmyk", "gray", "hopper", "landscape_", "portrait_", "fox", "hdr", "icc", "alpha", "p3")
# Makes a file, and what it should look like where that is known better than Pillow alone knows it.
Source = Callable[[], tuple[bytes, Image.Image | None]]


@dataclass(frozen=True, kw_only=True)
class Pair:
    """`before` and `after` at the same size, on a chequered ground where they are clear."""

    name: str
    before: Image.Image
    after: Image.Image

    @property
    def apart(self) -> float:
        """The mean difference of a channel, of 255."""
        return charts.mean(ImageStat.Stat(ImageChops.difference(self.before, self.after)).mean)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("out", type=Path)
    options.add_argument("--corpus", type=Path, default=corpus.SHARED / "corpus")
    options.add_argument("--wide", action="store_true", help="render with MAYFLY_WIDE_GAMUT")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="mayfly-sheet-") as folder:
        room = Darkroom(Path(folder))
        room.jail.start()
        try:
            pairs = list(drawn(room, {**generated(), **found(chosen.corpus)}, wide=chosen.wide))
        finally:
            room.jail.close()
    sheet(pairs).save(chosen.out)
    print(f"{len(pairs)} pairs in {chosen.out}")


def generated() -> dict[str, Source]:
    """Pictures made in code, by name: every way of saying colours, each orientation, alpha, animations."""
    made: dict[str, Source] = dict(CASES)
    for orientation in range(1, 9):
        kind = _TURNED[orientation % len(_TURNED)]
        made[f"{kind} turned {orientation}"] = lambda kind=kind, by=orientation: (turned(kind, by), None)
    makers = (samples.rgba_png, samples.palette_png, samples.webp, samples.animated_gif, samples.apng)
    return made | {maker.__name__: (lambda maker=maker: (maker(), None)) for maker in makers}


def found(folder: Path) -> dict[str, Source]:
    """Pictures of the shared collection that show something, by name; none where it is absent."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []
    chosen = [path for path in paths if any(part in path.name.lower() for part in _SHOWN)]
    return {path.name.rpartition("__")[2]: (lambda path=path: (path.read_bytes(), None)) for path in chosen}


def drawn(room: Darkroom, sources: dict[str, Source], *, wide: bool = False) -> Iterator[Pair]:
    """A pair of each picture that both can decode."""
    for name, source in sources.items():
        data, wanted = source()
        fmt = sniff(data[:4096])
        if fmt is None or fmt.work_class != "image":
            continue
        try:
            body = rendition(room.render(data, names=("display",), wide=wide), "display").body
        except Unprocessable:
            continue
        before, after = wanted or viewed(data), viewed(body or b"")
        if before is not None and after is not None:
            yield Pair(name=name, before=fitted(before), after=fitted(after))


def viewed(data: bytes, *, managed: bool = True) -> Image.Image | None:
    """As a viewer shows it: turned, its own profile taken to sRGB if `managed`; None where Pillow alone cannot."""
    pillow_heif.register_heif_opener()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image: Image.Image = Image.open(io.BytesIO(data))
            if image.info.get("default_image"):
                image.seek(1)
            image.load()
            profile = image.info.get("icc_profile")
            image = ImageOps.exif_transpose(image)
            if image.mode.startswith("I"):
                image = image.point(lambda value: value / 257).convert("L")
            if not managed or not profile or image.mode not in ("RGB", "RGBA", "L", "CMYK"):
                return image.convert("RGBA")
            shown = charts.managed(image.convert("RGB") if image.mode == "RGBA" else image, profile)
            if image.mode == "RGBA":
                shown.putalpha(image.getchannel("A"))
            return shown.convert("RGBA")
    except Exception:  # a file that only Mayfly decodes has nothing to stand beside
        return None


def fitted(image: Image.Image) -> Image.Image:
    """Into the cell, on a chequered ground."""
    ratio = min(_CELL / side for side in image.size)
    size = tuple(max(1, round(side * ratio)) for side in image.size)
    small = image.convert("RGBa").resize(size, Image.Resampling.BOX).convert("RGBA")  # type: ignore[arg-type]
    ground = Image.new("RGBA", (_CELL, _CELL), (*_PAPER, 255))
    squares = Image.new("RGBA", small.size, (255, 255, 255, 255))
    for left in range(0, size[0], 8):
        for top in range(8 * (left // 8 % 2), size[1], 16):
            squares.paste((205, 205, 205, 255), (left, top, left + 8, top + 8))
    squares.alpha_composite(small)
    ground.paste(squares, ((_CELL - size[0]) // 2, (_CELL - size[1]) // 2))
    return ground.convert("RGB")


def sheet(pairs: list[Pair]) -> Image.Image:
    """All pairs in one picture, in rows."""
    wide, high = 2 * _CELL + 16, _CELL + _TEXT + 8
    made = Image.new("RGB", (wide * _COLUMNS, high * max(1, math.ceil(len(pairs) / _COLUMNS))), _PAPER)
    pen = ImageDraw.Draw(made)
    for number, pair in enumerate(pairs):
        left, top = number % _COLUMNS * wide + 4, number // _COLUMNS * high + 2
        made.paste(pair.before, (left, top))
        made.paste(pair.after, (left + _CELL + 4, top))
        pen.text((left, top + _CELL + 1), pair.name[:44], fill=(0, 0, 0))
        pen.text((left, top + _CELL + 12), f"{pair.apart:.1f} levels apart", fill=(90, 90, 90))
    return made


if __name__ == "__main__":
    main()
