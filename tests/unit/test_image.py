"""The picture workshop on real files: every kind in, three renditions out, upright, of the promised size and type."""

from __future__ import annotations

import hashlib
import io
import os
import struct
from dataclasses import replace

import pillow_heif
import pytest
from PIL import Image

from tests import gainmaps, pieces, samples
from tests.darkroom import Darkroom, near, opened, rendition
from worker.errors import Unprocessable
from worker.media.formats import format_named
from worker.media.image.client import jail_limits
from worker.media.limits import MediaLimits
from worker.media.rendered import Rendered
from worker.media.walk import heif

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
# Corners clockwise from the top left, of the picture as it was taken, for each value of the orientation tag.
UPRIGHT = {
    1: (RED, GREEN, WHITE, BLUE),
    2: (GREEN, RED, BLUE, WHITE),
    3: (WHITE, BLUE, RED, GREEN),
    4: (BLUE, WHITE, GREEN, RED),
    5: (RED, BLUE, WHITE, GREEN),
    6: (BLUE, RED, GREEN, WHITE),
    7: (WHITE, GREEN, RED, BLUE),
    8: (GREEN, WHITE, BLUE, RED),
}


def shape(rendered: Rendered) -> list[tuple[str, str, int, int]]:
    return [(made.name, made.media_type, made.width, made.height) for made in rendered.made]


def corners_of(image: Image.Image) -> list[tuple[int, ...]]:
    image = image.convert("RGB")
    right, bottom = image.width - 6, image.height - 6
    return [image.getpixel(at) for at in ((5, 5), (right, 5), (right, bottom), (5, bottom))]  # type: ignore[misc]


@pytest.mark.parametrize("kind", samples.KINDS)
def test_every_kind_becomes_three_proven_renditions(darkroom: Darkroom, kind: str) -> None:
    data = samples.KINDS[kind]()

    rendered = darkroom.render(data)

    assert rendered.facts.media_type == format_named(kind.partition("-")[0]).media_type
    assert [made.name for made in rendered.made] == ["display", "share", "thumb"]
    for made in rendered.made:
        assert made.body is not None
        assert (made.bytes, made.sha256) == (len(made.body), hashlib.sha256(made.body).hexdigest())
        assert opened(made).size == (made.width, made.height)
        assert Image.MIME[str(opened(made).format)] == made.media_type
        assert darkroom.prove(made.body, made.media_type).sha256 == made.sha256
    assert os.listdir(darkroom.folder) == []


def test_a_camera_photo_is_shrunk_to_the_sizes_of_the_table(darkroom: Darkroom) -> None:
    data = samples.camera_photo(12)

    rendered = darkroom.render(data)

    assert (rendered.facts.width, rendered.facts.height) == (4000, 3000)
    assert shape(rendered) == [
        ("display", "image/webp", 2048, 1536),
        ("share", "image/jpeg", 2048, 1536),
        ("thumb", "image/webp", 320, 240),
    ]


def test_alpha_makes_the_shared_copy_a_png_and_nothing_is_enlarged(darkroom: Darkroom) -> None:
    data = samples.rgba_png((200, 160))

    rendered = darkroom.render(data)

    assert shape(rendered) == [
        ("display", "image/webp", 200, 160),
        ("share", "image/png", 200, 160),
        ("thumb", "image/webp", 200, 160),
    ]
    assert rendered.facts.has_alpha


def test_alpha_that_hides_nothing_is_no_alpha(darkroom: Darkroom) -> None:
    body = io.BytesIO()
    samples.scene(64, 48).convert("RGBA").save(body, "PNG")

    rendered = darkroom.render(body.getvalue())

    assert not rendered.facts.has_alpha
    assert rendition(rendered, "share").media_type == "image/jpeg"


@pytest.mark.parametrize("size", [(1, 1), (2, 1), (1, 150), (2048, 11), (2049, 2049), (3000, 15)])
def test_odd_sizes_keep_their_shape(darkroom: Darkroom, size: tuple[int, int]) -> None:
    body = io.BytesIO()
    Image.new("RGB", size, (10, 200, 90)).save(body, "PNG")

    rendered = darkroom.render(body.getvalue())

    for made, fit in zip(rendered.made, (2048, 2048, 320), strict=True):
        ratio = min(1.0, fit / max(size))
        assert (made.width, made.height) == tuple(max(1, round(side * ratio)) for side in size)
        assert near(opened(made).convert("RGB").getpixel((0, 0)), (10, 200, 90))
        assert darkroom.prove(made.body or b"", made.media_type)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "avif", "heic", "tiff"])
def test_each_orientation_is_brought_upright_once(darkroom: Darkroom, kind: str, orientation: int) -> None:
    data = turned(kind, orientation)

    rendered = darkroom.render(data)

    size = (96, 64) if orientation < 5 else (64, 96)
    assert (rendered.facts.width, rendered.facts.height) == size
    for made in rendered.made:
        found = corners_of(opened(made))
        assert all(near(one, other, 40) for one, other in zip(found, UPRIGHT[orientation], strict=True)), made.name


def turned(kind: str, orientation: int) -> bytes:
    """A picture of four corners with this orientation, said the way its format says it."""
    picture, body = samples.corners(), io.BytesIO()
    block = samples.exif(orientation=orientation)
    if kind == "jpeg":
        return samples.photo(image=picture, orientation=orientation, subsampling="4:4:4")
    if kind == "heic":
        return samples.heic(image=picture, orientation=orientation)
    if kind == "png":
        picture.save(body, "PNG")
        return pieces.with_chunks(body.getvalue(), pieces.chunk(b"eXIf", block))
    if kind == "tiff":
        picture.save(body, "TIFF", tiffinfo={0x0112: orientation})
    elif kind == "webp":
        picture.save(body, "WEBP", lossless=True, exif=b"Exif\0\0" + block)
    else:
        picture.save(body, "AVIF", quality=95, subsampling="4:4:4", exif=block)
    return body.getvalue()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ['<a tiff:Orientation="%d"/>', "<tiff:Orientation> %d </tiff:Orientation>"])
@pytest.mark.parametrize("kind", ["jpeg", "png", "webp"])
def test_an_orientation_that_stands_in_xmp_alone_is_obeyed(
    darkroom: Darkroom, kind: str, form: str, orientation: int
) -> None:
    data = with_xmp(kind, (form % orientation).encode(), exif=b"")

    found = corners_of(opened(rendition(darkroom.render(data, names=("thumb",)), "thumb")))

    assert all(near(one, other, 40) for one, other in zip(found, UPRIGHT[orientation], strict=True))


@pytest.mark.parametrize(("in_exif", "upright"), [(1, 1), (6, 6), (0, 8)])
def test_exif_comes_before_xmp_unless_it_makes_no_sense(darkroom: Darkroom, in_exif: int, upright: int) -> None:
    data = with_xmp("jpeg", b'<a tiff:Orientation="8"/>', exif=samples.exif(orientation=in_exif))

    found = corners_of(opened(rendition(darkroom.render(data, names=("thumb",)), "thumb")))

    assert all(near(one, other, 40) for one, other in zip(found, UPRIGHT[upright], strict=True))


@pytest.mark.parametrize("kind", ["avif", "heic"])
def test_where_boxes_tell_the_orientation_exif_and_xmp_are_not_asked(darkroom: Darkroom, kind: str) -> None:
    """ISO/IEC 23000-22, 7.3.6.7. The writers make boxes of such a word, so it is changed behind their backs."""
    packet, block, body = b'<a tiff:Orientation="1"/>', samples.exif(orientation=1), io.BytesIO()
    if kind == "avif":
        samples.corners().save(body, "AVIF", quality=95, subsampling="4:4:4", exif=block, xmp=packet)
    else:
        made = pillow_heif.from_pillow(samples.corners())
        made.info["exif"], made.info["xmp"] = block, packet
        made.save(body, quality=95, chroma=444)
    one, six = (struct.pack("<HHIHH", 0x0112, 3, 1, value, 0) for value in (1, 6))
    data = body.getvalue().replace(packet, packet.replace(b"1", b"6")).replace(one, six)
    assert b'"6"' in data

    found = corners_of(opened(rendition(darkroom.render(data, names=("thumb",)), "thumb")))

    assert all(near(one, other, 40) for one, other in zip(found, UPRIGHT[1], strict=True))


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("kind", ["avif", "heic"])
def test_what_was_cropped_away_is_not_shown(darkroom: Darkroom, kind: str, orientation: int) -> None:
    """A clean aperture of the lower right quarter but for two rows, cut before the picture is turned."""
    picture = samples.corners(128, 128)
    item = gainmaps.coded(gainmaps.avif(picture) if kind == "avif" else gainmaps.heic(picture))
    clap = pieces.box(b"clap", struct.pack(">IIIIiIiI", 64, 1, 62, 1, 32, 1, 33, 1))
    turn = (pieces.box(b"irot", b"\3"),) if orientation == 6 else ()
    data = gainmaps.heif(kind.encode(), [replace(item, properties=(*item.properties, clap, *turn))], [])

    rendered = darkroom.render(data)

    size = (64, 62) if orientation == 1 else (62, 64)
    assert (rendered.facts.width, rendered.facts.height) == size
    for made in rendered.made:
        shown = opened(made).convert("RGB")
        assert shown.size == size
        assert min(low for low, _high in shown.getextrema()) > 240  # type: ignore[misc]


@pytest.mark.parametrize(
    ("numbers", "crop"),
    [
        ((96, 1, 64, 1, 0, 1, 0, 1), (0, 0, 96, 64)),
        ((95, 1, 63, 1, 0, 1, 0, 1), (1, 1, 95, 63)),
        ((300, 1, 64, 1, 0, 1, 0, 1), (0, 0, 96, 64)),
        ((10, 1, 10, 1, -43, 1, -27, 1), (0, 0, 10, 10)),
        ((10, 0, 10, 1, 0, 1, 0, 1), None),
        ((10, 1, 10, 1, 900, 1, 0, 1), None),
        ((0, 1, 10, 1, 0, 1, 0, 1), None),
    ],
)
def test_a_clean_aperture_is_whole_pixels_of_the_picture(
    numbers: tuple[int, ...], crop: tuple[int, int, int, int] | None
) -> None:
    item = gainmaps.coded(gainmaps.avif(samples.corners(96, 64)))
    clap = pieces.box(b"clap", struct.pack(">IIIIiIiI", *numbers))

    walked = heif.walk(gainmaps.heif(b"avif", [replace(item, properties=(*item.properties, clap))], []), _limits())

    assert walked.crop == crop


def with_xmp(kind: str, packet: bytes, *, exif: bytes) -> bytes:
    picture, body = samples.corners(), io.BytesIO()
    if kind == "webp":
        picture.save(body, "WEBP", lossless=True, xmp=packet)
        return body.getvalue()
    if kind == "png":
        picture.save(body, "PNG")
        return pieces.with_chunks(body.getvalue(), pieces.chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + packet))
    picture.save(body, "JPEG", quality=95, subsampling="4:4:4")
    blocks = [pieces.segment(0xE1, b"Exif\0\0" + exif)] if exif else []
    return pieces.with_segments(
        body.getvalue(), *blocks, pieces.segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + packet)
    )


@pytest.mark.parametrize("orientation", [0, 9, 65_535])
def test_an_orientation_that_makes_no_sense_is_none(darkroom: Darkroom, orientation: int) -> None:
    data = samples.photo(image=samples.corners(), orientation=orientation)

    rendered = darkroom.render(data)

    found = corners_of(opened(rendition(rendered, "share")))
    assert all(near(one, other, 40) for one, other in zip(found, UPRIGHT[1], strict=True))


@pytest.mark.parametrize(
    "block", [b"", b"II*\0", b"II*\0\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\xff\xff", b"garbage" * 99]
)
def test_bad_exif_is_no_bad_picture(darkroom: Darkroom, block: bytes) -> None:
    body = io.BytesIO()
    samples.corners().save(body, "JPEG")
    data = pieces.with_segments(body.getvalue(), pieces.segment(0xE1, b"Exif\0\0" + block))

    rendered = darkroom.render(data)

    assert (rendered.facts.width, rendered.facts.height) == (96, 64)


@pytest.mark.parametrize("kind", samples.KINDS)
def test_the_same_file_gives_the_same_bytes(darkroom: Darkroom, kind: str) -> None:
    data = samples.KINDS[kind]()

    first, second = darkroom.render(data), darkroom.render(data)

    assert [made.sha256 for made in first.made] == [made.sha256 for made in second.made]
    assert first.facts == second.facts


def test_one_jail_call_and_one_decode_make_all_renditions(darkroom: Darkroom) -> None:
    data = samples.camera_photo(12)
    path = darkroom.write(data)
    args = {"format": "jpeg", "limits": _limits().as_args(), "work": "image", "names": None}
    before = darkroom.calls()

    darkroom.render(data)
    after = darkroom.calls()
    source = os.open(path, os.O_RDONLY)
    try:
        counted = darkroom.jail.call("test.counted", source, args, jail_limits(_limits(), threads=False))
    finally:
        os.close(source)
        path.unlink()

    assert after - before == 1
    assert counted.header["counts"] == {"open": 1, "decoder": 1}
    assert [entry["name"] for entry in counted.header["renditions"]] == ["display", "share", "thumb"]


def _limits() -> MediaLimits:
    return MediaLimits()


def test_only_the_renditions_asked_for_are_made(darkroom: Darkroom) -> None:
    data = samples.photo()

    rendered = darkroom.render(data, names=("thumb",))

    assert shape(rendered) == [("thumb", "image/webp", 320, 240)]


def test_a_frame_of_a_video_becomes_poster_and_thumb(darkroom: Darkroom) -> None:
    data = samples.png((640, 360))

    rendered = darkroom.render(data, "png", frame=True)

    assert shape(rendered) == [("poster", "image/webp", 640, 360), ("thumb", "image/webp", 320, 180)]


def test_the_first_picture_of_a_motion_photo_is_the_one_shown(darkroom: Darkroom) -> None:
    data = samples.motion_photo()

    rendered = darkroom.render(data)

    assert (rendered.facts.width, rendered.facts.height, rendered.facts.frames) == (640, 480, 1)
    assert rendered.facts.removed["embedded_video"] == 1
    assert rendered.facts.removed["second_picture"] == 1


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "avif", "heic", "jpeg-motion"])
def test_a_canary_in_every_slot_is_gone_and_was_counted(darkroom: Darkroom, kind: str) -> None:
    mark = "CANARY_7731"
    data = samples.KINDS[kind](canary=mark)  # type: ignore[operator]
    forms = [mark.encode(), mark.encode("utf-16-le"), samples.SERIAL.encode(), samples.OWNER.encode()]
    assert forms[0] in data

    rendered = darkroom.render(data)

    for made in rendered.made:
        assert not [form for form in forms if form in (made.body or b"")]
    removed = rendered.facts.removed
    assert {"location", "camera", "serial_number", "owner_name", "timestamps"} <= set(removed)
    # Pillow's AVIF writer leaves the thumbnail's directory out.
    assert "thumbnail" in removed or kind == "avif"
    assert mark not in repr(rendered.facts)


def test_a_type_other_than_the_promised_is_refused(darkroom: Darkroom) -> None:
    with pytest.raises(Unprocessable) as refusal:
        darkroom.render(samples.photo(), "png")

    assert refusal.value.code == "type_mismatch"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_a_packet_in_any_encoding_is_read_inside_the_walls(darkroom: Darkroom, encoding: str) -> None:
    """A locked child cannot load the module of an encoding: it was the end of every photo with such a packet."""
    packet = samples.xmp().decode().encode(encoding)
    data = pieces.with_segments(samples.grey_jpeg(), pieces.segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + packet))

    rendered = darkroom.render(data)

    assert rendered.facts.removed["location"] >= 1
