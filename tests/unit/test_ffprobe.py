"""What ffprobe says is another's word: bounded, looked up, judged against the limits, and never able to raise oddly."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from worker.errors import Unprocessable
from worker.media.codes import CODES
from worker.media.limits import MediaLimits
from worker.media.video import ffprobe
from worker.media.video.ffprobe import Clip, Colour, Told

LIMITS = MediaLimits()
PICTURE = {"codec_type": "video", "codec_name": "h264", "width": 640, "height": 360, "avg_frame_rate": "25/1"}
SOUND = {"codec_type": "audio", "codec_name": "aac", "sample_rate": "44100"}


def told(*streams: dict[str, Any], **form: Any) -> Told:
    return ffprobe.parse(json.dumps({"streams": streams, "chapters": [], "format": form}).encode())


def judged(*streams: dict[str, Any], **form: Any) -> Clip:
    return ffprobe.judge(told(*streams, **form), LIMITS)


def refused(*streams: dict[str, Any], **form: Any) -> str:
    with pytest.raises(Unprocessable) as caught:
        judged(*streams, **form)
    return caught.value.code


def test_a_plain_clip() -> None:
    clip = judged(PICTURE | {"nb_frames": "50", "r_frame_rate": "25/1"}, SOUND, duration="2.000")

    assert (clip.width, clip.height, clip.pixels) == (640, 360, 640 * 360)
    assert (clip.duration_s, clip.frames, clip.rate, clip.steady) == (2.0, 50, Fraction(25), True)
    assert (clip.sound_rate, clip.interlaced, clip.colour) == (44_100, False, Colour.PLAIN)


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"side_data_list": [{"rotation": 90}]}, (360, 640)),
        ({"side_data_list": [{"rotation": -90}]}, (360, 640)),
        ({"side_data_list": [{"rotation": 270.0}]}, (360, 640)),
        ({"side_data_list": [{"rotation": 180}]}, (640, 360)),
        ({"side_data_list": [{"rotation": 45}]}, (640, 360)),
        ({"side_data_list": [{"rotation": True}]}, (640, 360)),
        ({"sample_aspect_ratio": "4:3"}, (853, 360)),
        ({"sample_aspect_ratio": "0:1"}, (640, 360)),
        ({"sample_aspect_ratio": "4:3", "side_data_list": [{"rotation": 90}]}, (360, 853)),
    ],
)
def test_the_size_is_as_shown(changes: dict[str, Any], shown: tuple[int, int]) -> None:
    clip = judged(PICTURE | changes)

    assert (clip.width, clip.height) == shown


@pytest.mark.parametrize(
    ("streams", "form", "code"),
    [
        ([], {}, "no_video"),
        ([SOUND], {}, "no_video"),
        ([PICTURE | {"disposition": {"attached_pic": 1}}, SOUND], {}, "no_video"),
        ([PICTURE | {"disposition": {"timed_thumbnails": 1}}], {}, "no_video"),
        ([PICTURE] * 17, {}, "limits:streams"),
        ([PICTURE | {"width": 16_000, "height": 16_000}], {}, "limits:pixels"),
        ([PICTURE | {"width": 16_385, "height": 100}], {}, "limits:side"),
        ([PICTURE | {"width": 4_000, "height": 16}], {}, "limits:aspect"),
        ([PICTURE | {"sample_aspect_ratio": "1:9999"}], {}, "limits:aspect"),
        ([PICTURE | {"sample_aspect_ratio": "999999:1"}], {}, "limits:pixels"),
        ([PICTURE], {"duration": "600.1"}, "limits:duration"),
        ([PICTURE | {"duration": "4294967.0"}], {"duration": "2.0"}, "limits:duration"),
        ([PICTURE, SOUND | {"duration": "601"}], {"duration": "2.0"}, "limits:duration"),
        ([PICTURE], {"duration": "inf"}, "limits:duration"),
        ([PICTURE | {"avg_frame_rate": "1001/1"}], {}, "limits:frame_rate"),
        ([PICTURE | {"width": 0}], {}, "corrupt"),
        ([PICTURE | {"codec_name": "mjpeg"}], {}, "unsupported_codec"),
        ([PICTURE | {"codec_name": ["h264"]}], {}, "unsupported_codec"),
        ([{"codec_type": "video", "width": 2, "height": 2}], {}, "unsupported_codec"),
        ([PICTURE, SOUND | {"codec_name": "dts"}], {}, "unsupported_codec"),
        ([PICTURE | {"side_data_list": [{"dv_profile": 5}]}], {}, "unsupported_codec"),
    ],
)
def test_each_limit_has_its_own_code(streams: list[dict[str, Any]], form: dict[str, Any], code: str) -> None:
    assert refused(*streams, **form) == code


def test_a_limit_is_the_setting_and_not_one_more() -> None:
    assert judged(PICTURE, duration="600.0").duration_s == 600.0
    assert len(told(*[PICTURE] * 16).streams) == 16
    assert ffprobe.judge(told(*[PICTURE] * 16), LIMITS)


def test_the_first_moving_picture_counts_and_a_cover_before_it_does_not() -> None:
    cover = PICTURE | {"codec_name": "mjpeg", "width": 64, "height": 64, "disposition": {"attached_pic": 1}}

    assert judged(cover, PICTURE | {"width": 320}).width == 320


@pytest.mark.parametrize(
    ("changes", "colour", "matrix", "transfer"),
    [
        ({}, Colour.PLAIN, "smpte170m", "709"),
        ({"width": 1280, "height": 720}, Colour.PLAIN, "bt709", "709"),
        ({"color_space": "bt709"}, Colour.PLAIN, "bt709", "709"),
        ({"color_space": "bt2020nc", "color_primaries": "bt2020"}, Colour.WIDE, "bt2020", "709"),
        ({"color_transfer": "arib-std-b67"}, Colour.BRIGHT, "smpte170m", "arib-std-b67"),
        ({"color_transfer": "smpte2084", "color_space": "x"}, Colour.BRIGHT, "smpte170m", "smpte2084"),
        ({"color_transfer": ["smpte2084"], "color_primaries": {}}, Colour.PLAIN, "smpte170m", "709"),
    ],
)
def test_words_of_colour_are_looked_up(changes: dict[str, Any], colour: Colour, matrix: str, transfer: str) -> None:
    clip = judged(PICTURE | changes)

    assert (clip.colour, clip.matrix, clip.transfer) == (colour, matrix, transfer)


@pytest.mark.parametrize(
    "document",
    [b"", b"[]", b"null", b"\xff", b'{"streams": 3}', b'{"streams": [1]}', b'{"format": []}', b"[" * 100_000],
)
def test_anything_but_its_document_is_a_broken_protocol(document: bytes) -> None:
    with pytest.raises(Unprocessable) as caught:
        ffprobe.parse(document)

    assert caught.value.code == "decoder_protocol_error"


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=3,
)
_KEYS = (*PICTURE, "duration", "nb_frames", "r_frame_rate", "sample_aspect_ratio", "side_data_list", "disposition")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(_KEYS), _JSON), st.dictionaries(st.sampled_from(("duration", "x")), _JSON))
def test_no_answer_makes_it_stumble(changes: dict[str, Any], form: dict[str, Any]) -> None:
    try:
        clip = judged(PICTURE | changes, SOUND | changes, PICTURE, **form)
    except Unprocessable as error:
        if error.code not in CODES:
            raise
    else:
        assert 0 < clip.width * clip.height <= LIMITS.video_pixels
        assert clip.duration_s is None or clip.duration_s <= LIMITS.duration_s
