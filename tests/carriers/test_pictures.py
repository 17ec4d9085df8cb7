"""Every place in a picture where something can hide: it is there, it is gone, it is told, and it would be refused.

The carriers are those of the tables beside this file, each with a mark of its own.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import corpus
from tests.carriers import gif, heif, jpeg, plain, png, webp
from tests.carriers.planted import Carrier, base, decoded
from tests.darkroom import LIMITS, Darkroom, rendition
from worker.errors import Unprocessable
from worker.media.formats import sniff
from worker.media.image.metadata import removed
from worker.media.image.probe import probe
from worker.media.renditions import PUBLISHED

pytestmark = [pytest.mark.slow, pytest.mark.wide]

CARRIERS = [carrier for table in (jpeg, png, gif, webp, heif, plain) for carrier in table.carriers()]
_ELSEWHERE = {"image/gif", "video/mp4"}
TYPES = {"jpeg": "image/jpeg", "png": "image/png", "webp": "image/webp", "webp-animated": "image/webp"}
TYPES |= {"avif": "image/avif", "avif-alpha": "image/avif"}


def each(carriers: list[Carrier]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    return pytest.mark.parametrize("carrier", carriers, ids=lambda carrier: carrier.name)


@pytest.fixture(scope="module")
def finished(darkroom: Darkroom) -> dict[str, bytes]:
    """Renditions as they are published, one of each kind, each of them proven."""
    sources = {"jpeg": ("jpeg", "share"), "png": ("png-alpha", "share"), "webp": ("jpeg", "display")}
    sources["webp-animated"] = ("webp-animated", "display")
    made = {}
    for name, (source, row) in sources.items():
        found = rendition(darkroom.render(base(source)), row)
        assert (found.media_type, found.body is not None) == (TYPES[name], True)
        made[name] = found.body or b""
    # No rendition is an AVIF yet; its reader takes what Pillow makes of pixels alone.
    made["avif"], made["avif-alpha"] = base("avif"), base("avif-alpha")
    for name, body in made.items():
        darkroom.prove(body, TYPES[name])
    return made


def test_there_are_as_many_as_the_reference_names() -> None:
    assert len({carrier.name for carrier in CARRIERS}) == len(CARRIERS) >= 120
    assert len({carrier.mark for carrier in CARRIERS if carrier.mark.startswith(b"CANARY")}) >= 110


@each(CARRIERS)
def test_it_is_truly_there_and_the_picture_can_be_seen(carrier: Carrier) -> None:
    body = carrier.planted()

    assert carrier.seen(body)
    assert not carrier.seen(base(carrier.base))
    if not carrier.code:
        assert decoded(body).size == decoded(base(carrier.base)).size or carrier.name == "heic-thumb"


def test_an_independent_reader_sees_it(tmp_path: Path) -> None:
    """ExifTool, once for all those that it knows."""
    if shutil.which("exiftool") is None:
        pytest.skip("needs exiftool")
    shown = [carrier for carrier in CARRIERS if carrier.tag]
    for carrier in shown:
        (tmp_path / carrier.name).write_bytes(carrier.planted())

    said = subprocess.run(
        ["exiftool", "-j", "-a", "-u", "-ee", "-G4", *(carrier.name for carrier in shown)],
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )

    rows = {row["SourceFile"]: row for row in json.loads(said.stdout)}
    names = {name: {key.rpartition(":")[2] for key in row} for name, row in rows.items()}
    assert [carrier.name for carrier in shown if carrier.tag not in names[carrier.name]] == []
    hidden = [
        carrier.name
        for carrier in shown
        if carrier.mark.startswith(b"CANARY") and carrier.mark.decode() not in json.dumps(rows[carrier.name])
    ]
    assert set(hidden) <= {
        "jpg-exif-thumb",
        "jpg-8bim-thumb",
        "tif-8bim",
    }  # pictures, of which it tells the length alone


@each([carrier for carrier in CARRIERS if not carrier.code])
def test_it_is_gone_from_every_rendition_and_told_by_its_kind(darkroom: Darkroom, carrier: Carrier) -> None:
    before = told(base(carrier.base))

    rendered = darkroom.render(carrier.planted())

    assert [made.name for made in rendered.made] == ["display", "share", "thumb"]
    assert [made.name for made in rendered.made if carrier.seen(made.body or b"")] == []
    found = rendered.facts.removed
    assert {kind for kind in carrier.kinds if found.get(kind, 0) <= before.get(kind, 0)} == set(), found
    assert carrier.kinds or carrier.why
    assert len(carrier.mark) < 8 or carrier.mark.decode("latin-1") not in repr(rendered.facts)


def test_an_independent_judge_finds_no_mark(darkroom: Darkroom, tmp_path: Path, pytestconfig: pytest.Config) -> None:
    """Every rendition of every carrier, in all layers, with every mark as a word that may not be there."""
    if not pytestconfig.getoption("whole_corpus"):
        pytest.skip("only with --whole-corpus")
    leakcheck = corpus.judge()
    words = [carrier.mark.decode() for carrier in CARRIERS if carrier.mark.startswith(b"CANARY")]
    files = 0
    for carrier in CARRIERS:
        for made in darkroom.render(carrier.planted()).made if not carrier.code else ():
            files += 1
            kind = made.media_type.partition("/")[2]
            (tmp_path / f"{carrier.name}.{made.name}.{kind}").write_bytes(made.body or b"")

    argv = [sys.executable, str(leakcheck), *(part for word in words for part in ("--canary", word)), str(tmp_path)]
    said = subprocess.run(argv, capture_output=True, text=True, check=False)

    assert said.returncode == 0, said.stdout[-3000:] + said.stderr[-2000:]
    assert f"clean {files}" in said.stdout
    shutil.rmtree(tmp_path)


def told(body: bytes) -> dict[str, int]:
    fmt = sniff(body)
    assert fmt is not None
    return removed(probe(body, fmt, LIMITS).carriers)


@each([carrier for carrier in CARRIERS if carrier.code])
def test_where_no_decoder_takes_it_nothing_is_made(darkroom: Darkroom, carrier: Carrier) -> None:
    body = carrier.planted()
    if sniff(body) is None:
        assert carrier.code == "unsupported_type"
        return

    with pytest.raises(Unprocessable) as refusal:
        darkroom.render(body)

    assert refusal.value.code == carrier.code


@each([carrier for carrier in CARRIERS if carrier.into])
def test_planted_into_a_finished_rendition_it_is_refused(
    darkroom: Darkroom, finished: dict[str, bytes], carrier: Carrier
) -> None:
    clean = finished[carrier.into]
    body = carrier.in_finished(clean)

    assert carrier.seen(body)
    assert not carrier.seen(clean)
    with pytest.raises(Unprocessable) as refusal:
        darkroom.prove(body, TYPES[carrier.into])
    assert refusal.value.code == "not_proven"


def test_what_is_published_is_what_the_tables_plant_into() -> None:
    """HEIC, TIFF and BMP come in and never go out; GIF goes out only as a rewritten original, which has tables and a
    reader of its own (`tests.planted`)."""
    assert {f"image/{name}" for name in ("heic", "heif", "tiff", "bmp")} & PUBLISHED == set()
    assert {TYPES[carrier.into] for carrier in CARRIERS if carrier.into} == PUBLISHED - _ELSEWHERE
