"""Builds ffmpeg's and ffprobe's arguments. Runs nothing: the jail does.

Every input is opened by the demuxer of our own sniff, with short lists of formats, codecs and one protocol, and named
`file:` and our own path: a bare name could be a protocol, a list of files or an option.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Any

import ffmpeg

from worker.media.limits import MediaLimits
from worker.media.video.ffprobe import Clip, Colour

# At most so much in a second of picture, so that a noisy clip has a bound; x264's own level for 1080p allows 20.
MOST_BITRATE = 12_000_000
SOUND_BITRATE = 128_000
FRAME_RATE = 30
# From here on frames are left out before they are scaled and toned, not after: half of the work, and an even pace.
_THIN_ABOVE = 45
# 3GP needs h263 and amrnb; AV1 decodes through libdav1d, and both its names are asked for; cameras write plain PCM.
CODECS = (
    "h264,hevc,vp8,vp9,av1,libdav1d,mpeg4,h263,"
    "aac,mp3,mp3float,opus,libopus,vorbis,ac3,amrnb,amrwb,pcm_s16le,pcm_s16be,pcm_s24le,pcm_s24be"
)
# Streams beside the film: ffprobe gives up on the whole file where it may not open one of them.
_BESIDE = "mov_text,subrip,srt,ass,ssa,webvtt,text,mjpeg,png,bmp"
_MOST_ALLOC = 256 << 20
_LOOK_BYTES = 5_000_000
# Slices, key frames and parameter sets of H.264; everything else may carry text.
_NAL_TYPES = "filter_units=pass_types=1-5|7|8"
_NOTHING_ELSE: dict[str, Any] = {
    "sn": None,
    "dn": None,
    "map_metadata": "-1",
    "map_chapters": "-1",
    "fflags": "+bitexact",
    "flags:v": "+bitexact",
    "flags:a": "+bitexact",
}


@dataclass(frozen=True, kw_only=True)
class Source:
    """A file to read: `demuxer` is forced, `most_s` are the seconds after which reading stops."""

    path: Path
    demuxer: str
    limits: MediaLimits
    threads: int
    most_s: float

    def guards(self) -> dict[str, Any]:
        """What ffmpeg and ffprobe both take before their input."""
        return {
            "max_alloc": _MOST_ALLOC,
            "threads": self.threads,
            "protocol_whitelist": "file",
            "format_whitelist": "mov,matroska",
            "codec_whitelist": CODECS,
            "max_streams": self.limits.streams,
            "max_pixels": self.limits.video_pixels,
            "probesize": _LOOK_BYTES,
            "analyzeduration": _LOOK_BYTES,
        }

    def node(self, **more: Any) -> Any:
        """ffmpeg's input with its global options: where `global_args` would put them is too late."""
        return ffmpeg.input(
            _name(self.path),
            f=self.demuxer,
            nostdin=None,
            hide_banner=None,
            v="repeat+error",
            xerror=None,
            max_error_rate="0",
            filter_threads="1",
            t=_seconds(self.most_s),
            **self.guards(),
            **more,
        )


def probe(source: Source) -> list[str]:
    """ffprobe's line: one JSON document on standard output."""
    guards = {**source.guards(), "codec_whitelist": f"{CODECS},{_BESIDE}"}
    options = {"v": "repeat+error", "hide_banner": None, **guards, "f": source.demuxer, "of": "json=c=1"}
    argv = ["ffprobe"]
    for name, value in options.items():
        argv += [f"-{name}"] if value is None else [f"-{name}", str(value)]
    return [*argv, "-show_format", "-show_streams", "-i", _name(source.path)]


def encode(source: Source, clip: Clip, size: tuple[int, int], target: Path, *, preset: str) -> list[str]:
    """First pass: picture and sound encoded anew, nothing else mapped; `size` is in pixels, even, never enlarged."""
    node = source.node()
    options: dict[str, Any] = {
        **_NOTHING_ELSE,
        "f": "mp4",
        "c:v": "libx264",
        "preset": preset,
        "crf": "20",
        "profile:v": "high",
        "maxrate:v": MOST_BITRATE,
        "bufsize:v": 2 * MOST_BITRATE,
        "threads:v": source.threads,
        "a53cc": "0",
        # The gap between two frames stays a gap: filling it is what lets a small file run for ever.
        "fps_mode": "vfr",
        # Never the `fps` filter: it defeats `-t`.
        "fpsmax": _most_rate(clip),
        "color_primaries": "bt709",
        "color_trc": "bt709",
        "colorspace": "bt709",
        "color_range": "tv",
        "t": _seconds(source.most_s),
        **_PROGRESS,
    }
    streams = [_picture(node["V:0"], clip, size)]
    if clip.sound_rate:
        streams.append(node["a:0"])
        rate = 44_100 if clip.sound_rate in (44_100, 22_050, 11_025) else 48_000
        options |= {"c:a": "aac", "b:a": SOUND_BITRATE, "ac": "2", "ar": rate}
    return _compiled(ffmpeg.output(*streams, _name(target), **options))


def thinned(clip: Clip) -> int:
    """Of so many frames at most one is kept."""
    return ceil(clip.rate / FRAME_RATE - Fraction(1, 20)) if clip.rate > _THIN_ABOVE else 1


def _most_rate(clip: Clip) -> Fraction:
    """A steady film is written in its own time, so that 50 frames a second become 25 even ones."""
    most = Fraction(FRAME_RATE)
    return min(most, clip.rate / thinned(clip)) if clip.steady and thinned(clip) > 1 else most


def settle(source: Source, target: Path, *, sound: bool) -> list[str]:
    """Second pass: a copy without the encoders' names, with a list of permitted NAL types, its index in front."""
    node = source.node()
    options: dict[str, Any] = {
        **_NOTHING_ELSE,
        "f": "mp4",
        "c": "copy",
        "bsf:v": _NAL_TYPES,
        "write_tmcd": "0",
        "empty_hdlr_name": "1",
        "movflags": "+faststart",
        **_PROGRESS,
    }
    streams = [node["V:0"], *([node["a:0"]] if sound else [])]
    return _compiled(ffmpeg.output(*streams, _name(target), **options))


def count(source: Source, *, sound: bool) -> list[str]:
    """Decodes all of a file and prints one line a frame: stream, times, size and a checksum."""
    node = source.node()
    streams = [node["V:0"], *([node["a:0"]] if sound else [])]
    options = {"f": "framehash", "hash": "adler32", "fps_mode": "passthrough", "fflags": "+bitexact"}
    return _compiled(ffmpeg.output(*streams, "pipe:1", **options))


def still(source: Source, target: Path, *, every: int, darkest: int | None) -> list[str]:
    """The most typical of up to 30 frames, one in `every`, as PNG; none darker than `darkest` (mean luma, 16-235)."""
    picture = source.node()["V:0"]
    if every > 1:
        picture = picture.filter("select", f"not(mod(n,{every}))")
    if darkest is not None:
        key = "lavfi.signalstats.YAVG"
        picture = picture.filter("signalstats").filter("metadata", "select", key=key, value=darkest, function="greater")
    picture = picture.filter("thumbnail", STILLS).filter("scale", in_color_matrix="bt709", in_range="tv")
    picture = picture.filter("format", "rgb24").filter("sidedata", "delete")
    options = {
        **_NOTHING_ELSE,
        "an": None,
        "c:v": "png",
        "f": "image2pipe",
        "frames:v": "1",
        "fps_mode": "passthrough",
    }
    return _compiled(ffmpeg.output(picture, _name(target), **options))


# How many frames `still` chooses from: that many lie in memory at once.
STILLS = 30
_PROGRESS = {"progress": "pipe:1", "stats_period": "0.5"}


def _picture(picture: Any, clip: Clip, size: tuple[int, int]) -> Any:
    """Scaled, square pixels, BT.709 in eight bit, no side data. ffmpeg has applied the rotation before."""
    if clip.interlaced:
        picture = picture.filter("yadif", mode="send_frame", deint="interlaced")
    if thinned(clip) > 1:
        # By time, not by number: where frames are sparse, none is left out. It only drops, so `-t` holds.
        gap = float((thinned(clip) - Fraction(1, 2)) / clip.rate)
        picture = picture.filter("select", f"isnan(prev_selected_t)+gte(t-prev_selected_t,{gap:.6f})")
    picture = _COLOURS[clip.colour](picture, clip, *size)
    return picture.filter("format", "yuv420p").filter("setsar", "1").filter("sidedata", "delete")


def _plain(picture: Any, clip: Clip, width: int, height: int) -> Any:
    return picture.filter(
        "scale",
        width,
        height,
        flags="bicubic",
        in_color_matrix=clip.matrix,
        out_color_matrix="bt709",
        out_range="tv",
    )


def _wide(picture: Any, clip: Clip, width: int, height: int) -> Any:
    """Wide gamut, ordinary brightness: primaries are converted too."""
    return picture.filter(
        "zscale", w=width, h=height, f="bicubic", p="709", t="709", m="709", r="tv", tin=clip.transfer
    )


# Nits of white paper in HDR (ITU-R BT.2408), and the brightest light that phones master for, in multiples of it.
_WHITE, _PEAK = 203, round(1_000 / 203, 2)


def _bright(picture: Any, clip: Clip, width: int, height: int) -> Any:
    """HDR (PQ, HLG): to linear light, to BT.709 primaries, then the highlights are rolled off.

    Faces and walls stay as bright as they were; what is above them, up to the brightest that phones film, is pressed.
    """
    linear = picture.filter(
        "zscale", w=width, h=height, f="bicubic", t="linear", npl=_WHITE, pin="2020", min="2020_ncl", tin=clip.transfer
    )
    toned = (
        linear.filter("format", "gbrpf32le")
        .filter("zscale", p="709")
        .filter("tonemap", "mobius", desat="0", peak=_PEAK)
    )
    return toned.filter("zscale", t="709", m="709", r="tv")


_COLOURS = {Colour.PLAIN: _plain, Colour.WIDE: _wide, Colour.BRIGHT: _bright}


def _compiled(node: Any) -> list[str]:
    return [str(part) for part in ffmpeg.compile(node)]


def _name(path: Path) -> str:
    return f"file:{path.absolute()}"


def _seconds(value: float) -> str:
    return f"{value:.3f}"
