"""What a minute of film costs: wall, processor, memory; beside a plain ffmpeg that encodes the same in the same run.

The poster is chosen once a film, however long it is, so that it has a column of its own.

`python -m tests.bench.videos [seconds of film]`. The presets are those that a film of ten minutes would get.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests import clips
from tests.cinema import LIMITS, Cinema, film
from worker.media.video import ffmpeg, ffprobe
from worker.media.video import render as video
from worker.media.video.ffmpeg import Source

MIB = 1 << 20
TEN_MINUTES_S = 600.0
THREADS = 2


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Seconds, seconds, bytes."""

    wall: float
    cpu: float
    peak: int


def _clip(folder: Path, name: str, size: str, rate: str, seconds: float, *how: str) -> Path:
    """With the noise of a small camera, which is what an encoder works on."""
    target = folder / name
    noisy = f"testsrc2=size={size}:rate={rate}:duration={seconds},noise=alls=10:allf=t"
    clips.ffmpeg("-f", "lavfi", "-i", noisy, *clips.tone(seconds), *how, "-c:a", "aac", target)
    return target


_H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
_HDR = (*clips.HEVC, "-pix_fmt", "yuv420p10le", *clips.HDR)
KINDS: dict[str, Callable[[Path, float], Path]] = {
    "1080p30 H.264": lambda to, seconds: _clip(to, "hd.mp4", "1920x1080", "30", seconds, *_H264, "-b:v", "16M"),
    "4K30 H.264": lambda to, seconds: _clip(to, "uhd.mp4", "3840x2160", "30", seconds, *_H264, "-b:v", "40M"),
    "4K60 HEVC HDR": lambda to, seconds: _clip(to, "hdr.mov", "3840x2160", "60", seconds, *_HDR, "-b:v", "40M"),
}


def ours(room: Cinema, clip: Path) -> tuple[Cost, Cost, Cost]:
    """The workshop without its poster, the poster, and the proof behind both."""
    begin = time.monotonic()
    rendered = room.render(clip, threads=THREADS)
    spent = time.monotonic() - begin
    poster = _run(_still(film(rendered), rendered.facts.frames, clip.parent / "poster.png"))
    made = Cost(wall=spent - poster.wall, cpu=rendered.cpu_s - poster.cpu, peak=rendered.peak_rss)
    begin = time.monotonic()
    for each in rendered.made:
        room.studio().prove(each)
    return made, poster, Cost(wall=time.monotonic() - begin, cpu=0.0, peak=0)


def _still(path: Path, frames: int, target: Path) -> list[str]:
    target.unlink(missing_ok=True)
    source = Source(path=path, demuxer="mov", limits=LIMITS, threads=THREADS, most_s=TEN_MINUTES_S)
    return ffmpeg.still(source, target, every=max(1, min(frames, 300) // ffmpeg.STILLS), darkest=32)


def plain(clip: Path, target: Path, size: tuple[int, int], preset: str) -> Cost:
    """One pass of ffmpeg without a jail, limits, tone mapping, second pass, count, poster or proof."""
    argv = ["ffmpeg", "-y", "-v", "error", "-nostdin", "-threads", str(THREADS), "-i", str(clip)]
    argv += ["-vf", f"scale={size[0]}:{size[1]}", "-c:v", "libx264", "-preset", preset, "-crf", "20"]
    argv += ["-maxrate", str(ffmpeg.MOST_BITRATE), "-bufsize", str(2 * ffmpeg.MOST_BITRATE), "-pix_fmt", "yuv420p"]
    argv += ["-fpsmax", "30", "-threads", str(THREADS), "-c:a", "aac", str(target)]
    return _run(argv)


def _run(argv: list[str]) -> Cost:
    begin = time.monotonic()
    process = subprocess.Popen(argv)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    spent = time.monotonic() - begin
    return Cost(wall=spent, cpu=usage.ru_utime + usage.ru_stime, peak=usage.ru_maxrss * 1024)


def _judged(clip: Path) -> ffprobe.Clip:
    source = Source(path=clip, demuxer="mov", limits=LIMITS, threads=THREADS, most_s=TEN_MINUTES_S)
    said = subprocess.run(ffmpeg.probe(source), capture_output=True, check=True).stdout
    return ffprobe.judge(ffprobe.parse(said), LIMITS)


def main(seconds: float) -> None:
    table = Table(title=f"{seconds:g} s of film each, {THREADS} threads; every figure for one minute of film")
    for head in ("clip", "preset", "wall s", "CPU s", "peak MiB", "proof s", "plain: wall s", "CPU s", "MiB", "ratio"):
        table.add_column(head, justify="left" if head in ("clip", "preset") else "right")
    table.add_column("poster, CPU s once", justify="right")
    table.add_column(f"10 min on 2 free cores, of {video.DEADLINE_S:g} s", justify="right")
    with tempfile.TemporaryDirectory(prefix="mayfly-bench-") as home:
        room = Cinema(Path(home))
        room.jail.start()
        for name, make in KINDS.items():
            clip = make(Path(home), seconds)
            judged = _judged(clip)
            size = video.fitted(judged)
            preset = video.preset(replace(judged, duration_s=TEN_MINUTES_S), size, TEN_MINUTES_S)
            video._PRESETS = ((preset, 0.0, float("inf")),)
            (made, poster, proof), other = ours(room, clip), plain(clip, Path(home) / "plain.mp4", size, preset)
            video._PRESETS = PRESETS
            by = 60.0 / seconds
            table.add_row(
                *(name, preset, f"{made.wall * by:.0f}", f"{made.cpu * by:.0f}", f"{made.peak / MIB:.0f}"),
                *(f"{proof.wall * by:.1f}", f"{other.wall * by:.0f}", f"{other.cpu * by:.0f}"),
                *(f"{other.peak / MIB:.0f}", f"{made.cpu / other.cpu:.2f}", f"{poster.cpu:.1f}"),
                f"{made.cpu * by * 10 / 2 + poster.cpu:.0f} s",
            )
        room.jail.close()
    Console(width=150).print(table)


PRESETS = video._PRESETS

if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 4.0)
