"""Everything that can be planted in a clip: told by kind when it comes in, and a doubt in a film that is finished.

That nothing of it is left in what the workshop makes is shown by `tests.flows.test_carriers_video`.
"""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from tests.carriers import matroska, mp4, settled, streams
from tests.carriers import others as others_of
from tests.carriers.mp4 import Carrier
from worker.media.formats import sniff
from worker.media.limits import MediaLimits
from worker.media.proof import mp4 as second
from worker.media.proof.doubt import Doubt
from worker.media.video import prewalk

pytestmark = [pytest.mark.slow, pytest.mark.wide]

LIMITS = MediaLimits()


def told(body: bytes) -> dict[str, int]:
    fmt = sniff(body[:4096])
    assert fmt is not None
    return prewalk.walk(io.BytesIO(body), fmt, LIMITS)


def names(carrier: Carrier) -> str:
    return carrier.name


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return settled.film(tmp_path_factory.mktemp("film"))


def test_a_settled_film_is_proven_and_nothing_is_told_of_it(film: bytes) -> None:
    assert second.check(io.BytesIO(film)) == len(film)
    assert told(film) == {}


@pytest.mark.parametrize("carrier", mp4.BOXES, ids=names)
def test_a_box_is_there_is_told_by_kind_and_is_a_doubt_in_a_finished_film(film: bytes, carrier: Carrier) -> None:
    other = carrier.into(film)

    assert other != film
    assert carrier.word in other
    assert told(other).get(carrier.kind, 0) >= 1
    with pytest.raises(Doubt):
        second.check(io.BytesIO(other))


@pytest.mark.parametrize("carrier", streams.H264, ids=names)
def test_a_unit_is_there_is_told_by_kind_and_is_a_doubt_in_a_finished_film(film: bytes, carrier: Carrier) -> None:
    other = carrier.into(film)

    assert carrier.word in other
    assert told(other).get(carrier.kind, 0) >= 1
    with pytest.raises(Doubt):
        second.check(io.BytesIO(other))


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("others")
    return {"hevc": settled.hevc(folder), "av1": settled.av1(folder)}


@pytest.mark.parametrize(
    ("codec", "carrier"),
    [*(("hevc", each) for each in streams.HEVC), *(("av1", each) for each in streams.AV1)],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_what_other_codecs_carry_is_told_by_kind(others: dict[str, bytes], codec: str, carrier: Carrier) -> None:
    before, other = others[codec], carrier.into(others[codec])

    assert carrier.word in other
    assert told(other).get(carrier.kind, 0) > told(before).get(carrier.kind, 0)


def test_banners_of_encoders_are_told(others: dict[str, bytes], tmp_path: Path) -> None:
    """x264's in the stream; x265's in the record as well."""
    first = settled.encoded(tmp_path).read_bytes()

    assert b"x264 - core" in first
    assert told(first)["software"] >= 1
    assert b"x265 (build" in others["hevc"][: others["hevc"].index(b"mdat")]
    assert told(others["hevc"])["software"] >= 1


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The settled film as a file, to be put into other containers."""
    folder = tmp_path_factory.mktemp("bare")
    target = folder / "bare.mp4"
    target.write_bytes(settled.film(folder))
    return target


@pytest.fixture(scope="module")
def plain(bare: Path) -> tuple[bytes, dict[str, int]]:
    """The same in Matroska, and what is told of it: the muxer's own name."""
    body = matroska.remuxed(bare)
    return body, told(body)


@pytest.mark.parametrize("made", matroska.OPTIONS, ids=lambda made: made.name)
def test_what_a_muxer_writes_into_matroska_is_told_by_kind(
    bare: Path, plain: tuple[bytes, dict[str, int]], made: matroska.Made
) -> None:
    other = matroska.remuxed(bare, *made.said())

    assert made.word.encode() in other
    assert told(other).get(made.kind, 0) > plain[1].get(made.kind, 0)


@pytest.mark.parametrize("name", matroska.ELEMENTS)
def test_an_element_of_matroska_is_told_by_kind(plain: tuple[bytes, dict[str, int]], name: str) -> None:
    kind, make = matroska.ELEMENTS[name]
    word = matroska.word_of(name)
    other = matroska.in_segment(plain[0], make(word))

    assert word[:16] in other
    assert told(other).get(kind, 0) == plain[1].get(kind, 0) + 1


def test_attachments_chapters_and_a_tail_of_matroska_are_told(bare: Path, plain: tuple[bytes, dict[str, int]]) -> None:
    assert plain[1] == {"software": 2}, "the names of muxer and writer"
    assert told(matroska.attached(bare, "CANARY"))["attachments"] == 1
    assert told(matroska.chaptered(bare, "CANARY"))["chapters"] == 1
    assert told(plain[0] + b"CANARY")["trailing_data"] == 1


def test_tracks_beside_the_film_are_told(tmp_path: Path) -> None:
    body = others_of.crowded(tmp_path).read_bytes()
    found = told(body)

    assert {word for word in (b"MP4-SUB", b"MP4-CHAPTER", b"MP4-COVER") if word not in body} == set()
    assert (found["subtitles"], found["telemetry"], found["thumbnail"]) == (1, 1, 1)
    # Spoken in the subtitles, in the route, in the cover's EXIF.
    assert found["location"] >= 3
    assert found["chapters"] >= 1
    assert found["owner_name"] == 1
    assert told(others_of.timecode(tmp_path).read_bytes())["timestamps"] >= 1


def test_what_is_out_of_sight_is_told(tmp_path: Path) -> None:
    assert told(others_of.cropped(tmp_path).read_bytes())["hidden_data"] == 1
    assert "hidden_data" not in told((tmp_path / "whole.mp4").read_bytes())
    assert told(others_of.edited(tmp_path).read_bytes())["hidden_data"] == 1
    assert "hidden_data" not in told((tmp_path / "scenes.mp4").read_bytes())


def test_what_codecs_of_sound_say_is_told(tmp_path: Path) -> None:
    vorbis = others_of.sound(tmp_path, "libvorbis", ".webm", "-c:v", "libvpx", "-metadata:s:a", "artist=CANARY_ARTIST")
    flac = others_of.sound(tmp_path, "flac", ".mp4", "-strict", "-2")
    mp3 = others_of.sound(tmp_path, "libmp3lame", ".mp4")

    assert {"owner_name", "software"} <= set(told(vorbis.read_bytes()))
    body = mp3.read_bytes()
    unsigned = body.replace(b"LAME", b"XXXX").replace(b"Lavc", b"XXXX")
    assert b"LAME" in body
    assert told(body)["software"] == told(unsigned)["software"] + 1
    assert told(flac.read_bytes())["software"] >= 1


@pytest.mark.parametrize(("suffix", "codec"), [(".avi", ("-c:v", "mpeg4")), (".ts", ("-c:v", "mpeg2video"))])
def test_containers_that_are_not_taken_are_none_of_ours(tmp_path: Path, suffix: str, codec: tuple[str, ...]) -> None:
    body = others_of.old(tmp_path, suffix, *codec).read_bytes()

    assert b"CANARY_OLD" in body
    assert sniff(body[:4096]) is None
