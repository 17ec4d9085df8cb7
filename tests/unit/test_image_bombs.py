"""Every bomb of a picture ends with a code of the list, soon and small, and the next picture is served."""

from __future__ import annotations

import contextlib
import os
import random
import time

import pytest

from tests import bombs, samples
from tests.darkroom import LIMITS, Darkroom
from tests.processes import MIB, children_of, zygote
from worker.errors import Unprocessable
from worker.media.codes import CODES
from worker.media.formats import format_named, sniff
from worker.media.image.probe import probe

pytestmark = [pytest.mark.slow, pytest.mark.wide]

# What the structure alone betrays: refused before any decoder. The others need a decode to be judged.
_DECODED = frozenset({"avif-lying", "apng-lying", "jpeg-scans-allowed", "png-beyond", "jpeg-profile", "bmp-rle"})


def outcome(darkroom: Darkroom, data: bytes) -> tuple[str, int]:
    """The code ("" for three proven renditions), and the child's peak memory in bytes where it is told."""
    try:
        rendered = darkroom.render(data)
        for made in rendered.made:
            darkroom.prove(made.body or b"", made.media_type)
    except Unprocessable as refusal:
        return refusal.code, int(getattr(refusal, "peak_rss", 0))
    return "", rendered.peak_rss


@pytest.mark.parametrize("name", bombs.PICTURES)
def test_a_bomb_ends_with_its_code_soon_and_small(darkroom: Darkroom, name: str) -> None:
    maker, codes = bombs.PICTURES[name]
    data = maker()
    assert len(data) < 1_100_000 or name == "jpeg-profile"

    code, peak = outcome(darkroom, data)

    assert code in codes
    assert not code or code in CODES
    assert code != "decoder_timeout"
    assert peak < 300 * MIB
    assert os.listdir(darkroom.folder) == []
    assert children_of(zygote(darkroom.jail)) == set()
    assert outcome(darkroom, samples.photo((64, 48)))[0] == ""


@pytest.mark.parametrize("name", sorted(set(bombs.PICTURES) - _DECODED))
def test_what_the_structure_betrays_is_refused_before_any_decoder(name: str) -> None:
    maker, codes = bombs.PICTURES[name]
    data = maker()
    fmt = sniff(data)
    assert fmt is not None

    with pytest.raises(Unprocessable) as refusal:
        probe(data, fmt, LIMITS)

    assert refusal.value.code in codes


@pytest.mark.parametrize("second", [0x00, 0xD0, 0xFF, 0xD8, 0x01])
def test_marker_pairs_are_walked_in_linear_time(second: int) -> None:
    def cost(size: int) -> float:
        data = bombs.ff_pairs(size, second)
        start = time.process_time()
        with contextlib.suppress(Unprocessable):
            probe(data, format_named("jpeg"), LIMITS)
        return time.process_time() - start

    # Sixteen times the bytes: a walk that looks back over them would take 256 times as long.
    assert cost(16_000_000) < 100 * max(min(cost(1_000_000) for _ in range(3)), 0.001)


@pytest.mark.parametrize("name", bombs.POLYGLOTS)
def test_a_polyglot_gives_pictures_without_its_other_half(darkroom: Darkroom, name: str) -> None:
    data = bombs.POLYGLOTS[name]()
    assert b"CANARY" in data

    rendered = darkroom.render(data)

    assert not [made.name for made in rendered.made if b"CANARY" in (made.body or b"")]
    assert set(rendered.facts.removed) & {"trailing_data", "comment"}


@pytest.mark.parametrize("name", bombs.STRANGERS)
def test_a_stranger_is_refused_by_its_first_bytes(darkroom: Darkroom, name: str) -> None:
    data = bombs.STRANGERS[name]

    found = sniff(data)
    with pytest.raises(Unprocessable) as refusal:
        darkroom.render(data, "jpeg")

    assert found is None
    assert refusal.value.code == "unsupported_type"


def test_an_empty_file_says_so(darkroom: Darkroom) -> None:
    with pytest.raises(Unprocessable) as refusal:
        darkroom.render(b"", "jpeg")

    assert refusal.value.code == "empty"


def test_a_file_over_the_limit_is_not_read_to_its_end(darkroom: Darkroom) -> None:
    data = samples.photo((64, 48)) + bytes(3_000_000)
    small = type(LIMITS)(image_bytes=2_000_000)

    with pytest.raises(Unprocessable) as refusal:
        darkroom.render(data, limits=small)

    assert refusal.value.code == "limits:bytes"


@pytest.mark.parametrize("kind", samples.KINDS)
@pytest.mark.parametrize("share", [0.2, 0.55, 0.9])
def test_a_file_cut_anywhere_has_a_code_or_is_whole_enough(darkroom: Darkroom, kind: str, share: float) -> None:
    whole = samples.KINDS[kind]()
    data = whole[: int(len(whole) * share)]

    code, _peak = outcome(darkroom, data)

    # The second picture and the film of a motion photo may be cut away, and a BMP's or TIFF's tail padded.
    allowed = {"truncated", "corrupt", "unsupported_type"} | ({""} if kind == "jpeg-motion" else set())
    assert code in allowed


def test_random_bytes_after_a_good_head_never_crash_a_decoder(darkroom: Darkroom) -> None:
    generator = random.Random(11)
    for kind, maker in samples.KINDS.items():
        data = bytearray(maker())
        for _ in range(12):
            data[generator.randrange(12, len(data))] = generator.randrange(256)
        code, _peak = outcome(darkroom, bytes(data))
        assert code in {*CODES, ""} - {"decoder_crash", "decoder_protocol_error", "not_proven"}, kind
