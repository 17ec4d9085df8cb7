"""The video workshop: every kind of clip becomes a film, a poster and a thumbnail, each as published forms must be."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from tests import boxes, cinema, clips
from tests.cinema import Cinema, bytes_of, film, rendition
from tests.processes import eventually
from worker.media.jail import Jail
from worker.media.rendered import Rendered

pytestmark = pytest.mark.slow

Show = Callable[[str], tuple[Path, Rendered]]
# Name -> frames, seconds, width and height of the film, frames a second.
EXPECTED: dict[str, tuple[int, float, int, int, Fraction | None]] = {
    "mp4": (50, 2, 320, 180, Fraction(25)),
    "mov": (50, 2, 320, 180, Fraction(25)),
    "rotated": (25, 1, 180, 320, Fraction(25)),
    "crowded": (50, 2, 320, 180, Fraction(25)),
    "hevc": (25, 1, 320, 180, Fraction(25)),
    "hdr": (30, 1, 320, 180, Fraction(30)),
    "webm": (25, 1, 320, 180, Fraction(25)),
    "mkv": (50, 2, 320, 180, Fraction(25)),
    "3gp": (15, 1, 176, 144, Fraction(15)),
    "interlaced": (25, 1, 320, 192, Fraction(25)),
    "uneven": (30, 1.84, 320, 180, None),
    "fast": (30, 1, 320, 180, Fraction(30)),
    "pal": (25, 1, 320, 180, Fraction(25)),
    "slow": (4, 4, 320, 180, Fraction(1)),
    "gaps": (53, 9, 320, 180, None),
    "held": (27, 1.2, 320, 180, None),
    "odd": (10, 0.4, 320, 180, Fraction(25)),
    "stretched": (25, 1, 480, 288, Fraction(25)),
    "trimmed": (37, 1.5, 320, 180, Fraction(25)),
    "silent": (25, 1, 320, 180, Fraction(25)),
    "one_frame": (1, 0.04, 320, 180, Fraction(25)),
    "dark": (25, 1, 320, 180, Fraction(25)),
}
SOUND = {"mp4", "mov", "crowded", "hevc", "webm", "mkv", "3gp"}
PLANTED = {"mp4": 8, "mov": 4, "crowded": 3, "webm": 1, "mkv": 5}


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory, jail: Jail) -> Cinema:
    return Cinema(tmp_path_factory.mktemp("cinema"), jail=jail)


@pytest.fixture(scope="module")
def show(room: Cinema, tmp_path_factory: pytest.TempPathFactory) -> Show:
    """Kind of clip -> the clip, and its renditions; each is made once."""
    done: dict[str, tuple[Path, Rendered]] = {}

    def of(name: str) -> tuple[Path, Rendered]:
        if name not in done:
            clip = clips.GOOD[name](tmp_path_factory.mktemp("clip"))
            done[name] = clip, room.render(clip)
        return done[name]

    return of


def test_every_kind_has_its_expectation() -> None:
    assert set(EXPECTED) == set(clips.GOOD)


@pytest.mark.parametrize("name", clips.GOOD)
def test_the_film_is_as_published_films_are(show: Show, name: str) -> None:
    _, rendered = show(name)
    made, path = rendition(rendered, "video"), film(rendered)
    frames, seconds, width, height, rate = EXPECTED[name]
    picture = cinema.stream(path, "video")

    assert (made.width, made.height) == (picture["width"], picture["height"]) == (width, height)
    assert (picture["codec_name"], picture["profile"], picture["pix_fmt"]) == ("h264", "High", "yuv420p")
    assert (picture["sample_aspect_ratio"], picture.get("side_data_list")) == ("1:1", None)
    colours = {picture[key] for key in ("color_space", "color_transfer", "color_primaries")}
    assert (colours, picture["color_range"], picture["field_order"]) == ({"bt709"}, "tv", "progressive")
    assert rate in (None, cinema.rate(path))
    assert int(picture["nb_frames"]) == rendered.facts.frames == frames
    assert (rendered.facts.duration_ms or 0) / 1000 == pytest.approx(seconds, abs=0.05)
    assert made.duration_ms == rendered.facts.duration_ms
    assert boxes.kinds(path.read_bytes()) == [b"ftyp", b"moov", b"free", b"mdat"]


@pytest.mark.parametrize("name", clips.GOOD)
def test_its_sound_is_aac_or_none_and_nothing_else_is_in_it(show: Show, name: str) -> None:
    _, rendered = show(name)
    streams = cinema.looked(film(rendered), "-show_chapters")["streams"]

    assert [each["codec_type"] for each in streams] == ["video", *["audio"] * (name in SOUND)]
    if name in SOUND:
        sound = streams[1]
        assert (sound["codec_name"], sound["profile"], sound["channels"]) == ("aac", "LC", 2)
        assert sound["sample_rate"] in ("44100", "48000")


@pytest.mark.parametrize("name", clips.GOOD)
def test_poster_and_thumbnail_are_pictures_of_it(show: Show, name: str) -> None:
    _, rendered = show(name)
    width, height = EXPECTED[name][2:4]

    assert [(made.name, made.media_type) for made in rendered.made] == [
        ("video", "video/mp4"), ("poster", "image/webp"), ("thumb", "image/webp"),
    ]  # fmt: skip
    poster, thumb = (rendition(rendered, each) for each in ("poster", "thumb"))
    assert (poster.width, poster.height) == (width, height)
    assert max(thumb.width, thumb.height) == min(320, max(width, height))
    assert rendered.facts.placeholder
    assert all(bytes_of(made)[:4] == b"RIFF" for made in (poster, thumb))


@pytest.mark.parametrize("name", clips.GOOD)
def test_all_of_it_is_proven_and_nothing_planted_comes_out(room: Cinema, show: Show, name: str) -> None:
    clip, rendered = show(name)
    planted = clip.read_bytes().count(clips.CANARY.encode())

    assert planted == PLANTED.get(name, 0)
    for made in rendered.made:
        body = bytes_of(made)
        assert room.studio().prove(made).sha256 == made.sha256
        assert len(body) == made.bytes
        for word in ("canary", clips.LATITUDE, "Lavf", "Lavc", "x264", "VideoHandler", "apple.quicktime", "2024"):
            assert word.encode() not in body
            assert word.encode("utf-16-le") not in body


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("mp4", {"location", "owner_name", "caption", "comment", "timestamps", "chapters", "software"}),
        ("mov", {"location", "camera", "serial_number", "timestamps", "software"}),
        ("crowded", {"subtitles", "telemetry", "thumbnail"}),
        ("mkv", {"location", "caption", "chapters", "attachments", "timestamps"}),
        ("webm", {"caption"}),
    ],
)
def test_what_was_found_is_told_by_kind(show: Show, name: str, kinds: set[str]) -> None:
    _, rendered = show(name)

    assert kinds <= set(rendered.facts.removed)
    assert "canary" not in str(rendered.facts)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_rotated_clip_stands_upright_and_is_not_turned_twice(room: Cinema, tmp_path: Path, degrees: int) -> None:
    """Stored with red on the left; turned by a quarter, red is above (or below)."""
    rendered = room.render(clips.rotated(tmp_path, degrees=degrees))
    path = film(rendered)
    width, height = cinema.stream(path, "video")["width"], cinema.stream(path, "video")["height"]
    red = {90: (width // 2, 10), 180: (width - 10, height // 2), 270: (width // 2, height - 10)}[degrees]
    blue = width - 1 - red[0], height - 1 - red[1]

    assert (width, height) == ((320, 180) if degrees == 180 else (180, 320))
    assert (rendered.facts.width, rendered.facts.height) == (width, height)
    assert _is(cinema.colour(path, *red), "red")
    assert _is(cinema.colour(path, *blue), "blue")


def _is(seen: tuple[int, ...], name: str) -> bool:
    strong = {"red": 0, "blue": 2}[name]
    return seen[strong] > 180 and all(value < 60 for at, value in enumerate(seen) if at != strong)


def test_frames_outside_the_edit_list_are_gone(show: Show) -> None:
    clip, rendered = show("trimmed")
    whole = ("-ignore_editlist", "1")

    assert _is(cinema.colour(clip, 9, 9, options=whole), "red"), "the clip holds what it does not show"
    assert _is(cinema.colour(film(rendered), 9, 9, options=whole), "blue")
    assert int(cinema.looked(film(rendered), "-count_frames", *whole)["streams"][0]["nb_read_frames"]) == 37


def test_hdr_comes_down_to_ordinary_brightness(room: Cinema, tmp_path: Path) -> None:
    """HLG grey at its reference white (75 %) is bright, not blown out; half signal is in the middle."""
    seen = []
    for level in (0.5, 0.75):
        grey = tmp_path / f"{level}.mov"
        value = round(64 + 876 * level)
        source = f"color=black:size=64x64:rate=10:duration=0.3,format=yuv420p10le,lutyuv=y={value}:u=512:v=512"
        clips.ffmpeg("-f", "lavfi", "-i", source, *clips.HEVC, "-pix_fmt", "yuv420p10le", *clips.HDR, grey)
        seen.append(cinema.colour(film(room.render(grey)), 32, 32))

    middle, white = seen
    assert all(max(each) - min(each) <= 4 for each in seen), "grey stays grey"
    assert 60 < middle[0] < 160 < white[0] < 250


def test_a_film_is_the_same_bytes_each_time(room: Cinema, show: Show) -> None:
    for name in ("mp4", "hdr", "crowded"):
        clip, rendered = show(name)

        assert [made.sha256 for made in room.render(clip).made] == [made.sha256 for made in rendered.made]


@pytest.mark.parametrize(
    ("size", "fits"),
    [
        ("2560x1440", (1920, 1080)),
        ("1440x2560", (1080, 1920)),
        ("2000x2000", (1080, 1080)),
        ("3840x1000", (1920, 500)),
        ("17x7", (16, 6)),
        ("2x2", (2, 2)),
    ],
)
def test_a_film_fits_and_is_never_enlarged(room: Cinema, tmp_path: Path, size: str, fits: tuple[int, int]) -> None:
    rendered = room.render(clips.sized(tmp_path, size, seconds=0.12))
    made = rendition(rendered, "video")

    assert (made.width, made.height) == fits
    assert f"{rendered.facts.width}x{rendered.facts.height}" == size
    assert room.studio().prove(made).sha256 == made.sha256


def test_many_threads_have_the_memory_they_need(room: Cinema, tmp_path: Path) -> None:
    rendered = room.render(clips.silent(tmp_path, seconds=0.4, size="1920x1080"), threads=8)

    assert rendered.facts.frames == 10


def test_progress_rises_to_the_end(room: Cinema, tmp_path: Path) -> None:
    heard: list[int] = []

    room.render(clips.mp4(tmp_path, seconds=6, size="480x270"), on_progress=heard.append)

    assert heard == sorted(set(heard))
    assert heard[-1] == 100
    assert any(0 < percent < 85 for percent in heard)


def test_the_room_holds_the_film_alone_and_the_jail_is_empty(room: Cinema, show: Show) -> None:
    clip, _ = show("mp4")
    place = room.room()

    rendered = room.render(clip, place)

    assert list(place.iterdir()) == [film(rendered)]
    assert eventually(room.idle)
