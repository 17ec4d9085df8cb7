"""What the README says of settings and reasons is what the code has: each one, its default, its words."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

from worker.media.codes import CODES, LEFT_OUT
from worker.media.image.metadata import KINDS
from worker.settings import PREFIX, Settings

README = Path(__file__).parents[2] / "README.md"
ROW = re.compile(rf"^\| `{PREFIX}([A-Z0-9_]+)` \| (.+?) \| (.+?) \|$", re.MULTILINE)


def shown(default: object) -> str | None:
    """A default as a person would set it; None where it is nothing or follows from another setting."""
    if default is None or default in ((), {}, ""):
        return None
    if isinstance(default, timedelta):
        return f"`{default.days}d`"
    return f"`{default:g}`" if isinstance(default, float) else f"`{default}`"


def test_the_readme_lists_every_setting() -> None:
    rows = {name: default for name, default, _meaning in ROW.findall(README.read_text(encoding="utf-8"))}
    assert sorted(rows) == sorted(name.upper() for name in Settings.model_fields)
    for name, field in Settings.model_fields.items():
        expected = shown(field.default)
        assert expected is None or rows[name.upper()] == expected, name


def test_the_readme_lists_every_reason_in_its_own_words() -> None:
    rows = re.findall(r"^\| `([a-z_:]+)` \| (.+?) \| (rejected|failed) \|$", README.read_text("utf-8"), re.MULTILINE)
    assert rows == [(entry.code, entry.text, entry.outcome.value) for entry in CODES.values()]


def test_the_readme_lists_every_reason_for_leaving_out_an_extra() -> None:
    table = README.read_text("utf-8").partition("| `left_out` says | because |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `([a-z_]+)` \|", table, re.MULTILINE) == list(LEFT_OUT)


def test_the_readme_lists_every_kind_of_what_is_found() -> None:
    rows = re.findall(r"^\| (`[a-z_]+`(?:, `[a-z_]+`)*) \| ", README.read_text("utf-8"), re.MULTILINE)
    listed = {kind for row in rows for kind in re.findall(r"`([a-z_]+)`", row)}
    assert listed >= KINDS
