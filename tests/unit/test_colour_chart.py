"""A chart in each way of saying colours, against littleCMS with profiles made apart: small errors, even ramps."""

from __future__ import annotations

import io
import math
import struct
import zlib
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pillow_heif
import pytest
from PIL import Image, ImageChops, ImageCms

from tests import charts, gainmaps, pieces
from tests.charts import chart, managed
from tests.darkroom import Darkroom, near, opened, rendition
from worker.media.limits import MediaLimits
from worker.media.walk import heif

pytestmark = pytest.mark.slow

ADOBE, P3, WIDE = pieces.rgb_profile("adobe"), pieces.rgb_profile("p3", gamma=None), pieces.rgb_profile("rec2020")
WIDE_SRGB = pieces.rgb_profile("rec2020", gamma=None)
ADOBE_POINTS = struct.pack(">8I", 31_270, 32_900, 64_000, 33_000, 21_000, 71_000, 15_000, 6_000)
Case = tuple[bytes, Image.Image]


def saved(image: Image.Image, kind: str, **more: Any) -> bytes:
    body = io.BytesIO()
    image.save(body, kind, **more)
    return body.getvalue()


def with_profile(kind: str, profile: bytes, **more: Any) -> Callable[[], Case]:
    return lambda: (saved(chart(), kind, icc_profile=profile, **more), managed(chart(), profile))


def png_with(*chunks: tuple[bytes, bytes], means: bytes | None, profile: bytes | None = None) -> Callable[[], Case]:
    """A PNG with these chunks, and what its colours mean."""

    def made() -> Case:
        body = saved(chart(), "PNG", **({"icc_profile": profile} if profile else {}))
        body = pieces.with_chunks(body, *(pieces.chunk(kind, content) for kind, content in chunks))
        return body, managed(chart(), means) if means else chart()

    return made


def numbered(data: bytes, primaries: int, transfer: int) -> bytes:
    """A HEIF whose encoder wrote 1 and 13, with other numbers in their place."""
    before, after = (b"nclx" + struct.pack(">HH", *pair) for pair in ((1, 13), (primaries, transfer)))
    assert before in data
    return data.replace(before, after)


def heic(image: Image.Image, profile: bytes | None = None) -> bytes:
    body = io.BytesIO()
    made = pillow_heif.from_pillow(image)
    if profile:
        made.info["icc_profile"] = profile
    made.save(body, quality=100, chroma=444)
    return body.getvalue()


def deep_png(channels: int, profile: bytes | None = None) -> bytes:
    """Sixteen bits a sample, of which the lower eight hold something too."""
    image = chart() if channels == 3 else chart().convert("L")
    row, samples = image.width * channels, image.tobytes()
    lines = [samples[at : at + row] for at in range(0, len(samples), row)]
    body = zlib.compress(b"".join(b"\0" + bytes(part for value in line for part in (value, value)) for line in lines))
    head = pieces.PNG + pieces.header(*image.size, depth=16, colour=2 if channels == 3 else 0)
    named = pieces.chunk(b"iCCP", b"x\0\0" + zlib.compress(profile)) if profile else b""
    return head + named + pieces.chunk(b"IDAT", body) + pieces.chunk(b"IEND")


def deep_tiff() -> Case:
    grey = chart().convert("L")
    wide = Image.frombytes("I;16", grey.size, b"".join(struct.pack("<H", value * 257) for value in grey.tobytes()))
    return saved(wide, "TIFF"), grey.convert("RGB")


def inks() -> Image.Image:
    """The chart as a press would be given it: half of what the three inks share is black."""
    cyan, magenta, yellow, _ = chart().convert("CMYK").split()
    black = ImageChops.darker(ImageChops.darker(cyan, magenta), yellow).point([value // 2 for value in range(256)])
    return Image.merge("CMYK", [*(ImageChops.subtract(ink, black) for ink in (cyan, magenta, yellow)), black])


def printed(kind: str) -> Case:
    press = pieces.offset_profile()
    return saved(inks(), kind, icc_profile=press, **({"quality": 100} if kind == "JPEG" else {})), managed(
        inks(), press
    )


def lab_tiff() -> Case:
    white = ImageCms.createProfile("LAB")
    made = ImageCms.profileToProfile(chart(), ImageCms.createProfile("sRGB"), white, outputMode="LAB")
    assert made is not None
    made.info.clear()
    back = ImageCms.profileToProfile(made, white, ImageCms.createProfile("sRGB"), outputMode="RGB")
    assert back is not None
    return saved(made, "TIFF"), back


def grey(kind: str, gamma: float) -> Case:
    profile, image = pieces.grey_profile(gamma), chart().convert("L")
    data = heic(image, profile) if kind == "HEIC" else saved(image, kind, icc_profile=profile)
    return data, managed(image, profile)


def named_in_exif() -> Case:
    block = pieces.exif_block({0x010F: "Examplecam"}, {0xA001: 2})
    plain = saved(chart(), "JPEG", quality=100, subsampling="4:4:4")
    return pieces.with_segments(plain, pieces.segment(0xE1, b"Exif\0\0" + block)), managed(chart(), ADOBE)


AVIF = {"quality": 100, "subsampling": "4:4:4", "speed": 10}
CASES: dict[str, Callable[[], Case]] = {
    "png without a word": lambda: (saved(chart(), "PNG"), chart()),
    "jpeg with p3": with_profile("JPEG", P3, quality=100, subsampling="4:4:4"),
    "png with adobe rgb": with_profile("PNG", ADOBE),
    "webp with rec 2020": with_profile("WEBP", WIDE, lossless=True),
    "tiff with p3": with_profile("TIFF", P3),
    "avif with p3": with_profile("AVIF", P3, **AVIF),
    "jpeg with adobe rgb in exif": named_in_exif,
    "png with cicp p3 over another profile": png_with((b"cICP", b"\x0c\x0d\0\1"), means=P3, profile=ADOBE),
    "png with cicp rec 2020": png_with((b"cICP", b"\x09\x0d\0\1"), means=WIDE_SRGB),
    "png with cicp over gamma": png_with((b"gAMA", struct.pack(">I", 100_000)), (b"cICP", b"\1\x0d\0\1"), means=None),
    "png with reserved cicp": png_with((b"cICP", b"\x03\x0d\0\1"), means=P3, profile=P3),
    "png with a profile over srgb": png_with((b"sRGB", b"\0"), means=P3, profile=P3),
    "png with srgb over points": png_with((b"cHRM", ADOBE_POINTS), (b"sRGB", b"\0"), means=None),
    "png with points and gamma": png_with(
        (b"gAMA", struct.pack(">I", 45_455)), (b"cHRM", ADOBE_POINTS), means=pieces.rgb_profile("adobe")
    ),
    "png with gamma alone": png_with((b"gAMA", struct.pack(">I", 55_556)), means=pieces.rgb_profile("srgb", gamma=1.8)),
    "png with the gamma of srgb": png_with((b"gAMA", struct.pack(">I", 45_455)), means=None),
    "png with points on one line": png_with((b"cHRM", struct.pack(">8I", *(30_000,) * 8)), means=None),
    "avif with nclx p3": lambda: (numbered(saved(chart(), "AVIF", **AVIF), 12, 13), managed(chart(), P3)),
    "heic with nclx p3": lambda: (numbered(heic(chart()), 12, 13), managed(chart(), P3)),
    "heic with nclx rec 2020": lambda: (numbered(heic(chart()), 9, 1), managed(chart(), WIDE_SRGB)),
    "avif with reserved nclx": lambda: (numbered(saved(chart(), "AVIF", **AVIF), 3, 3), chart()),
    "heic with a profile": lambda: (heic(chart(), P3), managed(chart(), P3)),
    "cmyk jpeg": lambda: printed("JPEG"),
    "cmyk tiff": lambda: printed("TIFF"),
    "lab tiff": lab_tiff,
    "grey png": lambda: grey("PNG", 1.4),
    "grey jpeg": lambda: grey("JPEG", 1.8),
    "grey heic": lambda: grey("HEIC", 1.4),
    "16-bit png": lambda: (deep_png(3), chart()),
    "16-bit png with p3": lambda: (deep_png(3, P3), managed(chart(), P3)),
    "16-bit grey png": lambda: (deep_png(1), chart().convert("L").convert("RGB")),
    "16-bit grey tiff": deep_tiff,
}


@pytest.mark.parametrize("name", CASES)
def test_the_shared_copy_has_the_colours_of_the_reference(darkroom: Darkroom, name: str) -> None:
    data, wanted = CASES[name]()

    found = opened(rendition(darkroom.render(data, names=("share",)), "share"))

    assert charts.levels(charts.fields(found), charts.fields(wanted)) < 2
    assert charts.apart(charts.fields(found), charts.fields(wanted)) < 1
    for ramp, right in zip(charts.ramps(found), charts.ramps(wanted), strict=True):
        assert charts.levels(ramp, right) < 2
        # The encoder may be one or two steps off; a fold or a jump would be more.
        heights = [charts.lab(colour)[0] for colour in ramp]
        assert all(after > before - 2.5 for before, after in pairwise(heights))


def pq(nits: float) -> int:
    """SMPTE ST 2084 the other way about, in eight bits."""
    power = (nits / 10_000) ** (1305 / 8192)
    return round(255 * ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** (2523 / 32))


def hlg(nits: float) -> int:
    """ITU-R BT.2100's signal of a grey on a display of 1,000 nits, in eight bits."""
    scene = (nits / 1000) ** (1 / 1.2)
    above = 0.17883277 * math.log(12 * scene - 0.28466892) + 0.55991073 if scene > 1 / 12 else 0
    return round(255 * (math.sqrt(3 * scene) if scene <= 1 / 12 else above))


@pytest.mark.parametrize(("transfer", "code"), [(16, pq), (18, hlg)])
def test_high_dynamic_range_is_rolled_off_and_not_clipped(
    darkroom: Darkroom, transfer: int, code: Callable[[float], int]
) -> None:
    """Grey of so many nits: diffuse white (203) takes half the light of the display, a thousand nits take it all."""
    nits = [0.5, 2, 10, 40, 100, 203, 400, 700, 1000]
    picture = Image.new("RGB", (32 * len(nits), 32))
    for number, each in enumerate(nits):
        picture.paste((code(each),) * 3, (32 * number, 0, 32 * number + 32, 32))
    data = pieces.with_chunks(saved(picture, "PNG"), pieces.chunk(b"cICP", bytes((9, transfer, 0, 1))))

    found = opened(rendition(darkroom.render(data, names=("share",)), "share"))

    for number, each in enumerate(nits):
        light = each / 203
        light = light * (1 + light / (1000 / 203) ** 2) / (1 + light)
        wanted = 255 * (12.92 * light if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055)
        assert near(found.getpixel((32 * number + 16, 16)), (wanted,) * 3, 4), each


@pytest.mark.parametrize(("kind", "transfer"), [("avif", 18), ("heic", 16)])
def test_hues_of_high_dynamic_range_stay(darkroom: Darkroom, kind: str, transfer: int) -> None:
    bars = Image.new("RGB", (96, 32), (150, 40, 40))
    bars.paste((40, 150, 40), (32, 0, 64, 32))
    bars.paste((40, 40, 150), (64, 0, 96, 32))
    data = numbered(saved(bars, "AVIF", **AVIF) if kind == "avif" else heic(bars), 9, transfer)

    found = opened(rendition(darkroom.render(data, names=("share",)), "share"))

    for number in range(3):
        colour = found.getpixel((32 * number + 16, 16))
        assert isinstance(colour, tuple)
        rest = [colour[other] for other in range(3) if other != number]
        assert colour[number] > 80 + max(rest)


def test_a_narrow_range_is_widened(darkroom: Darkroom) -> None:
    picture = Image.new("RGB", (64, 32), (16, 16, 16))
    picture.paste((235, 235, 235), (32, 0, 64, 32))
    data = pieces.with_chunks(saved(picture, "PNG"), pieces.chunk(b"cICP", b"\1\x0d\0\0"))

    found = opened(rendition(darkroom.render(data, names=("share",)), "share"))

    assert [found.getpixel((x, 16)) for x in (16, 48)] == [(0, 0, 0), (255, 255, 255)]


def test_a_frame_of_a_film_is_taken_as_it_is_shown(darkroom: Darkroom) -> None:
    """ffmpeg writes the camera curve of television beside its frames, and no player goes by it."""
    gamma = pieces.chunk(b"gAMA", struct.pack(">I", 50_994))
    data = pieces.with_chunks(saved(Image.new("RGB", (64, 64), (60, 60, 60)), "PNG"), gamma)

    found = opened(rendition(darkroom.render(data, "png", names=("poster",), frame=True), "poster"))

    assert near(found.convert("RGB").getpixel((32, 32)), (60, 60, 60), 1)


@pytest.mark.parametrize(
    ("one", "other", "apart"),
    [
        ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
        ((50, 2.49, -0.001), (50, -2.49, 0.0009), 7.1792),
        ((50, 2.5, 0), (58, 24, 15), 19.4535),
        ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
    ],
)
def test_the_measure_is_that_of_its_paper(one: Any, other: Any, apart: float) -> None:
    assert charts.de2000(one, other) == pytest.approx(apart, abs=5e-5)


def walked_colours(items: list[gainmaps.Item], references: list[tuple[bytes, int, list[int]]]) -> dict[bytes, bytes]:
    return heif.walk(gainmaps.heif(b"heic", items, references), MediaLimits()).colours


def numbers(primaries: int) -> bytes:
    return pieces.box(b"colr", b"nclx" + struct.pack(">HHHB", primaries, 13, 6, 0x80))


def test_the_numbers_are_those_of_the_picture_that_is_shown() -> None:
    """Not those of a picture beside it; a grid without any of its own has those of its first tile."""
    size = pieces.box(b"ispe", bytes(4) + struct.pack(">II", 64, 64))
    grid = gainmaps.Item(kind=b"grid", data=b"\0\0\0\0" + struct.pack(">HH", 64, 64), properties=(size,))
    tile = gainmaps.Item(kind=b"hvc1", data=b"x", properties=(size, numbers(12)))
    beside = gainmaps.Item(kind=b"hvc1", data=b"x", properties=(size, numbers(9)))
    plain = gainmaps.Item(kind=b"hvc1", data=b"x", properties=(size,))
    own = gainmaps.Item(kind=b"grid", data=grid.data, properties=(size, numbers(1)))

    assert walked_colours([tile, beside], []) == {b"nclx": numbers(12)[12:]}
    assert walked_colours([plain, beside], []) == {}
    assert walked_colours([grid, tile, beside], [(b"dimg", 1, [2])]) == {b"nclx": numbers(12)[12:]}
    assert walked_colours([own, tile], [(b"dimg", 1, [2])]) == {b"nclx": numbers(1)[12:]}
