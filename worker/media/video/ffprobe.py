"""What ffprobe says of a clip, as values, each judged against the limits before anything is decoded.

ffprobe read untrusted bytes, so its answer may say anything: numbers are bounded, words are looked up, none is kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from typing import Any

from worker.media.codes import unprocessable
from worker.media.limits import MediaLimits

# Phones film at up to 960; the decoder's time limit is sized for no more.
MOST_FRAMES_A_SECOND = 1_000
_HDR = frozenset({"smpte2084", "arib-std-b67"})
_WIDE = frozenset({"bt2020", "smpte431", "smpte432"})
# What a film may be made of, in ffprobe's words; the decoders themselves are listed in `worker.media.video.ffmpeg`.
_PICTURES = frozenset({"h264", "hevc", "vp8", "vp9", "av1", "mpeg4", "h263"})
_SOUNDS = frozenset({"aac", "mp3", "opus", "vorbis", "ac3", "amr_nb", "amr_wb"})
_SOUNDS |= {"pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be"}
# ffprobe's word -> zscale's.
_TRANSFERS = {"smpte2084": "smpte2084", "arib-std-b67": "arib-std-b67", "iec61966-2-1": "iec61966-2-1"}
# ffprobe's word -> the scale filter's.
_MATRICES = {"bt709": "bt709", "smpte170m": "smpte170m", "bt470bg": "bt470", "fcc": "fcc", "smpte240m": "smpte240m"}
_MATRICES |= {"bt2020nc": "bt2020", "bt2020c": "bt2020"}
_UNKNOWN_MATRIX = ("bt709", "smpte170m")
_HD_LINES = 720
# Dolby Vision without a base layer that other decoders show in right colours.
_DOLBY_ONLY = 5


class Colour(Enum):
    """Which way the picture comes to BT.709: `BRIGHT` is HDR and is tone-mapped."""

    PLAIN = "plain"
    WIDE = "wide"
    BRIGHT = "bright"


@dataclass(frozen=True, kw_only=True)
class Clip:
    """One moving picture and perhaps its sound. `width` and `height` are as shown: turned upright, pixels square.

    `pixels` counts a frame as stored; `duration_s` is None where the file does not say; `frames` counts
    the samples that its tables list, shown or not, and is None without tables.
    `rate` is the mean of its frames a second, 0 if unknown, and `steady` whether it never leaves it. `sound_rate` is in
    samples a second, 0 without sound.
    """

    width: int
    height: int
    pixels: int
    duration_s: float | None
    frames: int | None
    rate: Fraction
    steady: bool
    sound_rate: int
    interlaced: bool
    colour: Colour
    matrix: str
    transfer: str


@dataclass(frozen=True, kw_only=True)
class Told:
    """ffprobe's document, of which only the shape has been checked."""

    format: Mapping[str, Any]
    streams: tuple[Mapping[str, Any], ...]


def parse(document: bytes) -> Told:
    """Raises `Unprocessable` (`decoder_protocol_error`) for anything but ffprobe's JSON."""
    try:
        said = json.loads(document)
        streams = tuple(said.get("streams", ()))
        told = Told(format=said.get("format", {}), streams=streams)
        if not all(isinstance(each, dict) for each in (told.format, *streams)):
            raise TypeError("not objects")
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise unprocessable("decoder_protocol_error") from None
    return told


def judge(told: Told, limits: MediaLimits) -> Clip:
    """The clip in it. Raises `Unprocessable`: no_video, unsupported_codec, corrupt, limits:<name>."""
    if len(told.streams) > limits.streams:
        raise unprocessable("limits:streams")
    picture = _picture(told.streams)
    if picture is None:
        raise unprocessable("no_video")
    sound = _sound(told.streams)
    if str(picture.get("codec_name")) not in _PICTURES:
        raise unprocessable("unsupported_codec")
    if sound is not None and str(sound.get("codec_name")) not in _SOUNDS:
        raise unprocessable("unsupported_codec")
    width, height = _whole(picture.get("width")), _whole(picture.get("height"))
    if not width or not height:
        raise unprocessable("corrupt")
    shown = _shown(picture, width, height)
    if width * height > limits.video_pixels or shown[0] * shown[1] > limits.video_pixels:
        raise unprocessable("limits:pixels")
    if max(width, height, *shown) > limits.side:
        raise unprocessable("limits:side")
    if max(shown) > limits.aspect * min(shown):
        raise unprocessable("limits:aspect")
    duration = _duration(told, limits)
    rate = _rate(picture.get("avg_frame_rate"))
    if rate > MOST_FRAMES_A_SECOND:
        raise unprocessable("limits:frame_rate")
    return Clip(
        width=shown[0],
        height=shown[1],
        pixels=width * height,
        duration_s=duration,
        frames=_whole(picture.get("nb_frames")) or None,
        rate=rate,
        steady=rate == _rate(picture.get("r_frame_rate")),
        sound_rate=0 if sound is None else min(_whole(sound.get("sample_rate")), 768_000) or 48_000,
        interlaced=picture.get("field_order") in ("tt", "bb", "tb", "bt"),
        **_colour(picture, min(width, height)),
    )


def _picture(streams: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The first stream that ffmpeg's `V:0` takes: moving, no cover."""
    for stream in streams:
        if stream.get("codec_type") == "video" and not _flag(stream, "attached_pic") and not _thumbs(stream):
            return stream
    return None


def _sound(streams: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    return next((stream for stream in streams if stream.get("codec_type") == "audio"), None)


def _flag(stream: Mapping[str, Any], name: str) -> bool:
    disposition = stream.get("disposition")
    return isinstance(disposition, dict) and disposition.get(name) == 1


def _thumbs(stream: Mapping[str, Any]) -> bool:
    return _flag(stream, "timed_thumbnails")


def _duration(told: Told, limits: MediaLimits) -> float | None:
    """The longest that anything in the file claims, in seconds; a claim over the limit is refused as such."""
    claims = [_decimal(each.get("duration")) for each in (told.format, *told.streams)]
    longest = max(claims)
    if longest > limits.duration_s:
        raise unprocessable("limits:duration")
    return longest or None


def _shown(picture: Mapping[str, Any], width: int, height: int) -> tuple[int, int]:
    """Pixels squared by stretching the width, then turned as the display matrix says."""
    across, down = _ratio(picture.get("sample_aspect_ratio"), ":")
    if across and down:
        width = max(1, round(width * across / down))
    return (height, width) if _quarter_turned(picture) else (width, height)


def _quarter_turned(picture: Mapping[str, Any]) -> bool:
    for side in _side_data(picture):
        angle = side.get("rotation")
        if isinstance(angle, int | float) and not isinstance(angle, bool):
            return abs(angle) % 180 == 90
    return False


def _side_data(picture: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    listed = picture.get("side_data_list")
    return [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []


def _colour(picture: Mapping[str, Any], lines: int) -> dict[str, Any]:
    if any(side.get("dv_profile") == _DOLBY_ONLY for side in _side_data(picture)):
        raise unprocessable("unsupported_codec")
    transfer, primaries = picture.get("color_transfer"), picture.get("color_primaries")
    colour = Colour.BRIGHT if str(transfer) in _HDR else Colour.WIDE if str(primaries) in _WIDE else Colour.PLAIN
    # A file that does not say is read as players read it: by its number of lines.
    unknown = _UNKNOWN_MATRIX[0] if lines >= _HD_LINES else _UNKNOWN_MATRIX[1]
    return {
        "colour": colour,
        "matrix": _MATRICES.get(str(picture.get("color_space")), unknown),
        "transfer": _TRANSFERS.get(str(transfer), "709"),
    }


def _whole(value: object) -> int:
    """A number that is not negative, from JSON's number or text; 0 for anything else."""
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 12 else 0


def _decimal(value: object) -> float:
    try:
        number = float(str(value)[:32])
    except ValueError:
        return 0.0
    return number if number > 0 else 0.0


def _ratio(value: object, mark: str) -> tuple[int, int]:
    one, _, two = str(value).partition(mark)
    return _whole(one), _whole(two)


def _rate(value: object) -> Fraction:
    frames, seconds = _ratio(value, "/")
    return Fraction(frames, seconds) if seconds else Fraction(0)
