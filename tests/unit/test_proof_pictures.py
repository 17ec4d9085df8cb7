"""The second reader of pictures: our own encoders' output passes, one thing more or other and it does not."""

from __future__ import annotations

import functools
import io
import struct
import zlib
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests import pieces, samples
from tests.darkroom import Darkroom, clean
from worker.errors import Unprocessable
from worker.media.image.encode import Reel, encoded

CANARY = b"CANARY_7731 at 48.8577 north"
JPEG, PNG, WEBP = "image/jpeg", "image/png", "image/webp"


@functools.cache
def good(kind: str) -> bytes:
    """What our own encoders make."""
    if kind == "jpeg":
        return encoded(samples.scene(160, 120), JPEG, 85)
    if kind == "png":
        return encoded(seen(), PNG, 0)
    if kind == "webp":
        return encoded(samples.scene(160, 120), WEBP, 80)
    if kind == "webp-alpha":
        return encoded(seen(), WEBP, 80)
    reel = Reel((120, 80), 0, 75)
    for number in range(4):
        picture = Image.new("RGBA", (120, 80), (0, 0, 0, 0))
        picture.paste((250, 60, 20, 255), (number * 12, 10, number * 12 + 30, 50))
        reel.add(picture, 40)
    return reel.body()


def seen(size: tuple[int, int] = (160, 120)) -> Image.Image:
    """Half clear, with nothing hidden under it."""
    picture = samples.see_through(size)
    clear = Image.new("RGBA", size, (0, 0, 0, 0))
    alpha = picture.getchannel("A")
    return Image.composite(picture, clear, alpha.point([0] + [255] * 255))


TYPES = {"jpeg": JPEG, "png": PNG, "webp": WEBP, "webp-alpha": WEBP, "webp-animated": WEBP}


def _image(name: str, image: Image.Image, **more: object) -> bytes:
    body = io.BytesIO()
    image.save(body, name, **more)
    return body.getvalue()


def _jpeg_plus(*segments: bytes) -> bytes:
    return pieces.with_segments(good("jpeg"), *segments)


def _after_app0(segment: bytes) -> bytes:
    return good("jpeg")[:20] + segment + good("jpeg")[20:]


def _before_scan(segment: bytes) -> bytes:
    at = good("jpeg").index(b"\xff\xda")
    return good("jpeg")[:at] + segment + good("jpeg")[at:]


def _table_of_letters() -> bytes:
    at = good("jpeg").index(b"\xff\xdb") + 5
    return good("jpeg")[:at] + (CANARY * 3)[:64] + good("jpeg")[at + 64 :]


JPEGS: dict[str, Callable[[], bytes]] = {
    "one byte after": lambda: good("jpeg") + b"\0",
    "a second end": lambda: good("jpeg") + b"\xff\xd9",
    "a second picture": lambda: good("jpeg") + good("jpeg"),
    "a comment": lambda: _jpeg_plus(pieces.segment(0xFE, CANARY)),
    "a comment after APP0": lambda: _after_app0(pieces.segment(0xFE, CANARY)),
    "a comment before the scan": lambda: _before_scan(pieces.segment(0xFE, CANARY)),
    "EXIF": lambda: _after_app0(pieces.segment(0xE1, b"Exif\0\0" + samples.exif())),
    "XMP": lambda: _after_app0(pieces.segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + samples.xmp())),
    "ICC": lambda: _image("JPEG", samples.scene(64, 48), quality=85, icc_profile=pieces.rgb_profile("p3")),
    "an unknown marker": lambda: _after_app0(pieces.segment(0xF5, CANARY)),
    "APP14": lambda: _after_app0(pieces.segment(0xEE, b"Adobe\0\x64\0\0\0\0\1")),
    "restart interval": lambda: _after_app0(pieces.segment(0xDD, b"\0\4")),
    "a density": lambda: good("jpeg").replace(b"JFIF\0\1\1\0\0\1\0\1", b"JFIF\0\1\1\1\1\x2c\1\x2c", 1),
    "a JFIF thumbnail": lambda: good("jpeg")[:18] + b"\1\1" + b"abc" + good("jpeg")[20:],
    "bytes between segments": lambda: good("jpeg")[:20] + b"\xff" + good("jpeg")[20:],
    "bytes before": lambda: b"\0" + good("jpeg"),
    "a table of letters": _table_of_letters,
    "tables of another quality": lambda: _image("JPEG", samples.scene(64, 48), quality=30),
    "optimised tables": lambda: _image("JPEG", samples.scene(64, 48), quality=85, optimize=True),
    "progressive": lambda: _image("JPEG", samples.scene(64, 48), quality=85, progressive=True),
    "grey": lambda: _image("JPEG", samples.scene(64, 48).convert("L"), quality=85),
    "another sampling": lambda: _image("JPEG", samples.scene(64, 48), quality=85, subsampling=0),
    "a tail in the scan": lambda: good("jpeg")[:-2] + b"\xff\0" + CANARY + b"\xff\xd9",
    "plain bytes in the scan": lambda: good("jpeg")[:-2] + CANARY + b"\xff\xd9",
    "a restart marker in the scan": lambda: good("jpeg")[:-2] + b"\xff\xd0" + CANARY + b"\xff\xd9",
    "a length too long": lambda: good("jpeg")[:4] + b"\x00\x11" + good("jpeg")[6:],
    "cut": lambda: good("jpeg")[:-40] + b"\xff\xd9",
    "a camera's own": samples.photo,
}


def _png_of(change: Callable[[list[tuple[bytes, bytes]]], list[tuple[bytes, bytes]]]) -> bytes:
    return pieces.png_of(change(pieces.chunks_of(good("png"))))


def _plus(kind: bytes, body: bytes, at: int = 1) -> bytes:
    return _png_of(lambda chunks: [*chunks[:at], (kind, body), *chunks[at:]])


def _repacked(change: Callable[[bytes], bytes], tail: bytes = b"") -> bytes:
    chunks = pieces.chunks_of(good("png"))
    raw = zlib.decompress(b"".join(body for kind, body in chunks if kind == b"IDAT"))
    return pieces.png_of([chunks[0], (b"IDAT", zlib.compress(change(raw)) + tail), (b"IEND", b"")])


def _wrong_crc() -> bytes:
    body = bytearray(good("png"))
    body[-1] ^= 1
    return bytes(body)


PNGS: dict[str, Callable[[], bytes]] = {
    "one byte after": lambda: good("png") + b"\0",
    "text": lambda: _plus(b"tEXt", b"Comment\0" + CANARY),
    "packed text": lambda: _plus(b"zTXt", b"Comment\0\0" + zlib.compress(CANARY)),
    "text at the end": lambda: _plus(b"tEXt", b"Comment\0" + CANARY, at=-1),
    "EXIF": lambda: _plus(b"eXIf", samples.exif()),
    "ICC": lambda: _plus(b"iCCP", b"icc\0\0" + zlib.compress(pieces.rgb_profile("p3"))),
    "time": lambda: _plus(b"tIME", b"\x07\xe8\x07\x0e\x0c\x22\x38"),
    "density": lambda: _plus(b"pHYs", b"\0\0\x2e\x23\0\0\x2e\x23\x01"),
    "a private chunk": lambda: _plus(b"caNy", CANARY),
    "provenance": lambda: _plus(b"caBX", CANARY),
    "an odd gamma": lambda: _plus(b"gAMA", struct.pack(">I", 45_456)),
    "an odd intent": lambda: _plus(b"sRGB", b"\3"),
    "two sRGB": lambda: _png_of(lambda chunks: [chunks[0], (b"sRGB", b"\0"), (b"sRGB", b"\0"), *chunks[1:]]),
    "a palette": lambda: _plus(b"PLTE", b"abc"),
    "animation": samples.apng,
    "content in the end": lambda: _png_of(lambda chunks: [*chunks[:-1], (b"IEND", CANARY)]),
    "no end": lambda: good("png")[:-12],
    "a wrong checksum": _wrong_crc,
    "a length that does not add up": lambda: good("png")[:33] + b"\0\0\xff\xff" + good("png")[37:],
    "bytes after the stream": lambda: _repacked(lambda raw: raw, CANARY),
    "more rows than the picture": lambda: _repacked(lambda raw: raw + CANARY),
    "fewer rows": lambda: _repacked(lambda raw: raw[:-5]),
    "a filter of no meaning": lambda: _repacked(lambda raw: b"\7" + raw[1:]),
    "colour under alpha": lambda: encoded(samples.see_through((160, 120)), PNG, 0),
    "one hidden pixel": lambda: encoded(_hidden_pixel(), PNG, 0),
    "sixteen bit": samples.deep_png,
    "a palette picture": samples.palette_png,
    "an editor's own": samples.png,
}


def _hidden_pixel() -> Image.Image:
    picture = seen()
    picture.putpixel((7, 9), (1, 0, 0, 0))
    return picture


def _riffed(kind: str, *more: bytes) -> bytes:
    return pieces.webp_of(*(pieces.riff(name, body) for name, body in pieces.riff_chunks(good(kind))), *more)


def _grown(kind: str, name: bytes) -> bytes:
    chunks = [(each, body + CANARY if each == name else body) for each, body in pieces.riff_chunks(good(kind))]
    return pieces.webp_of(*(pieces.riff(each, body) for each, body in chunks))


def _in_frame() -> bytes:
    chunks = pieces.riff_chunks(good("webp-animated"))
    made = [(kind, body + pieces.riff(b"EXIF", CANARY) if kind == b"ANMF" else body) for kind, body in chunks]
    return pieces.webp_of(*(pieces.riff(kind, body) for kind, body in made))


def _flagged(flags: int) -> bytes:
    return pieces.extended(good("webp"), flags=flags, size=(160, 120))


def _hidden_webp() -> bytes:
    return encoded(samples.see_through((160, 120)), WEBP, 80)


def _padded() -> bytes:
    """An odd chunk whose pad byte says something."""
    body = bytearray(_riffed("webp-animated"))
    for kind, at, size in _places(bytes(body)):
        if size & 1 and kind != b"ANMF":
            body[at + size] = 0x41
            return bytes(body)
    chunks = pieces.riff_chunks(good("webp"))
    made = pieces.webp_of(*(pieces.riff(kind, data + (b"\0" if not len(data) & 1 else b"")) for kind, data in chunks))
    return made[:-1] + b"\x41"


def _places(webp: bytes) -> Iterator[tuple[bytes, int, int]]:
    at = 12
    while at + 8 <= len(webp):
        kind, size = struct.unpack_from("<4sI", webp, at)
        yield kind, at + 8, size
        at += 8 + size + (size & 1)


WEBPS: dict[str, Callable[[], bytes]] = {
    "one byte after": lambda: good("webp") + b"\0",
    "two bytes after": lambda: good("webp") + b"\0\0",
    "EXIF": lambda: samples.webp((160, 120)),
    "EXIF without its flag": lambda: _riffed("webp", pieces.riff(b"EXIF", CANARY)),
    "ICC": lambda: _image("WEBP", samples.scene(64, 48), icc_profile=pieces.rgb_profile("p3")),
    "an unknown chunk": lambda: _riffed("webp", pieces.riff(b"CANY", CANARY)),
    "an unknown chunk in an animation": lambda: _riffed("webp-animated", pieces.riff(b"CANY", CANARY)),
    "a chunk in a frame": _in_frame,
    "a size that does not add up": lambda: good("webp")[:4] + b"\0\0\0\0" + good("webp")[8:],
    "a pad byte that says something": _padded,
    "a tail in the picture": lambda: _grown("webp", b"VP8 "),
    "a tail in the alpha": lambda: _grown("webp-alpha", b"ALPH"),
    "a tail in a picture with alpha": lambda: _grown("webp-alpha", b"VP8 "),
    "a background colour": lambda: _riffed("webp-animated").replace(b"ANIM\6\0\0\0\0\0\0\0", b"ANIM\6\0\0\0abcd"),
    "a flag for EXIF": lambda: _flagged(0x08),
    "a flag for ICC": lambda: _flagged(0x20),
    "a flag for alpha without any": lambda: _flagged(0x10),
    "colour under alpha": _hidden_webp,
    "a picture twice": lambda: _riffed("webp", pieces.riff(*pieces.riff_chunks(good("webp"))[0])),
}


@pytest.mark.parametrize("kind", TYPES)
def test_what_our_encoders_make_is_proven(darkroom: Darkroom, kind: str) -> None:
    body = good(kind)

    proof = darkroom.prove(body, TYPES[kind])

    assert proof.media_type == TYPES[kind]
    assert clean(body, TYPES[kind])


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (16, 16), (17, 33), (120, 80), (159, 121)])
@pytest.mark.parametrize("colour", [(128, 128, 128), (0, 0, 0), (255, 255, 255), (0, 255, 1), (13, 77, 201), None])
def test_plain_and_tiny_pictures_are_proven_and_their_tails_are_not(
    size: tuple[int, int], colour: tuple[int, int, int] | None
) -> None:
    """The reader of tails compares the last block with less data: a plain block is the hard case."""
    picture = Image.new("RGB", size, colour) if colour else samples.scene(*size)
    for quality in (75, 85, 95):
        body = encoded(picture, JPEG, quality)

        assert clean(body, JPEG)
        assert not clean(body[:-2] + b"abc" + body[-2:], JPEG)
        assert not clean(body[:-2] + bytes(3) + body[-2:], JPEG)
        assert not clean(body[:-2] + b"\xff\0" * 3 + body[-2:], JPEG)
    for media_type in (PNG, WEBP):
        assert clean(encoded(picture, media_type, 80), media_type)


@pytest.mark.parametrize("what", JPEGS)
def test_a_jpeg_with_one_thing_more_is_refused(what: str) -> None:
    assert not clean(JPEGS[what](), JPEG)


@pytest.mark.parametrize("what", PNGS)
def test_a_png_with_one_thing_more_is_refused(what: str) -> None:
    assert not clean(PNGS[what](), PNG)


@pytest.mark.parametrize("what", WEBPS)
def test_a_webp_with_one_thing_more_is_refused(what: str) -> None:
    assert not clean(WEBPS[what](), WEBP)


@pytest.mark.parametrize("media_type", ["image/avif", "image/gif", "image/heic", "text/html", "", "video/mp4"])
def test_a_type_without_its_reader_is_refused(darkroom: Darkroom, media_type: str) -> None:
    with pytest.raises(Unprocessable) as refusal:
        darkroom.prove(good("jpeg"), media_type)

    assert refusal.value.code == "not_proven"


@pytest.mark.parametrize("claimed", [JPEG, PNG, WEBP])
@pytest.mark.parametrize("kind", TYPES)
def test_a_good_file_of_another_type_is_refused(kind: str, claimed: str) -> None:
    assert clean(good(kind), claimed) == (TYPES[kind] == claimed)


@pytest.mark.parametrize("media_type", [JPEG, PNG, WEBP])
@given(data=st.binary(max_size=400))
def test_garbage_is_refused(media_type: str, data: bytes) -> None:
    heads = {JPEG: b"\xff\xd8", PNG: pieces.PNG, WEBP: b"RIFF\x90\1\0\0WEBP"}

    assert not clean(data, media_type)
    assert not clean(heads[media_type] + data, media_type)


@pytest.mark.parametrize("kind", TYPES)
@settings(max_examples=120, deadline=None)
@given(data=st.data())
def test_flipped_bytes_never_crash_the_reader(kind: str, data: st.DataObject) -> None:
    body = bytearray(good(kind))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(body) - 1))
        body[at] ^= data.draw(st.integers(1, 255))

    clean(bytes(body), TYPES[kind])  # a verdict either way; anything but one is an error here


@pytest.mark.parametrize("kind", TYPES)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_file_cut_short_is_refused(kind: str, data: st.DataObject) -> None:
    body = good(kind)

    assert not clean(body[: data.draw(st.integers(0, len(body) - 1))], TYPES[kind])


@settings(max_examples=80, deadline=None)
@given(marker=st.integers(0xC0, 0xFE), body=st.binary(max_size=64), data=st.data())
def test_a_segment_put_in_anywhere_is_refused(marker: int, body: bytes, data: st.DataObject) -> None:
    jpeg = good("jpeg")
    places, at = [2], 2
    while jpeg[at + 1] != 0xDA:
        at += 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
        places.append(at)
    where = data.draw(st.sampled_from(places))

    assert not clean(jpeg[:where] + pieces.segment(marker, body) + jpeg[where:], JPEG)


@settings(max_examples=80, deadline=None)
@given(kind=st.binary(min_size=4, max_size=4), body=st.binary(max_size=64), at=st.integers(0, 3))
def test_a_chunk_put_in_anywhere_is_refused(kind: bytes, body: bytes, at: int) -> None:
    allowed = {(b"sRGB", b"\0"), (b"gAMA", struct.pack(">I", 45_455))}

    refused = not clean(_plus(kind, body, at), PNG)

    assert refused or (at == 1 and (kind, body) in allowed)


@pytest.mark.parametrize("base", ["webp", "webp-alpha", "webp-animated"])
@settings(max_examples=60, deadline=None)
@given(kind=st.binary(min_size=4, max_size=4), body=st.binary(max_size=64), data=st.data())
def test_a_riff_chunk_put_in_anywhere_is_refused(base: str, kind: bytes, body: bytes, data: st.DataObject) -> None:
    chunks = [pieces.riff(*each) for each in pieces.riff_chunks(good(base))]
    at = data.draw(st.integers(0, len(chunks)))

    assert not clean(pieces.webp_of(*chunks[:at], pieces.riff(kind, body), *chunks[at:]), WEBP)
