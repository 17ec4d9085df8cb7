"""Carriers that need a clip of their own: tracks beside the film, codecs of sound, pixels and frames out of sight."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

from tests import clips, pieces
from tests.carriers.settled import SIZE

_EXACT = ("-fflags", "+bitexact", "-flags:v", "+bitexact", "-flags:a", "+bitexact")
_H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
PLACE = "GPS(48.8577,2.2950)"


def crowded(folder: Path) -> Path:
    """Subtitles with a place, a route, chapters, and a cover picture that knows where it was taken."""
    spoken, chapters, cover = folder / "spoken.srt", folder / "chapters.txt", folder / "cover.jpg"
    spoken.write_text(f"1\n00:00:00,000 --> 00:00:00,300\nCANARY_MP4-SUB {PLACE}\n")
    chapters.write_text(";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=400\ntitle=CANARY_MP4-CHAPTER\n")
    exif = pieces.exif_block({0x013B: "CANARY_MP4-COVER"}, gps={0x0002: ((48, 1), (51, 1), (28, 1))})
    picture = io.BytesIO()
    Image.new("RGB", (16, 16), (200, 30, 30)).save(picture, "JPEG", exif=b"Exif\0\0" + exif)
    cover.write_bytes(picture.getvalue())
    tagged = folder / "tagged.mp4"
    clips.ffmpeg(
        *clips.picture(SIZE, seconds=0.4),
        *("-i", spoken, "-i", cover, "-f", "ffmetadata", "-i", chapters),
        *("-map", "0:v", "-map", "1:s", "-map", "1:s", "-map", "2:v", "-map_chapters", "3"),
        *(*_H264, "-c:s", "mov_text", "-c:v:1", "copy", "-disposition:v:1", "attached_pic", *_EXACT),
        tagged,
    )
    body = tagged.read_bytes()
    # The second track of subtitles becomes what a camera writes its route into.
    first = body.index(b"sbtl")
    at = body.index(b"sbtl", first + 4)
    body = body[:at] + b"meta" + body[at + 4 :]
    at = body.index(b"tx3g", body.index(b"tx3g") + 4)
    target = folder / "crowded.mp4"
    target.write_bytes(body[:at] + b"gpmd" + body[at + 4 :])
    return target


def timecode(folder: Path) -> Path:
    target = folder / "timecode.mov"
    clips.ffmpeg(*clips.picture(SIZE, seconds=0.2), *_H264, "-timecode", "01:02:03:04", *_EXACT, target)
    return target


def cropped(folder: Path) -> Path:
    """Red is shown; the blue half beside it is coded and cropped away."""
    whole, target = folder / "whole.mp4", folder / "cropped.mp4"
    sides = (*clips.colour("red", "80x48", seconds=0.2), *clips.colour("blue", "80x48", seconds=0.2))
    clips.ffmpeg(*sides, "-filter_complex", "[0][1]hstack", *_H264, *_EXACT, whole)
    clips.ffmpeg("-i", whole, "-c", "copy", "-bsf:v", "h264_metadata=crop_right=80", *_EXACT, target)
    return target


def edited(folder: Path) -> Path:
    """Red, then blue; the edit list shows blue alone."""
    whole, target = folder / "scenes.mp4", folder / "edited.mp4"
    scenes = (*clips.colour("red", SIZE, seconds=1.2), *clips.colour("blue", SIZE, seconds=1.2))
    joined = ("-filter_complex", "[0][1]concat=n=2:v=1", *_H264, "-g", "250", "-sc_threshold", "0")
    clips.ffmpeg(*scenes, *joined, *_EXACT, whole)
    clips.ffmpeg("-ss", "1.5", "-i", whole, "-c", "copy", *_EXACT, target)
    return target


def sound(folder: Path, codec: str, suffix: str, *more: str) -> Path:
    """A clip with its sound in another codec."""
    target = folder / f"{codec}{suffix}"
    inputs = (*clips.picture(SIZE, seconds=0.4), *clips.tone(0.4))
    clips.ffmpeg(*inputs, *_H264, "-c:a", codec, *more, *_EXACT, target)
    return target


def old(folder: Path, suffix: str, *codec: str) -> Path:
    """Another container, with a title in it."""
    target = folder / f"old{suffix}"
    named = ("-metadata", "title=CANARY_OLD", "-metadata", "service_name=CANARY_OLD")
    clips.ffmpeg(*clips.picture(SIZE, seconds=0.2), *(codec or _H264), *named, target)
    return target
