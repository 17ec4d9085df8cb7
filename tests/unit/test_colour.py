"""Colour: through the profile to sRGB, 16 bit scaled, CMYK and grey and palettes opened, alpha kept, nothing hidden."""

from __future__ import annotations

import io
import zlib
from typing import Any

import pytest
from PIL import Image

from tests import pieces, samples
from tests.darkroom import Darkroom, near, opened, rendition
from worker.media.image import colour
from worker.media.image.scale import shrink

PATCH = (180, 60, 60)


def patch(profile: bytes | None, value: Any = PATCH, *, mode: str = "RGB", kind: str = "PNG") -> bytes:
    body = io.BytesIO()
    more = {"icc_profile": profile} if profile else {}
    Image.new(mode, (48, 48), value).save(body, kind, **more, **({"quality": 95} if kind == "JPEG" else {}))
    return body.getvalue()


def shared(darkroom: Darkroom, data: bytes) -> tuple[int, ...]:
    """The colour in the middle of the shared copy."""
    return middle(opened(rendition(darkroom.render(data), "share")))


def middle(image: Image.Image) -> tuple[int, ...]:
    found = image.getpixel((image.width // 2, image.height // 2))
    assert isinstance(found, tuple)
    return found


def in_srgb(name: str, value: tuple[int, int, int]) -> tuple[int, ...]:
    """What a colour of a matrix profile with gamma 2.2 is in sRGB, by plain arithmetic."""
    linear = [(part / 255) ** 2.2 for part in value]
    columns = pieces.COLOURS[name]
    xyz = [sum(columns[i][row] * linear[i] for i in range(3)) for row in range(3)]
    # The inverse of sRGB's own columns, adapted to D50.
    back = ((3.1341, -1.6173, -0.4907), (-0.9788, 1.9161, 0.0334), (0.0720, -0.2290, 1.4057))
    mixed = [min(max(sum(row[i] * xyz[i] for i in range(3)), 0.0), 1.0) for row in back]
    curve = [12.92 * part if part <= 0.0031308 else 1.055 * part ** (1 / 2.4) - 0.055 for part in mixed]
    return tuple(round(255 * part) for part in curve)


@pytest.mark.parametrize("name", ["adobe", "p3"])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
@pytest.mark.parametrize("value", [PATCH, (60, 160, 70), (70, 70, 190), (128, 128, 128)])
def test_a_wide_gamut_is_brought_to_srgb(darkroom: Darkroom, name: str, kind: str, value: tuple[int, int, int]) -> None:
    data = patch(pieces.rgb_profile(name), value, kind=kind)

    found = shared(darkroom, data)

    assert near(found, in_srgb(name, value), 5)


@pytest.mark.parametrize("profile", [None, pieces.rgb_profile("srgb")])
def test_a_camera_that_names_adobe_rgb_is_obeyed_unless_it_carries_a_profile(
    darkroom: Darkroom, profile: bytes | None
) -> None:
    block = pieces.exif_block({0x010F: "Examplecam"}, {0xA001: 2})
    data = pieces.with_segments(patch(profile, kind="JPEG"), pieces.segment(0xE1, b"Exif\0\0" + block))

    found = shared(darkroom, data)

    assert near(found, in_srgb("srgb" if profile else "adobe", PATCH), 5)


def test_the_profile_makes_a_difference_that_the_test_can_see(darkroom: Darkroom) -> None:
    without, within = shared(darkroom, patch(None)), shared(darkroom, patch(pieces.rgb_profile("adobe")))

    assert near(without, PATCH, 3)
    assert not near(without, within, 15)


@pytest.mark.parametrize("profile", [b"no profile at all", b"\0" * 200, pieces.rgb_profile("p3")[:140]])
def test_a_profile_that_does_not_parse_is_srgb(darkroom: Darkroom, profile: bytes) -> None:
    assert near(shared(darkroom, patch(profile)), PATCH, 3)


def test_a_profile_of_another_space_is_not_applied(darkroom: Darkroom) -> None:
    assert near(shared(darkroom, patch(pieces.cmyk_profile())), PATCH, 3)
    assert near(shared(darkroom, patch(pieces.grey_profile(1.0))), PATCH, 3)


def test_an_rgb_profile_on_grey_pixels_is_applied(darkroom: Darkroom) -> None:
    data = patch(pieces.rgb_profile("srgb", gamma=1.0), 60, mode="L")

    found = shared(darkroom, data)

    # Linear 60/255 is 133 in sRGB.
    assert near(found, (133, 133, 133), 4)


def test_a_grey_profile_is_applied(darkroom: Darkroom) -> None:
    assert near(shared(darkroom, patch(pieces.grey_profile(1.0), 60, mode="L")), (133, 133, 133), 4)
    assert near(shared(darkroom, patch(None, 60, mode="L")), (60, 60, 60), 3)


def test_cmyk_goes_through_its_profile(darkroom: Darkroom) -> None:
    """The press of the sample makes neutral grey of any ink; plain arithmetic would make it cyan."""
    ink = (255, 0, 0, 0)
    plain = shared(darkroom, patch(None, ink, mode="CMYK", kind="JPEG"))
    managed = shared(darkroom, patch(pieces.cmyk_profile(), ink, mode="CMYK", kind="JPEG"))

    assert near(plain, (0, 255, 255), 4)
    assert max(managed) - min(managed) <= 6
    assert 150 < managed[0] < 210


def test_cmyk_without_ink_is_white_and_with_black_is_black(darkroom: Darkroom) -> None:
    profile = pieces.cmyk_profile()

    assert near(shared(darkroom, patch(profile, (0, 0, 0, 0), mode="CMYK", kind="JPEG")), (255, 255, 255), 4)
    assert near(shared(darkroom, patch(profile, (0, 0, 0, 255), mode="CMYK", kind="JPEG")), (0, 0, 0), 6)


def test_sixteen_bits_are_scaled_and_not_clipped(darkroom: Darkroom) -> None:
    data = samples.deep_png((256, 64))

    image = opened(rendition(darkroom.render(data), "share")).convert("L")
    row = [image.getpixel((x, 32)) for x in range(256)]

    assert all(abs(int(value) - x) <= 3 for x, value in enumerate(row))  # type: ignore[call-overload]


def test_sixteen_bit_colour_and_alpha_are_kept(darkroom: Darkroom) -> None:
    row = b"".join(part.to_bytes(2, "big") for part in (0xB4B4, 0x3C3C, 0x3C3C, 0x8080)) * 16
    pixels = zlib.compress((b"\0" + row) * 16)
    data = pieces.PNG + pieces.header(16, 16, depth=16, colour=6)
    data += pieces.chunk(b"IDAT", pixels) + pieces.chunk(b"IEND")

    found = shared(darkroom, data)

    assert near(found, (*PATCH, 128), 3)


@pytest.mark.parametrize("levels", [0, 1000, 40_000, 65_535])
def test_sixteen_bit_grey_with_a_clear_key(levels: int) -> None:
    image = Image.new("I;16", (4, 4), levels)
    image.info["transparency"] = levels

    made = colour.closed(colour.opened(image, colour.open_mode(image)))

    assert made.mode == "LA"
    assert made.getpixel((0, 0)) == (0, 0)


def test_a_palette_is_opened_with_its_clear_entry(darkroom: Darkroom) -> None:
    data = samples.palette_png(clear=True)
    source = Image.open(io.BytesIO(data)).convert("RGBA")

    image = opened(rendition(darkroom.render(data), "share"))

    assert image.mode == "RGBA"
    assert sorted(set(image.getchannel("A").tobytes())) == [0, 255]
    for at in ((3, 3), (60, 45), (100, 80)):
        want, found = source.getpixel(at), image.getpixel(at)
        assert near(found, want if want[3] else (0, 0, 0, 0), 2)  # type: ignore[index]


def test_a_palette_without_a_clear_entry_is_plain(darkroom: Darkroom) -> None:
    assert rendition(darkroom.render(samples.palette_png(clear=False)), "share").media_type == "image/jpeg"


@pytest.mark.parametrize(("mode", "value"), [("1", 1), ("LA", (200, 128)), ("RGBA", (10, 20, 30, 40)), ("P", 0)])
def test_odd_modes_come_out_whole(darkroom: Darkroom, mode: str, value: Any) -> None:
    want = Image.new(mode, (48, 48), value).convert("RGBA").getpixel((20, 20))

    found = (
        opened(rendition(darkroom.render(patch(None, value, mode=mode)), "share")).convert("RGBA").getpixel((20, 20))
    )

    assert near(found, want, 4)


def test_alpha_is_kept_and_what_lies_under_it_is_not(darkroom: Darkroom) -> None:
    data = samples.rgba_png((200, 160))

    rendered = darkroom.render(data)

    for name in ("display", "share", "thumb"):
        image = opened(rendition(rendered, name))
        assert image.mode == "RGBA"
        alpha = [image.getchannel("A").getpixel((x, 80)) for x in (10, 112, 190)]
        assert [alpha[0], alpha[2]] == [0, 255]
        assert abs(int(alpha[1] or 0) - 128) <= 2  # type: ignore[arg-type]
    png = opened(rendition(rendered, "share"))
    assert png.crop((0, 0, 100, 160)).getcolors() == [(16_000, (0, 0, 0, 0))]
    assert max(opened(rendition(rendered, "display")).crop((0, 0, 76, 160)).convert("RGB").tobytes()) <= 8


def test_colour_that_a_profile_put_under_alpha_is_made_black() -> None:
    """Opening premultiplies and so clears it; what a conversion makes of black afterwards must go too."""
    picture = Image.new("RGBA", (2, 1), (10, 20, 30, 0))
    picture.putpixel((1, 0), (10, 20, 30, 1))

    made = colour.without_hidden(picture)

    assert [made.getpixel((x, 0)) for x in (0, 1)] == [(0, 0, 0, 0), (10, 20, 30, 1)]


def test_a_shrunk_edge_does_not_show_what_lay_under_alpha(darkroom: Darkroom) -> None:
    """Green hidden under the clear half must not bleed into the red half when both are mixed."""
    body = io.BytesIO()
    picture = Image.new("RGBA", (4000, 200), (0, 255, 0, 0))
    picture.paste((255, 0, 0, 255), (1999, 0, 4000, 200))
    picture.save(body, "PNG")

    image = opened(rendition(darkroom.render(body.getvalue()), "share"))

    seen = [image.getpixel((x, 50)) for x in range(1015, 1035)]
    assert all(pixel[1] <= 2 for pixel in seen if pixel[3])  # type: ignore[index]


def test_a_tiled_shrink_is_that_of_one_resize() -> None:
    picture = samples.scene(1500, 1100)

    made = shrink(picture, (700, 513))

    whole = picture.resize((700, 513), Image.Resampling.LANCZOS)
    worst = max(abs(a - b) for a, b in zip(made.tobytes(), whole.tobytes(), strict=True))
    assert worst <= 1
