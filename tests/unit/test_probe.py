"""The first wall: sizes, frames and limits from structure alone, and each limit with a code of its own."""

from __future__ import annotations

import dataclasses
import functools
import io
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests import bombs, pieces, samples
from tests.darkroom import LIMITS, picture
from worker.errors import Unprocessable
from worker.media.codes import CODES
from worker.media.formats import format_named, sniff
from worker.media.image.probe import judge, probe
from worker.media.limits import MediaLimits
from worker.media.walk.found import Walked

pytestmark = pytest.mark.slow


@functools.cache
def made(kind: str) -> bytes:
    return samples.KINDS[kind]()


def walked(data: bytes, limits: MediaLimits = LIMITS) -> Walked:
    fmt = sniff(data)
    assert fmt is not None
    return probe(data, fmt, limits)


def refusal(data: bytes, limits: MediaLimits) -> str:
    with pytest.raises(Unprocessable) as found:
        walked(data, limits)
    assert found.value.code in CODES
    return found.value.code


def but(**values: int) -> MediaLimits:
    return dataclasses.replace(LIMITS, **values)


@pytest.mark.parametrize("kind", samples.KINDS)
def test_size_and_frames_are_those_a_decoder_finds(kind: str) -> None:
    data = samples.KINDS[kind]()
    image = picture(data)

    found = walked(data)

    assert (found.width, found.height) == image.size
    assert found.frames == getattr(image, "n_frames", 1)


ANIMATION = samples.animated_gif(5, (120, 80))
CASES = {
    "limits:bytes": (samples.photo, {"image_bytes": 1_000}),
    "limits:pixels": (samples.photo, {"pixels": 640 * 480 - 1}),
    "limits:side": (samples.photo, {"side": 639}),
    "limits:aspect": (lambda: bombs.jpeg_claiming(400, 4), {"aspect": 99}),
    "limits:frames": (lambda: ANIMATION, {"frames": 4}),
    "limits:frame_pixels": (lambda: ANIMATION, {"frame_pixels_total": 5 * 120 * 80 - 1, "pixels": 120 * 80}),
    "limits:segments": (samples.photo, {"segments": 8}),
    "limits:scans": (samples.progressive_jpeg, {"scans": 5}),
    "limits:chunks": (samples.png, {"chunks": 5}),
    "limits:pages": (lambda: bombs.tiff_of_pages(5), {"pages": 4}),
    "limits:boxes": (samples.heic, {"boxes": 10}),
}


@pytest.mark.parametrize("code", CASES)
def test_each_limit_has_its_code_and_one_less_would_do(code: str) -> None:
    maker, values = CASES[code]
    data = maker()

    found = refusal(data, but(**values))

    assert found == code
    assert walked(data).width > 0


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("png-animated", "limits:frames"),
        ("webp-animated", "limits:frames"),
        ("webp", "limits:chunks"),
        ("gif-animated", "limits:chunks"),
        ("avif", "limits:boxes"),
    ],
)
def test_the_limit_holds_in_every_format_that_has_it(kind: str, code: str) -> None:
    small = but(frames=3, boxes=8, chunks=2 if kind in ("webp", "gif-animated") else 100)

    assert refusal(samples.KINDS[kind](), small) == code


@pytest.mark.parametrize("kind", samples.KINDS)
def test_every_format_is_judged_by_its_headers_before_any_decoder(kind: str) -> None:
    data = made(kind)

    assert refusal(data, but(pixels=1_000)) == "limits:pixels"
    assert refusal(data, but(side=40)) == "limits:side"


def test_the_limits_cross_to_the_jail_and_back() -> None:
    limits = but(pixels=123_456, frames=7)

    assert MediaLimits.from_args(limits.as_args()) == limits
    with pytest.raises((TypeError, ValueError)):
        MediaLimits.from_args({"pixels": "many"})
    with pytest.raises(TypeError):
        MediaLimits.from_args({"colours": 3})


def test_the_defaults_take_what_phones_make() -> None:
    assert (LIMITS.pixels, LIMITS.image_bytes) == (64_000_000, 50_000_000)
    judge(9_248, 6_936 - 20, 1, LIMITS)  # the largest mode of today's phones
    judge(16_384, 3_900, 1, LIMITS)  # a panorama
    with pytest.raises(Unprocessable):
        judge(8_001, 8_001, 1, LIMITS)


def test_a_gif_ends_without_its_trailer_or_with_bytes_behind_it() -> None:
    data = samples.animated_gif()

    assert walked(data[:-1]).frames == 5
    behind = walked(data + b"behind")
    assert [carrier.data for carrier in behind.carriers if carrier.form == "trailing"] == [b"behind"]


def test_a_sequence_may_say_its_size_in_its_track_alone() -> None:
    body = io.BytesIO()
    first, *more = [Image.new("RGB", (64, 48), (number * 90, 20, 40)) for number in range(3)]
    first.save(body, "AVIF", save_all=True, append_images=more, speed=10)

    found = walked(body.getvalue().replace(b"ispe", b"skip"))

    assert (found.width, found.height, found.frames) == (64, 48, 3)


def test_a_jpeg_ends_at_the_end_of_its_first_picture() -> None:
    first = samples.photo((64, 48))

    found = walked(first + samples.photo((320, 240)))

    assert (found.width, found.height) == (64, 48)
    assert [carrier.form for carrier in found.carriers].count("trailing") == 1


def test_the_type_must_be_the_promised_one_for_both_brands_of_heif() -> None:
    with pytest.raises(Unprocessable) as found:
        probe(samples.avif(), format_named("heic"), LIMITS)

    assert found.value.code == "type_mismatch"
    assert probe(samples.heic(), format_named("heif"), LIMITS).width == 160


@pytest.mark.parametrize("codec", [b"av01", b"hvc1"])
def test_a_codec_that_cannot_be_decoded_is_said(codec: bytes) -> None:
    data = samples.avif() if codec == b"av01" else samples.heic()

    assert refusal(data.replace(codec, b"xyz1"), LIMITS) == "unsupported_codec"


@pytest.mark.parametrize("marker", [0xC3, 0xC5, 0xCB])
def test_a_lossless_or_hierarchical_jpeg_is_said(marker: int) -> None:
    data = samples.grey_jpeg().replace(b"\xff\xc0", bytes((0xFF, marker)), 1)

    assert refusal(data, LIMITS) == "unsupported_codec"


def test_a_profile_in_many_segments_counts_as_one() -> None:
    found = walked(bombs.jpeg_with_profile_of(1))

    assert [carrier.form for carrier in found.carriers] == ["icc"]


@pytest.mark.parametrize("kind", samples.KINDS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_damaged_file_is_walked_or_refused_with_a_code(kind: str, data: st.DataObject) -> None:
    body = bytearray(made(kind))
    for _ in range(data.draw(st.integers(1, 6))):
        body[data.draw(st.integers(0, min(len(body), 2_000) - 1))] = data.draw(st.integers(0, 255))
    fmt = sniff(bytes(body))
    if fmt is None or fmt.work_class != "image":
        return

    try:
        found = probe(bytes(body), fmt, LIMITS)
    except Unprocessable as error:
        code = error.code
    else:
        code = ""
        assert 0 < found.width * found.height <= LIMITS.pixels

    assert code == "" or code in CODES


def test_an_animated_png_needs_its_header_first() -> None:
    moved = pieces.PNG + pieces.chunk(b"tEXt", b"a\0b") + samples.png()[8:]

    assert refusal(moved, LIMITS) == "corrupt"
    assert refusal(pieces.PNG + struct.pack(">I", 5), LIMITS) == "truncated"
