"""Rewritten originals: the same samples, nothing else of the file, upright, in colours that are still right."""

from __future__ import annotations

import functools
import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image, ImageSequence

from tests import canaries, pieces, planted, samples
from tests.darkroom import Darkroom, clean, rendition
from worker.media.colours import icc
from worker.media.formats import Format, sniff
from worker.media.image.colour import without_hidden
from worker.media.image.encode import encoded
from worker.media.image.probe import probe
from worker.media.limits import MediaLimits
from worker.media.lossless import Rewritten, Stored, lzw, turbojpeg
from worker.media.lossless import rewritten as rewritten_as
from worker.media.lossless.declined import Declined

# Some plants are broken copies of real things, of which Pillow warns.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:Image appears to be a malformed MPO file")]

WORD = b"CANARY_7731"
JPEG, PNG, GIF, WEBP = "image/jpeg", "image/png", "image/gif", "image/webp"
# Of the kinds that are taken in, those whose container is rewritten.
KINDS = [kind for kind in samples.KINDS if kind.partition("-")[0] in ("jpeg", "png", "gif", "webp")]


def format_of(data: bytes) -> Format:
    found = sniff(data[:4096])
    assert found is not None
    return found


def tried(data: bytes, orientation: int = 1) -> Rewritten:
    """What the jail's child does, in this process: for bytes that only tests have made."""
    fmt = format_of(data)
    with Image.open(io.BytesIO(data)) as image:
        stored = Stored(mode=image.mode, profile=image.info.get("icc_profile"))
    return rewritten_as(data, fmt, probe(data, fmt, MediaLimits()), orientation, stored)


def rewritten(data: bytes, orientation: int = 1) -> bytes:
    made = tried(data, orientation)
    assert made.code == ""
    assert made.body is not None
    return made.body


def proven(body: bytes) -> bool:
    return clean(body, format_of(body).media_type, rewritten=True)


def frames_of(data: bytes) -> list[tuple[Any, ...]]:
    """Size, time and pixels of each frame, colour under full transparency left out."""
    found = []
    with Image.open(io.BytesIO(data)) as image:
        for frame in ImageSequence.Iterator(image):
            shown = frame.copy() if frame.mode in ("CMYK", "L", "I;16", "I") else frame.convert("RGBA").convert("RGBa")
            found.append((shown.size, frame.info.get("duration"), shown.mode, shown.tobytes()))
    return found


@functools.cache
def good(kind: str) -> bytes:
    """A finished original_clean."""
    return rewritten(SOURCES[kind]())


def still_palette() -> bytes:
    """A GIF of 16 entries of which a pixel uses three."""
    picture = Image.new("P", (40, 30), 0)
    picture.putpalette([0, 0, 0, 250, 60, 20, 10, 200, 90] + [7, 7, 7] * 13)
    picture.paste(1, (5, 5, 20, 20))
    picture.paste(2, (20, 5, 30, 20))
    body = io.BytesIO()
    picture.save(body, "GIF", optimize=False)
    return body.getvalue()


def lossless_webp(image: Image.Image, **more: object) -> bytes:
    body = io.BytesIO()
    image.save(body, "WEBP", lossless=True, **more)
    return body.getvalue()


SOURCES: dict[str, Callable[[], bytes]] = {
    **{kind: samples.KINDS[kind] for kind in KINDS},
    "jpeg-restarts": lambda: samples.photo(restart_marker_blocks=3),
    "jpeg-own-tables": lambda: samples.photo(optimize=True),
    "jpeg-444": lambda: samples.photo(subsampling="4:4:4"),
    "gif-palette": still_palette,
    "gif-once": lambda: samples.animated_gif(loop=None),
    "webp-alpha": lambda: encoded(without_hidden(samples.see_through()), WEBP, 80),
    "webp-lossless": lambda: lossless_webp(samples.see_through(), exact=True),
}


@pytest.mark.parametrize("kind", SOURCES)
def test_samples_timing_and_alpha_are_those_of_the_original(kind: str) -> None:
    data = SOURCES[kind]()

    made = good(kind)

    with Image.open(io.BytesIO(data)) as before, Image.open(io.BytesIO(made)) as after:
        assert before.info.get("loop") == after.info.get("loop")
        # Behind a motion photo's end lies a second picture, which Pillow counts.
        assert after.format == ("JPEG" if kind.startswith("jpeg") else before.format)
    assert frames_of(made) == frames_of(data)
    assert proven(made)


def test_deep_samples_stay_deep() -> None:
    wide = zlib.compress(b"".join(b"\0" + struct.pack(">90H", *range(y, y + 9000, 100)) for y in range(20)))
    deep = pieces.PNG + pieces.header(30, 20, depth=16) + pieces.chunk(b"IDAT", wide) + pieces.chunk(b"IEND")

    for data in (deep, samples.deep_png()):
        made = rewritten(data)

        packed = [b"".join(b for k, b in pieces.chunks_of(each) if k == b"IDAT") for each in (data, made)]
        assert zlib.decompress(packed[0]) == zlib.decompress(packed[1])
        assert pieces.chunks_of(data)[0] == pieces.chunks_of(made)[0]
        assert proven(made)


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize("kind", ["jpeg", "jpeg-444", "jpeg-progressive", "jpeg-restarts"])
def test_a_jpeg_of_whole_blocks_is_turned_without_loss(kind: str, orientation: int) -> None:
    data = SOURCES[kind]()
    back = {6: 8, 8: 6}.get(orientation, orientation)

    made = rewritten(data, orientation)
    returned = rewritten(made, back)

    with Image.open(io.BytesIO(made)) as turned:
        assert "exif" not in turned.info
        assert turned.size == ((480, 640) if orientation >= 5 else (640, 480)) or kind == "jpeg-progressive"
    # Its coefficients are the same: turned back, it decodes to the very pixels of the original.
    assert frames_of(returned) == frames_of(good(kind))
    assert proven(made)


@pytest.mark.parametrize("orientation", range(2, 9))
def test_a_jpeg_is_upright_in_any_viewer(orientation: int) -> None:
    data = samples.photo(image=samples.corners(90, 70), orientation=orientation, subsampling="4:2:0")

    made = rewritten(data, orientation)

    with Image.open(io.BytesIO(made)) as after, Image.open(io.BytesIO(data)) as before:
        tag = dict(after.getexif())
        assert tag in ({}, {0x0112: orientation})
        assert bool(tag) == (after.size == before.size and after.tobytes() == before.tobytes())
    assert proven(made)
    assert made.count(b"Exif") == bool(tag)


@pytest.mark.parametrize("kind", ["png", "png-rgba", "webp-lossless"])
@pytest.mark.parametrize("orientation", [3, 6, 7])
def test_lossless_pixels_are_turned(kind: str, orientation: int) -> None:
    data = SOURCES[kind]()
    back = {6: 8}.get(orientation, orientation)

    made = rewritten(data, orientation)

    assert frames_of(rewritten(made, back)) == frames_of(good(kind))
    assert frames_of(made) != frames_of(good(kind))
    assert proven(made)


@pytest.mark.parametrize("kind", ["webp", "png-deep", "png-animated", "webp-animated"])
def test_what_cannot_be_turned_without_loss_is_left_out(kind: str) -> None:
    assert tried(SOURCES[kind](), 6) == Rewritten(code="orientation")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(lambda: samples.photo(icc=pieces.rgb_profile("srgb", gamma=None)), None, id="sRGB"),
        pytest.param(lambda: samples.photo(icc=pieces.rgb_profile("p3", gamma=None)), icc.display_p3(), id="P3"),
        pytest.param(lambda: samples.photo(icc=b"no profile at all"), None, id="no profile"),
        pytest.param(lambda: samples.photo(icc=pieces.rgb_profile("adobe")), "colour_profile", id="Adobe RGB"),
        pytest.param(lambda: samples.photo(icc=pieces.rgb_profile("srgb")), "colour_profile", id="another curve"),
        pytest.param(lambda: samples.cmyk_jpeg(icc=pieces.cmyk_profile()), "colour_profile", id="CMYK"),
        pytest.param(lambda: samples.grey_jpeg(icc=pieces.grey_profile(1.8)), "colour_profile", id="grey"),
        pytest.param(lambda: coded_png(b"cICP", b"\x0c\x0d\0\1"), icc.display_p3(), id="PNG, P3 by numbers"),
        pytest.param(lambda: coded_png(b"cICP", b"\x09\x10\0\1"), "colour_profile", id="PNG, PQ"),
        pytest.param(lambda: coded_png(b"gAMA", struct.pack(">I", 100_000)), "colour_profile", id="PNG, linear"),
        pytest.param(lambda: coded_png(b"gAMA", struct.pack(">I", 45_455)), None, id="PNG, gamma"),
    ],
)
def test_colours_stay_right_and_no_profile_of_a_camera_stays(
    data: Callable[[], bytes], expected: bytes | str | None
) -> None:
    made = tried(data())

    if isinstance(expected, str):
        assert made == Rewritten(code=expected)
        return
    assert made.body is not None
    with Image.open(io.BytesIO(made.body)) as image:
        assert image.info.get("icc_profile") == expected
    assert proven(made.body)


def coded_png(kind: bytes, body: bytes) -> bytes:
    return pieces.with_chunks(samples.png(), pieces.chunk(kind, body))


def test_p3_stays_p3_in_png_and_webp() -> None:
    body = io.BytesIO()
    samples.scene(64, 48).save(body, "WEBP", icc_profile=pieces.rgb_profile("p3", gamma=None))
    for data in (body.getvalue(), coded_png(b"iCCP", b"x\0\0" + zlib.compress(pieces.rgb_profile("p3", gamma=None)))):
        made = rewritten(data)

        with Image.open(io.BytesIO(made)) as image:
            assert image.info["icc_profile"] == icc.display_p3()
        assert frames_of(made) == frames_of(data)
        assert proven(made)


def test_an_rgb_jpeg_keeps_the_one_word_that_says_so() -> None:
    data = samples.photo(subsampling="4:4:4", keep_rgb=True)

    made = rewritten(data)

    assert made[2:18] == b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\0"
    assert frames_of(made) == frames_of(data)
    assert proven(made)


@functools.cache
def planted_inputs() -> dict[str, bytes]:
    """A word in every place of a file that comes in."""
    jpeg = samples.photo()
    plain = good("jpeg")
    progressive = good("jpeg-progressive")
    words = {
        **planted.into_jpeg(plain, WORD),
        "jpg-all": samples.photo(canary=WORD.decode()),
        "jpg-motion": samples.motion_photo(WORD.decode()),
        "jpg-between-scans": planted.between_scans(progressive, WORD),
        "jpg-early-scan-tail": planted.scan_tail(progressive, WORD),
        **planted.into_png(good("png"), WORD),
        "png-all": samples.png(canary=WORD.decode()),
        "png-palette": planted.into_palette(good("png-palette"), WORD),
        **planted.into_apng(good("png-animated"), WORD),
        **planted.into_gif(good("gif-animated"), WORD),
        "gif-palette": planted.into_gif_palette(good("gif-palette"), 9, WORD),
        **planted.into_webp(good("webp"), (320, 240), WORD),
        "webp-anmf": planted.into_frames(good("webp-animated"), WORD),
    }
    assert jpeg not in words.values()
    return words


PLANTS = sorted(planted_inputs())
# What a rewriting cannot take out of the samples themselves: there the second reader refuses (next test).
_NOT_REPAIRED = {"webp-vp8-tail"}


@pytest.mark.parametrize("name", PLANTS)
def test_a_planted_word_is_gone(name: str) -> None:
    data = planted_inputs()[name]

    made = tried(data)

    assert made.body is None or name in _NOT_REPAIRED or (proven(made.body) and not in_it(made.body)), name
    assert made.body is not None or (name, made.code) == ("png-gamma", "colour_profile")


def in_it(body: bytes) -> bool:
    """The word in any dress, also inside what is packed in a PNG."""
    chunks = pieces.chunks_of(body) if body.startswith(pieces.PNG) else []
    unpacked = b"".join(zlib.decompressobj().decompress(part[-4:] and part) for kind, part in chunks if kind == b"IDAT")
    return bool(canaries.found([WORD.decode()], body) or canaries.found([WORD.decode()], unpacked))


@pytest.mark.parametrize("name", PLANTS)
def test_a_finished_copy_with_a_planted_word_is_refused(name: str) -> None:
    assert not proven(planted_inputs()[name])


def test_colour_under_transparency_is_made_black() -> None:
    for kind in ("png-rgba", "webp-lossless"):
        with Image.open(io.BytesIO(good(kind))) as image:
            assert image.convert("RGBA").getpixel((3, 3)) == (0, 0, 0, 0)
        assert not proven(SOURCES[kind]())


def test_a_hidden_default_image_is_left_behind() -> None:
    chunks = pieces.chunks_of(samples.apng())
    hidden = [(kind, body) for kind, body in pieces.chunks_of(samples.png((96, 64))) if kind == b"IDAT"]
    first = next(number for number, (kind, _) in enumerate(chunks) if kind == b"fcTL")
    shown, rest, sequence = [chunks[first]], [], 1
    for kind, body in chunks[first + 1 : -1]:
        rest.append(
            (b"fcTL" if kind == b"fcTL" else b"fdAT", struct.pack(">I", sequence) + body[4 * (kind != b"IDAT") :])
        )
        sequence += 1
    rest.append((b"IEND", b""))
    data = pieces.png_of([*chunks[:first], *hidden, *shown, *rest])

    made = rewritten(data)

    assert frames_of(made) == frames_of(data)[1:]
    assert proven(made)
    assert not proven(data)


@pytest.mark.parametrize("minimum", [2, 8])
def test_codes_of_a_gif_end_with_the_last_pixel(minimum: int) -> None:
    picture = Image.effect_noise((90, 70), 80).quantize(1 << minimum, method=Image.Quantize.FASTOCTREE)
    body = io.BytesIO()
    picture.save(body, "GIF")

    made = rewritten(body.getvalue())

    assert frames_of(made) == frames_of(body.getvalue())
    assert proven(made)
    with pytest.raises(Declined):
        lzw.trimmed(b"\x8c\x2d", 2, 10_000)


def test_the_decoder_tells_a_missing_byte_from_a_spare_one() -> None:
    whole = good("jpeg")

    assert turbojpeg.complaint(whole) is None
    assert turbojpeg.lacks_data(turbojpeg.complaint(whole[:-3] + whole[-2:]))
    assert not turbojpeg.lacks_data(turbojpeg.complaint(whole[:-2] + b"AAAA" * 9 + whole[-2:]))


@pytest.mark.parametrize("kind", ["jpeg", "jpeg-progressive", "png-animated", "gif-animated", "webp-alpha"])
def test_one_call_of_the_jail_makes_it_beside_the_others(darkroom: Darkroom, kind: str) -> None:
    data, calls = SOURCES[kind](), darkroom.calls()

    rendered = darkroom.render(data, names=("display", "original_clean"))

    assert darkroom.calls() == calls + 1
    made = rendition(rendered, "original_clean")
    assert made.body == good(kind)
    assert made.media_type == rendered.facts.media_type
    assert darkroom.prove(made.body or b"", made.media_type, rewritten=True).sha256 == made.sha256


def test_a_format_that_is_not_rewritten_is_said_so(darkroom: Darkroom) -> None:
    rendered = darkroom.render(samples.heic(), names=("thumb", "original_clean"))

    assert [made.name for made in rendered.made] == ["thumb"]
    assert rendered.left_out == {"original_clean": "format"}


def test_what_would_take_too_long_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """An extra may not cost the upload its time: the limits, lowered here, are of the samples that are gone through."""
    monkeypatch.setattr("worker.media.lossless.pixels.MOST_CODED", 1_000)
    monkeypatch.setattr("worker.media.lossless.webp.MOST_CODED", 1_000)
    monkeypatch.setattr("worker.media.lossless.gif.MOST_CODES", 300)

    assert tried(SOURCES["png-rgba"]()) == Rewritten(code="too_large")
    assert tried(SOURCES["webp-lossless"]()) == Rewritten(code="too_large")
    assert tried(SOURCES["gif-animated"]()) == Rewritten(code="too_large")
