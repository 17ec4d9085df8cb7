"""What was found in a clip is counted by kind, never by value, and nothing with a name goes uncounted."""

from __future__ import annotations

from typing import Any

import pytest

from worker.media.image.metadata import KINDS
from worker.media.video import tags
from worker.media.video.ffprobe import Told


def told(*streams: dict[str, Any], chapters: int = 0, **named: str) -> Told:
    return Told(format={"tags": named}, streams=streams, chapters=({},) * chapters)


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
        ("something.of.a.vendor", "unknown_block"),
    ],
)
def test_a_tag_counts_as_its_kind(name: str, kind: str) -> None:
    assert tags.removed(told(**{name: "x"})) == {kind: 1}


def test_what_every_file_carries_is_no_finding() -> None:
    plain = {"language": "und", "handler_name": "VideoHandler", "vendor_id": "[0][0][0][0]"}

    assert tags.removed(told({"codec_type": "video", "tags": plain}, major_brand="isom", minor_version="512")) == {}
    assert tags.removed(told({"codec_type": "video", "tags": {"handler_name": "GoPro AVC"}})) == {"software": 1}


@pytest.mark.parametrize(
    ("stream", "kind"),
    [
        ({"codec_type": "subtitle"}, "subtitles"),
        ({"codec_type": "attachment"}, "attachments"),
        ({"codec_type": "data", "codec_tag_string": "gpmd"}, "telemetry"),
        ({"codec_type": "data", "codec_tag_string": "tmcd"}, "timestamps"),
        ({"codec_type": "data", "codec_tag_string": ["tmcd"]}, "telemetry"),
        ({"codec_type": "video", "disposition": {"attached_pic": 1}}, "thumbnail"),
    ],
)
def test_a_stream_beside_the_film_counts_as_its_kind(stream: dict[str, Any], kind: str) -> None:
    assert tags.removed(told({"codec_type": "video"}, {"codec_type": "audio"}, stream)) == {kind: 1}


def test_chapters_and_a_second_picture() -> None:
    text = {"codec_type": "data", "codec_tag_string": "text"}

    assert tags.removed(told({"codec_type": "video"}, chapters=3)) == {"chapters": 1}
    assert tags.removed(told({"codec_type": "video"}, text, chapters=3)) == {"chapters": 1}
    assert tags.removed(told({"codec_type": "video"}, {"codec_type": "video"})) == {"second_picture": 1}


def test_no_value_is_in_the_answer_and_every_kind_is_of_the_list() -> None:
    found = tags.removed(
        told({"tags": ["canary"], "codec_type": "data"}, title="canary", canary="canary", gps="canary")
    )

    assert "canary" not in str(found)
    assert list(found) == sorted(found)
    assert set(found) <= set(KINDS)
