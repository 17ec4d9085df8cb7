"""Real photos with HDR gain maps through the workshop and the second reader, judged by an independent oracle too.

The oracle knows no gain maps: of the whole file it reports the index, the packets and the second picture, which is what
this rendition is; anything else it may not find. Either picture without them must be clean in every way.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests import corpus, gainmaps
from tests.corpus import SHARED
from tests.darkroom import Darkroom, rendition
from worker.media.proving import prove

pytestmark = [pytest.mark.slow, pytest.mark.wide]

REAL = (
    "google__libultrahdr/tests__data__apple_gainmap_new.jpg",
    "google__libultrahdr/tests__data__apple_gainmap_old.jpg",
    "python-pillow__Pillow/Tests__images__frame_size.mpo",
    "AOMediaCodec__libavif/tests__data__seine_sdr_gainmap_srgb.avif",
)
# Kinds of the oracle for what a gain map is made of: never location, identity, time, locale or software.
ITS_OWN = "hidden,block,density,unknown,warning"


def original(name: str) -> Path:
    place = SHARED / "corpus" / name
    if not place.exists():
        pytest.skip("no ../shared/corpus beside the project")
    return place


@pytest.mark.parametrize("name", REAL)
def test_a_real_photo_keeps_its_gain_map_and_nothing_else(darkroom: Darkroom, tmp_path: Path, name: str) -> None:
    leakcheck, source = corpus.judge(), original(name)
    rendered = darkroom.render(source.read_bytes(), names=("share", "share_hdr"))
    made = rendition(rendered, "share_hdr")
    assert made.body is not None
    assert prove(darkroom.jail, made.body, "image/jpeg", gain_map=True).sha256 == made.sha256
    whole, halves = tmp_path / "whole" / source.name, tmp_path / "halves"
    whole.parent.mkdir()
    halves.mkdir()
    whole.write_bytes(made.body)
    for number, half in enumerate(gainmaps.halves_without_words(made.body)):
        (halves / f"{number}.jpg").write_bytes(half)
    argv = [sys.executable, str(leakcheck), "--canary", "Apple", "--canary", "iPhone"]

    of_whole = subprocess.run(
        [*argv, "--against", str(source), "--ignore", ITS_OWN, str(whole)], capture_output=True, text=True
    )
    of_halves = subprocess.run([*argv, str(halves)], capture_output=True, text=True)

    assert of_whole.returncode == 0, of_whole.stdout
    assert of_halves.returncode == 0, of_halves.stdout
    assert "clean 2" in of_halves.stdout
    assert rendition(rendered, "share").body == gainmaps.halves_without_words(made.body)[0]
