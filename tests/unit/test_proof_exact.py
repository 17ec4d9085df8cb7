"""The second reader is exact: a picture's last byte is needed, and one byte more after it is a doubt."""

from __future__ import annotations

import hashlib
import io
import struct
from collections.abc import Iterable

import pytest
from PIL import Image

from tests import pieces, samples
from tests.darkroom import Darkroom, clean
from tests.darkroom import picture as picture_of
from worker.errors import Unprocessable
from worker.media import proof
from worker.media.image.encode import encoded
from worker.media.libraries import PACKAGES
from worker.media.proof import jpeg, native, png, vp8, webp
from worker.media.proof.doubt import Doubt
from worker.media.proof.native import libwebp
from worker.media.proving import Picture, look, prove_pictures

JPEG, PNG, WEBP = "image/jpeg", "image/png", "image/webp"
SIZES = [(1, 1), (16, 16), (17, 33), (160, 120)]
CANARY = b"CANARY_7731"
FILLS = [b"\0", b"a", b"\x7f", b"\xff\0"]


def pictures() -> Iterable[Image.Image]:
    for size in SIZES:
        yield samples.scene(*size)
        yield Image.new("RGB", size, (13, 77, 201))
        yield Image.effect_noise(size, 60).convert("RGB")


def vp8_of(file: bytes) -> bytes:
    return dict(pieces.riff_chunks(file))[b"VP8 "]


def still(body: bytes, kind: bytes = b"VP8 ") -> bytes:
    return pieces.webp_of(pieces.riff(kind, body))


def first_partition(body: bytes) -> int:
    return int.from_bytes(body[:3], "little") >> 5


def with_first(body: bytes, first: bytes) -> bytes:
    """The same picture with another first partition, its length right."""
    tag = int.from_bytes(body[:3], "little") & 0x1F | len(first) << 5
    return tag.to_bytes(3, "little") + body[3:10] + first + body[10 + first_partition(body) :]


def shortest(stream: bytes, size: tuple[int, int]) -> bytes:
    """As much of a stream as a decoder takes."""
    while libwebp.whole(stream[:-1], size) == libwebp.OK:
        stream = stream[:-1]
    return stream


def doubt(file: bytes) -> str:
    with pytest.raises(Doubt) as caught:
        webp.check(file)
    return str(caught.value)


@pytest.mark.parametrize("quality", [75, 85, 95])
def test_no_byte_of_a_jpeg_scan_is_spare_and_none_lacks(quality: int) -> None:
    for picture in pictures():
        body = encoded(picture, JPEG, quality)
        jpeg.check(body)
        for count in (1, 2, 3, 7, 8, 9, 64):
            for fill in FILLS:
                with pytest.raises(Doubt, match="bytes after the last sample"):
                    jpeg.check(body[:-2] + fill * count + body[-2:])
        scan = body[:-2]
        scan = scan[:-2] if scan.endswith(b"\xff\0") else scan[:-1]
        with pytest.raises(Doubt, match="samples that lack"):
            jpeg.check(scan + body[-2:])


@pytest.mark.parametrize(("quality", "effort"), [(75, 2), (80, 4)])
def test_no_byte_of_a_lossy_webp_is_spare(quality: int, effort: int) -> None:
    for picture in pictures():
        body = vp8_of(encoded(picture, WEBP, quality, effort=effort))
        webp.check(still(body))
        needed = shortest(body, picture.size)
        for tail in (b"a", b"\0a", b"\0\0\0a", bytes(4), bytes(1_000), CANARY):
            assert doubt(still(needed + tail)) == "a picture's tail, or its lack"
        assert not clean(still(needed[:-1]), WEBP)


def test_no_byte_of_the_modes_of_a_lossy_webp_is_spare() -> None:
    """Between the two partitions nobody looks: their lengths add up, and a decoder skips what is left of the first."""
    for picture in pictures():
        body = vp8_of(encoded(picture, WEBP, 80))
        first = body[10 : 10 + first_partition(body)]
        assert with_first(body, first) == body
        needed = first
        while libwebp.whole(with_first(body, needed[:-1]), picture.size) == libwebp.OK:
            needed = needed[:-1]
        for tail in (b"a", b"\0a", bytes(4), CANARY):
            other = still(with_first(body, needed + tail))
            assert picture_of(other).size == picture.size
            assert doubt(other) == "the first partition's tail"


def coded(flags: Iterable[int]) -> bytes:
    """The boolean coder of RFC 6386 at even odds, by exact arithmetic: the lowest number of the last interval."""
    low, width, scale = 0, 255, 0
    for flag in flags:
        split = 1 + (width - 1 >> 1)
        low, width = (low + split, width - split) if flag else (low, split)
        while width < 128:
            low, width, scale = low << 1, width << 1, scale + 1
    pad = -scale % 8
    return (low << pad).to_bytes((scale + pad) // 8 + 1, "big") + bytes(2)


_SEGMENTS = ([0], [1, 1, 0, *([1, *[1] * 8] * 3)], [1, 0, 1, 1, *([1, *[0] * 8] * 4), *[0] * 4])


@pytest.mark.parametrize("segments", _SEGMENTS)
@pytest.mark.parametrize("deltas", [[0], [1, 0], [1, 1, *([1, *[1] * 7] * 8)], [1, 1, *[0] * 8]])
@pytest.mark.parametrize("count", range(4))
def test_samples_lie_in_one_partition_so_that_none_can_end_early(
    segments: list[int], deltas: list[int], count: int
) -> None:
    numbers = [1, 0, *segments, *([1, 0] * 5), *deltas, count >> 1, count & 1]
    first = coded(numbers)
    body = (len(first) << 5 | 0x10).to_bytes(3, "little") + b"\x9d\x01\x2a" + struct.pack("<HH", 16, 16) + first + b"\1"

    if count == 0:
        assert vp8.size_of(body) == (16, 16)
    else:
        with pytest.raises(Doubt, match="partitions"):
            vp8.size_of(body)


def test_a_lossless_webp_ends_with_its_last_byte() -> None:
    for picture in pictures():
        file = lossless(picture)
        body = dict(pieces.riff_chunks(file))[b"VP8L"]
        webp.check(file)
        for tail in (b"a", b"\0", b"\0\0"):
            assert doubt(still(body + tail, b"VP8L")) == "a lossless stream's tail"
        assert doubt(still(body[:-1], b"VP8L")) == "a lossless stream"


def lossless(picture: Image.Image) -> bytes:
    body = io.BytesIO()
    picture.save(body, "WEBP", lossless=True, exact=True)
    return body.getvalue()


def test_alpha_ends_with_its_last_byte() -> None:
    for size in SIZES[1:]:
        picture = Image.new("RGBA", size)
        picture.paste(samples.scene(size[0] // 2, size[1]), (0, 0))
        chunks = dict(pieces.riff_chunks(encoded(picture, WEBP, 80)))
        for tail in (b"", b"a", b"\0", b"\0\0"):
            made = pieces.webp_of(*(pieces.riff(k, b + tail if k == b"ALPH" else b) for k, b in chunks.items()))
            assert clean(made, WEBP) == (not tail)


def of_each_type() -> list[Picture]:
    scene = samples.scene(160, 120)
    return [Picture(body=encoded(scene, kind, 80), media_type=kind) for kind in (WEBP, JPEG, PNG, WEBP)]


def test_all_pictures_of_an_upload_are_proven_by_one_child(darkroom: Darkroom) -> None:
    before = darkroom.calls()

    proofs = prove_pictures(darkroom.jail, of_each_type())

    assert darkroom.calls() == before + 1
    assert proofs == [darkroom.prove(each.body, each.media_type) for each in of_each_type()]


@pytest.mark.parametrize("number", range(4))
def test_a_doubt_is_of_one_picture_and_no_other(darkroom: Darkroom, number: int) -> None:
    given = of_each_type()
    given[number] = Picture(body=given[number].body + b"\0\0", media_type=given[number].media_type)

    proofs = prove_pictures(darkroom.jail, given)

    assert [proof is None for proof in proofs] == [each == number for each in range(4)]


def test_lengths_that_do_not_add_up_prove_nothing(darkroom: Darkroom) -> None:
    """A reader that is told of more bytes than there are, and one asked for a type that is not published."""
    body = encoded(samples.scene(64, 48), JPEG, 80)
    for part in ([JPEG, False, len(body) + 1], [JPEG, False, 0], [WEBP, False, len(body)]):
        assert proof.read(io.BytesIO(body), {"parts": [part]})[0] == {"parts": [{"clean": False}]}
    with pytest.raises(Unprocessable) as refusal:
        prove_pictures(darkroom.jail, [Picture(body=body, media_type="text/html")])
    assert refusal.value.code == "not_proven"


def test_a_library_that_is_not_there_is_named_by_its_package(
    darkroom: Darkroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert look(darkroom.jail) == "by the system's own libwebp.so.7 and libturbojpeg.so.0"

    monkeypatch.setitem(PACKAGES, "libmayfly-none.so.9", "libmayfly-none9")

    assert native.missing() == ["libmayfly-none9"]
    with pytest.raises(native.Missing) as lack:
        native.library("libmayfly-none.so.9")
    assert lack.value.package == "libmayfly-none9"


@pytest.mark.parametrize("cut", [1_000, 65_536, 1 << 22])
def test_colour_under_transparency_is_found_in_every_row_of_a_large_png(cut: int) -> None:
    """However the samples are cut into chunks: they are looked at as they come."""
    noise = Image.merge("RGBA", [Image.effect_noise((200, 300), 90 + band) for band in range(4)])
    noise.paste((0, 0, 0, 0), (90, 0, 110, 300))
    clear = noise.getchannel("A").point([255] + [0] * 255)
    noise.paste((0, 0, 0, 0), (0, 0), clear)

    png.check(_in_chunks(encoded(noise, PNG, 0), cut))
    for row in range(0, 300, 37):
        marked = noise.copy()
        marked.putpixel((100, row), (0, 1, 0, 0))
        with pytest.raises(Doubt, match="colour under transparency"):
            png.check(_in_chunks(encoded(marked, PNG, 0), cut))


def _in_chunks(file: bytes, size: int) -> bytes:
    """The same PNG, its samples in chunks of `size` bytes."""
    head, *middle, end = pieces.chunks_of(file)
    whole = b"".join(body for _, body in middle)
    return pieces.png_of([head, *((b"IDAT", whole[at : at + size]) for at in range(0, len(whole), size)), end])


@pytest.mark.parametrize("picture", ["noise", "slope"])
@pytest.mark.parametrize("filtering", range(4))
def test_colour_under_transparency_is_found_however_alpha_is_stored(picture: str, filtering: int) -> None:
    """ALPH by hand: raw samples, filtered in each of the four ways, beside a lossy picture with a hidden square."""
    size = (64, 64)
    alpha = Image.linear_gradient("L").resize(size) if picture == "slope" else Image.effect_noise(size, 90)
    alpha.paste(0, (0, 0, 48, 48))
    shown = Image.new("RGB", size, (200, 40, 20))
    hidden = Image.composite(shown, Image.new("RGB", size), alpha.point([0] + [255] * 255))
    chunk = pieces.riff(b"ALPH", bytes([filtering << 2]) + _filtered(alpha, filtering))
    head = pieces.riff(b"VP8X", b"\x10\0\0\0" + 2 * (63).to_bytes(3, "little"))

    webp.check(pieces.webp_of(head, chunk, pieces.riff(b"VP8 ", vp8_of(encoded(hidden, WEBP, 80)))))
    with pytest.raises(Doubt, match="colour under transparency"):
        webp.check(pieces.webp_of(head, chunk, pieces.riff(b"VP8 ", vp8_of(encoded(shown, WEBP, 80)))))


def test_colour_under_transparency_is_found_in_a_picture_of_large_planes(darkroom: Darkroom) -> None:
    """So large that its samples lie in pages of their own, which a locked child must be able to have."""
    plain = Image.new("RGBA", (1100, 1000), (200, 40, 20, 255))
    plain.paste((0, 0, 0, 0), (300, 300, 800, 800))
    marked = plain.copy()
    marked.paste((250, 250, 250, 0), (500, 500, 520, 520))
    bodies = [encoded(each, WEBP, 80) for each in (plain, marked)] + [lossless(each) for each in (plain, marked)]

    proofs = prove_pictures(darkroom.jail, [Picture(body=body, media_type=WEBP) for body in bodies])

    assert [one is not None for one in proofs] == [True, False, True, False]


def test_a_proof_is_for_the_bytes_that_were_read(darkroom: Darkroom) -> None:
    one, other = (encoded(samples.scene(side, side), WEBP, 80) for side in (64, 80))
    digest = hashlib.sha256(one).hexdigest()
    asked = [Picture(body=body, media_type=WEBP, sha256=digest) for body in (one, other)]

    right, wrong = prove_pictures(darkroom.jail, asked)

    assert right is not None
    assert right.sha256 == digest
    assert wrong is None


def _filtered(alpha: Image.Image, way: int) -> bytes:
    """0 as it is; 1, 2, 3: less the sample to the left, above, or left + above - above left (WebP, Alpha)."""
    width, height = alpha.size
    rows = [list(alpha.tobytes()[at : at + width]) for at in range(0, width * height, width)]

    def guess(x: int, y: int) -> int:
        if way == 0 or x == y == 0:
            return 0
        if y == 0 or (way == 1 and x > 0):
            return rows[y][x - 1]
        if x == 0 or way == 2:
            return rows[y - 1][x]
        return min(max(rows[y][x - 1] + rows[y - 1][x] - rows[y - 1][x - 1], 0), 255)

    return bytes((rows[y][x] - guess(x, y)) % 256 for y in range(height) for x in range(width))
