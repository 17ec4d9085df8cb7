"""What was found in a clip is counted by kind, never by value, and nothing with a name goes uncounted."""

from __future__ import annotations

import pytest

from tests import pieces
from worker.media.image.metadata import KINDS
from worker.media.video.tags import Found
from worker.media.walk.found import Carrier


def removed(*carriers: tuple[str, bytes]) -> dict[str, int]:
    found = Found()
    for form, data in carriers:
        found.tell(Carrier(form=form, data=data))
    return found.removed()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("location", "location"),
        ("location-eng", "location"),
        ("com.apple.quicktime.location.ISO6709", "location"),
        ("com.apple.quicktime.make", "camera"),
        ("com.apple.quicktime.model", "camera"),
        ("com.android.version", "camera"),
        ("com.apple.quicktime.content.identifier", "serial_number"),
        ("artist", "owner_name"),
        ("copyright", "owner_name"),
        ("creation_time", "timestamps"),
        ("DATE", "timestamps"),
        ("timecode", "timestamps"),
        ("encoder", "software"),
        ("com.apple.quicktime.software", "software"),
        ("title", "caption"),
        ("comment", "comment"),
        ("xmp", "edit_history"),
        ("WM/EncodingTime", "timestamps"),
        ("something.of.a.vendor", "unknown_block"),
    ],
)
def test_a_name_counts_as_its_kind(name: str, kind: str) -> None:
    assert removed(("named", name.encode())) == {kind: 1}


@pytest.mark.parametrize(
    ("form", "data", "kind"),
    [
        ("atom", b"\xa9xyz", "location"),
        ("atom", b"loci", "location"),
        ("atom", b"\xa9mod", "camera"),
        ("atom", b"CAME", "serial_number"),
        ("atom", b"auth", "owner_name"),
        ("atom", b"\xa9day", "timestamps"),
        ("atom", b"\xa9too", "software"),
        ("atom", b"\xa9cmt", "comment"),
        ("atom", b"GPMF", "telemetry"),
        ("atom", b"TAGS", "maker_notes"),
        ("atom", b"cnry", "unknown_block"),
        ("id3", b"TPE1", "owner_name"),
        ("id3", b"XCNY", "unknown_block"),
        ("camera_xml", b'<Device manufacturer="canary"', "camera"),
        ("camera_xml", b"canary", "unknown_block"),
        ("xmp", b'exif:GPSLatitude="48"', "location"),
        ("c2pa", b"canary", "provenance"),
        ("exif", pieces.exif_block({}, gps={0x0002: ((48, 1), (51, 1), (0, 1))}), "location"),
        ("hidden_data", b"", "hidden_data"),
    ],
)
def test_a_carrier_counts_as_its_kind(form: str, data: bytes, kind: str) -> None:
    assert removed((form, data)) == {kind: 1}


def test_no_value_is_in_the_answer_and_every_kind_is_of_the_list() -> None:
    names = [
        ("named", b"canary"),
        ("named", b"\xff\xfe"),
        ("named", b""),
        ("atom", b"\xa9xyz"),
        ("chapters", b"canary"),
    ]
    found = removed(*names, *names)

    assert "canary" not in str(found)
    assert found == {"chapters": 2, "location": 2, "unknown_block": 6}
    assert set(found) <= set(KINDS)
