"""Small real clips, made by ffmpeg as it is installed: what phones, cameras and editors hand in, in a second each.

Each maker writes one file in `folder` and returns its path. `canary` is planted as text wherever the container lets
us; what it planted is found as plain bytes in the file, which `tests.unit.test_video` asserts before anything else.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import boxes

CANARY = "canary-4711"
LATITUDE, LONGITUDE = "48.8577", "002.2950"
_SEI = "h264_metadata=sei_user_data=086f3693-b7b3-4f2c-9653-21492feee5b8+{}"
_H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
HEVC = ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=error", "-tag:v", "hvc1")
HDR = ("-color_primaries", "bt2020", "-color_trc", "arib-std-b67", "-colorspace", "bt2020nc")


def ffmpeg(*args: str | Path) -> None:
    """Run ffmpeg plainly on files of our own making; fails the test with its words."""
    program = shutil.which("ffmpeg")
    if program is None:
        pytest.skip("ffmpeg is not installed")
    argv = [program, "-y", "-v", "error", "-nostdin", *map(str, args)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-1000:]


def has_encoder(name: str) -> bool:
    """Whether this ffmpeg was built with an encoder."""
    program = shutil.which("ffmpeg")
    if program is None:
        return False
    listed = subprocess.run([program, "-v", "error", "-encoders"], capture_output=True, text=True, check=False).stdout
    return f" {name} " in listed


def picture(size: str = "320x180", rate: str = "25", seconds: float = 2) -> tuple[str, ...]:
    """A moving test picture as an input."""
    return ("-f", "lavfi", "-i", f"testsrc2=size={size}:rate={rate}:duration={seconds}")


def colour(name: str, size: str = "320x180", rate: str = "25", seconds: float = 2) -> tuple[str, ...]:
    """A still area of one colour as an input."""
    return ("-f", "lavfi", "-i", f"color={name}:size={size}:rate={rate}:duration={seconds}")


def tone(seconds: float = 2, rate: int = 44_100) -> tuple[str, ...]:
    return ("-f", "lavfi", "-i", f"sine=frequency=440:sample_rate={rate}:duration={seconds}")


def mp4(folder: Path, *, seconds: float = 2, canary: str | None = None, size: str = "320x180") -> Path:
    """H.264 and AAC, with a place, a maker, a title, a time, handler names, chapters and a SEI message."""
    word = canary or CANARY
    chapters = _chapters(folder, word, seconds)
    return _made(
        folder / "clip.mp4",
        *picture(size, seconds=seconds),
        *tone(seconds),
        *("-f", "ffmetadata", "-i", chapters),
        *("-map", "0:v", "-map", "1:a", "-map_chapters", "2", *_H264, "-c:a", "aac"),
        *_tags(word),
        *("-bsf:v", _SEI.format(f"{word}-sei"), "-shortest"),
    )


def mov(folder: Path, *, seconds: float = 2, canary: str | None = None) -> Path:
    """QuickTime with Apple's keys, as an iPhone writes them, and a time code track."""
    word = canary or CANARY
    keys = {
        "location.ISO6709": f"+{LATITUDE}+{LONGITUDE}+035.000/",
        "make": f"{word}-make",
        "model": f"{word}-model",
        "software": f"{word}-software",
        "creationdate": "2024-05-06T07:08:09+0200",
        "content.identifier": f"{word}-identifier",
    }
    named = [part for key, value in keys.items() for part in ("-metadata", f"com.apple.quicktime.{key}={value}")]
    return _made(
        folder / "clip.mov",
        *picture(seconds=seconds),
        *tone(seconds),
        *(*_H264, "-c:a", "aac", "-movflags", "use_metadata_tags", *named),
        *("-metadata", "creation_time=2024-05-06T05:08:09Z", "-timecode", "01:02:03:04"),
    )


def rotated(folder: Path, *, degrees: int = 90, seconds: float = 1) -> Path:
    """A clip whose display matrix turns it clockwise; as stored, its left half is red and its right half blue."""
    stored = _made(
        folder / "stored.mp4",
        *colour("red", "160x180", seconds=seconds),
        *colour("blue", "160x180", seconds=seconds),
        *("-filter_complex", "[0][1]hstack", *_H264),
    )
    target = folder / f"rotated-{degrees}.mp4"
    # ffmpeg counts the other way round.
    return _made(target, "-i", stored, "-c", "copy", "-metadata:s:v", f"rotate={360 - degrees}")


def crowded(folder: Path, *, canary: str | None = None) -> Path:
    """Beside picture and sound: subtitles, a data stream with a position, a second sound and a cover picture."""
    word = canary or CANARY
    subtitles = folder / "spoken.srt"
    subtitles.write_text(f"1\n00:00:00,000 --> 00:00:01,000\n{word}-subtitle GPS({LATITUDE},{LONGITUDE})\n")
    cover = _made(folder / "cover.jpg", *picture("64x64", seconds=1), "-frames:v", "1")
    cover.write_bytes(cover.read_bytes()[:2] + _comment(f"{word}-cover") + cover.read_bytes()[2:])
    tagged = folder / "tagged.mp4"
    _made(
        tagged,
        *picture(),
        *tone(),
        *("-i", subtitles, "-i", cover),
        *("-map", "0:v", "-map", "1:a", "-map", "1:a", "-map", "2:s", "-map", "2:s", "-map", "3:v"),
        *(*_H264, "-c:a", "aac", "-c:s", "mov_text", "-c:v:1", "copy", "-disposition:v:1", "attached_pic"),
    )
    body = tagged.read_bytes()
    # The second text track becomes what a camera writes its route into: same samples, other names.
    at = body.rindex(b"sbtl")
    body = body[:at] + b"meta" + body[at + 4 :]
    at = body.rindex(b"tx3g")
    target = folder / "crowded.mp4"
    target.write_bytes(body[:at] + b"gpmd" + body[at + 4 :])
    return target


def hevc(folder: Path, *, seconds: float = 1, size: str = "320x180") -> Path:
    return _made(folder / "hevc.mp4", *picture(size, seconds=seconds), *tone(seconds), *HEVC, "-c:a", "aac")


def hdr(folder: Path, *, seconds: float = 1, size: str = "320x180", rate: str = "30") -> Path:
    """Ten bit, HLG, BT.2020: what phones call HDR."""
    target = folder / "hdr.mov"
    return _made(target, *picture(size, rate, seconds), *HEVC, "-pix_fmt", "yuv420p10le", *HDR)


def webm(folder: Path, *, seconds: float = 1, canary: str | None = None) -> Path:
    """VP9 and Opus."""
    vp9 = ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-pix_fmt", "yuv420p")
    title = ("-metadata", f"title={canary or CANARY}-title")
    return _made(folder / "clip.webm", *picture(seconds=seconds), *tone(seconds), *vp9, "-c:a", "libopus", *title)


def mkv(folder: Path, *, seconds: float = 2, canary: str | None = None) -> Path:
    """Matroska with a title, a tag, an attachment, a chapter and track names."""
    word = canary or CANARY
    note = folder / "note.txt"
    note.write_text(f"{word}-attachment")
    chapters = _chapters(folder, word, seconds)
    return _made(
        folder / "clip.mkv",
        *picture(seconds=seconds),
        *tone(seconds),
        *("-f", "ffmetadata", "-i", chapters, "-map", "0:v", "-map", "1:a", "-map_chapters", "2"),
        *(*_H264, "-c:a", "aac", "-attach", note, "-metadata:s:t", "mimetype=text/plain"),
        *("-metadata", f"title={word}-title", "-metadata", f"LOCATION={word}-place"),
        *("-metadata:s:v", f"title={word}-track", "-metadata", "creation_time=2024-05-06T05:08:09Z"),
    )


def threegp(folder: Path, *, seconds: float = 1) -> Path:
    """An old telephone: H.263, with AMR sound where this ffmpeg can write it."""
    h263 = ("-c:v", "h263", "-b:v", "200k")
    amr = ("-c:a", "libopencore_amrnb", "-ar", "8000", "-ac", "1") if has_encoder("libopencore_amrnb") else ()
    sound = amr or ("-c:a", "aac", "-ar", "22050", "-ac", "1")
    return _made(folder / "clip.3gp", *picture("176x144", "15", seconds), *tone(seconds), *h263, *sound)


def interlaced(folder: Path, *, seconds: float = 1) -> Path:
    flags = ("-vf", "interlace", "-flags", "+ilme+ildct", "-x264-params", "tff=1")
    return _made(folder / "interlaced.mp4", *picture("320x192", "50", seconds), *_H264, *flags)


def uneven(folder: Path) -> Path:
    """Variable frame rate: every frame, then only one in five."""
    pick = "select='lt(n,25)+not(mod(n,5))'"
    return _made(folder / "uneven.mp4", *picture(), "-vf", pick, "-fps_mode", "vfr", *_H264)


def fast(folder: Path, *, seconds: float = 1) -> Path:
    return _made(folder / "fast.mp4", *picture(rate="60", seconds=seconds), *_H264)


def pal(folder: Path) -> Path:
    """50 frames a second, of which every second one makes an even film."""
    return _made(folder / "pal.mp4", *picture(rate="50", seconds=1), *_H264)


def slow(folder: Path) -> Path:
    """One frame a second: its decoder runs seconds ahead of its picture."""
    return _made(folder / "slow.mp4", *picture(rate="1", seconds=4), *_H264, "-preset", "medium")


def gaps(folder: Path) -> Path:
    """Two seconds at full pace, then a frame in three seconds."""
    pick = "select='lt(n,50)+not(mod(n,75))'"
    return _made(folder / "gaps.mp4", *picture(seconds=12), "-vf", pick, "-fps_mode", "vfr", *_H264)


def held(folder: Path, *, seconds: int = 9) -> Path:
    """A screen recording whose last picture stays: the file is longer than the time between its frames."""
    pick = "select='lt(n,26)+eq(n,28)'"
    film = _made(folder / "moving.mp4", *picture(seconds=2), "-vf", pick, "-fps_mode", "vfr", *_H264)
    tables = "moov/trak/mdia/minf/stbl/stts"
    body = boxes.changed(film.read_bytes(), tables, lambda stts: _last_held(stts, seconds * 12_800))
    for path, at, value in (
        ("moov/trak/mdia/mdhd", 16, (seconds + 1) * 12_800),
        ("moov/trak/tkhd", 20, (seconds + 1) * 1000),
        ("moov/trak/edts/elst", 8, (seconds + 1) * 1000),
        ("moov/mvhd", 16, (seconds + 1) * 1000),
    ):
        body = boxes.changed(body, path, boxes.patched(at, value.to_bytes(4, "big")))
    target = folder / "held.mp4"
    target.write_bytes(body)
    return target


def _last_held(stts: bytes, ticks: int) -> bytes:
    """Another duration for the last sample alone."""
    runs = stts[8:]
    count = int.from_bytes(runs[-8:-4], "big")
    last = (1).to_bytes(4, "big") + ticks.to_bytes(4, "big")
    others = runs[:-8] + ((count - 1).to_bytes(4, "big") + runs[-4:] if count > 1 else b"")
    rows = others + last
    return stts[:4] + (len(rows) // 8).to_bytes(4, "big") + rows


def sized(folder: Path, size: str, *, seconds: float = 0.4) -> Path:
    """Any size, odd ones too (4:4:4 allows them)."""
    scaled = f"scale={size.replace('x', ':')},setsar=1,format=yuv444p"
    return _made(folder / f"{size}.mp4", *picture(seconds=seconds), "-vf", scaled, *_H264, "-pix_fmt", "yuv444p")


def stretched(folder: Path, *, shape: str = "4/3") -> Path:
    """Pixels that are not square, as DV and anamorphic lenses make them."""
    return _made(folder / "stretched.mp4", *picture("360x288", seconds=1), "-vf", f"setsar={shape}", *_H264)


def trimmed(folder: Path) -> Path:
    """Two seconds of red, then two of blue; the edit list shows blue alone, and the red frames are still there."""
    whole = _made(
        folder / "whole.mp4",
        *colour("red"),
        *colour("blue"),
        *("-filter_complex", "[0][1]concat=n=2:v=1", *_H264, "-g", "250", "-sc_threshold", "0"),
    )
    return _made(folder / "trimmed.mp4", "-ss", "2.5", "-i", whole, "-c", "copy")


def silent(folder: Path, *, seconds: float = 1, size: str = "320x180") -> Path:
    return _made(folder / "silent.mp4", *picture(size, seconds=seconds), *_H264)


def one_frame(folder: Path) -> Path:
    return _made(folder / "one.mp4", *picture(), "-frames:v", "1", *_H264)


def dark(folder: Path) -> Path:
    return _made(folder / "dark.mp4", *colour("black", seconds=1), *_H264)


def sound_only(folder: Path) -> Path:
    """No moving picture, though it is named and branded like one."""
    return _made(folder / "sound.mp4", *tone(1), "-c:a", "aac")


# Every kind that must come out as a good film, by name.
GOOD: dict[str, Callable[[Path], Path]] = {
    "mp4": mp4,
    "mov": mov,
    "rotated": rotated,
    "crowded": crowded,
    "hevc": hevc,
    "hdr": hdr,
    "webm": webm,
    "mkv": mkv,
    "3gp": threegp,
    "interlaced": interlaced,
    "uneven": uneven,
    "fast": fast,
    "pal": pal,
    "slow": slow,
    "gaps": gaps,
    "held": held,
    "odd": lambda folder: sized(folder, "321x181"),
    "stretched": stretched,
    "trimmed": trimmed,
    "silent": silent,
    "one_frame": one_frame,
    "dark": dark,
}


def _made(target: Path, *args: str | Path) -> Path:
    ffmpeg(*args, target)
    return target


def _tags(word: str) -> list[str]:
    tags = {
        "location": f"+{LATITUDE}+{LONGITUDE}/",
        "make": f"{word}-make",
        "title": f"{word}-title",
        "comment": f"{word}-comment",
        "artist": f"{word}-artist",
        "creation_time": "2024-05-06T05:08:09Z",
    }
    flat = [part for name, value in tags.items() for part in ("-metadata", f"{name}={value}")]
    for stream in ("v", "a"):
        flat += [f"-metadata:s:{stream}", f"handler_name={word}-handler-{stream}"]
    return flat


def _chapters(folder: Path, word: str, seconds: float) -> Path:
    file = folder / "chapters.txt"
    end = round(1000 * seconds)
    file.write_text(f";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND={end}\ntitle={word}-chapter\n")
    return file


def _comment(text: str) -> bytes:
    """A JPEG comment segment."""
    return b"\xff\xfe" + (len(text) + 2).to_bytes(2, "big") + text.encode()
