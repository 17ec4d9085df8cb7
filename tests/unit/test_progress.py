"""Percentages only rise; ffmpeg's lines are read as numbers or not at all."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from worker.media.video.progress import Counted, Encoded, Progress


def nobody(_seconds: float) -> None:
    """Progress that nobody follows."""


def test_percentages_rise_and_each_is_told_once() -> None:
    heard: list[int] = []
    progress = Progress(tell=heard.append)
    first = progress.step(0, 50, 10.0)

    for seconds in (0.0, 0.1, 5.0, 2.0, 5.0, 99.0, -3.0):
        first(seconds)
    progress.step(50, 100, 0.0)(1.0)

    assert heard == [0, 25, 50, 100]


def test_an_encoding_as_ffmpeg_tells_it() -> None:
    seen: list[float] = []
    told = Encoded(reached=seen.append)

    for line in (
        "frame=30", "fps=12.5", "bitrate=N/A", "out_time_us=1000000", "drop_frames=30", "dup_frames=0",
        "progress=continue", "frame=31", "out_time_us=-9223372036854775807", "progress=end",
    ):  # fmt: skip
        told.line(line)

    assert (told.frames, told.dropped, told.repeated, told.ended) == (31, 30, 0, True)
    assert told.decoded == 61
    assert seen == [1.0]


def test_a_count_as_framehash_writes_it() -> None:
    counted = Counted(reached=nobody)

    for line in (
        "#format: frame checksums", "#tb 0: 1/12800", "#tb 1: 1/44100", "#media_type 0: video",
        "0,          0,          0,      512,    86400, 0x1", "1,          0,          0,     1024,     4096, 0x2",
        "0,        512,        512,      512,    86400, 0x1", "",
    ):  # fmt: skip
        counted.line(line)

    assert counted.frames == {0: 2, 1: 1}
    assert counted.ends_s == {0: 0.08, 1: 1024 / 44_100}


@pytest.mark.parametrize(
    "lines",
    [
        ["0, 0, 0, 512, 1, x"],
        ["#tb 0: 1/0"],
        ["#tb 0: x"],
        ["#tb x: 1/2"],
        ["#tb 0: 1/25", "0, 0, x, 512, 1, x"],
        ["#tb 0: 1/25", "0, 0"],
        ["#tb 0: 1/25", "1, 0, 0, 1, 1, x"],
        ["#tb 0: 1/25", f"0, 0, {'9' * 400}, 1, 1, x"],
        ["#tb 0: 1/25", f"0, 0, {'9' * 9000}, 1, 1, x"],
        [f"#tb {number}: 1/25" for number in range(3)],
    ],
)
def test_what_framehash_does_not_write_is_an_error(lines: list[str]) -> None:
    counted = Counted(reached=nobody)

    with pytest.raises((KeyError, ValueError, ArithmeticError)):
        for line in lines:
            counted.line(line)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.text(max_size=40) | st.from_regex(r"\A(#tb )?\d+[:,] ?[\d/, -]{0,30}\Z")))
def test_no_line_makes_either_stumble_otherwise(lines: list[str]) -> None:
    told, counted = Encoded(reached=nobody), Counted(reached=nobody)
    for line in lines:
        told.line(line)
        try:
            counted.line(line)
        except (KeyError, ValueError, ArithmeticError):
            return
    assert len(counted.frames) <= 2
