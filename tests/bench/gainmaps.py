"""Prints what keeping a gain map costs, and how near its light comes: `python -m tests.bench.gainmaps`.

Cost: a 12-megapixel Ultra HDR photo to its renditions, with and without `share_hdr`, and the second reader of it.
Light: what the original shows against what the copy shows, in stops, over a grid of places, by our own few lines. With
`--vips-python PROGRAM`, an interpreter with pyvips 8.18, libultrahdr and libvips open the copy too: do they agree?
"""

from __future__ import annotations

import argparse
import io
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, ImageCms

from tests import gainmaps, samples
from tests.corpus import SHARED
from tests.darkroom import LIMITS
from worker.media.formats import format_named, sniff
from worker.media.image.client import render_image
from worker.media.jail import Jail
from worker.media.proving import prove

_GRID = [((x + 0.5) / 24, (y + 0.5) / 24) for x in range(24) for y in range(24)]
_REAL = {
    "google__libultrahdr/tests__data__apple_gainmap_new.jpg": 4.532783,  # said in its packet
    "google__libultrahdr/tests__data__apple_gainmap_old.jpg": 8.0,  # tags 33 and 48 of its maker note: 3 stops
    "python-pillow__Pillow/Tests__images__frame_size.mpo": 2**1.8,
}
_VIPS = """
import sys, pyvips
image = pyvips.Image.new_from_file(sys.argv[1])
assert image.get("vips-loader") == "uhdrload"
bright = image.uhdr2scRGB().copy_memory()
for spot in sys.stdin:
    print(*bright.getpoint(*map(int, spot.split()))[:3])
"""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--vips-python", help="an interpreter with pyvips 8.18 or newer")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="mayfly-bench-") as folder, _jail() as jail:
        _costs(jail, Path(folder), chosen.rounds)
        _lights(jail, Path(folder), chosen.vips_python)


@contextmanager
def _jail() -> Iterator[Jail]:
    jail = Jail()
    jail.start()
    try:
        yield jail
    finally:
        jail.close()


def _costs(jail: Jail, folder: Path, rounds: int) -> None:
    photo = folder / "camera.jpg"
    photo.write_bytes(gainmaps.ultra_hdr((4000, 3000)))
    print(f"12-megapixel Ultra HDR photo of {photo.stat().st_size / 1e6:.1f} MB")
    print(f"{'':46}{'CPU s':>8}{'wall s':>8}{'peak MB':>9}")
    for title, on in (("display, share, thumb", ()), ("display, share, thumb, share_hdr", ("share_hdr",))):
        _row(title, rounds, lambda on=on: _rendered(jail, photo, on))  # type: ignore[misc]
    made = render_image(jail, photo, format_named("jpeg"), LIMITS, on=("share_hdr",))
    for each in made.made:
        if each.name.startswith("share"):
            begin = time.monotonic()
            for _ in range(rounds):
                prove(jail, each.body or b"", each.media_type, gain_map=each.name == "share_hdr")
            spent = (time.monotonic() - begin) / rounds
            print(f"{f'the second reader of {each.name}, {each.bytes / 1e3:.0f} kB':46}{'':8}{spent:8.3f}")


def _rendered(jail: Jail, photo: Path, on: tuple[str, ...]) -> tuple[float, float, float]:
    begin = time.monotonic()
    made = render_image(jail, photo, format_named("jpeg"), LIMITS, on=on)
    return made.cpu_s, time.monotonic() - begin, made.peak_rss / (1 << 20)


def _row(title: str, rounds: int, once: Callable[[], tuple[float, float, float]]) -> None:
    """The median of the rounds; the first is not counted."""
    once()
    cpu, wall, peak = (statistics.median(each) for each in zip(*(once() for _ in range(rounds)), strict=True))
    print(f"{title:46}{cpu:8.3f}{wall:8.3f}{peak:9.0f}")


def _lights(jail: Jail, folder: Path, vips: str | None) -> None:
    print(f"\nlight of the original against light of the copy, {len(_GRID)} places, stops")
    print(f"{'':46}{'mean':>8}{'most':>8}{'no map':>8}{'libultrahdr against us' if vips else '':>24}")
    for name, (data, before) in _originals().items():
        source = folder / "original"
        source.write_bytes(data)
        fmt = sniff(data[:4096])
        assert fmt is not None
        made = {each.name: each.body or b"" for each in render_image(jail, source, fmt, LIMITS, on=("share_hdr",)).made}
        shown = gainmaps.taken_apart(made["share_hdr"])
        lights = [shown.light(at) for at in _GRID]
        plain = [tuple(map(gainmaps.linear, gainmaps._at(shown.base, at))) for at in _GRID]
        apart = [gainmaps.stops_between(before(at), light) for at, light in zip(_GRID, lights, strict=True)]
        lost = [gainmaps.stops_between(before(at), light) for at, light in zip(_GRID, plain, strict=True)]
        agreed = f"{_opened_by(vips, folder, made['share_hdr']):24.4f}" if vips else ""
        print(f"{name[-46:]:46}{statistics.mean(apart):8.4f}{max(apart):8.4f}{statistics.mean(lost):8.4f}{agreed}")


def _opened_by(vips: str, folder: Path, body: bytes) -> float:
    """How far apart, in stops on average, single pixels are as libvips shows them and as our own few lines do."""
    place, shown = folder / "copy.jpg", gainmaps.taken_apart(body)
    place.write_bytes(body)
    width, height = shown.base.size
    spots = [(int(x * width), int(y * height)) for x, y in _GRID]
    asked = "\n".join(f"{x} {y}" for x, y in spots)
    done = subprocess.run([vips, "-c", _VIPS, str(place)], input=asked, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"libvips did not open it: {done.stderr[-300:]}")
    theirs = [tuple(map(float, line.split())) for line in done.stdout.splitlines()]
    ours = [shown.at_pixel(spot) for spot in spots]
    return statistics.mean(gainmaps.stops_between(*each) for each in zip(theirs, ours, strict=True))


Light = Callable[[tuple[float, float]], tuple[float, ...]]


def _originals() -> dict[str, tuple[bytes, Light]]:
    """Name -> the file, and its light at a place."""
    usual = {name: float(value) for name, value in gainmaps.USUAL.items() if not isinstance(value, tuple)}
    base, gain = samples.scene(640, 480), gainmaps.glow(160, 120)
    found: dict[str, tuple[bytes, Light]] = {
        "made: Ultra HDR": (gainmaps.ultra_hdr(), gainmaps.Shown(base=base, gain=gain, numbers=usual).light),
        "made: Apple HEIC": (gainmaps.apple_heic((640, 480)), _apple(base, gainmaps.glow(320, 240), 4.0)),
    }
    for name, headroom in _REAL.items():
        place = SHARED / "corpus" / name
        if place.exists():
            data = place.read_bytes()
            begin = data.index(b"\xff\xd9\xff\xd8", 4_000) + 2
            found[name] = data, _apple(_srgb(data[:begin]), Image.open(io.BytesIO(data[begin:])), headroom)
    return found


def _apple(base: Image.Image, gain: Image.Image, headroom: float) -> Light:
    return lambda at: gainmaps.light_of_apple(base, gain, headroom, at)


def _srgb(jpeg: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(jpeg))
    profile = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
    made = ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
    assert made is not None
    return made


if __name__ == "__main__":
    main()
