"""What was found in a file is counted by kind, and no value of it is ever told. Place by place: `tests.carriers`."""

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
