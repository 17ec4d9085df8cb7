"""The table of copies: what is made of itself, and the extras that are made only where they are asked for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from worker.media import renditions
from worker.media.renditions import RENDITIONS, extras, renditions_of
from worker.settings import Settings


@pytest.fixture
def extra(monkeypatch: pytest.MonkeyPatch) -> str:
    """A table with one row more, which is off."""
    row = replace(RENDITIONS[0], name="an_extra", fit=1000, on=False)
    monkeypatch.setattr(renditions, "RENDITIONS", (*RENDITIONS, row))
    return row.name


def names(*given: object, **named: object) -> list[str]:
    return [row.name for row in renditions_of(*given, **named)]  # type: ignore[arg-type]


def test_an_extra_is_made_only_where_it_is_asked_for(extra: str) -> None:
    assert extra in extras()
    assert extra not in names("image")
    assert names("image", on=(extra,)) == ["display", "share", extra, "thumb"]
    assert names("image", (extra,)) == [extra]
    assert extra not in names("frame", on=(extra,))


def test_the_setting_takes_the_extras_of_the_table(extra: str) -> None:
    assert Settings.load({"MAYFLY_RENDITIONS_ON": f" {extra} ,"}).renditions_on == (extra,)
    assert Settings.load({}).renditions_on == ()


def test_a_row_of_another_work_is_no_row_of_this_one() -> None:
    with pytest.raises(KeyError):
        renditions_of("image", ("video",))
