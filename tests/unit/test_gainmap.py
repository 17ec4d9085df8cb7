"""HDR gain maps: kept only where asked for, encoded anew, showing what the original shows and saying nothing more."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from typing import Any

import pillow_heif
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from tests import gainmaps, pieces, samples
from tests.darkroom import LIMITS, Darkroom, rendition
from worker.media.formats import sniff
from worker.media.image import render as workshop
from worker.media.image.gainmap import numbers
from worker.media.image.gainmap.sources import FIT
from worker.media.proving import prove
from worker.media.rendered import Rendered

pytestmark = [pytest.mark.slow, pytest.mark.wide]

NAMES = ("share", "share_hdr")
CANARY = "CANARY_8861 of Ada"
PLACES = [(x / 8, y / 8) for x in (1, 3, 5, 7) for y in (1, 3, 5, 7)]
INPUTS: dict[str, Callable[[], bytes]] = {
    "Ultra HDR": lambda: gainmaps.ultra_hdr(canary=CANARY),
    "numbers in elements": lambda: gainmaps.ultra_hdr(spelling="elements", canary=CANARY),
    "the standard": lambda: gainmaps.ultra_hdr(spelling="iso", canary=CANARY),
    "the standard in its early form": lambda: gainmaps.ultra_hdr(spelling="shared", canary=CANARY),
    "no index": lambda: gainmaps.ultra_hdr(index=False, canary=CANARY),
    "Apple": lambda: gainmaps.apple_jpeg(canary=CANARY),
    "Apple with a maker note": lambda: gainmaps.apple_jpeg(headroom=None, canary=CANARY),
    "Apple HEIC": lambda: gainmaps.apple_heic(canary=CANARY),
    "a tone map in AVIF": lambda: gainmaps.tone_mapped("avif", canary=CANARY),
    "a tone map in HEIC": lambda: gainmaps.tone_mapped("heic", canary=CANARY),
}


def made_here(data: bytes, names: tuple[str, ...] = NAMES) -> dict[str, bytes]:
    """Renditions of a file of our own makers, in this process."""
    fmt = sniff(data)
    assert fmt is not None
    pillow_heif.register_heif_opener()
    args = {"format": fmt.name, "limits": LIMITS.as_args(), "work": "image", "names": names}
    header, bodies = workshop.render(io.BytesIO(data), args)
    made = {entry["name"]: body for entry, body in zip(header["renditions"], bodies, strict=True)}
    assert set(made) | set(header["left_out"]) == set(names)
    assert set(header["left_out"].values()) <= {"no_gain_map"}
    return made


def shown(rendered: Rendered) -> gainmaps.Shown:
    body = rendition(rendered, "share_hdr").body
    assert body is not None
    return gainmaps.taken_apart(body)


@pytest.mark.parametrize("kind", INPUTS)
def test_what_comes_out_is_proven_says_nothing_and_is_as_bright(darkroom: Darkroom, kind: str) -> None:
    rendered = darkroom.render(INPUTS[kind](), names=NAMES)

    body = rendition(rendered, "share_hdr").body
    assert body is not None
    assert prove(darkroom.jail, body, "image/jpeg", gain_map=True).sha256
    for spelt in (CANARY.encode(), CANARY.encode("utf-16-le"), b"Exif", b"GPS", b"Apple", samples.SERIAL.encode()):
        assert spelt not in body
    assert rendered.left_out == {}
    made = shown(rendered)
    differences = [gainmaps.stops_between(light_before(kind, at), made.light(at)) for at in PLACES]
    assert sum(differences) / len(differences) < 0.02
    brighter = [max(made.light(at)) / max(map(gainmaps.linear, gainmaps._at(made.base, at))) for at in PLACES]
    assert max(brighter) > 2
    assert (made.gain.mode, made.gain.format) == ("L", "JPEG")


def light_before(kind: str, at: tuple[float, float]) -> tuple[float, ...]:
    """What the original shows."""
    size = (256, 192) if "HEIC" in kind or "AVIF" in kind else (640, 480)
    base = samples.scene(*size)
    if kind.startswith("Apple"):
        headroom = 2 ** (-0.101 * 0.02 + 1.601) if "maker" in kind else 4.0
        return gainmaps.light_of_apple(base, gainmaps.glow(size[0] // 2, size[1] // 2), headroom, at)
    usual = {name: float(value) for name, value in gainmaps.USUAL.items() if not isinstance(value, tuple)}
    gain = gainmaps.glow(128, 96) if "tone map" in kind else gainmaps.glow(160, 120)
    return gainmaps.Shown(base=base, gain=gain, numbers=usual).light(at)


def test_a_map_of_three_colours_keeps_them() -> None:
    """Each channel with a range of its own comes out by one range for all."""
    gain = Image.merge("RGB", [gainmaps.glow(), ImageOps.mirror(gainmaps.glow()), ImageOps.flip(gainmaps.glow())])
    said: dict[str, float | tuple[float, ...]] = {"GainMapMin": (-1.0, 0.0, 0.5), "GainMapMax": (2.0, 1.0, 1.5)}
    for spelling in ("attributes", "iso"):
        made = gainmaps.taken_apart(made_here(gainmaps.ultra_hdr(gain=gain, said=said, spelling=spelling))["share_hdr"])

        assert made.gain.mode == "RGB"
        assert (made.numbers["GainMapMin"], made.numbers["GainMapMax"]) == (-1.0, 2.0)
        for at in PLACES:
            red, green, blue = gainmaps._at(gain, at)
            base = [gainmaps.linear(value) for value in gainmaps._at(samples.scene(640, 480), at)]
            stops = [-1 + 3 * (red / 255) ** (1 / 1.4), (green / 255) ** (1 / 1.4), 0.5 + (blue / 255) ** (1 / 1.4)]
            wanted = tuple((value + 1 / 64) * 2**gained - 1 / 64 for value, gained in zip(base, stops, strict=True))
            assert gainmaps.stops_between(wanted, made.light(at)) < 0.12


def test_wide_colours_go_with_the_base(darkroom: Darkroom) -> None:
    file = gainmaps.ultra_hdr((160, 120), icc=pieces.rgb_profile("p3"))

    body = rendition(darkroom.render(file, names=NAMES, wide=True), "share_hdr").body

    assert body is not None
    assert prove(darkroom.jail, body, "image/jpeg", gain_map=True).sha256
    assert body.count(b"ICC_PROFILE") == 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_map_is_turned_as_its_picture(orientation: int) -> None:
    made = gainmaps.taken_apart(made_here(gainmaps.ultra_hdr((320, 240), orientation=orientation))["share_hdr"])

    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = gainmaps.glow(80, 60)
    stored.info["exif"] = exif.tobytes()
    body = io.BytesIO()
    stored.save(body, "PNG", exif=exif)
    upright = ImageOps.exif_transpose(Image.open(body)).resize((4, 4), Image.Resampling.BOX)
    ours = made.gain.resize((4, 4), Image.Resampling.BOX)
    usual = numbers.Channel(low=-0.33, high=2.3, gamma=1.4)
    assert usual.stops(1.0) == pytest.approx(2.3)
    assert all(abs(a - b) <= 3 for a, b in zip(upright.tobytes(), ours.tobytes(), strict=True))
    assert made.base.size[0] * made.gain.size[1] == made.base.size[1] * made.gain.size[0]


@pytest.mark.parametrize("turns", range(4))
def test_a_heic_turned_by_its_boxes_is_turned_once(turns: int) -> None:
    made = gainmaps.taken_apart(made_here(gainmaps.apple_heic(turns=turns))["share_hdr"])

    # The brightest corner of the map, counted in the direction of the turns.
    corners = [made.gain.crop(box).resize((1, 1)).getpixel((0, 0)) for box in _corners(made.gain.size)]
    assert corners.index(max(corners)) == turns  # type: ignore[type-var]
    assert (made.base.width > made.base.height) == (made.gain.width > made.gain.height) == (turns % 2 == 0)


def test_a_cropped_avif_shows_nothing_of_its_map_beside_the_crop() -> None:
    """The map of a picture of which only the middle is shown is no way to see the rest."""
    made = gainmaps.taken_apart(made_here(gainmaps.tone_mapped("avif", shown=(128, 96)))["share_hdr"])

    middle = gainmaps.glow(128, 96).crop((32, 24, 96, 72)).resize((4, 4), Image.Resampling.BOX)
    assert (made.base.size, made.gain.size) == ((128, 96), (64, 48))
    ours = made.gain.resize((4, 4), Image.Resampling.BOX)
    assert all(abs(a - b) <= 3 for a, b in zip(middle.tobytes(), ours.tobytes(), strict=True))


def _corners(size: tuple[int, int]) -> list[tuple[int, int, int, int]]:
    """Top left, bottom left, bottom right, top right."""
    width, height = size
    half = width // 2, height // 2
    return [(0, 0, *half), (0, half[1], half[0], height), (*half, width, height), (half[0], 0, width, half[1])]


def test_base_and_map_are_scaled_together_and_nothing_is_enlarged() -> None:
    large = gainmaps.taken_apart(
        made_here(gainmaps.ultra_hdr((2600, 1300), gain=gainmaps.glow(2600, 1300)))["share_hdr"]
    )
    small = gainmaps.taken_apart(made_here(gainmaps.ultra_hdr((100, 60), gain=gainmaps.glow(25, 15)))["share_hdr"])

    larger = gainmaps.taken_apart(made_here(gainmaps.ultra_hdr((80, 60), gain=gainmaps.glow(160, 120)))["share_hdr"])

    assert (larger.base.size, larger.gain.size) == ((80, 60), (80, 60))
    assert (large.base.size, large.gain.size) == ((2048, 1024), (FIT, FIT // 2))
    assert (small.base.size, small.gain.size) == ((100, 60), (25, 15))


def test_the_same_file_gives_the_same_bytes(darkroom: Darkroom) -> None:
    file = gainmaps.ultra_hdr((320, 240), canary=CANARY)

    once, again = (rendition(darkroom.render(file, names=NAMES), "share_hdr") for _ in range(2))

    assert once.sha256 == again.sha256


def test_it_is_off_until_it_is_asked_for(darkroom: Darkroom) -> None:
    rendered = darkroom.render(gainmaps.ultra_hdr((320, 240)))

    assert [made.name for made in rendered.made] == ["display", "share", "thumb"]
    assert rendered.left_out == {}


def _unlike(**said: Any) -> Callable[[], bytes]:
    return lambda: gainmaps.ultra_hdr((320, 240), said=said)


def _cut() -> bytes:
    return gainmaps.ultra_hdr((320, 240))[:-2_000]


def _broken_map() -> bytes:
    file = gainmaps.ultra_hdr((320, 240))
    at = file.rindex(b"\xff\xc0")
    return file[:at] + b"\xff\xc5" + file[at + 2 :]


LEFT_OUT: dict[str, Callable[[], bytes]] = {
    "a photo": samples.photo,
    "a photo with another behind it": samples.motion_photo,
    "alpha": samples.rgba_png,
    "an animation": samples.animated_gif,
    "a HEIC": samples.heic,
    "an AVIF": samples.avif,
    "no range": _unlike(GainMapMax=-0.33),
    "a range turned round": _unlike(GainMapMax=-1.0),
    "a range beyond all displays": _unlike(GainMapMax=99.0),
    "a number without end": _unlike(GainMapMax="1e99"),
    "no number": _unlike(GainMapMax="nan"),
    "text": _unlike(GainMapMax="CANARY"),
    "gamma of nothing": _unlike(Gamma=0.0),
    "gamma below": _unlike(Gamma=-1.0),
    "a huge offset": _unlike(OffsetHDR=40.0),
    "an offset below": _unlike(OffsetSDR=-0.5),
    "display turned round": _unlike(HDRCapacityMax=0.0, HDRCapacityMin=2.0),
    "two numbers": _unlike(GainMapMax=(1.0, 2.0)),
    "offsets of three channels": _unlike(OffsetSDR=(0.0, 0.1, 0.2)),
    "a bright base": _unlike(BaseRenditionIsHDR="True"),
    "a tone map of another version": lambda: gainmaps.tone_mapped("avif", version=1),
    "a tone map that no brand names": lambda: gainmaps.tone_mapped("avif").replace(b"tmap", b"none", 1),
    "a tone map of another shape": lambda: gainmaps.tone_mapped("heic", gain=gainmaps.glow(64, 128)),
    "a cropped HEIC": lambda: gainmaps.tone_mapped("heic", shown=(128, 96)),
    "another shape": lambda: gainmaps.ultra_hdr((320, 240), gain=gainmaps.glow(80, 120)),
    "cut": _cut,
    "a map that does not decode": _broken_map,
    "no headroom": lambda: gainmaps.apple_jpeg((320, 240), headroom=1.0),
}


@pytest.mark.parametrize("kind", LEFT_OUT)
def test_without_a_map_that_can_be_kept_it_is_left_out(kind: str) -> None:
    assert set(made_here(LEFT_OUT[kind]())) == {"share"}


@settings(max_examples=200, deadline=None)
@given(body=st.binary(max_size=200))
def test_garbage_gives_no_numbers_or_bounded_ones(body: bytes) -> None:
    packet = b'hdrgm:GainMapMax="' + body + b'" hdrgm:HDRCapacityMax="2"'
    found = (
        numbers.from_xmp(packet),
        numbers.from_binary(body),
        numbers.from_binary(b"\0\0\0\0" + body),
        numbers.from_apple(b'HDRGainMap:HDRGainMapVersion="1"', b"Apple iOS\0\0\1MM" + body),
    )
    for said in found:
        ours = numbers.settled(said) if said else None
        if ours is not None:
            assert -16 * numbers.STEPS <= ours.low < ours.high <= 16 * numbers.STEPS
            assert 0 <= ours.capacity_min < ours.capacity_max <= 16 * numbers.STEPS
            assert said is not None
            table = numbers.table(said.channels[0], ours, apple=said.apple)
            assert len(table) == 256
            assert all(0 <= value <= 255 for value in table)


@pytest.mark.parametrize(
    ("first", "second", "stops"),
    [(0.8, 0.005, 1.7), (0.8, 0.5, 1.5505), (1.2, 0.01, 2.3), (1.2, 1.0, 2.0), (1.2, 8.0, None)],
)
def test_headroom_of_a_maker_note(first: float, second: float, stops: float | None) -> None:
    """The four branches of Apple's article, and a note that leaves no headroom."""
    note = gainmaps.maker_note((round(first * 1_000), 1_000), (round(second * 1_000), 1_000))

    said = numbers.from_apple(gainmaps.apple_packet(None), b"MM\0*" + note)

    assert (said is None) == (stops is None)
    if said is not None and stops is not None:
        assert math.isclose(said.capacity[1], stops, abs_tol=1e-9)
