"""Everything that can be planted in a clip is gone from what the workshop makes of it: film, poster and thumbnail.

Several carriers share a clip where none hides another; `--whole-corpus` renders each alone as well.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import cinema, clips
from tests.canaries import dresses
from tests.carriers import matroska, mp4, others, settled, streams
from tests.cinema import Cinema, bytes_of, film
from worker.errors import Unprocessable
from worker.media.jail import Jail
from worker.media.rendered import Rendered

pytestmark = [pytest.mark.slow, pytest.mark.wide]


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory, jail: Jail) -> Cinema:
    return Cinema(tmp_path_factory.mktemp("cinema"), jail=jail)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    target = folder / "base.mp4"
    target.write_bytes(settled.film(folder))
    return target


@pytest.fixture(scope="module")
def plain(room: Cinema, base: Path) -> bytes:
    """What is made of the clip in which nothing is planted."""
    return film(room.render(base)).read_bytes()


def gone(room: Cinema, clip: Path, words: list[bytes]) -> Rendered:
    """Renders and proves it; no word of it is left in any dress."""
    body = clip.read_bytes()
    assert [word for word in words if word not in body] == []
    rendered = room.render(clip)
    out = b"".join(bytes_of(made) for made in rendered.made).lower()
    assert [word for word in words for dress in dresses(word.decode("latin-1")) if dress.lower() in out] == []
    for made in rendered.made:
        assert room.studio().prove(made).sha256 == made.sha256
    return rendered


def written(folder: Path, name: str, body: bytes) -> Path:
    target = folder / name
    target.write_bytes(body)
    return target


def test_whatever_is_in_the_boxes_of_an_mp4(room: Cinema, base: Path, tmp_path: Path) -> None:
    clip = written(tmp_path, "boxes.mp4", mp4.all_in(base.read_bytes()))
    shown = subprocess.run(
        ["ffprobe", "-v", "error", "-show_format", str(clip)], capture_output=True, check=True
    ).stdout

    rendered = gone(room, clip, mp4.planted())

    assert b"CANARY_MP4-ILST" in shown
    assert b"creation_time=2024-05-06" in shown
    assert {each.kind for each in mp4.BOXES} <= set(rendered.facts.removed)
    assert b"CANARY" not in film(rendered).read_bytes()


def test_whatever_is_in_the_stream(room: Cinema, base: Path, tmp_path: Path) -> None:
    clip = written(tmp_path, "units.mp4", streams.all_in(base.read_bytes(), streams.H264))

    rendered = gone(room, clip, [each.word for each in streams.H264])

    assert {each.kind for each in streams.H264} <= set(rendered.facts.removed)


@pytest.mark.parametrize(
    ("make", "carriers"), [(settled.hevc, streams.HEVC), (settled.av1, streams.AV1)], ids=["hevc", "av1"]
)
def test_whatever_is_in_a_stream_of_another_codec(
    room: Cinema, tmp_path: Path, make: Callable[[Path], bytes], carriers: tuple[mp4.Carrier, ...]
) -> None:
    clip = written(tmp_path, "units.mp4", streams.all_in(make(tmp_path), carriers))

    rendered = gone(room, clip, [each.word for each in carriers])

    assert {each.kind for each in carriers} <= set(rendered.facts.removed)


def test_whatever_is_in_a_matroska(room: Cinema, base: Path, tmp_path: Path) -> None:
    clip = written(tmp_path, "all.mkv", matroska.all_in(base))
    kinds = {made.kind for made in matroska.OPTIONS} | {kind for kind, _ in matroska.ELEMENTS.values()}

    rendered = gone(room, clip, matroska.planted())

    assert kinds | {"attachments", "chapters", "trailing_data"} <= set(rendered.facts.removed)


def test_tracks_beside_the_film(room: Cinema, tmp_path: Path) -> None:
    words = [b"CANARY_MP4-SUB", b"CANARY_MP4-CHAPTER", b"CANARY_MP4-COVER", others.PLACE.encode()]

    rendered = gone(room, others.crowded(tmp_path), words)

    assert [each["codec_type"] for each in cinema.looked(film(rendered))["streams"]] == ["video"]


def test_pixels_behind_the_crop_and_frames_outside_the_edits(room: Cinema, tmp_path: Path) -> None:
    """Blue was coded beside red, and red before blue; neither is in what comes out, however it is looked at."""
    clip = others.cropped(tmp_path)
    rendered = room.render(clip)

    assert _blue(cinema.colour(clip, 120, 20, options=("-flags2", "+ignorecrop")))
    assert cinema.stream(film(rendered), "video")["width"] == 80
    assert cinema.stream(film(rendered), "video")["coded_width"] == 80
    assert rendered.facts.removed["hidden_data"] == 1

    clip = others.edited(tmp_path)
    rendered, whole = room.render(clip), ("-ignore_editlist", "1")

    assert not _blue(cinema.colour(clip, 20, 20, options=whole))
    assert _blue(cinema.colour(film(rendered), 20, 20, options=whole))
    assert rendered.facts.removed["hidden_data"] == 1


def _blue(seen: tuple[int, ...]) -> bool:
    return seen[2] > 180 and max(seen[:2]) < 60


def test_a_cover_that_is_no_picture_keeps_no_film_back(room: Cinema, base: Path, tmp_path: Path) -> None:
    clip = written(tmp_path, "cover.mp4", mp4.with_cover(base.read_bytes(), b"\xff\xd8CANARY_NO-PICTURE"))

    rendered = gone(room, clip, [b"CANARY_NO-PICTURE"])

    assert rendered.facts.removed["thumbnail"] == 1


def test_what_encoders_of_sound_sign_with(room: Cinema, tmp_path: Path) -> None:
    for clip in (others.sound(tmp_path, "libmp3lame", ".mp4"), _vorbis(tmp_path)):
        assert any(word in clip.read_bytes() for word in (b"LAME", b"Xiph"))
        rendered = room.render(clip)
        assert not [word for word in (b"LAME", b"Lavc", b"Xiph", b"CANARY") if word in film(rendered).read_bytes()]


def _vorbis(folder: Path) -> Path:
    return others.sound(folder, "libvorbis", ".webm", "-c:v", "libvpx", "-metadata:s:a", "artist=CANARY_ARTIST")


def test_codecs_that_are_not_taken_are_refused(room: Cinema, tmp_path: Path) -> None:
    """FLAC's blocks and the comments of Motion JPEG are never decoded, let alone published."""
    jpeg = others.old(tmp_path, ".mov", "-c:v", "mjpeg", "-pix_fmt", "yuvj420p")
    for clip in (others.sound(tmp_path, "flac", ".mp4", "-strict", "-2"), jpeg):
        with pytest.raises(Unprocessable) as caught:
            room.render(clip)
        assert caught.value.code == "unsupported_codec"


@pytest.mark.parametrize("carrier", [*mp4.BOXES, *streams.H264], ids=lambda each: each.name)
def test_each_alone(
    request: pytest.FixtureRequest, room: Cinema, base: Path, tmp_path: Path, carrier: mp4.Carrier
) -> None:
    if not request.config.getoption("whole_corpus"):
        pytest.skip("all of them in one clip above; each alone with --whole-corpus")
    clip = written(tmp_path, "one.mp4", carrier.into(base.read_bytes()))

    rendered = gone(room, clip, [carrier.word] if carrier.word else [])

    assert rendered.facts.removed[carrier.kind] >= 1
    assert film(rendered).read_bytes() == request.getfixturevalue("plain"), "what was planted changes not a byte"


def test_nothing_that_is_planted_survives_plain_copying_either_way(base: Path, tmp_path: Path) -> None:
    """The judge of this file can fail: a copy by plain ffmpeg still holds words in its stream."""
    clip = written(tmp_path, "units.mp4", streams.all_in(base.read_bytes(), streams.H264))
    target = tmp_path / "copied.mp4"
    clips.ffmpeg("-i", clip, "-map_metadata", "-1", "-c", "copy", target)

    assert b"CANARY_SEI-UNREG" in target.read_bytes()
