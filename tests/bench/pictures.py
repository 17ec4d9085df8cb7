"""Prints what a picture costs: `python -m tests.bench.pictures [--vips-python PROGRAM] [--large]`.

A 12-megapixel camera JPEG to its three renditions: Mayfly (one jail call, one decode, then the second reader), beside
a plain Pillow script and libvips doing the same, same run, same file. `--large` tries 64 megapixels and 50 MB.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench import large
from tests.darkroom import LIMITS
from tests.samples import camera_photo
from worker.media.formats import Format, format_named
from worker.media.image.client import render_image
from worker.media.jail import Jail
from worker.media.proving import Picture, prove_pictures

MIB = 1 << 20
PLAIN = """
import sys, io
from PIL import Image, ImageOps, ImageCms
im = ImageOps.exif_transpose(Image.open(sys.argv[1])).convert("RGB")
im.thumbnail((2048, 2048), Image.Resampling.LANCZOS)
im.save(io.BytesIO(), "WEBP", quality=80, method=4)
im.save(io.BytesIO(), "JPEG", quality=85)
im.thumbnail((320, 320), Image.Resampling.LANCZOS)
im.save(io.BytesIO(), "WEBP", quality=75, method=4)
"""
VIPS = """
import sys, pyvips
im = pyvips.Image.thumbnail(sys.argv[1], 2048, size="down", export_profile="srgb").copy_memory()
im.webpsave_buffer(Q=80, effort=4, keep="none")
im.jpegsave_buffer(Q=85, keep="none")
im.thumbnail_image(320, size="down").webpsave_buffer(Q=75, effort=4, keep="none")
"""


# What a script tells of itself at its end. `ru_maxrss` would begin with the size of the process that started it.
_SAID = """
import resource, re
usage = resource.getrusage(resource.RUSAGE_SELF)
print(usage.ru_utime + usage.ru_stime, re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
"""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Seconds and bytes of one upload."""

    cpu_s: float
    wall_s: float
    peak: int


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--vips-python", default=sys.executable, help="an interpreter with pyvips")
    options.add_argument("--large", action="store_true", help="also 64 megapixels and 50 MB of each format")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="mayfly-bench-") as folder, _jail() as jail:
        photo = Path(folder) / "camera.jpg"
        photo.write_bytes(camera_photo(12))
        print(f"12-megapixel camera JPEG of {photo.stat().st_size / 1e6:.1f} MB -> display, share, thumb")
        _compare(jail, photo, chosen.rounds, chosen.vips_python)
        if chosen.large:
            _large(jail, Path(folder))


@contextmanager
def _jail() -> Iterator[Jail]:
    jail = Jail()
    jail.start()
    try:
        yield jail
    finally:
        jail.close()


def _compare(jail: Jail, photo: Path, rounds: int, vips_python: str) -> None:
    fmt = format_named("jpeg")
    print(f"{'':46}{'CPU s':>8}{'wall s':>8}{'peak MB':>9}")
    _row("Mayfly: render in the jail", rounds, lambda: _rendered(jail, photo, fmt))
    _row("Mayfly: render and proof of all three", rounds, lambda: _proven(jail, photo, fmt))
    _row("Pillow script, process and all", rounds, lambda: _script(sys.executable, PLAIN, photo))
    _row(
        "  its interpreter and imports alone", rounds, lambda: _script(sys.executable, "from PIL import Image\n", photo)
    )
    if _has_vips(vips_python):
        _row("libvips script, process and all", rounds, lambda: _script(vips_python, VIPS, photo))
        _row("  its interpreter and imports alone", rounds, lambda: _script(vips_python, "import pyvips\n", photo))
    else:
        print("libvips: no pyvips in that interpreter, row left out")


def _has_vips(python: str) -> bool:
    if python == sys.executable:
        return importlib.util.find_spec("pyvips") is not None
    return os.path.exists(python)


def _row(name: str, rounds: int, once: Callable[[], Cost]) -> None:
    """The median of the rounds; the first is not counted."""
    once()
    costs = [once() for _ in range(rounds)]
    cpu, wall = (statistics.median(getattr(cost, field) for cost in costs) for field in ("cpu_s", "wall_s"))
    peak = statistics.median(cost.peak for cost in costs)
    print(f"{name:46}{cpu:8.3f}{wall:8.3f}{peak / MIB:9.0f}")


def _rendered(jail: Jail, path: Path, fmt: Format) -> Cost:
    start = time.monotonic()
    made = render_image(jail, path, fmt, LIMITS)
    return Cost(cpu_s=made.cpu_s, wall_s=time.monotonic() - start, peak=made.peak_rss)


def _proven(jail: Jail, path: Path, fmt: Format) -> Cost:
    """The proof's own seconds are those of the zygote's reaped children."""
    start = time.monotonic()
    made = render_image(jail, path, fmt, LIMITS)
    before = _children_s(jail)
    prove_pictures(jail, [Picture(body=each.body or b"", media_type=each.media_type) for each in made.made])
    cpu = made.cpu_s + _children_s(jail) - before
    return Cost(cpu_s=cpu, wall_s=time.monotonic() - start, peak=made.peak_rss)


def _children_s(jail: Jail) -> float:
    host = jail._host
    assert host is not None
    fields = Path(f"/proc/{host.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")


def _script(python: str, script: str, path: Path) -> Cost:
    start = time.monotonic()
    done = subprocess.run([python, "-I", "-c", script + _SAID, str(path)], env={}, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"the script beside us failed: {done.stderr[-300:]}")
    cpu_s, peak = done.stdout.split()[-2:]
    return Cost(cpu_s=float(cpu_s), wall_s=time.monotonic() - start, peak=int(peak) * 1024)


def _large(jail: Jail, folder: Path) -> None:
    print(
        f"\n64 megapixels, padded to 50 MB where it is less; the jail gives {LIMITS.image_address_space / MIB:.0f} MiB"
    )
    print(f"{'':46}{'CPU s':>8}{'wall s':>8}{'peak MB':>9}")
    for name, maker in large.KINDS.items():
        path = folder / "large"
        path.write_bytes(large.padded(maker(), LIMITS.image_bytes))
        cost = _rendered(jail, path, format_named(name.partition(" ")[0]))
        print(f"{name:46}{cost.cpu_s:8.2f}{cost.wall_s:8.2f}{cost.peak / MIB:9.0f}")


if __name__ == "__main__":
    main()
