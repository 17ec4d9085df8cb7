"""What the video workshop refuses: each with its own code, in bounded time; nothing is left behind, nothing reached."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests import clips, hostile_clips
from tests.cinema import LIMITS, Cinema, film, rendition
from tests.processes import alive, children_of, eventually
from tests.servers import until
from worker.errors import Unprocessable
from worker.media.formats import HEAD_BYTES, format_named, sniff
from worker.media.jail import Cancelled
from worker.media.video import render as video

pytestmark = pytest.mark.slow

# On a loaded host; alone, the slowest takes two seconds.
SOON_S = 45.0


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cinema]:
    made = Cinema(tmp_path_factory.mktemp("cinema"))
    yield made
    made.jail.close()


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clips.mp4(tmp_path_factory.mktemp("good"))


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip that takes many seconds to encode."""
    return clips.mp4(tmp_path_factory.mktemp("long"), seconds=12, size="1280x720")


def refused(room: Cinema, clip: Path, **named: object) -> str:
    """The code; nothing is left of it."""
    place, begin = room.room(), time.monotonic()
    with pytest.raises(Unprocessable) as caught:
        room.render(clip, place, **named)  # type: ignore[arg-type]
    assert time.monotonic() - begin < SOON_S
    assert list(place.iterdir()) == []
    assert eventually(room.idle)
    return caught.value.code


@pytest.mark.parametrize("name", hostile_clips.BAD)
def test_a_bad_clip_has_the_code_of_what_is_wrong(room: Cinema, good: Path, tmp_path: Path, name: str) -> None:
    make, code = hostile_clips.BAD[name]

    assert refused(room, make(tmp_path)) == code


def test_the_jail_works_on_after_all_of_them(room: Cinema, good: Path) -> None:
    assert [made.name for made in room.render(good).made] == ["video", "poster", "thumb"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"duration_s": 1}, "limits:duration"),
        ({"streams": 2}, "limits:streams"),
        ({"video_pixels": 320 * 180 - 1}, "limits:pixels"),
        ({"side": 319}, "limits:side"),
        ({"aspect": 1}, "limits:aspect"),
    ],
)
def test_every_limit_has_its_code(room: Cinema, good: Path, changes: dict[str, int], code: str) -> None:
    assert refused(room, good, limits=replace(LIMITS, **changes)) == code


def test_a_limit_that_is_just_met_is_met(room: Cinema, good: Path) -> None:
    limits = replace(LIMITS, duration_s=3, streams=3, video_pixels=320 * 180, side=320, aspect=2)

    assert room.render(good, limits=limits).facts.frames == 50


@pytest.mark.parametrize("tail", [b"canary-4711 and more", b"<html>", b"PK\3\4" * 9])
def test_what_hangs_on_a_good_clip_does_not_come_along(room: Cinema, good: Path, tmp_path: Path, tail: bytes) -> None:
    clip = tmp_path / "tailed.mp4"
    clip.write_bytes(good.read_bytes() + tail)

    try:
        rendered = room.render(clip)
    except Unprocessable as refusal:
        if refusal.code not in ("corrupt", "truncated"):
            raise
    else:
        assert tail not in film(rendered).read_bytes()


def test_a_gap_of_a_day_that_is_lied_about_ends_at_once(room: Cinema, tmp_path: Path) -> None:
    """The constant-rate filling of such a gap takes an ordinary ffmpeg ten minutes and hundreds of megabytes."""
    begin = time.monotonic()
    rendered = room.render(hostile_clips.gap(tmp_path, says_s=0.4))

    assert time.monotonic() - begin < SOON_S
    assert rendition(rendered, "video").bytes < 100_000
    assert (rendered.facts.frames, rendered.facts.duration_ms) == (5, 200)


def test_a_boast_within_the_limits_changes_nothing(room: Cinema, tmp_path: Path) -> None:
    """Every frame that the tables list was read, so the film is whole, and it says its true length."""
    rendered = room.render(hostile_clips.boastful(tmp_path, says_s=500))

    assert (rendered.facts.frames, rendered.facts.duration_ms) == (25, 1000)


@pytest.mark.parametrize("name", hostile_clips.FOLLOWERS)
def test_a_text_that_follows_other_files_is_refused_at_the_sniff(tmp_path: Path, name: str) -> None:
    text = hostile_clips.follower(tmp_path, name, tmp_path / "other.mp4")

    assert sniff(text.read_bytes()[:HEAD_BYTES]) is None


@pytest.mark.parametrize("name", hostile_clips.REACHING)
def test_so_is_any_other_that_reaches_out(name: str) -> None:
    assert sniff(hostile_clips.REACHING[name].encode("latin-1")) is None


@pytest.mark.parametrize("cover", [b"", b"\0\0\0\x18ftypisom\0\0\2\0isomavc1", b"\x1a\x45\xdf\xa3\x88\x42\x82\x84webm"])
@pytest.mark.parametrize("name", hostile_clips.FOLLOWERS)
def test_the_workshop_itself_reaches_nothing_from_it(room: Cinema, tmp_path: Path, name: str, cover: bytes) -> None:
    """As if the sniff had let it through, plain and behind a real head."""
    other = clips.silent(tmp_path)
    text = hostile_clips.follower(tmp_path, name, other)
    text.write_bytes(cover + text.read_bytes())

    for fmt in map(format_named, ("mp4", "mkv")):
        place = room.room()
        with pytest.raises(Unprocessable):
            room.studio().render(text, fmt, place, lambda _percent: None, lambda: False)
        assert list(place.iterdir()) == []


def test_cancelling_ends_the_tool(room: Cinema, long: Path) -> None:
    seen: list[int] = []
    place = room.room()

    with pytest.raises(Cancelled):
        room.render(long, place, on_progress=seen.append, cancelled=lambda: any(seen))

    assert seen[-1] < 100
    assert eventually(room.idle)
    assert list(place.iterdir()) == []


def test_the_deadline_of_all_steps_ends_the_tool(room: Cinema, long: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video, "DEADLINE_S", 1.0)

    assert refused(room, long) == "decoder_timeout"


_WORKER = """
import sys
from pathlib import Path
from tests.cinema import Cinema
Cinema(Path(sys.argv[1])).render(Path(sys.argv[2]))
"""


def test_a_killed_worker_leaves_no_ffmpeg(long: Path, tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    worker = subprocess.Popen([sys.executable, "-c", _WORKER, str(tmp_path), str(long)], cwd=root)
    seen: set[int] = set()

    def encoding() -> bool:
        assert worker.poll() is None
        seen.update(pid for child in children_of(worker.pid) for pid in {child, *children_of(child)})
        return any(_is_ffmpeg(pid) for pid in seen) and any(tmp_path.glob("*/first.mp4"))

    until(encoding, what="ffmpeg at work")
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()

    assert eventually(lambda: not any(alive(pid) for pid in seen))


def _is_ffmpeg(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip() == "ffmpeg"
    except OSError:
        return False
