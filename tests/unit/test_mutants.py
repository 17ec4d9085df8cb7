"""Mutants of what we publish: the second reader refuses them, or the independent judge finds nothing in them."""

from __future__ import annotations

import collections
import functools
import io
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import clips, corpus, mutants, samples
from tests.cinema import LIMITS as FILM_LIMITS
from tests.darkroom import LIMITS, clean
from tests.mutants import CANARY, Mutant
from worker.media.formats import format_named
from worker.media.image import render as workshop
from worker.media.jail import Jail
from worker.media.studio import Studio

# What comes in, its format -> the rendition that is mutated, its type.
PICTURES = {
    "jpeg": (lambda: samples.photo((96, 64)), "jpeg", "share", "image/jpeg"),
    "png": (lambda: samples.rgba_png((64, 48)), "png", "share", "image/png"),
    "webp": (lambda: samples.photo((96, 64)), "jpeg", "display", "image/webp"),
    "webp-alpha": (lambda: samples.rgba_png((64, 48)), "png", "display", "image/webp"),
    "webp-animated": (lambda: samples.animated_gif(3, (48, 32)), "gif", "display", "image/webp"),
    "original-jpeg": (lambda: samples.photo((96, 64), orientation=6), "jpeg", "original_clean", "image/jpeg"),
    "original-progressive": (lambda: samples.progressive_jpeg((96, 64)), "jpeg", "original_clean", "image/jpeg"),
    "original-png": (lambda: samples.png((64, 48)), "png", "original_clean", "image/png"),
    "original-apng": (lambda: samples.apng(3, (48, 32)), "png", "original_clean", "image/png"),
    "original-gif": (lambda: samples.animated_gif(3, (48, 32)), "gif", "original_clean", "image/gif"),
    "original-webp": (lambda: samples.webp((96, 64)), "webp", "original_clean", "image/webp"),
}
# Mutants of each kind that are tried, and those of them that are proven all the same are shown to the judge.
JUDGED, JUDGED_WHOLE = 120, 1_000


@functools.cache
def finished(kind: str) -> tuple[bytes, str]:
    """A rendition as the workshop makes it, and its type. Made here, since the file is our own."""
    maker, name, row, media_type = PICTURES[kind]
    args = {"format": format_named(name).name, "limits": LIMITS.as_args(), "names": [row]}
    answer, (body,) = workshop.render(io.BytesIO(maker()), args)
    assert answer["renditions"][0]["media_type"] == media_type
    return body, media_type


def proven(kind: str, body: bytes, media_type: str) -> bool:
    return clean(body, media_type, rewritten=kind.startswith("original"))


def passes(kind: str, media_type: str, body: bytes, dice: Random) -> Mutant | None:
    """A mutant, where it is proven all the same. None of these may hold what was planted."""
    made = mutants.mutant(media_type, body, dice, ours=not kind.startswith("original"))
    if made.body == body or not proven(kind, made.body, media_type):
        return None
    assert not made.planted, made.what
    return made


@pytest.mark.parametrize("kind", PICTURES)
@settings(max_examples=40, deadline=None, derandomize=True)
@given(dice=st.randoms(use_true_random=False))
def test_nothing_planted_is_proven(kind: str, dice: Random) -> None:
    body, media_type = finished(kind)

    passes(kind, media_type, body, dice)


def test_a_finished_file_is_taken_apart_and_put_together_again() -> None:
    for kind in PICTURES:
        body, media_type = finished(kind)
        split, join = mutants.FORMATS[media_type]

        assert join(split(body)) == body
        assert proven(kind, body, media_type)


@pytest.fixture(scope="module")
def film(jail: Jail, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The smallest film that the workshop makes."""
    folder = tmp_path_factory.mktemp("film")
    clip = clips.mp4(folder, seconds=0.4, size="64x48")
    studio = Studio(jail=jail, limits=FILM_LIMITS, video_threads=1)
    rendered = studio.render(clip, format_named("mp4"), folder, lambda _done: None, lambda: False)
    (path,) = (made.path for made in rendered.made if made.media_type == "video/mp4")
    assert path is not None
    return path.read_bytes()


@pytest.mark.slow
def test_nothing_planted_in_a_film_is_proven(film: bytes) -> None:
    split, join = mutants.FORMATS["video/mp4"]
    assert join(split(film)) == film
    assert clean(film, "video/mp4")

    for seed in range(JUDGED):
        passes("film", "video/mp4", film, Random(seed))


@pytest.mark.slow
def test_boxes_of_a_film_in_another_order_are_refused(film: bytes) -> None:
    """An order that no muxer writes could be a message, and readers differ in what they make of it."""
    split, join = mutants.FORMATS["video/mp4"]
    for row_number, row in enumerate(mutants.rows(split(film))):
        for at in range(len(row) - 1):
            parts = split(film)
            turned = list(mutants.rows(parts))[row_number]
            turned[at], turned[at + 1] = turned[at + 1], turned[at]
            # The free box of the muxer has no content, and may stand before or behind the samples.
            assert b"free" in (row[at].kind, row[at + 1].kind) or not clean(join(parts), "video/mp4"), row[at].kind


@pytest.mark.slow
def test_what_is_proven_all_the_same_is_clean_to_the_judge(
    film: bytes, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    judge = corpus.judge()
    tried = JUDGED_WHOLE if pytestconfig.getoption("whole_corpus") else JUDGED
    cases = {kind: finished(kind) for kind in PICTURES} | {"film": (film, "video/mp4")}
    kept = collections.Counter[str]()
    for kind, (body, media_type) in cases.items():
        for seed in range(tried):
            made = passes(kind, media_type, body, Random(seed))
            if made is not None:
                kept[kind] += 1
                (tmp_path / f"{kind}-{seed}.{media_type.partition('/')[2]}").write_bytes(made.body)

    said = subprocess.run(
        [sys.executable, judge, "--summary", "--canary", CANARY.decode(), tmp_path], capture_output=True, text=True
    )

    assert kept.total() > 20
    assert said.returncode == 0, said.stdout[-2000:]
