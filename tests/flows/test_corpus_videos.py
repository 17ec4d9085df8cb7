"""Clips of the shared collections through the workshop and the second reader, in one jail."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import clips, corpus
from tests.cinema import Cinema, bytes_of
from tests.processes import eventually
from worker.errors import Unprocessable
from worker.media.codes import CODES
from worker.media.formats import HEAD_BYTES, format_named, sniff
from worker.media.jail import Jail
from worker.media.rendered import Rendered

pytestmark = [pytest.mark.slow, pytest.mark.wide]

NAMES = frozenset({".mp4", ".mov", ".m4v", ".3gp", ".mkv", ".webm", ".avi"})
# On a loaded host; alone the slowest, ten seconds of HEVC at 720p, takes nine.
SLOWEST_S = 90.0
# These would mean that our own walls, not the file, were at fault.
DEFECTS = frozenset({"decoder_crash", "decoder_protocol_error", "decoder_memory", "decoder_timeout", "not_proven"})
# All clips of `corpus` that have a head of ours but do not come out, each with its reason.
REFUSED = {
    "QuickTime.mov": "unsupported_codec",  # Motion JPEG, cut off after its tables
    "Matroska.mkv": "truncated",  # its first 507 bytes
    "count-deutsch-audio.mp4": "no_video",
    "count-english-audio.mp4": "no_video",
    "example-sans-amf0.mp4": "corrupt",  # no frame in it decodes
    "redbull_100kbit_dash.mp4": "corrupt",  # a head whose pieces lie elsewhere
    "output_audio-2ch-20s.mp4": "no_video",
    "tracks__ac3-sample.mp4": "no_video",
    "tracks__aac-sample.mp4": "no_video",
    "tracks__dts-sample.mp4": "no_video",
    "issue240.mp4": "no_video",
    "fixtures__sample.mp4": "no_video",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """`code` is "" for clean renditions; `left` are the files in its room beside them."""

    path: Path
    code: str
    seconds: float
    left: int
    rendered: Rendered | None = None


def given(folder: str, config: pytest.Config) -> list[Path]:
    found = corpus.files(folder, config, one_in=8, always=REFUSED)
    return [path for path in found if path.suffix.lower() in NAMES or _is_clip(path)]


def _is_clip(path: Path) -> bool:
    with path.open("rb") as stream:
        fmt = sniff(stream.read(HEAD_BYTES))
    return fmt is not None and fmt.work_class == "video"


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory, jail: Jail) -> Cinema:
    return Cinema(tmp_path_factory.mktemp("cinema"), jail=jail)


@pytest.fixture(scope="module")
def outcomes(room: Cinema, pytestconfig: pytest.Config) -> Callable[[str], list[Outcome]]:
    """Name of a collection -> what became of each clip; each collection is run once."""
    done: dict[str, list[Outcome]] = {}

    def of(folder: str) -> list[Outcome]:
        if folder not in done:
            clips_of = given(folder, pytestconfig)
            with ThreadPoolExecutor(max_workers=2) as pool:
                done[folder] = list(pool.map(lambda path: run(room, path), clips_of))
        return done[folder]

    return of


def run(room: Cinema, path: Path) -> Outcome:
    """A clip without a head of ours is given to the workshop all the same, as what its name says."""
    studio, place, begin = room.studio(), room.room(), time.monotonic()
    with path.open("rb") as stream:
        fmt = sniff(stream.read(HEAD_BYTES)) or format_named("mkv" if path.suffix in (".mkv", ".webm") else "mp4")
    rendered, code = None, ""
    try:
        rendered = studio.render(path, fmt, place, lambda _percent: None, lambda: False)
        for made in rendered.made:
            assert studio.prove(made).sha256 == made.sha256
    except Unprocessable as refusal:
        code = refusal.code
    left = len(list(place.iterdir())) - (rendered is not None)
    return Outcome(path=path, code=code, seconds=time.monotonic() - begin, left=left, rendered=rendered)


@pytest.mark.parametrize("folder", ["corpus", "corpus-hostile"])
def test_every_clip_becomes_clean_renditions_or_a_code(
    room: Cinema, outcomes: Callable[[str], list[Outcome]], folder: str, tmp_path: Path
) -> None:
    found = outcomes(folder)

    assert {each.code for each in found} <= {"", *CODES} - DEFECTS
    assert [(each.path.name, each.seconds) for each in found if each.seconds > SLOWEST_S] == []
    assert [each.path.name for each in found if each.left] == []
    for each in found:
        if each.rendered is not None:
            assert [made.name for made in each.rendered.made] == ["video", "poster", "thumb"]
    assert eventually(room.idle)
    assert len(room.render(clips.silent(tmp_path, seconds=0.2)).made) == 3


def test_no_good_clip_is_refused(outcomes: Callable[[str], list[Outcome]]) -> None:
    refused = [each for each in outcomes("corpus") if each.code and _is_clip(each.path)]
    # Files that were made to crash a reader of metadata: most are some hundred bytes.
    others = {each.path.name: each.code for each in refused if "_poc." not in each.path.name}
    surprising = {name: code for name, code in others.items() if REFUSED.get(_known(name)) != code}

    assert surprising == {}
    assert {_known(name) for name in others} == set(REFUSED)
    assert len([each for each in outcomes("corpus") if not each.code]) >= 2


def _known(name: str) -> str:
    return next((end for end in REFUSED if name.endswith(end)), "")


@pytest.mark.parametrize("folder", ["corpus", "corpus-hostile"])
def test_an_independent_judge_finds_nothing_in_what_comes_out(
    outcomes: Callable[[str], list[Outcome]], folder: str, tmp_path: Path
) -> None:
    """Some of them, film and poster, against its original: tags, structure, bytes and taint."""
    leakcheck = corpus.judge()
    good = [each for each in outcomes(folder) if each.rendered is not None][::2]
    for each in good:
        assert each.rendered is not None
        for made in each.rendered.made[:2]:
            place = tmp_path / made.name / each.path.relative_to(corpus.SHARED / folder)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.with_name(f"{place.name}.{made.media_type.partition('/')[2]}").write_bytes(bytes_of(made))

    for name in ("video", "poster"):
        judge = [sys.executable, str(leakcheck), "--against", str(corpus.SHARED / folder), "--jobs", "2", "--max", "3"]
        said = subprocess.run([*judge, str(tmp_path / name)], capture_output=True, text=True, check=False)
        assert said.returncode == 0, said.stdout[-3000:] + said.stderr[-2000:]
        assert f"clean {len(good)}" in said.stdout
