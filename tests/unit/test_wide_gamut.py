"""Wide gamut as an option: colours beyond sRGB kept under one constant profile, which is all that the proof permits."""

from __future__ import annotations

import hashlib
import io
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from PIL import Image, ImageCms

from tests import charts, corpus, gainmaps, houses, pieces, samples
from tests.charts import chart, managed
from tests.darkroom import Darkroom, clean, opened, rendition
from tests.unit.test_colour_chart import ADOBE, CASES, P3, WIDE, numbered, saved
from worker.media.colours import icc
from worker.media.image.encode import Reel, encoded
from worker.media.proving import prove

pytestmark = pytest.mark.slow

OURS = icc.display_p3()
TYPES = {"jpeg": "image/jpeg", "png": "image/png", "webp": "image/webp", "webp-animated": "image/webp"}
# A picture of a wide space, with what it is in Display P3 by an independent profile.
WIDE_CASES = {
    "jpeg with p3": P3,
    "png with adobe rgb": ADOBE,
    "webp with rec 2020": WIDE,
    "jpeg with adobe rgb in exif": ADOBE,
    "png with cicp p3 over another profile": P3,
    "heic with nclx p3": P3,
}
NARROW = ("png without a word", "png with gamma alone", "grey png", "cmyk jpeg", "lab tiff", "16-bit grey png")


def test_the_profile_is_small_constant_and_names_nobody() -> None:
    assert hashlib.sha256(OURS).hexdigest() == "73191bcf4d109faaae3ac9115279c6b83b9759bd40e7875d5b328528108e89fa"
    assert len(OURS) <= 600
    assert int.from_bytes(OURS[:4], "big") == len(OURS)
    # Date, maker, model, creator and id of the header (ICC.1, 7.2): a fixed day, and nothing.
    assert OURS[24:36] == struct.pack(">6H", 2000, 1, 1, 0, 0, 0)
    assert not OURS[4:8].strip(b"\0") + OURS[40:64].strip(b"\0") + OURS[80:128].strip(b"\0")
    parsed = ImageCms.ImageCmsProfile(io.BytesIO(OURS)).profile
    assert (parsed.profile_description, parsed.copyright) == ("P3", "CC0")


def test_the_profile_means_display_p3() -> None:
    """Against one of 1,024 steps and published primaries, within a step."""
    found, wanted = managed(chart(), OURS), managed(chart(), P3)

    assert max(abs(a - b) for a, b in zip(found.tobytes(), wanted.tobytes(), strict=True)) <= 1
    assert charts.apart(charts.fields(found), charts.fields(wanted)) < 0.1


@pytest.mark.parametrize("name", WIDE_CASES)
def test_a_wide_picture_keeps_its_colours_under_our_profile(darkroom: Darkroom, name: str) -> None:
    data, _ = CASES[name]()
    wanted = managed(chart(), WIDE_CASES[name], to=P3)

    rendered = darkroom.render(data, wide=True)

    for made in rendered.made:
        found = opened(made)
        assert found.info["icc_profile"] == OURS
        assert darkroom.prove(made.body or b"", made.media_type)
    found = opened(rendition(rendered, "share"))
    assert charts.levels(charts.fields(found), charts.fields(wanted)) < 2
    assert charts.apart(charts.fields(managed(found, OURS)), charts.fields(managed(wanted, P3))) < 1
    for ramp in charts.ramps(found):
        assert all(after > before - 2.5 for before, after in pairwise(charts.lab(colour)[0] for colour in ramp))


@pytest.mark.parametrize("name", NARROW)
def test_a_picture_that_is_not_wide_has_no_profile(darkroom: Darkroom, name: str) -> None:
    data, _ = CASES[name]()

    assert [made.sha256 for made in darkroom.render(data, wide=True).made] == [
        made.sha256 for made in darkroom.render(data).made
    ]
    assert all("icc_profile" not in opened(made).info for made in darkroom.render(data, wide=True).made)


@pytest.mark.parametrize("profile", [pieces.rgb_profile("srgb"), pieces.rgb_profile("srgb", gamma=None)])
def test_a_profile_of_srgb_is_not_wide(darkroom: Darkroom, profile: bytes) -> None:
    data = saved(chart(), "PNG", icc_profile=profile)

    assert all("icc_profile" not in opened(made).info for made in darkroom.render(data, wide=True).made)


def test_without_the_option_no_profile_goes_out(darkroom: Darkroom) -> None:
    data, _ = CASES["jpeg with p3"]()

    assert all("icc_profile" not in opened(made).info for made in darkroom.render(data).made)


@pytest.mark.parametrize("source", [samples.rgba_png, samples.apng])
def test_alpha_and_animation_keep_their_colours_too(darkroom: Darkroom, source: Callable[[], bytes]) -> None:
    data = pieces.with_chunks(source(), pieces.chunk(b"cICP", b"\x0c\x0d\0\1"))

    first, second = darkroom.render(data, wide=True), darkroom.render(data, wide=True)

    assert [made.sha256 for made in first.made] == [made.sha256 for made in second.made]
    for made in first.made:
        assert opened(made).info["icc_profile"] == OURS
        assert darkroom.prove(made.body or b"", made.media_type)
    if source is samples.apng:
        assert opened(rendition(first, "display")).n_frames == 4  # type: ignore[attr-defined]


def test_high_dynamic_range_goes_to_display_p3_as_well(darkroom: Darkroom) -> None:
    data = numbered(saved(Image.new("RGB", (64, 64), (40, 150, 40)), "AVIF", quality=100, subsampling="4:4:4"), 9, 16)

    wide, plain = (opened(rendition(darkroom.render(data, wide=wide), "share")) for wide in (True, False))

    assert wide.info["icc_profile"] == OURS
    as_srgb = managed(wide, OURS).getpixel((32, 32))
    assert all(abs(a - b) <= 4 for a, b in zip(as_srgb, plain.getpixel((32, 32)), strict=True))  # type: ignore[arg-type]


def test_a_gain_map_goes_with_a_wide_base(darkroom: Darkroom) -> None:
    named = pieces.segment(0xE2, b"ICC_PROFILE\0\1\1" + P3)
    data = pieces.with_segments(gainmaps.ultra_hdr(index=False), named)

    made = rendition(darkroom.render(data, names=("share", "share_hdr"), wide=True), "share_hdr")

    assert prove(darkroom.jail, made.body or b"", made.media_type, gain_map=True)
    base = Image.open(io.BytesIO(made.body or b""))
    assert base.info["icc_profile"] == OURS
    assert (made.body or b"").count(b"ICC_PROFILE") == 1


def good(kind: str) -> bytes:
    if kind != "webp-animated":
        return encoded(samples.scene(96, 64), TYPES[kind], 85, profile=OURS)
    reel = Reel((96, 64), 0, 75, OURS)
    for number in range(2):
        reel.add(Image.new("RGB", (96, 64), (200, 40 * number, 30)), 40)
    return reel.body()


def with_another(kind: str, profile: bytes) -> bytes:
    """The same file with these bytes for a profile, its container right."""
    data = good(kind)
    if kind == "jpeg":
        named = b"ICC_PROFILE\0\1\1"
        return data.replace(pieces.segment(0xE2, named + OURS), pieces.segment(0xE2, named + profile))
    if kind == "png":
        chunks = [(name, b"ICC Profile\0\0" + zlib.compress(profile, 0)) if name == b"iCCP" else (name, body)
                  for name, body in pieces.chunks_of(data)]  # fmt: skip
        return pieces.png_of(chunks)
    inner = [(name, profile if name == b"ICCP" else body) for name, body in pieces.riff_chunks(data)]
    return pieces.webp_of(*(pieces.riff(name, body) for name, body in inner))


@pytest.mark.parametrize("kind", TYPES)
def test_only_exactly_our_profile_is_proven(kind: str) -> None:
    changed = [OURS[:at] + bytes((OURS[at] ^ 1,)) + OURS[at + 1 :] for at in (4, 30, 83, 250, 300, 420, len(OURS) - 1)]

    assert clean(good(kind), TYPES[kind])
    assert clean(with_another(kind, OURS), TYPES[kind])
    for other in [*changed, OURS + b"\0", OURS[:-1], b"", OURS + OURS, P3]:
        assert not clean(with_another(kind, other), TYPES[kind])


def test_the_profile_stands_in_one_place_once() -> None:
    jpeg, png, webp = good("jpeg"), good("png"), good("webp")
    segment = pieces.segment(0xE2, b"ICC_PROFILE\0\1\1" + OURS)
    head, picture = pieces.riff_chunks(webp)[0], pieces.riff_chunks(webp)[2:]
    icc_chunk = next(body for kind, body in pieces.chunks_of(png) if kind == b"iCCP")
    without = bytes((head[1][0] & ~0x20,)) + head[1][1:]
    spoiled = {
        "twice": ("image/jpeg", jpeg.replace(segment, segment * 2)),
        "before APP0": ("image/jpeg", jpeg[:2] + segment + jpeg[2:].replace(segment, b"")),
        "of two parts": ("image/jpeg", jpeg.replace(b"ICC_PROFILE\0\1\1", b"ICC_PROFILE\0\1\2")),
        "twice in PNG": ("image/png", pieces.with_chunks(png, pieces.chunk(b"iCCP", icc_chunk))),
        "beside sRGB": ("image/png", pieces.with_chunks(png, pieces.chunk(b"sRGB", b"\0"))),
        "of another name": ("image/png", png.replace(b"ICC Profile\0\0\x78", b"ICC profile\0\0\x78")),
        "packed": ("image/png", pieces.png_of(
            [(kind, b"ICC Profile\0\0" + zlib.compress(OURS)) if kind == b"iCCP" else (kind, body)
             for kind, body in pieces.chunks_of(png)]
        )),
        "not announced": ("image/webp", pieces.webp_of(
            pieces.riff(b"VP8X", without), *(pieces.riff(*each) for each in pieces.riff_chunks(webp)[1:])
        )),
        "announced and not there": ("image/webp", pieces.webp_of(*(pieces.riff(*each) for each in [head, *picture]))),
        "behind the picture": ("image/webp", pieces.webp_of(
            *(pieces.riff(*each) for each in [head, *picture, (b"ICCP", OURS)])
        )),
        "alone": ("image/webp", pieces.webp_of(pieces.riff(*head), pieces.riff(b"ICCP", OURS))),
    }  # fmt: skip
    assert clean(jpeg, "image/jpeg")
    assert clean(webp, "image/webp")

    assert [name for name, (media_type, data) in spoiled.items() if clean(data, media_type)] == []


def test_an_independent_judge_finds_nothing_else(darkroom: Darkroom, tmp_path: Path) -> None:
    leakcheck, allowed = corpus.judge(), tmp_path / "ours.icc"
    allowed.write_bytes(OURS)
    data, _ = CASES["jpeg with p3"]()
    renditions = tmp_path / "out"
    renditions.mkdir()
    animated = pieces.with_chunks(samples.apng(), pieces.chunk(b"cICP", b"\x0c\x0d\0\1"))
    see_through = pieces.with_chunks(samples.rgba_png(), pieces.chunk(b"cICP", b"\x0c\x0d\0\1"))
    for number, source in enumerate((data, animated, see_through)):
        for made in darkroom.render(source, wide=True).made:
            (renditions / f"{number}-{made.name}.{made.media_type.partition('/')[2]}").write_bytes(made.body or b"")

    # Its list of tags knows no WebP with a profile, so it reads the bytes alone.
    layers = ["--layers", "structure,bitstream,bytes"]
    command = [sys.executable, str(leakcheck), *layers, "--icc-allow", str(allowed), str(renditions)]
    judged = subprocess.run(command, capture_output=True, text=True)

    assert judged.returncode == 0, judged.stdout[-2000:]


def test_the_setting_reaches_the_workshop(tmp_path: Path, darkroom: Darkroom) -> None:
    house = houses.build(tmp_path / "home", jail=darkroom.jail, wide_gamut=True)

    assert house.processing.studio.wide_gamut
    house.ledger.close()
