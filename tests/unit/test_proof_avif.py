"""The second reader of AVIF: what Pillow makes of pixels alone is proven, and one thing more or other is a doubt."""

from __future__ import annotations

import functools
import io
import struct
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests import pieces, samples
from tests.carriers.heif import in_meta
from tests.darkroom import Darkroom, clean
from worker.media.proof import av1, avif
from worker.media.proof.doubt import Doubt

AVIF = "image/avif"
SIZE = (200, 152)
CANARY = b"CANARY_7731"


def saved(image: Image.Image, **how: object) -> bytes:
    body = io.BytesIO()
    image.save(body, "AVIF", **{"quality": 75, "speed": 10, "max_threads": 1, "autotiling": False, **how})
    return body.getvalue()


def cut_out() -> Image.Image:
    """A quarter can be seen; the rest is clear, and black."""
    picture = Image.new("RGBA", SIZE)
    picture.paste(samples.scene(100, 76), (0, 0))
    return picture


@functools.cache
def good(kind: str) -> bytes:
    return saved(cut_out()) if kind == "alpha" else saved(samples.scene(*SIZE))


def doubt(file: bytes) -> str:
    with pytest.raises(Doubt) as caught:
        avif.check(file)
    return str(caught.value)


def in_frame(file: bytes, more: bytes, *, instead: int) -> bytes:
    """Bytes at the end of the only picture, `instead` of so many; the lengths of item and box are right."""
    place = file.index(b"iloc") + 4 + 8 + 10
    grown = len(more) - instead
    body = bytearray(file[: len(file) - instead] + more)
    (length,) = struct.unpack_from(">I", file, place)
    struct.pack_into(">I", body, place, length + grown)
    mdat = file.index(b"mdat") - 4
    struct.pack_into(">I", body, mdat, struct.unpack_from(">I", file, mdat)[0] + grown)
    return bytes(body)


def item(file: bytes) -> bytes:
    """The coded picture of a file that has one."""
    offset, length = struct.unpack_from(">II", file, file.index(b"iloc") + 4 + 8 + 6)
    return file[offset : offset + length]


def with_item(file: bytes, body: bytes) -> bytes:
    return in_frame(file, body, instead=len(item(file)))


def unit(kind: int, body: bytes) -> bytes:
    size, coded = len(body), b""
    while size > 0x7F:
        coded, size = coded + bytes((size & 0x7F | 0x80,)), size >> 7
    return bytes((kind,)) + coded + bytes((size,)) + body


def units(file: bytes) -> list[tuple[int, bytes]]:
    return av1._units(item(file))


def of_units(file: bytes, *parts: tuple[int, bytes]) -> bytes:
    return with_item(file, b"".join(unit(*part) for part in parts))


def replaced(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    def change(file: bytes) -> bytes:
        assert file.count(old) >= 1
        assert len(old) == len(new)
        return file.replace(old, new, 1)

    return change


def _with_bytes(file: bytes) -> bytes:
    """At the end of the samples' box, whose length says so."""
    at = file.index(b"mdat") - 4
    return file[:at] + struct.pack(">I", len(file) - at + len(CANARY)) + file[at + 4 :] + CANARY


@pytest.mark.parametrize("subsampling", ["4:2:0", "4:4:4"])
@pytest.mark.parametrize("size", [(16, 16), (17, 33), (64, 64), (65, 64), (160, 120)])
def test_what_pillow_makes_of_pixels_is_proven(size: tuple[int, int], subsampling: str) -> None:
    for picture in (samples.scene(*size), Image.new("RGB", size, (13, 77, 201)), Image.effect_noise(size, 60)):
        avif.check(saved(picture.convert("RGB"), subsampling=subsampling))


@pytest.mark.parametrize("kind", ["plain", "alpha"])
def test_it_is_proven_in_the_jail(darkroom: Darkroom, kind: str) -> None:
    assert darkroom.prove(good(kind), AVIF).media_type == AVIF


# What -> the change, and why it is doubted.
_UNIT = "a unit that may not be there"
CHANGES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "a brand": (replaced(b"miafMA1", b"miafCNY"), "ftyp"),
    "a box at the top": (lambda f: f + pieces.box(b"free", CANARY), "a box at the top that may not be there"),
    "a byte after the end": (lambda f: f + b"\0", "a box's header"),
    "a box in meta": (lambda f: in_meta(f, "", pieces.box(b"idat", CANARY)), "meta"),
    "a property": (lambda f: in_meta(f, "iprp/ipco", pieces.box(b"irot", b"\1")), "a property that nothing uses"),
    "a crop": (lambda f: in_meta(f, "iprp/ipco", pieces.box(b"clap", bytes(32))), "a property that nothing uses"),
    "a name": (replaced(b"Color\0", b"Paris\0"), "name of an item"),
    "a handler's name": (replaced(b"pict" + bytes(13), b"pict" + bytes(4) + b"appl" + bytes(5)), "hdlr or pitm"),
    "another kind of item": (replaced(b"av01Color", b"hvc1Color"), "kind of an item"),
    "a hidden item": (replaced(b"infe\2\0\0\0", b"infe\2\0\0\1"), "kind of an item"),
    "another main item": (replaced(b"pitm\0\0\0\0\0\1", b"pitm\0\0\0\0\0\2"), "hdlr or pitm"),
    "numbers of colours": (replaced(b"nclx\0\1\0\x0d", b"nclx\0\x0c\0\x0d"), "colr"),
    "channels": (replaced(b"\3\x08\x08\x08", b"\3\x08\x08\x0a"), "pixi"),
    "a size": (replaced(b"ispe\0\0\0\0\0\0\0\xc8", b"ispe\0\0\0\0\0\0\0\xc7"), "size of a frame"),
    "version of av1C": (replaced(b"av1C\x81", b"av1C\x82"), "av1C"),
    "delay in av1C": (replaced(b"av1C\x81\0\x0c\0", b"av1C\x81\0\x0c\x1f"), "av1C"),
    "bytes of nobody": (_with_bytes, "bytes that no picture owns"),
    "a picture from elsewhere": (lambda f: _moved(f, 1), "bytes that no picture owns"),
    "metadata in the picture": (lambda f: of_units(f, *units(f), (0x2A, b"\4" + CANARY)), _UNIT),
    "padding in the picture": (lambda f: of_units(f, *units(f), (0x7A, CANARY)), _UNIT),
    "a unit of a kind to come": (lambda f: of_units(f, *units(f), (0x4A, CANARY)), _UNIT),
    "a second frame": (lambda f: of_units(f, *units(f), units(f)[2]), _UNIT),
    "a delimiter that says something": (lambda f: of_units(f, (0x12, CANARY), *units(f)[1:]), _UNIT),
    "a unit with an extension": (
        lambda f: of_units(f, units(f)[0], units(f)[1], (0x36, b"\0" + units(f)[2][1])),
        _UNIT,
    ),
    "bytes after the sequence header": (
        lambda f: of_units(f, units(f)[0], (0x0A, units(f)[1][1] + b"a"), units(f)[2]),
        "bytes after the sequence header",
    ),
    "a length said the long way": (lambda f: with_item(f, b"\x12\x80\0" + item(f)[2:]), "a unit's length"),
    "a tail in the frame": (lambda f: _with_tail(f, CANARY), "a frame's tail"),
    "zeros in the frame": (lambda f: _with_tail(f, bytes(12)), "a frame's tail"),
}


def _with_tail(file: bytes, tail: bytes) -> bytes:
    first, sequence, (kind, frame) = units(file)
    return of_units(file, first, sequence, (kind, frame + tail))


def _moved(file: bytes, by: int) -> bytes:
    body = bytearray(file)
    place = file.index(b"iloc") + 4 + 8 + 6
    struct.pack_into(">I", body, place, struct.unpack_from(">I", file, place)[0] + by)
    return bytes(body)


@pytest.mark.parametrize("what", CHANGES)
def test_an_avif_with_one_thing_more_or_other_is_refused(what: str) -> None:
    change, why = CHANGES[what]

    assert doubt(change(good("plain"))) == why


def test_the_edits_of_these_tests_do_no_harm_of_themselves() -> None:
    avif.check(with_item(good("plain"), item(good("plain"))))
    avif.check(of_units(good("plain"), *units(good("plain"))))


def test_only_alpha_may_stand_beside_the_picture() -> None:
    file = good("alpha")
    assert doubt(file.replace(b"auxiliary:alpha", b"auxiliary:depth")) == "auxC"
    assert doubt(file.replace(b"auxl", b"thmb")) == "references"
    assert doubt(file.replace(b"auxl\0\2\0\1\0\1", b"auxl\0\1\0\1\0\2")) == "references"
    assert doubt(file.replace(b"Alpha\0", b"Paris\0")) == "name of an item"


def test_colour_under_alpha_is_found() -> None:
    assert doubt(saved(samples.see_through(SIZE))) == "colour under transparency"


def test_more_than_one_tile_is_more_than_can_be_judged() -> None:
    picture = samples.scene(512, 512)
    avif.check(saved(picture))
    assert doubt(saved(picture, tile_cols=1)) == "more than one tile"
    assert doubt(saved(picture, tile_rows=1)) == "more than one tile"


@pytest.mark.parametrize("make", [samples.avif, lambda: saved(samples.scene(64, 48), exif=samples.exif())])
def test_what_a_camera_adds_is_refused(make: Callable[[], bytes]) -> None:
    assert not clean(make(), AVIF)


def test_an_animation_is_refused() -> None:
    frames = [samples.scene(64, 48), samples.scene(64, 48).rotate(9)]
    assert not clean(saved(frames[0], save_all=True, append_images=frames[1:]), AVIF)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), kind=st.sampled_from(["plain", "alpha"]))
def test_flipped_bytes_and_cuts_never_crash_the_reader(data: st.DataObject, kind: str) -> None:
    body = bytearray(good(kind))
    at = data.draw(st.integers(0, 450))
    body[at] ^= data.draw(st.integers(1, 255))

    clean(bytes(body), AVIF)  # a verdict either way; anything but one is an error here
    assert not clean(good(kind)[: data.draw(st.integers(0, len(body) - 1))], AVIF)
