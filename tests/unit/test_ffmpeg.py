"""The arguments alone are a wall, and so is the jail alone: either stops a text that would follow another file."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from tests import clips, hostile_clips
from tests.cinema import LIMITS
from tests.processes import TOOL
from worker.media.jail import Jail
from worker.media.video import ffmpeg, ffprobe
from worker.media.video.ffmpeg import Source
from worker.media.video.ffprobe import Clip, Colour
from worker.media.video.render import fitted, preset

needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")

CLIP = Clip(
    width=320,
    height=180,
    pixels=320 * 180,
    duration_s=2.0,
    frames=50,
    rate=Fraction(25),
    steady=True,
    sound_rate=44_100,
    interlaced=False,
    colour=Colour.PLAIN,
    matrix="bt709",
    transfer="709",
)
HD = (1920, 1080)


def source(path: Path, demuxer: str = "mov") -> Source:
    return Source(path=path, demuxer=demuxer, limits=LIMITS, threads=2, most_s=601.0)


def option(argv: list[str], name: str) -> str:
    return argv[argv.index(name) + 1]


@pytest.fixture
def lines(tmp_path: Path) -> dict[str, list[str]]:
    given, target = source(tmp_path / "in"), tmp_path / "out"
    return {
        "probe": ffmpeg.probe(given),
        "encode": ffmpeg.encode(given, CLIP, (320, 180), target, preset="fast"),
        "settle": ffmpeg.settle(given, target, sound=True),
        "count": ffmpeg.count(given, sound=True),
        "still": ffmpeg.still(given, target, every=10, darkest=32),
    }


@pytest.mark.parametrize("name", ["probe", "encode", "settle", "count", "still"])
def test_every_input_stands_behind_all_the_guards(lines: dict[str, list[str]], name: str) -> None:
    argv = lines[name]
    before = argv[: argv.index("-i")]

    for guard, value in (
        ("-protocol_whitelist", "file"), ("-format_whitelist", "mov,matroska"), ("-f", "mov"), ("-max_streams", "16"),
        ("-max_pixels", "40000000"), ("-max_alloc", str(256 << 20)), ("-probesize", "5000000"),
    ):  # fmt: skip
        assert option(before, guard) == value
    assert "hls" not in option(before, "-codec_whitelist")
    assert option(argv, "-i").startswith("file:/")
    assert argv.count("-i") == 1
    if name != "probe":
        assert {"-nostdin", "-xerror"} <= set(before)
        assert option(before, "-t") == "601.000"
        assert "mjpeg" not in option(before, "-codec_whitelist")


def test_a_name_is_never_an_option_a_protocol_or_a_list(tmp_path: Path) -> None:
    for name in ("-y", "concat:a|b", "http:x", "subfile,,start,0,end,9,,:x", "%d.mp4"):
        argv = ffmpeg.settle(source(tmp_path / name), tmp_path / name, sound=False)

        assert option(argv, "-i") == argv[-1] == f"file:{tmp_path}/{name}"
        assert argv.count(argv[-1]) == 2


def test_nothing_is_mapped_but_one_picture_and_one_sound(lines: dict[str, list[str]]) -> None:
    for name in ("encode", "settle"):
        argv = lines[name]
        maps = [argv[at + 1] for at, each in enumerate(argv) if each == "-map"]

        assert len(maps) == 2
        assert maps[1] == "0:a:0"
        assert {"-sn", "-dn"} <= set(argv)
        assert (option(argv, "-map_metadata"), option(argv, "-map_chapters")) == ("-1", "-1")
        assert option(argv, "-flags:v") == option(argv, "-flags:a") == option(argv, "-fflags") == "+bitexact"
    assert "0:V:0" in " ".join(lines["settle"])
    assert option(lines["encode"], "-a53cc") == "0"
    assert option(lines["settle"], "-bsf:v") == "filter_units=pass_types=1-5|7|8"
    assert "fps=" not in " ".join(lines["encode"])


@pytest.mark.parametrize(
    ("rate", "steady", "of", "most"),
    [
        (Fraction(0), False, 1, "30"),
        (Fraction(24), True, 1, "30"),
        (Fraction(30_000, 1001), True, 1, "30"),
        (Fraction(30), True, 1, "30"),
        (Fraction(40), True, 1, "30"),
        (Fraction(48), True, 2, "24"),
        (Fraction(50), True, 2, "25"),
        (Fraction(60_000, 1001), True, 2, "30000/1001"),
        (Fraction(60), True, 2, "30"),
        (Fraction(60), False, 2, "30"),
        (Fraction(6001, 100), True, 2, "30"),
        (Fraction(120), True, 4, "30"),
        (Fraction(240), True, 8, "30"),
        (Fraction(960), True, 32, "30"),
    ],
)
def test_frames_over_thirty_a_second_are_left_out_evenly(
    tmp_path: Path, rate: Fraction, steady: bool, of: int, most: str
) -> None:
    clip = replace(CLIP, rate=rate, steady=steady)
    argv = ffmpeg.encode(source(tmp_path / "in"), clip, HD, tmp_path / "out", preset="fast")

    assert ffmpeg.thinned(clip) == of
    assert option(argv, "-fpsmax") == most
    assert ("select=" in " ".join(argv)) == (of > 1)


@pytest.mark.parametrize(
    ("width", "height", "size"),
    [
        (320, 180, (320, 180)),
        (1920, 1080, (1920, 1080)),
        (1080, 1920, (1080, 1920)),
        (3840, 2160, (1920, 1080)),
        (2160, 3840, (1080, 1920)),
        (4096, 2160, (1920, 1012)),
        (1440, 1080, (1440, 1080)),
        (4000, 3000, (1440, 1080)),
        (2160, 2160, (1080, 1080)),
        (1921, 1081, (1918, 1080)),
        (183, 7, (182, 6)),
        (1, 1, (2, 2)),
        (16_384, 82, (1920, 8)),
    ],
)
def test_a_film_fits_is_even_and_never_larger(width: int, height: int, size: tuple[int, int]) -> None:
    assert fitted(replace(CLIP, width=width, height=height)) == size


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"duration_s": 15.0}, "medium"),
        ({"duration_s": 45.0}, "fast"),
        ({"duration_s": 120.0}, "veryfast"),
        ({"duration_s": 600.0}, "superfast"),
        ({"duration_s": None}, "superfast"),
        ({"duration_s": 600.0, "pixels": 3840 * 2160, "rate": Fraction(60)}, "ultrafast"),
        ({"duration_s": 60.0, "pixels": 3840 * 2160, "rate": Fraction(60), "colour": Colour.BRIGHT}, "veryfast"),
    ],
)
def test_the_more_work_the_less_x264_tries(changes: dict[str, object], name: str) -> None:
    clip = replace(CLIP, **{"width": 1920, "height": 1080, "pixels": 1920 * 1080, "rate": Fraction(30), **changes})  # type: ignore[arg-type]

    assert preset(clip, HD, 600.0) == name


@pytest.fixture(scope="module")
def jail() -> Iterator[Jail]:
    made = Jail()
    yield made
    made.close()


# What needs no wall but the list of formats: a plain ffmpeg makes a film of them.
FOLLOWED = ("hls", "dash", "ffconcat")


@needs_ffmpeg
@pytest.mark.slow
@pytest.mark.parametrize("name", FOLLOWED)
def test_a_plain_ffmpeg_does_follow_it(tmp_path: Path, name: str) -> None:
    """Otherwise the next two tests would show nothing."""
    argv = _plain(tmp_path, name)

    assert subprocess.run(argv, capture_output=True, timeout=60).returncode == 0
    assert b"canary-4711" in (tmp_path / "out" / "stolen.mkv").read_bytes()


@pytest.mark.slow
@needs_ffmpeg
@pytest.mark.parametrize("name", hostile_clips.FOLLOWERS)
def test_the_jail_alone_stops_it(jail: Jail, tmp_path: Path, name: str) -> None:
    argv = _plain(tmp_path, name)

    done = jail.run(argv, read=[tmp_path / f"{name}.mp4"], write=tmp_path / "out", limits=TOOL)

    assert done.status != 0 or name == "srt"
    assert _nothing_of_it(tmp_path)


@needs_ffmpeg
@pytest.mark.slow
@pytest.mark.parametrize("demuxer", ["mov", "matroska"])
@pytest.mark.parametrize("name", hostile_clips.FOLLOWERS)
def test_the_arguments_alone_stop_it(tmp_path: Path, name: str, demuxer: str) -> None:
    _plain(tmp_path, name)
    given = source(tmp_path / f"{name}.mp4", demuxer)
    silent = replace(CLIP, sound_rate=0)

    for argv in (
        ffmpeg.encode(given, silent, (320, 180), tmp_path / "out" / "film.mp4", preset="ultrafast"),
        ffmpeg.settle(given, tmp_path / "out" / "copy.mp4", sound=False),
        ffmpeg.probe(given),
    ):
        done = subprocess.run(argv, capture_output=True, timeout=60)
        assert done.returncode != 0
        assert b"canary" not in done.stdout
    assert _nothing_of_it(tmp_path)


def _plain(folder: Path, name: str) -> list[str]:
    """An ordinary line that lets the demuxer of the text have its way; a clip with canaries lies beside it."""
    (folder / "out").mkdir()
    clips.mp4(folder)
    other = folder / "other.mp4"
    how = ("-movflags", "frag_keyframe+empty_moov+default_base_moof+global_sidx") if name == "dash" else ()
    clips.ffmpeg(
        "-i",
        folder / "clip.mp4",
        "-map",
        "0:v",
        "-map_chapters",
        "-1",
        "-c",
        "copy",
        *(how if name == "dash" else ()),
        other,
    )
    text = hostile_clips.follower(folder, name, other)
    demuxer = hostile_clips.FOLLOWERS[name][0]
    free = {"concat": ("-safe", "0"), "hls": ("-allowed_extensions", "ALL")}.get(demuxer, ())
    argv = ["ffmpeg", "-nostdin", "-v", "error", "-protocol_whitelist", "file,crypto,data", "-f", demuxer, *free]
    return [*argv, "-i", f"file:{text}", "-map", "0:v", "-c", "copy", f"file:{folder / 'out' / 'stolen.mkv'}"]


def _nothing_of_it(folder: Path) -> bool:
    """Of what was written, nothing is the neighbour's, neither its words nor its samples."""
    sample = (folder / "other.mp4").read_bytes()[5_000:5_064]
    bodies = [Path(entry.path).read_bytes() for entry in os.scandir(folder / "out")]
    return all(b"canary-4711" not in body and sample not in body for body in bodies)


@needs_ffmpeg
def test_the_list_of_decoders_is_what_ffprobe_and_the_judge_agree_on(tmp_path: Path) -> None:
    """Every decoder that is named exists, and the words of the judge are those of ffprobe."""
    listed = subprocess.run(["ffmpeg", "-v", "error", "-decoders"], capture_output=True, text=True).stdout
    names = {line.split()[1] for line in listed.splitlines() if len(line.split()) > 1}
    spelled = {"amrnb": "amr_nb", "amrwb": "amr_wb"}
    words = ffprobe._PICTURES | ffprobe._SOUNDS

    wanted = set(ffmpeg.CODECS.split(","))
    assert wanted - names <= {"av1"}
    assert {spelled.get(each, each) for each in wanted} - words == {"libdav1d", "libopus", "mp3float"}
    assert words <= {spelled.get(each, each) for each in wanted}
