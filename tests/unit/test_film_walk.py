"""The walk over clips whose headers are the bomb: a code of the list or a clip, in little memory, never a stumble."""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import film_floods
from tests.carriers import matroska, mp4, settled
from worker.errors import Unprocessable
from worker.media.codes import CODES
from worker.media.formats import format_named, sniff
from worker.media.image.metadata import KINDS
from worker.media.jail import Jail
from worker.media.limits import MediaLimits
from worker.media.video import prewalk
from worker.media.video.client import looked

pytestmark = [pytest.mark.slow, pytest.mark.wide]

LIMITS = MediaLimits()
# Of Python's own objects; the longest table is read in pieces of 64 KiB, the longest text a mebibyte.
_MOST_MEMORY = 8 << 20


def code_of(walk: Callable[[], dict[str, int]]) -> str:
    """The code, or "" where it is let through."""
    try:
        found = walk()
    except Unprocessable as refusal:
        return refusal.code
    assert set(found) <= KINDS
    return ""


def outcome(path: Path) -> str:
    with path.open("rb") as stream:
        fmt = sniff(stream.read(4096))
        assert fmt is not None
        return code_of(lambda: prewalk.walk(stream, fmt, LIMITS))


@pytest.mark.parametrize("name", film_floods.CLIPS)
def test_a_flood_is_refused_or_let_through_in_little_memory(tmp_path: Path, name: str) -> None:
    make, codes = film_floods.CLIPS[name]
    path = tmp_path / "clip"
    make(path)

    tracemalloc.start()
    try:
        code = outcome(path)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        path.unlink()

    assert code in codes
    assert most < _MOST_MEMORY


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Clips with everything in them that can be planted."""
    folder = tmp_path_factory.mktemp("full")
    film = folder / "film.mp4"
    film.write_bytes(settled.film(folder))
    return {"mp4": mp4.all_in(film.read_bytes()), "mkv": matroska.all_in(film)}


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.sampled_from(["mp4", "mkv"]),
    st.lists(st.tuples(st.integers(0), st.binary(min_size=1, max_size=9)), max_size=6),
    st.floats(0, 1),
)
def test_nothing_makes_it_stumble(
    full: dict[str, bytes], name: str, writes: list[tuple[int, bytes]], to: float
) -> None:
    """Whatever is written over a clip, and wherever it is cut: kinds, or a code of the list."""
    body = bytearray(full[name])
    for place, new in writes:
        at = 32 + place % (len(body) - 48)
        body[at : at + len(new)] = new
    clip = bytes(body[: 32 + int(to * len(body))])

    assert code_of(lambda: prewalk.walk(io.BytesIO(clip), format_named(name), LIMITS)) in {"", *CODES}


def test_what_it_is_not_is_refused_before_it_is_walked(full: dict[str, bytes]) -> None:
    for body, name, code in (
        (b"", "mp4", "empty"),
        (full["mp4"], "mkv", "type_mismatch"),
        (full["mkv"], "mov", "type_mismatch"),
        (b"\0\0\0\x18ftypavif\0\0\0\0avifmif1miaf" + full["mp4"][32:], "mp4", "type_mismatch"),
        (b"\xff\xd8\xff" + full["mp4"], "mp4", "type_mismatch"),
        (b"#EXTM3U\n" + full["mp4"], "mp4", "unsupported_type"),
    ):
        with pytest.raises(Unprocessable) as caught:
            prewalk.walk(io.BytesIO(body), format_named(name), LIMITS)
        assert caught.value.code == code


def test_in_the_jail_it_says_the_same(full: dict[str, bytes], jail: Jail, tmp_path: Path) -> None:
    for name, body in full.items():
        path = tmp_path / name
        path.write_bytes(body)

        walked = looked(jail, path, format_named(name), LIMITS)

        assert walked.removed == prewalk.walk(io.BytesIO(body), format_named(name), LIMITS)
        assert len(walked.removed) > 8


def test_in_the_jail_a_code_comes_back_and_a_hole_of_two_gigabytes_is_no_matter(jail: Jail, tmp_path: Path) -> None:
    for name in ("two gigabytes of samples", "a million boxes"):
        make, codes = film_floods.MP4[name]
        path = tmp_path / "clip.mp4"
        make(path)

        assert code_of(lambda path=path: looked(jail, path, format_named("mp4"), LIMITS).removed) in codes
