"""The first wall under floods: whatever fills a file's headers is walked or refused with its code, in little memory."""

from __future__ import annotations

import dataclasses
import functools
import mmap
import tracemalloc
from typing import Any, BinaryIO

import pytest

from tests import floods, pieces, samples
from tests.darkroom import LIMITS, Darkroom
from worker.errors import Unprocessable
from worker.media.codes import CODES
from worker.media.formats import HEAD_BYTES, sniff
from worker.media.image.client import jail_limits
from worker.media.image.metadata import removed
from worker.media.image.probe import probe
from worker.media.limits import MediaLimits

pytestmark = [pytest.mark.slow, pytest.mark.wide]

MOST_MEMORY = 30_000_000
SIZE = 2_000_000
# As many bytes as are made here: what follows from them (markers, sub-blocks) is met as it is at 50 MB.
SMALL = dataclasses.replace(LIMITS, image_bytes=SIZE + 200_000, text_bytes=SIZE // 2)


def code_of(data: bytes | mmap.mmap, limits: MediaLimits) -> str:
    """Walked and counted: "" or the code of the refusal."""
    fmt = sniff(data[:HEAD_BYTES])
    assert fmt is not None
    try:
        removed(probe(data, fmt, limits).carriers)
    except Unprocessable as refusal:
        return refusal.code if refusal.code in CODES else f"not of the list: {refusal.code}"
    return ""


def walked(source: BinaryIO | mmap.mmap | None, _args: dict[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
    """A verb: the pre-walk alone, on the file as the jail hands it over."""
    assert isinstance(source, mmap.mmap)
    return {"code": code_of(source, LIMITS)}, []


@pytest.mark.parametrize("name", floods.PICTURES)
def test_a_flood_is_walked_or_refused_with_its_code(name: str) -> None:
    maker, codes = floods.PICTURES[name]
    data = maker(SIZE)

    assert code_of(data, SMALL) in codes


@pytest.mark.parametrize("name", ["png-inflating", "png-inflating-icc", "png-raw-profile", "tiff-strips", "avif-infos"])
def test_what_grows_while_it_is_walked_is_stopped(name: str) -> None:
    data = floods.PICTURES[name][0](SIZE)
    tracemalloc.start()
    try:
        code_of(data, SMALL)
        _now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < MOST_MEMORY


@pytest.mark.parametrize("name", ["jpeg-comments", "jpeg-stuffed", "png-inflating", "gif-frame", "avif-auxiliaries"])
def test_the_largest_file_is_walked_in_the_jail_without_being_held_in_memory(darkroom: Darkroom, name: str) -> None:
    maker, codes = floods.PICTURES[name]

    little, _code = peak_of(darkroom, samples.grey_jpeg())
    much, code = peak_of(darkroom, maker(LIMITS.image_bytes - 100_000))

    assert code in codes
    assert much - little < MOST_MEMORY


def peak_of(darkroom: Darkroom, data: bytes) -> tuple[int, str]:
    """The most memory of a child that walks the file, in bytes, and the code it ends with."""
    path = darkroom.write(data)
    try:
        with path.open("rb") as stream:
            limits = jail_limits(LIMITS, threads=False)
            answer = darkroom.jail.call("test.walked", stream.fileno(), {}, limits)
    finally:
        path.unlink()
    return answer.peak_rss, answer.header["code"]


@functools.cache
def png() -> bytes:
    return samples.deep_png()


def texts(count: int, size: int) -> bytes:
    return pieces.with_chunks(png(), pieces.chunk(b"tEXt", b"Comment\0" + b"x" * (size - 8)) * count)


def test_text_is_counted_over_all_chunks_and_to_the_byte() -> None:
    limits = dataclasses.replace(LIMITS, text_bytes=10_000)

    assert code_of(texts(10, 1_000), limits) == ""
    assert code_of(texts(10, 1_000) + b"tail", limits) == ""
    assert code_of(texts(10, 1_001), limits) == "limits:text"


def test_carriers_are_counted_though_no_more_of_them_is_looked_into() -> None:
    data = floods.PICTURES["jpeg-comments"][0](12_000_000)
    fmt = sniff(data)
    assert fmt is not None

    found = probe(data, fmt, LIMITS)

    assert sum(len(carrier.data) for carrier in found.carriers) <= 8 << 20
    assert removed(found.carriers) == {"comment": 12_000_000 // 65_537}


def test_a_marker_is_found_wherever_the_window_ends() -> None:
    """The samples are looked through in pieces; a marker may lie across two of them."""
    jpeg = samples.grey_jpeg((32, 32))
    at = jpeg.index(b"\xff\xda") + 10
    for more in range(-3, 3):
        fill = b"\x55" * ((1 << 18) + more - (len(jpeg) - 2 - at))
        assert code_of(jpeg[:-2] + fill + b"\xff\xd9", LIMITS) == ""
        assert code_of(jpeg[:-2] + fill + b"\xff", LIMITS) == "truncated"
