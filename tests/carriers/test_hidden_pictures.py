"""A picture is cropped or blurred, and its old self lies elsewhere in the file: no copy of ours holds it, nor any
picture or film beside the one that it shows."""

from __future__ import annotations

import base64
import functools
import io
import random
import re
import struct
import warnings
from collections.abc import Callable, Iterator

import pillow_heif
import pytest
from PIL import Image, ImageFilter, ImageSequence, ImageStat

from tests import pieces
from tests.carriers import heif, jpeg, png
from tests.carriers.planted import saved
from tests.darkroom import Darkroom, picture

pytestmark = pytest.mark.slow

SIZE = (96, 64)
_JPEG = re.compile(rb"\xff\xd8\xff[\xc0-\xfe]")
Hide = Callable[[Image.Image, Image.Image], bytes]


@functools.cache
def old() -> Image.Image:
    """What nobody may see: blocks of colour as faces have them, in no order."""
    chance = random.Random(11)
    small = Image.frombytes("RGB", (16, 16), chance.randbytes(3 * 256))
    return small.resize(SIZE, Image.Resampling.BICUBIC)


def blurred() -> Image.Image:
    return old().filter(ImageFilter.GaussianBlur(14))


def cropped() -> Image.Image:
    return old().crop((0, 0, 36, 24)).resize(SIZE)


def thumb() -> Image.Image:
    return old().resize((48, 32))


def _jpeg(image: Image.Image, **more: object) -> bytes:
    return saved(image, "JPEG", quality=92, **more)


def in_exif(main: Image.Image, hidden: Image.Image) -> bytes:
    block = pieces.exif_block({0x0112: 1}, thumbnail=_jpeg(hidden.resize((48, 32))))
    return pieces.with_segments(_jpeg(main), pieces.segment(0xE1, b"Exif\0\0" + block))


def in_jfif(main: Image.Image, hidden: Image.Image) -> bytes:
    body = _jpeg(main)
    small = hidden.resize((48, 32)).tobytes()
    return body[:2] + pieces.segment(0xE0, body[6:18] + bytes((48, 32)) + small) + body[20:]


def in_photoshop(main: Image.Image, hidden: Image.Image) -> bytes:
    head = struct.pack(">6I2H", 1, 96, 64, 288, 96 * 64 * 3, 0, 24, 1)
    body = b"Photoshop 3.0\0" + jpeg.resource(0x040C, head + _jpeg(hidden))
    return pieces.with_segments(_jpeg(main), pieces.segment(0xED, body))


def as_second_frame(main: Image.Image, hidden: Image.Image) -> bytes:
    """By Pillow's own writer of several pictures, with its index."""
    return saved(main, "MPO", save_all=True, append_images=[hidden], quality=92)


def as_gain_map(main: Image.Image, hidden: Image.Image) -> bytes:
    urn = pieces.segment(0xE2, b"urn:iso:std:iso:ts:21496:-1\0" + bytes(4))
    return pieces.with_segments(_jpeg(main), urn) + pieces.with_segments(_jpeg(hidden), urn)


def as_depth(main: Image.Image, hidden: Image.Image) -> bytes:
    """As Google's camera did: a JPEG in base64 in extended XMP."""
    said = f'<rdf:Description GDepth:Mime="image/jpeg" GDepth:Data="{base64.b64encode(_jpeg(hidden)).decode()}"/>'
    head = b"http://ns.adobe.com/xmp/extension/\0" + b"A" * 32 + struct.pack(">II", len(said), 0)
    return pieces.with_segments(_jpeg(main), pieces.segment(0xE1, head + said.encode()))


def in_motion(main: Image.Image, hidden: Image.Image) -> bytes:
    return _jpeg(main) + jpeg.film(_jpeg(hidden))


def behind(main: Image.Image, hidden: Image.Image) -> bytes:
    return _jpeg(main) + bytes(32) + _jpeg(hidden)


def _heif(*images: Image.Image) -> bytes:
    file = pillow_heif.from_pillow(images[0])
    for image in images[1:]:
        file.add_from_pillow(image)
    body = io.BytesIO()
    file.save(body, quality=92, save_all=True)
    return body.getvalue()


def in_burst(main: Image.Image, hidden: Image.Image) -> bytes:
    return _heif(main, hidden)


def as_heic_thumbnail(main: Image.Image, hidden: Image.Image) -> bytes:
    """The second item says that it is the first one's thumbnail."""
    body = _heif(main, hidden)
    return heif.in_meta(body, "", pieces.box(b"iref", bytes(4), pieces.box(b"thmb", struct.pack(">3H", 2, 1, 1))))


def as_heic_auxiliary(main: Image.Image, hidden: Image.Image) -> bytes:
    """What was the mask of transparency says that it is a map of depth."""
    layered = main.convert("RGBA")
    layered.putalpha(hidden.convert("L"))
    body = _heif(layered)
    assert b"auxid:1" in body
    return body.replace(b"auxid:1", b"auxid:2")


def as_avif_auxiliary(main: Image.Image, hidden: Image.Image) -> bytes:
    layered = main.convert("RGBA")
    layered.putalpha(hidden.convert("L"))
    body = saved(layered, "AVIF", quality=90, speed=10)
    return body.replace(b"auxiliary:alpha", b"auxiliary:depth")


def as_default(main: Image.Image, hidden: Image.Image) -> bytes:
    """An animation of one frame, and a default image that is none."""
    return png.before_frames(saved(main, "PNG"), hidden.tobytes())


def under_alpha(main: Image.Image, hidden: Image.Image) -> bytes:
    """The main picture on the lower half; the upper one is clear, and there lies the old one."""
    seen = Image.new("L", SIZE, 0)
    seen.paste(255, (0, SIZE[1] // 2, *SIZE))
    layered = Image.composite(main, hidden, seen).convert("RGBA")
    layered.putalpha(seen)
    return saved(layered, "PNG")


def as_second_page(main: Image.Image, hidden: Image.Image) -> bytes:
    return saved(main.copy(), "TIFF", save_all=True, append_images=[hidden.copy()])


# Place -> how it is hidden there, and the kind that tells of it.
PLACES: dict[str, tuple[Hide, str]] = {
    "EXIF thumbnail": (in_exif, "thumbnail"),
    "JFIF thumbnail": (in_jfif, "thumbnail"),
    "Photoshop preview": (in_photoshop, "thumbnail"),
    "MPO second frame": (as_second_frame, "second_picture"),
    "gain map": (as_gain_map, "gain_map"),
    "depth map in XMP": (as_depth, "depth_map"),
    "motion photo": (in_motion, "embedded_video"),
    "behind the end": (behind, "second_picture"),
    "HEIC burst": (in_burst, "second_picture"),
    "HEIC thumbnail": (as_heic_thumbnail, "thumbnail"),
    "HEIC depth": (as_heic_auxiliary, "depth_map"),
    "AVIF depth": (as_avif_auxiliary, "depth_map"),
    "APNG default image": (as_default, "second_picture"),
    "PNG under alpha": (under_alpha, "hidden_data"),
    "TIFF second page": (as_second_page, "second_picture"),
}
# The rewritten original among them, where its format is rewritten.
COPIES = ("original_clean", "display", "share", "thumb")
MAINS = {"blurred": blurred, "cropped": cropped}


def alike(one: Image.Image, two: Image.Image) -> float:
    """How much two pictures are the same, by brightness: 1 the very same, about 0 nothing in common."""
    small = [image.convert("L").resize((32, 24), Image.Resampling.BOX) for image in (one, two)]
    means = [ImageStat.Stat(image).mean[0] for image in small]
    pixels = [[value - mean for value in image.tobytes()] for image, mean in zip(small, means, strict=True)]
    power = [sum(value * value for value in each) ** 0.5 or 1.0 for each in pixels]
    return sum(a * b for a, b in zip(*pixels, strict=True)) / (power[0] * power[1])


def pictures_in(body: bytes) -> Iterator[Image.Image]:
    """Every picture that somebody with tools finds in a file: starts of JPEG, base64, raw samples, items, frames."""
    packed = [base64.b64decode(match[1]) for match in re.finditer(rb'GDepth:Data="([^"]+)"', body)]
    for layer in (body, *packed):
        for match in _JPEG.finditer(layer):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield from frames(layer[match.start() :])
    if not body.startswith(b"\xff\xd8"):
        yield from frames(body)
    elif body[18:20] == bytes((48, 32)):
        yield Image.frombytes("RGB", (48, 32), body[20 : 20 + 3 * 48 * 32])


def frames(body: bytes) -> Iterator[Image.Image]:
    """All pictures of one file, those of depth and transparency among them."""
    pillow_heif.register_heif_opener()
    # For the whole process, and our own decoding turns both off.
    pillow_heif.options.DEPTH_IMAGES = pillow_heif.options.AUX_IMAGES = True
    try:
        image = Image.open(io.BytesIO(body))
        for frame in ImageSequence.Iterator(image):
            yield frame.convert("RGB")
            if "A" in frame.getbands():
                yield frame.getchannel("A")
            yield from (depth.to_pillow() for depth in frame.info.get("depth_images", ()))
    except (OSError, SyntaxError, ValueError):
        return


@pytest.mark.parametrize("place", [place for place in PLACES if place not in ("AVIF depth", "HEIC thumbnail")])
def test_the_old_picture_is_truly_there(place: str) -> None:
    body = PLACES[place][0](blurred(), old())

    assert max(alike(found, old()) for found in pictures_in(body)) > (0.6 if place == "PNG under alpha" else 0.9)


@pytest.mark.parametrize("place", ["AVIF depth", "HEIC thumbnail"])
def test_the_old_picture_is_truly_there_where_no_reader_shows_it(place: str) -> None:
    """The same bytes, under the name that a reader does show."""
    body = PLACES[place][0](blurred(), old())
    shown = body.replace(b"auxiliary:depth", b"auxiliary:alpha").replace(b"thmb", b"cdsc")

    assert shown != body
    assert max(alike(found, old()) for found in pictures_in(shown)) > 0.9


@pytest.mark.parametrize("main", MAINS)
@pytest.mark.parametrize("place", PLACES)
def test_no_copy_holds_the_old_picture(darkroom: Darkroom, place: str, main: str) -> None:
    hide, kind = PLACES[place]
    shown = MAINS[main]()

    rendered = darkroom.render(hide(shown, old()), names=COPIES)

    assert kind in rendered.facts.removed
    assert {made.name for made in rendered.made} | {*rendered.left_out} == {*COPIES}
    assert len(rendered.made) >= 3
    for made in rendered.made:
        body = made.body or b""
        only_a_picture(body, made.media_type)
        seen = [*pictures_in(body)]
        assert max(alike(each, old()) for each in seen) < 0.5
        half = (0, SIZE[1] // 2, *SIZE) if place == "PNG under alpha" else (0, 0, *SIZE)
        assert alike(picture(body).convert("RGB").crop(half), shown.crop(half)) > 0.9


def only_a_picture(body: bytes, media_type: str) -> None:
    """One start of a picture, its own, and none of a film."""
    assert len(_JPEG.findall(body)) == (media_type == "image/jpeg")
    assert body.count(pieces.PNG) == (media_type == "image/png")
    assert body.count(b"RIFF") == (media_type == "image/webp")
    assert b"ftyp" not in body


def test_the_two_main_pictures_are_not_the_old_one() -> None:
    assert max(alike(blurred(), old()), alike(cropped(), old())) < 0.5
