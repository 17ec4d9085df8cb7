"""The second reader of gain maps: what our writer makes passes, one thing more or other and it does not."""

from __future__ import annotations

import functools
import random
import struct
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests import gainmaps, pieces, samples
from tests.darkroom import clean
from worker.media.colours.icc import display_p3
from worker.media.image.encode import encoded
from worker.media.image.gainmap.numbers import Numbers
from worker.media.image.gainmap.write import joined
from worker.media.proof import grey
from worker.media.proof.doubt import Doubt

CANARY = b"CANARY_7731 at 48.8577 north"
USUAL = {"low": -3_300, "high": 23_000, "gamma": 14_000, "offset_sdr": 156, "offset_hdr": 156}
NUMBERS = Numbers(**USUAL, capacity_min=0, capacity_max=23_000)
XMP = b"http://ns.adobe.com/xap/1.0/\0"


def proven(body: bytes) -> bool:
    return clean(body, "image/jpeg", gain_map=True)


@functools.cache
def halves(*, colour: bool = False) -> tuple[bytes, bytes]:
    gain = samples.scene(80, 60) if colour else gainmaps.glow(80, 60)
    return encoded(samples.scene(160, 120), "image/jpeg", 85), encoded(gain, "image/jpeg", 92)


@functools.cache
def good(*, colour: bool = False) -> bytes:
    return joined(*halves(colour=colour), NUMBERS)


def split(file: bytes) -> tuple[bytes, bytes]:
    at = file.index(b"\xff\xd9\xff\xd8") + 2
    return file[:at], file[at:]


def _segments(picture: bytes) -> list[bytes]:
    """Everything before the tables, segment by segment, then the rest."""
    found, at = [picture[:2]], 2
    while picture[at + 1] != 0xDB:
        end = at + 2 + int.from_bytes(picture[at + 2 : at + 4], "big")
        found.append(picture[at:end])
        at = end
    return [*found, picture[at:]]


def settled(first: list[bytes], second: list[bytes]) -> bytes:
    """Both pictures with every length and offset made right again, so that only what was planted is wrong."""
    behind = b"".join(second)
    about = next(at for at, part in enumerate(first) if b"Item:Length" in part)
    head, _, tail = first[about].partition(b'Item:Length="')
    text = head + b'Item:Length="' + str(len(behind)).encode() + tail[tail.index(b'"') :]
    first = [*first[:about], pieces.segment(0xE1, text[4:]), *first[about + 1 :]]
    index = next(at for at, part in enumerate(first) if part[4:8] == b"MPF\0")
    size, at = len(b"".join(first)), len(b"".join(first[:index])) + 8
    part = bytearray(first[index])
    struct.pack_into(">I", part, 4 + 58, size)
    struct.pack_into(">II", part, 4 + 74, len(behind), size - at)
    return b"".join((*first[:index], bytes(part), *first[index + 1 :])) + behind


def put(where: int, segment: bytes, *, second: bool = False) -> bytes:
    """One segment more, at a place among those of one picture."""
    parts = [_segments(each) for each in split(good())]
    parts[second].insert(where, segment)
    return settled(*parts)


def said(old: bytes, new: bytes, *, second: bool = True) -> bytes:
    """Another text in a packet, lengths right."""
    parts = [_segments(each) for each in split(good())]
    row = parts[second]
    place = next(at for at, part in enumerate(row) if part[1] == 0xE1)
    assert old in row[place]
    row[place] = pieces.segment(0xE1, row[place][4:].replace(old, new))
    return settled(*parts)


def both(name: bytes, value: int) -> bytes:
    """Another number, said alike in both spellings."""
    file = said(_said_of(name), b'hdrgm:%s="%.4f"' % (name, value / 10_000))
    order = (b"HDRCapacityMin", b"HDRCapacityMax", b"GainMapMin", b"GainMapMax", b"Gamma", b"OffsetSDR", b"OffsetHDR")
    at = file.rindex(b"21496:-1\0") + 9 + 5 + 8 * order.index(name)
    return file[:at] + struct.pack(">i", value) + file[at + 4 :]


def _said_of(name: bytes) -> bytes:
    file = good()
    at = file.index(b"hdrgm:" + name + b'="')
    return file[at : file.index(b'"', at + len(name) + 8) + 1]


def _halves(first: Callable[[bytes], bytes] = bytes, second: Callable[[bytes], bytes] = bytes) -> bytes:
    base, gain = halves()
    return joined(first(base), second(gain), NUMBERS)


def _third() -> bytes:
    """A third picture, with an index and a container that say so."""
    first, second = split(good())
    third = encoded(samples.scene(40, 30), "image/jpeg", 85)
    at = first.index(b"MPF\0") - 4
    size = len(first) + 16
    head = first[at + 4 : at + 4 + 58].replace(
        struct.pack(">HHII", 0xB001, 4, 1, 2), struct.pack(">HHII", 0xB001, 4, 1, 3)
    )
    head = head.replace(struct.pack(">HHII", 0xB002, 7, 32, 50), struct.pack(">HHII", 0xB002, 7, 48, 50))
    entries = struct.pack(">IIHH", size, 0, 0, 0)
    for begin, length in ((size, len(second)), (size + len(second), len(third))):
        entries += struct.pack(">IIIHH", 0, length, begin - at - 8, 0, 0)
    return first[:at] + pieces.segment(0xE2, head + entries) + first[at + 90 :] + second + third


def _exif_in_map() -> bytes:
    return put(2, pieces.segment(0xE1, b"Exif\0\0" + samples.exif()), second=True)


def _patched(pattern: bytes, at: int, value: bytes) -> bytes:
    place = good().index(pattern) + at
    return good()[:place] + value + good()[place + len(value) :]


REFUSED: dict[str, Callable[[], bytes]] = {
    "one byte after": lambda: good() + b"\0",
    "a byte between": lambda: b"\0".join(split(good())),
    "bytes between that the index counts": lambda: settled(
        *map(_segments, (split(good())[0] + CANARY, split(good())[1]))
    ),
    "bytes after that the index counts": lambda: settled(
        *map(_segments, (split(good())[0], split(good())[1] + CANARY))
    ),
    "a third picture": _third,
    "a third picture that nothing counts": lambda: good() + halves()[0],
    "EXIF in the gain map": _exif_in_map,
    "EXIF in the base": lambda: put(2, pieces.segment(0xE1, b"Exif\0\0" + samples.exif())),
    "a comment in the gain map": lambda: put(4, pieces.segment(0xFE, CANARY), second=True),
    "a comment in the base": lambda: put(5, pieces.segment(0xFE, CANARY)),
    "a second packet": lambda: put(3, pieces.segment(0xE1, XMP + samples.xmp()), second=True),
    "ICC in the gain map": lambda: put(4, pieces.segment(0xE2, b"ICC_PROFILE\0\1\1" + CANARY), second=True),
    "an attribute more in the gain map": lambda: said(b' hdrgm:Gamma="', b' dc:creator="Ada" hdrgm:Gamma="'),
    "an attribute more in the base": lambda: said(
        b' hdrgm:Version="', b' dc:creator="Ada" hdrgm:Version="', second=False
    ),
    "an element more": lambda: said(b"</rdf:RDF>", b"<!-- Ada --></rdf:RDF>"),
    "blanks behind a packet": lambda: said(b"</x:xmpmeta>", b"</x:xmpmeta>   "),
    "other blanks": lambda: said(b' hdrgm:Gamma="', b'  hdrgm:Gamma="'),
    "more decimals": lambda: said(_said_of(b"Gamma"), b'hdrgm:Gamma="1.400000000000001"'),
    "a number of two zeros": lambda: said(_said_of(b"Gamma"), b'hdrgm:Gamma="01.4000"'),
    "a plus": lambda: said(_said_of(b"Gamma"), b'hdrgm:Gamma="+1.4000"'),
    "zero with a sign": lambda: said(_said_of(b"HDRCapacityMin"), b'hdrgm:HDRCapacityMin="-0.0000"'),
    "text for a number": lambda: said(_said_of(b"Gamma"), b'hdrgm:Gamma="' + CANARY + b'"'),
    "numbers that disagree": lambda: said(_said_of(b"Gamma"), b'hdrgm:Gamma="1.4001"'),
    "gamma out of bounds": lambda: both(b"Gamma", 200_000),
    "gamma of nothing": lambda: both(b"Gamma", 0),
    "a gain out of bounds": lambda: both(b"GainMapMax", 170_000),
    "a range turned round": lambda: both(b"GainMapMin", 30_000),
    "an offset out of bounds": lambda: both(b"OffsetHDR", 10_001),
    "an offset below": lambda: both(b"OffsetSDR", -1),
    "a display turned round": lambda: both(b"HDRCapacityMin", 23_000),
    "a bright base": lambda: said(b'IsHDR="False"', b'IsHDR="True"'),
    "another length in the packet": lambda: good().replace(b'Length="', b'Length="1', 1),
    "another offset": lambda: _patched(b"MPF\0", 78, b"\0\0\0\1"),
    "another length in the index": lambda: _patched(b"MPF\0", 58, b"\0\0\x10\0"),
    "a picture that depends on another": lambda: _patched(b"MPF\0", 66, b"\0\1"),
    "another kind of picture": lambda: _patched(b"MPF\0", 70, b"\0\2\0\2"),
    "another version of the standard": lambda: _patched(b"21496:-1\0", 9, b"\0\0\0\1"),
    "another flag of the standard": lambda: _patched(b"21496:-1\0\0\0\0\0\x40", 13, b"\x41"),
    "another denominator": lambda: _patched(b"21496:-1\0\0\0\0\0\x40", 18, b"\0\0\x27\x11"),
    "a base of another encoder": lambda: _halves(lambda base: base.replace(b"JFIF", b"JFIX")),
    "a tail in the scan of the base": lambda: _halves(lambda base: base[:-2] + CANARY + base[-2:]),
    "a tail in the scan of the map": lambda: _halves(second=lambda gain: gain[:-2] + CANARY + gain[-2:]),
    "a byte in the scan of the map": lambda: _halves(second=lambda gain: gain[:-2] + b"\x41" + gain[-2:]),
    "a stuffed byte in the scan of the map": lambda: _halves(second=lambda gain: gain[:-2] + b"\xff\0" + gain[-2:]),
    "a restart in the map": lambda: _halves(second=lambda gain: gain[:-2] + b"\xff\xd0" + gain[-2:]),
    "a map cut short": lambda: _halves(second=lambda gain: gain[:-9] + gain[-2:]),
    "a map of another quality": lambda: joined(halves()[0], encoded(gainmaps.glow(80, 60), "image/jpeg", 91), NUMBERS),
    "a map with a profile": lambda: joined(
        halves()[0], encoded(samples.scene(80, 60), "image/jpeg", 92, profile=display_p3()), NUMBERS
    ),
    "a map of another shape": lambda: joined(halves()[0], encoded(gainmaps.glow(60, 80), "image/jpeg", 92), NUMBERS),
    "a map larger than its base": lambda: joined(
        halves()[0], encoded(gainmaps.glow(320, 240), "image/jpeg", 92), NUMBERS
    ),
    "only a gain map": lambda: split(good())[1],
    "only a base": lambda: split(good())[0],
    "a plain JPEG": lambda: halves()[0],
    "what a phone writes": gainmaps.ultra_hdr,
    "what another phone writes": gainmaps.apple_jpeg,
}


@pytest.mark.parametrize("colour", [False, True])
def test_what_our_writer_makes_is_proven_and_only_where_it_is_asked_for(colour: bool) -> None:
    assert proven(good(colour=colour))
    assert not clean(good(colour=colour), "image/jpeg")
    assert settled(*map(_segments, split(good(colour=colour)))) == good(colour=colour)


def test_a_base_of_wide_colours_has_our_own_profile() -> None:
    base = encoded(samples.scene(160, 120), "image/jpeg", 85, profile=display_p3())
    file = joined(base, halves()[1], NUMBERS)

    assert proven(file)
    assert not proven(file.replace(b"acsp", b"acsq"))


@pytest.mark.parametrize("what", REFUSED)
def test_one_thing_more_or_other_is_refused(what: str) -> None:
    assert not proven(REFUSED[what]())


@pytest.mark.parametrize(
    ("name", "value"), [(b"Gamma", 9_000), (b"GainMapMax", 160_000), (b"GainMapMin", -160_000), (b"OffsetHDR", 0)]
)
def test_a_number_within_its_bounds_said_alike_is_proven(name: bytes, value: int) -> None:
    assert proven(both(name, value))


@settings(max_examples=150, deadline=None)
@given(marker=st.integers(0xC0, 0xFE), body=st.binary(max_size=64), where=st.integers(1, 5), second=st.booleans())
def test_a_segment_put_in_anywhere_is_refused(marker: int, body: bytes, where: int, second: bool) -> None:
    assert not proven(put(min(where, 4) if second else where, pieces.segment(marker, body), second=second))


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_flipped_byte_outside_the_pixels_is_refused(data: st.DataObject) -> None:
    """Heads and ends of both pictures are constant but for the numbers, and those are said twice."""
    body = bytearray(good())
    begin = good().index(b"\xff\xd9\xff\xd8") + 2
    head = good().index(b"\xff\xda")
    at = data.draw(st.one_of(st.integers(0, head), st.integers(begin - 2, good().rindex(b"\xff\xda"))))
    # A side may be another one of as many blocks: the pixels of the last are there.
    sides = {frame + 5 + n for frame in (good().index(b"\xff\xc0"), good().rindex(b"\xff\xc0")) for n in range(4)}
    body[at] ^= data.draw(st.integers(1, 255))

    assert at in sides or not proven(bytes(body))


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_file_cut_short_is_refused(data: st.DataObject) -> None:
    assert not proven(good()[: data.draw(st.integers(0, len(good()) - 1))])


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (9, 17), (64, 40), (159, 121)])
@pytest.mark.parametrize("level", [0, 127, 128, 255, "noise", "scene"])
def test_grey_scans_are_read_to_their_last_bit(size: tuple[int, int], level: int | str) -> None:
    made = {
        "noise": lambda: Image.frombytes("L", size, random.Random(3).randbytes(size[0] * size[1])),
        "scene": lambda: samples.scene(*size).convert("L"),
    }
    body = encoded(made[level]() if isinstance(level, str) else Image.new("L", size, level), "image/jpeg", 92)

    grey.check(body)
    for tail in (b"\0", b"\x41", b"\xff\0", CANARY, body[-4:-2]):
        with pytest.raises(Doubt):
            grey.check(body[:-2] + tail + body[-2:])
    with pytest.raises(Doubt):
        grey.check(body[:-3] + body[-2:])
    with pytest.raises(Doubt):
        grey.check(body[:-3] + bytes((body[-3] ^ 1,)) + body[-2:] if body[-3] & 1 else body[:-2])
