"""Before and after side by side, for the eye: `--contact-sheet OUT.png` keeps the sheet, the shared collection too."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from tests import corpus
from tests.bench import contact_sheet
from tests.darkroom import Darkroom

pytestmark = pytest.mark.slow

SHOWN = ("jpeg with p3", "png with points and gamma", "heic with nclx rec 2020", "cmyk jpeg", "grey heic", "lab tiff")
# Levels of 255 that packing at the display copy's quality may cost on average.
PACKED = 4


def test_pictures_look_as_they_did(darkroom: Darkroom, tmp_path: Path, pytestconfig: pytest.Config) -> None:
    kept, made = pytestconfig.getoption("contact_sheet"), contact_sheet.generated()
    if not kept:
        made = {name: source for name, source in made.items() if name in SHOWN or " turned " in name or " " not in name}
    pairs = list(contact_sheet.drawn(darkroom, made))
    out = Path(kept) if kept else tmp_path / "sheet.png"

    contact_sheet.sheet(pairs + (list(contact_sheet.drawn(darkroom, of_others())) if kept else [])).save(out)

    assert {pair.name: round(pair.apart, 1) for pair in pairs if pair.apart > PACKED} == {}
    assert [pair.name for pair in pairs] == list(made)
    with Image.open(out) as drawn:
        assert drawn.width > 1000


def of_others() -> dict[str, contact_sheet.Source]:
    return contact_sheet.found(corpus.SHARED / "corpus")
