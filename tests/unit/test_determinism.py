"""The same file gives the same bytes: in two processes with other hash seeds, and when the clock has gone on."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests import clips, samples
from tests.darkroom import LIMITS, Darkroom
from tests.processes import eventually
from worker.media.formats import format_named
from worker.media.image.client import render_image
from worker.media.jail import Jail
from worker.media.rendered import Rendered
from worker.media.studio import Studio

pytestmark = [pytest.mark.slow, pytest.mark.wide]

EXTRAS = ("original_clean", "share_hdr")


def told(rendered: Rendered) -> list[tuple[str, str]]:
    """Name and hash of every rendition; the facts must agree as well."""
    return [*((made.name, made.sha256) for made in rendered.made), ("facts", repr(rendered.facts))]


def a_second_later(begun: float) -> bool:
    return eventually(lambda: int(time.time()) > int(begun))


@pytest.mark.parametrize("kind", samples.KINDS)
def test_a_picture_gives_the_same_bytes_in_another_process_and_second(
    darkroom: Darkroom, jail: Jail, kind: str
) -> None:
    path, fmt = darkroom.write(samples.KINDS[kind]()), format_named(kind.partition("-")[0])
    begun = time.time()
    try:
        first = render_image(darkroom.jail, path, fmt, LIMITS, on=EXTRAS)
        assert a_second_later(begun)
        second = render_image(jail, path, fmt, LIMITS, on=EXTRAS)
    finally:
        path.unlink()

    assert {"display", "share", "thumb"} <= {made.name for made in first.made}
    assert told(first) == told(second)


def test_a_film_gives_the_same_bytes_in_another_process_and_second(
    darkroom: Darkroom, jail: Jail, tmp_path: Path
) -> None:
    clip, begun, answers = clips.mp4(tmp_path, seconds=1), time.time(), []
    for number, each in enumerate((darkroom.jail, jail)):
        room = tmp_path / f"room-{number}"
        room.mkdir()
        studio = Studio(jail=each, limits=LIMITS, video_threads=2)
        answers.append(told(studio.render(clip, format_named("mp4"), room, lambda _done: None, lambda: False)))
        assert a_second_later(begun)

    assert [name for name, _hash in answers[0]] == ["video", "poster", "thumb", "facts"]
    assert answers[0] == answers[1]
