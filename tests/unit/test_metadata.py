"""What was found in a file is counted by kind, and no value of it is ever told."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests import pieces, samples
from tests.darkroom import LIMITS
from worker.media.formats import sniff
from worker.media.image.metadata import KINDS, removed
from worker.media.image.probe import probe
from worker.media.walk.found import Carrier

MARK = "CANARY_7731"


def found_in(data: bytes) -> dict[str, int]:
    fmt = sniff(data)
    assert fmt is not None
    return removed(probe(data, fmt, LIMITS).carriers)


def jpeg_with(*segments: bytes) -> bytes:
    return pieces.with_segments(samples.grey_jpeg(), *segments)


def png_with(kind: bytes, body: bytes) -> bytes:
    return pieces.with_chunks(samples.deep_png(), pieces.chunk(kind, body))


CARRIERS: dict[str, tuple[Callable[[], bytes], str]] = {
    "comment": (lambda: jpeg_with(pieces.segment(0xFE, b"hello")), "comment"),
    "icc": (lambda: samples.grey_jpeg(icc=pieces.grey_profile(2.2)), "colour_profile"),
    "mpf": (lambda: jpeg_with(pieces.segment(0xE2, b"MPF\0xxxx")), "second_picture"),
    "gain map": (lambda: jpeg_with(pieces.segment(0xE2, b"urn:iso:std:iso:ts:21496:-1\0")), "gain_map"),
    "jumbf": (lambda: jpeg_with(pieces.segment(0xEB, b"JP\0\1")), "provenance"),
    "gopro": (lambda: jpeg_with(pieces.segment(0xE6, b"GoPro\0DEVC")), "telemetry"),
    "vendor": (lambda: jpeg_with(pieces.segment(0xE7, b"anything")), "maker_notes"),
    "jfxx": (lambda: jpeg_with(pieces.segment(0xE0, b"JFXX\0\x13")), "thumbnail"),
    "tail": (lambda: samples.grey_jpeg() + b"tail", "trailing_data"),
    "film": (samples.motion_photo, "embedded_video"),
    "between": (lambda: samples.grey_jpeg()[:20] + b"stray" + samples.grey_jpeg()[20:], "hidden_data"),
    "prompt": (lambda: png_with(b"tEXt", b"parameters\0a cat, by nobody"), "ai_generated"),
    "author": (lambda: png_with(b"tEXt", b"Author\0Ada"), "owner_name"),
    "time": (lambda: png_with(b"tIME", bytes(7)), "timestamps"),
    "c2pa": (lambda: png_with(b"caBX", b"trainedAlgorithmicMedia"), "ai_generated"),
    "unknown": (lambda: png_with(b"caNy", b"x"), "unknown_block"),
    "end": (lambda: samples.png() + b"x", "trailing_data"),
    "raw profile": (
        lambda: png_with(b"tEXt", b"Raw profile type exif\0\nexif\n  8\n" + samples.exif().hex().encode()),
        "location",
    ),
    "gif comment": (samples.animated_gif, "comment"),
    "heic thumbnail": (samples.heic, "thumbnail"),
}


@pytest.mark.parametrize("name", CARRIERS)
def test_each_carrier_counts_as_its_kind(name: str) -> None:
    maker, kind = CARRIERS[name]

    assert found_in(maker()).get(kind, 0) >= 1


def test_a_cameras_photo_is_told_in_full_and_without_a_value() -> None:
    found = found_in(samples.photo(canary=MARK))

    assert set(found) == KINDS & set(found)
    assert {
        "location", "camera", "serial_number", "owner_name", "timestamps", "thumbnail", "maker_notes", "software",
        "comment", "caption", "face_regions", "edit_history",
    } <= set(found)  # fmt: skip
    assert MARK not in repr(found)
    assert list(found) == sorted(found)


@pytest.mark.parametrize("maker", [samples.deep_png, samples.grey_jpeg, samples.bmp, samples.apng])
def test_a_clean_picture_has_nothing(maker: Callable[[], bytes]) -> None:
    assert found_in(maker()) == {}


def test_a_broken_block_counts_as_unknown_and_not_as_absent() -> None:
    assert removed([Carrier(form="exif", data=b"rubbish")]) == {"unknown_block": 1}
    assert removed([Carrier(form="xmp", data=b"rubbish")]) == {"unknown_block": 1}


def test_exif_in_both_orders_says_the_same() -> None:
    little = pieces.exif_block({0x010F: "Examplecam", 0x0112: 6}, {0xA431: "SN-1"}, dict(samples.GPS))

    assert removed([Carrier(form="exif", data=little)])["location"] == 4
    assert removed([Carrier(form="exif", data=little)])["serial_number"] == 1
    assert removed([Carrier(form="exif", data=b"MM\0*\0\0\0\x08\0\1\x01\x0f\0\2\0\0\0\4abc\0\0\0\0\0")]) == {
        "camera": 1
    }
