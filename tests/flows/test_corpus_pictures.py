"""Pictures of the shared collections through the workshop and the second reader, in one jail."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import corpus, samples
from tests.corpus import SHARED
from tests.darkroom import LIMITS, Darkroom
from tests.processes import children_of, zygote
from worker.errors import Unprocessable
from worker.media.codes import CODES
from worker.media.formats import Format, sniff
from worker.media.image.client import jail_limits
from worker.media.jail import Jail
from worker.media.rendered import Rendered
from worker.media.studio import Studio

pytestmark = [pytest.mark.slow, pytest.mark.wide]

# A file may take this long on a loaded host; the slowest good one takes about three seconds.
SLOWEST_S = 45.0
# These hold the pictures of cameras and phones as they came: none may be refused.
CAMERAS = {
    "c2pa-org__public-testfiles", "drewnoakes__metadata-extractor", "google__libultrahdr", "gopro__gpmf-parser",
    "ianare__exif-samples", "jvoisin__mat2", "mapillary__mapillary_tools", "trek-view__gopro-metadata",
}  # fmt: skip
# Refused although a plain decoder makes something of them, each with its reason.
REFUSED = {
    "heif_truncated__truncated.heic": "truncated",
    "apng__sequence_fdat_fctl.png": "corrupt",  # frames out of order
    "apng__sequence_reorder_chunk.png": "corrupt",
    "apng__sequence_repeat_chunk.png": "corrupt",
    "decompression_bomb_extents.gif": "limits:side",
    "multipage_single_frame_loop.tiff": "corrupt",  # a chain of pages without end
    "old-style-jpeg-compression-no-samplesperpixel.tif": "unsupported_codec",
}
# What a decoder that was crashed, starved or fooled would be told by: none of these may come of any file here.
DEFECTS = {"decoder_crash", "decoder_protocol_error", "decoder_memory", "decoder_timeout", "not_proven"}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """`code` is "" for clean renditions."""

    path: Path
    code: str
    seconds: float
    rendered: Rendered | None = None


def run(studio: Studio, path: Path, fmt: Format) -> Outcome:
    start = time.monotonic()
    rendered = None
    try:
        rendered = studio.render(path, fmt, path.parent, lambda _done: None, lambda: False)
        for made in rendered.made:
            assert studio.prove(made).sha256 == made.sha256
    except Unprocessable as refusal:
        return Outcome(path=path, code=refusal.code, seconds=time.monotonic() - start)
    return Outcome(path=path, code="", seconds=time.monotonic() - start, rendered=rendered)


def pictures(folder: str, config: pytest.Config) -> list[tuple[Path, Format]]:
    found = [(path, _kind(path)) for path in corpus.files(folder, config, one_in=18, always=REFUSED)]
    return [(path, fmt) for path, fmt in found if fmt is not None and fmt.work_class == "image"]


def _kind(path: Path) -> Format | None:
    with path.open("rb") as stream:
        return sniff(stream.read(4096))


@pytest.fixture(scope="module")
def outcomes(jail: Jail, pytestconfig: pytest.Config) -> Callable[[str], list[Outcome]]:
    """Name of a collection -> what became of each picture; each collection is run once."""
    studio = Studio(jail=jail, limits=LIMITS, video_threads=1)
    done: dict[str, list[Outcome]] = {}

    def of(folder: str) -> list[Outcome]:
        if folder not in done:
            given = pictures(folder, pytestconfig)
            with ThreadPoolExecutor(max_workers=os.cpu_count() or 2) as pool:
                done[folder] = list(pool.map(lambda each: run(studio, *each), given))
        return done[folder]

    return of


@pytest.mark.parametrize("folder", ["corpus", "corpus-hostile"])
def test_every_picture_becomes_clean_renditions_or_a_code(
    jail: Jail, outcomes: Callable[[str], list[Outcome]], folder: str, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    descriptors = len(os.listdir("/proc/self/fd"))
    given = {path for path, _ in pictures(folder, pytestconfig)}

    found = outcomes(folder)

    assert {each.path for each in found} == given
    assert {each.code for each in found} <= {"", *CODES} - DEFECTS
    assert [(each.path.name, each.seconds) for each in found if each.seconds > SLOWEST_S] == []
    assert all([made.name for made in each.rendered.made] == ["display", "share", "thumb"] for each in _good(found))
    assert children_of(zygote(jail)) == set()
    assert len(os.listdir("/proc/self/fd")) <= descriptors + 1  # the zygote's own line may be new
    room = Darkroom(tmp_path, jail=jail)
    assert len(room.render(samples.photo((64, 48))).made) == 3


def _good(found: list[Outcome]) -> list[Outcome]:
    return [each for each in found if each.rendered is not None]


def test_no_good_picture_is_refused(jail: Jail, outcomes: Callable[[str], list[Outcome]]) -> None:
    found = outcomes("corpus")
    refused = [each for each in found if each.code]

    known = {name: code for each in refused if (name := _known(each.path)) and (code := each.code)}
    surprising = {each.path.name: each.code for each in refused if not _known(each.path) and decodes(jail, each.path)}

    assert [each.path.name for each in refused if each.path.relative_to(SHARED / "corpus").parts[0] in CAMERAS] == []
    assert surprising == {}
    assert known == REFUSED
    assert len(_good(found)) > 0.8 * (len(found) - len(REFUSED)), Counter(each.code for each in found)


def _known(path: Path) -> str | None:
    return next((name for name in REFUSED if path.name.endswith(name)), None)


def decodes(jail: Jail, path: Path) -> bool:
    """Whether a plain decoder, in a jail like ours, makes a whole picture of it."""
    fmt = _kind(path)
    assert fmt is not None
    source = os.open(path, os.O_RDONLY)
    try:
        answer = jail.call("test.plain", source, {"format": fmt.decoder}, jail_limits(LIMITS, threads=True))
    except Unprocessable:
        return False
    finally:
        os.close(source)
    return answer.header["decoded"] is True


def test_an_independent_judge_finds_nothing_in_what_comes_out(
    outcomes: Callable[[str], list[Outcome]], tmp_path: Path
) -> None:
    """Some of them, both large renditions, against its original: tags, structure, bytes and taint."""
    leakcheck = corpus.judge()
    good = _good(outcomes("corpus"))[::3]
    for each in good:
        assert each.rendered is not None
        place = tmp_path / each.path.relative_to(SHARED / "corpus")
        place.parent.mkdir(parents=True, exist_ok=True)
        for made in each.rendered.made[:2]:
            place.with_name(f"{place.name}.{made.media_type.partition('/')[2]}").write_bytes(made.body or b"")

    argv = [sys.executable, str(leakcheck), "--against", str(SHARED / "corpus"), "--jobs", "2", "--max", "3"]
    said = subprocess.run([*argv, str(tmp_path)], capture_output=True, text=True, check=False)

    assert said.returncode == 0, said.stdout[-3000:] + said.stderr[-2000:]
    assert f"clean {2 * len(good)}" in said.stdout
