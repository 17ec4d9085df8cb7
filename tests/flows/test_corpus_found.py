"""What we report of real files, beside what an independent reader sees in them: `--whole-corpus` only."""

from __future__ import annotations

import shutil

import pytest

from tests import corpus
from tests.bench.found import compared

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("folder", ["corpus", "corpus-hostile"])
def test_no_kind_that_exiftool_sees_goes_unreported(folder: str, pytestconfig: pytest.Config) -> None:
    if not pytestconfig.getoption("whole_corpus"):
        pytest.skip("only with --whole-corpus")
    if shutil.which("exiftool") is None:
        pytest.skip("needs exiftool")

    seen = compared(corpus.files(folder, pytestconfig, one_in=1))

    assert len(seen) > 100
    assert {each.path.name: each.missed for each in seen if each.missed} == {}
