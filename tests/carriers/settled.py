"""A small film as our workshop leaves it, made by plain ffmpeg: what carriers are planted into."""

from __future__ import annotations

from pathlib import Path

from tests import clips

SIZE = "64x48"
# The settling pass of our own workshop, by hand.
BARE = (
    *("-map", "0:V:0", "-map", "0:a:0", "-sn", "-dn", "-map_metadata", "-1", "-map_chapters", "-1", "-c", "copy"),
    *("-fflags", "+bitexact", "-flags:v", "+bitexact", "-flags:a", "+bitexact"),
    *("-write_tmcd", "0", "-empty_hdlr_name", "1", "-movflags", "+faststart"),
)
UNITS = ("-bsf:v", "filter_units=pass_types=1-5|7|8")
_COLOUR = ("-color_primaries", "bt709", "-color_trc", "bt709", "-colorspace", "bt709", "-color_range", "tv")
_EXACT = ("-fflags", "+bitexact", "-flags:v", "+bitexact", "-flags:a", "+bitexact")


def encoded(folder: Path) -> Path:
    """As the encoder leaves it: a banner in the stream, nothing else."""
    target = folder / "first.mp4"
    vui = ("-vf", "setparams=range=tv:color_primaries=bt709:color_trc=bt709:colorspace=bt709,setsar=1")
    inputs = (*clips.picture(SIZE, seconds=0.4), *clips.tone(0.4))
    clips.ffmpeg(*inputs, *vui, "-c:v", "libx264", "-profile:v", "high", *_COLOUR, "-c:a", "aac", *_EXACT, target)
    return target


def film(folder: Path) -> bytes:
    """The same, settled: nothing left to doubt."""
    target = folder / "film.mp4"
    clips.ffmpeg("-i", encoded(folder), *BARE, *UNITS, target)
    return target.read_bytes()


def hevc(folder: Path) -> bytes:
    """H.265 with its banner where x265 writes it: in the stream and in its record."""
    target = folder / "hevc.mp4"
    return _made(target, *clips.picture(SIZE, seconds=0.2), *clips.HEVC, "-movflags", "+faststart", *_EXACT)


def av1(folder: Path) -> bytes:
    how = ("-c:v", "libaom-av1", "-cpu-used", "8", "-pix_fmt", "yuv420p", "-movflags", "+faststart", *_EXACT)
    return _made(folder / "av1.mp4", *clips.picture(SIZE, seconds=0.12), *how)


def _made(target: Path, *args: str | Path) -> bytes:
    clips.ffmpeg(*args, target)
    return target.read_bytes()
