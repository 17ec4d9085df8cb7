"""The video workshop: walked, probed, encoded anew, settled, counted frame by frame, a poster from the settled film.

A film is always encoded anew. Copying it where the second reader would pass the copy was measured
(`tests.bench.copies`): of 27 clips of the shared collections that are published 8 would do, none of the 11 with sound.

Every step is a tool in the jail. Exit status 0 is not believed: a tool must also be silent, and what was written is
decoded whole and held against what was read (`security.md` S22).
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from worker.media.codes import unprocessable
from worker.media.formats import Format
from worker.media.image.client import render_frame
from worker.media.jail import Finished, Jail, Limits
from worker.media.limits import MediaLimits
from worker.media.rendered import Facts, Made, Rendered
from worker.media.renditions import renditions_of
from worker.media.video import complaints, ffmpeg, ffprobe
from worker.media.video.client import looked
from worker.media.video.ffmpeg import Source
from worker.media.video.ffprobe import Clip, Colour
from worker.media.video.progress import Counted, Encoded, Progress

# All steps of one clip together, in seconds: with the proof behind it this ends before the queue's own time limit.
DEADLINE_S = 700.0
_MIB = 1 << 20
_READ = 1 << 20
# The longest side is the row's; the shorter one is 9 to 16 of it, so that 1080p stands upright as well as it lies.
_SHORT_SIDE = 1080
# A poster is chosen from this many frames at the beginning: what is shown must not be the end of the story.
_POSTER_FRAMES = 300
# Mean luma (16 to 235) above which a picture is worth showing.
_DARK = 32
# How far a film may end before the file said it would: the larger of the two. Muxers round, and sound may be padded.
_SHORT_BY_S, _SHORT_BY = 1.0, 0.1
# Reading stops so long after the most seconds that are taken; who does not say how long his film is, is seen by it.
_STOP_S, _OVER_S = 1.0, 0.5


@dataclass(frozen=True, kw_only=True)
class _Bench:
    """What all steps of one clip share. `ends_at` is on the monotonic clock."""

    jail: Jail
    room: Path
    limits: MediaLimits
    threads: int
    ends_at: float
    cancelled: Callable[[], bool]
    used: list[Finished]

    def source(self, path: Path, demuxer: str) -> Source:
        most_s = self.limits.duration_s + _STOP_S
        return Source(path=path, demuxer=demuxer, limits=self.limits, threads=self.threads, most_s=most_s)

    def run(self, argv: list[str], read: Path, on_line: Callable[[str], None] | None, *, pixels: int) -> Finished:
        """One tool. Raises `Unprocessable` unless it ended with status 0 and had nothing to say."""
        left = self.ends_at - time.monotonic()
        if left <= 0:
            raise unprocessable("decoder_timeout")
        done = self.jail.run(
            argv,
            read=[read],
            write=self.room,
            limits=self._limits(left, pixels),
            on_line=on_line,
            cancelled=self.cancelled,
        )
        self.used.append(done)
        if done.status != 0 or complaints.heard(done.stderr):
            raise complaints.refusal(done.stderr)
        return done

    def _limits(self, left: float, pixels: int) -> Limits:
        film = (ffmpeg.MOST_BITRATE + ffmpeg.SOUND_BITRATE) // 8 * self.limits.duration_s
        return Limits(
            address_space=_address_space(self.threads, pixels),
            cpu_s=int(left * (self.threads + 1)) + 1,
            wall_s=left,
            file_size=film + film // 4 + 64 * _MIB,
            open_files=64,
            threads=True,
        )


def _address_space(threads: int, pixels: int) -> int:
    """Bytes for a tool with frames of so many pixels; every thread has its stack, its heap and frames of its own.

    The least that works, measured in MiB with 2 and with 8 threads: H.264 1080p 883 and 1,551, HEVC 4K in ten bit, HDR,
    1,136 and 1,989; AV1 4K 1,206 with 2. A file may ask for 16 frames to be kept, so that half as much again is given
    for the small ones, and twice as much for the large.
    """
    return (768 + 128 * threads) * _MIB + (160 + 8 * threads) * pixels


def render_video(
    jail: Jail,
    source: Path,
    room: Path,
    fmt: Format,
    limits: MediaLimits,
    *,
    threads: int,
    on_progress: Callable[[int], None],
    cancelled: Callable[[], bool],
) -> Rendered:
    """`video`, `poster` and `thumb` of a clip; the film lies in `room`. `on_progress` hears whole percentages.

    Raises `Unprocessable` with a code of the list, `Cancelled`, and `Unavailable` (`disk_full`, `ffmpeg_missing`).
    """
    ends_at = time.monotonic() + DEADLINE_S
    bench = _Bench(jail=jail, room=room, limits=limits, threads=threads, ends_at=ends_at, cancelled=cancelled, used=[])
    try:
        return _rendered(bench, bench.source(source, fmt.decoder), fmt, Progress(tell=on_progress))
    except BaseException:
        (room / _FILM).unlink(missing_ok=True)
        raise
    finally:
        for name in (_FIRST, _POSTER):
            (room / name).unlink(missing_ok=True)


# What lies in the room: the first pass until the second is through, the film, and the frame of the poster.
_FIRST, _FILM, _POSTER = "first.mp4", "video.mp4", "poster.png"


def _rendered(bench: _Bench, original: Source, fmt: Format, progress: Progress) -> Rendered:
    walked = looked(bench.jail, original.path, fmt, bench.limits)
    read = bench.run(ffmpeg.probe(original), original.path, None, pixels=bench.limits.video_pixels)
    clip = ffprobe.judge(ffprobe.parse(read.stdout), bench.limits)
    size = fitted(clip)
    film, encoded = _encoded(bench, original, clip, size, progress)
    counted = _counted(bench, film, clip, encoded, progress)
    still = render_frame(bench.jail, _still(bench, film, size, encoded.frames), bench.limits)
    progress.at(100)
    duration_ms = round(1000 * counted.ends_s[0])
    facts = Facts(
        media_type=fmt.media_type,
        width=clip.width,
        height=clip.height,
        frames=counted.frames[0],
        duration_ms=duration_ms,
        has_alpha=False,
        placeholder=still.facts.placeholder,
        removed=walked.removed,
    )
    return Rendered(
        facts=facts,
        made=(_film(film, size, duration_ms), *still.made),
        cpu_s=walked.cpu_s + still.cpu_s + sum(each.cpu_s for each in bench.used),
        peak_rss=max(walked.peak_rss, still.peak_rss, *(each.peak_rss for each in bench.used)),
    )


def fitted(clip: Clip) -> tuple[int, int]:
    """Pixels of the film: within 1920x1080 or 1080x1920, even numbers, never enlarged (but to the least there is)."""
    (row,) = renditions_of("video")
    longer, shorter = max(clip.width, clip.height), min(clip.width, clip.height)
    ratio = min(Fraction(1), Fraction(row.fit, longer), Fraction(_SHORT_SIDE, shorter))
    width, height = (max(2, int(side * ratio) // 2 * 2) for side in (clip.width, clip.height))
    return width, height


def preset(clip: Clip, size: tuple[int, int], longest_s: float) -> str:
    """How hard x264 tries: the more work a film is, the less, so that every clip within the limits ends in its time.

    A film that does not say how long it is may be of `longest_s`.
    """
    seconds = clip.duration_s or longest_s
    rate = float(clip.rate) or ffmpeg.FRAME_RATE
    before = seconds * rate * clip.pixels * _DECODING
    after = seconds * min(rate, ffmpeg.FRAME_RATE) * size[0] * size[1]
    toning = _TONING if clip.colour is Colour.BRIGHT else 0.0
    return next(name for name, each, most_s in _PRESETS if before + after * (each + toning) <= most_s)


# Processor seconds a pixel, measured on two cores of 2026 on a film with a camera's noise (`tests.bench.videos`).
_DECODING, _TONING = 4e-9, 14e-9
# Preset, seconds a pixel, and the most processor seconds that it may come to; two processors have 1,400 in our time.
_PRESETS = (
    ("medium", 55e-9, 70.0),
    ("fast", 43e-9, 160.0),
    ("veryfast", 20e-9, 260.0),
    ("superfast", 13e-9, 700.0),
    ("ultrafast", 6e-9, float("inf")),
)


def _encoded(
    bench: _Bench, original: Source, clip: Clip, size: tuple[int, int], progress: Progress
) -> tuple[Path, Encoded]:
    """The settled film, and what was said of its encoding."""
    first, film = bench.room / _FIRST, bench.room / _FILM
    expected_s = clip.duration_s or 60.0
    told = Encoded(reached=progress.step(0, 85, expected_s))
    argv = ffmpeg.encode(original, clip, size, first, preset=preset(clip, size, bench.limits.duration_s))
    bench.run(argv, original.path, told.line, pixels=clip.pixels)
    if not told.ended or not told.frames:
        raise unprocessable("corrupt")
    settled = Encoded(reached=progress.step(85, 88, expected_s))
    argv = ffmpeg.settle(bench.source(first, "mov"), film, sound=clip.sound_rate > 0)
    bench.run(argv, first, settled.line, pixels=clip.pixels)
    first.unlink()
    return film, told


def _counted(bench: _Bench, film: Path, clip: Clip, encoded: Encoded, progress: Progress) -> Counted:
    """Decode all that was written and hold it against what was read.

    Raises `Unprocessable`: truncated, limits:duration, and corrupt or decoder_protocol_error where ffmpeg lied.
    """
    counted = Counted(reached=progress.step(88, 96, clip.duration_s or 60.0))
    sound = clip.sound_rate > 0
    try:
        bench.run(ffmpeg.count(bench.source(film, "mov"), sound=sound), film, counted.line, pixels=clip.pixels)
    except (KeyError, ValueError, ArithmeticError):
        raise unprocessable("decoder_protocol_error") from None
    if counted.frames.get(0) != encoded.frames or (sound and not counted.frames.get(1)):
        raise unprocessable("corrupt")
    if max(counted.ends_s.values()) > bench.limits.duration_s + _OVER_S:
        raise unprocessable("limits:duration")
    # The last picture of a screen recording may stay for a minute: where every picture came, nothing is lacking.
    whole = clip.frames is not None and encoded.decoded * ffmpeg.thinned(clip) >= clip.frames
    lacking = (clip.duration_s or 0.0) - max(counted.ends_s.values())
    if not whole and lacking > max(_SHORT_BY_S, _SHORT_BY * (clip.duration_s or 0.0)):
        raise unprocessable("truncated")
    return counted


def _still(bench: _Bench, film: Path, size: tuple[int, int], frames: int) -> Path:
    """A picture that stands for the film, as PNG in the room; a bright one where there is any."""
    target = bench.room / _POSTER
    source = bench.source(film, "mov")
    every = max(1, min(frames, _POSTER_FRAMES) // ffmpeg.STILLS)
    for darkest in (_DARK, None):
        argv = ffmpeg.still(source, target, every=every, darkest=darkest)
        bench.run(argv, film, None, pixels=size[0] * size[1])
        if target.exists() and target.stat().st_size:
            return target
        # Nothing bright enough leaves an empty file, which ffmpeg would not write over.
        target.unlink(missing_ok=True)
    raise unprocessable("corrupt")


def _film(path: Path, size: tuple[int, int], duration_ms: int) -> Made:
    (row,) = renditions_of("video")
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_READ):
            digest.update(chunk)
    return Made(
        name=row.name,
        kind=row.kind,
        media_type=row.media_type,
        width=size[0],
        height=size[1],
        bytes=path.stat().st_size,
        sha256=digest.hexdigest(),
        path=path,
        duration_ms=duration_ms,
    )
