"""The second reader of films: what our own workshop makes is proven, and every single thing beside it is a doubt."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import boxes, clips
from tests.boxes import at_sample, box, changed, patched, put
from worker.errors import Unprocessable
from worker.media import proof
from worker.media.proof import mp4
from worker.media.proof.doubt import Doubt

pytestmark = pytest.mark.slow

# The settling pass of our own workshop, by hand: each test changes one thing of it.
_BARE = (
    *("-map", "0:V:0", "-map", "0:a:0", "-sn", "-dn", "-map_metadata", "-1", "-map_chapters", "-1", "-c", "copy"),
    *("-fflags", "+bitexact", "-flags:v", "+bitexact", "-flags:a", "+bitexact"),
    *("-write_tmcd", "0", "-empty_hdlr_name", "1", "-movflags", "+faststart"),
)
_CLEAN = ("-bsf:v", "filter_units=pass_types=1-5|7|8")
_COLOUR = ("-color_primaries", "bt709", "-color_trc", "bt709", "-colorspace", "bt709", "-color_range", "tv")
_TABLE = "moov/trak/mdia/minf/stbl/"
CANARY = b"canary-4711"


@pytest.fixture(scope="module")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film as the encoder leaves it: names, banner and all."""
    target = tmp_path_factory.mktemp("encoded") / "first.mp4"
    vui = ("-vf", "setparams=range=tv:color_primaries=bt709:color_trc=bt709:colorspace=bt709,setsar=1")
    inputs = (*clips.picture("322x180"), *clips.tone())
    flags = ("-flags:v", "+bitexact", "-flags:a", "+bitexact", "-fflags", "+bitexact")
    clips.ffmpeg(*inputs, *vui, "-c:v", "libx264", "-profile:v", "high", *_COLOUR, "-c:a", "aac", *flags, target)
    return target


@pytest.fixture(scope="module")
def film(encoded: Path) -> bytes:
    """The same, settled: nothing left to doubt."""
    target = encoded.parent / "film.mp4"
    clips.ffmpeg("-i", encoded, *_BARE, *_CLEAN, target)
    return target.read_bytes()


def doubt(film: bytes) -> str:
    """Why it is not proven; fails the test when it is."""
    with pytest.raises(Doubt) as caught:
        mp4.check(io.BytesIO(film))
    return str(caught.value)


def test_what_our_workshop_makes_is_proven(film: bytes) -> None:
    assert mp4.check(io.BytesIO(film)) == len(film)
    answer, blobs = proof.read(io.BytesIO(film), {"media_type": "video/mp4"})
    assert (answer["clean"], answer["bytes"], blobs) == (True, len(film), [])


# What a muxer writes when one option of the settling pass is another: real files, each with one thing too many.
REMUXED: dict[str, tuple[str, ...]] = {
    "title": ("-metadata", "title=canary-4711"),
    "location": ("-metadata", "location=+48.8577+002.2950/"),
    "time": ("-metadata", "creation_time=2024-05-06T05:08:09Z"),
    "language": ("-metadata:s:a", "language=fra"),
    "track name": ("-metadata:s:v", "title=canary-4711"),
    "handler": ("-empty_hdlr_name", "0", "-metadata:s:v", "handler_name=canary-4711"),
    "default handler": ("-empty_hdlr_name", "0"),
    "keys": ("-movflags", "+faststart+use_metadata_tags", "-metadata", "com.apple.quicktime.make=canary-4711"),
    "muxer's name": ("-fflags", "-bitexact"),
    "encoder's name": ("-metadata:s:v", "encoder=canary-4711"),
    "turned": ("-metadata:s:v", "rotate=90"),
    "time code": ("-write_tmcd", "1", "-timecode", "01:02:03:04"),
    "second picture": ("-map", "0:V:0"),
    "second sound": ("-map", "0:a:0"),
    "fragments": ("-movflags", "frag_keyframe+empty_moov"),
    "sound before picture": ("-map", "-0:V", "-map", "0:V:0"),
    "clock": ("-write_prft", "wallclock", "-movflags", "frag_keyframe"),
    "QuickTime": ("-f", "mov"),
    "Matroska": ("-f", "matroska"),
}
# The same for what lies in the stream: the filter comes after or instead of ours.
FILTERED: dict[str, str] = {
    "banner of the encoder": "null",
    "SEI of another": "h264_metadata=sei_user_data=086f3693-b7b3-4f2c-9653-21492feee5b8+canary-4711",
    "delimiters": "h264_metadata=aud=insert",
    "crop of two macroblocks": "filter_units=pass_types=1-5|7|8,h264_metadata=crop_right=34",
    "crop to the left": "filter_units=pass_types=1-5|7|8,h264_metadata=crop_left=8",
    "crop below": "filter_units=pass_types=1-5|7|8,h264_metadata=crop_bottom=32",
    "pixels that are not square": "filter_units=pass_types=1-5|7|8,h264_metadata=sample_aspect_ratio=4/3",
}


@pytest.mark.parametrize("name", REMUXED)
def test_one_option_of_the_muxer_is_a_doubt(encoded: Path, tmp_path: Path, name: str) -> None:
    target = tmp_path / "other.mp4"
    clips.ffmpeg("-i", encoded, *_BARE, *_CLEAN, *REMUXED[name], target)

    assert doubt(target.read_bytes())


@pytest.mark.parametrize("name", FILTERED)
def test_a_unit_of_the_stream_is_a_doubt(encoded: Path, tmp_path: Path, name: str) -> None:
    target = tmp_path / "other.mp4"
    clips.ffmpeg("-i", encoded, *_BARE, "-bsf:v", FILTERED[name], target)

    assert doubt(target.read_bytes())


def test_parameter_sets_may_come_again_in_the_stream_but_no_others(film: bytes) -> None:
    stsd = boxes.payload(film, _TABLE + "stsd")
    at = stsd.index(b"avcC") + 4
    length = struct.unpack_from(">H", stsd, at + 6)[0]
    sps = stsd[at + 8 : at + 8 + length]

    def beginning(unit: bytes) -> Callable[[bytes], bytes]:
        return lambda sample: struct.pack(">I", len(unit)) + unit + _slice(len(sample) - len(unit) - 4, sample[4:5])

    repeated = at_sample(film, 0, 0, beginning(sps))
    other = at_sample(film, 0, 0, beginning(sps[:-1] + bytes((sps[-1] ^ 1,))))

    assert mp4.check(io.BytesIO(repeated))
    assert doubt(other) == "a parameter set in a sample"


def _slice(size: int, header: bytes) -> bytes:
    return struct.pack(">I", size - 4) + header + b"\x88" * (size - 5)


def _text(size: int) -> bytes:
    return (CANARY * size)[:size]


def _grown(body: bytes) -> bytes:
    return body + CANARY


def _longer(kind: bytes, extra: bytes) -> Callable[[bytes], bytes]:
    """`stsd` with bytes more at the end of one box in it; boxes behind it stay."""

    def change(stsd: bytes) -> bytes:
        at = stsd.index(kind) - 4
        end = at + struct.unpack_from(">I", stsd, at)[0]
        stsd = stsd[:end] + extra + stsd[end:]
        return _resized(stsd, {at, 8}, len(extra))

    return change


def _resized(stsd: bytes, starts: set[int], more: int) -> bytes:
    """Boxes that begin there say that they are longer."""
    for start in starts:
        stsd = patched(start, struct.pack(">I", struct.unpack_from(">I", stsd, start)[0] + more))(stsd)
    return stsd


def _longer_pps(stsd: bytes) -> bytes:
    """Bytes behind the stop bit of the PPS, all lengths right."""
    at = stsd.index(b"avcC") + 4
    length = struct.unpack_from(">H", stsd, at + 6)[0]
    pps = at + 8 + length + 1
    size = struct.unpack_from(">H", stsd, pps)[0]
    stsd = stsd[:pps] + struct.pack(">H", size + 11) + stsd[pps + 2 : pps + 2 + size] + CANARY + stsd[pps + 2 + size :]
    return _resized(stsd, {at - 8, 8}, len(CANARY))


def _inside(kind: bytes, at: int, value: bytes) -> Callable[[bytes], bytes]:
    """`stsd` with other bytes in a box of it."""
    return lambda stsd: patched(stsd.index(kind) + 4 + at, value)(stsd)


_SOUND = "moov/trak.1/mdia/minf/stbl/"
# Box -> change; each is well formed but for the one thing.
CHANGED: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "creation time of the film": ("moov/mvhd", patched(4, b"\xe1\x00\x00\x00")),
    "change time of the film": ("moov/mvhd", patched(8, b"\0\0\0\1")),
    "preview of the film": ("moov/mvhd", patched(72, _text(24))),
    "matrix of the film": ("moov/mvhd", patched(36, _text(4))),
    "length of the film": ("moov/mvhd", patched(16, _text(4))),
    "reserved bytes of the film": ("moov/mvhd", patched(26, b"x")),
    "creation time of a track": ("moov/trak/tkhd", patched(4, b"\0\0\0\1")),
    "length of a track": ("moov/trak/tkhd", patched(20, _text(4))),
    "layer of a track": ("moov/trak/tkhd", patched(32, b"\0\1")),
    "size of a track": ("moov/trak/tkhd", patched(76, b"\0\1\0\0")),
    "time of a medium": ("moov/trak/mdia/mdhd", patched(4, b"\0\0\0\1")),
    "language": ("moov/trak/mdia/mdhd", patched(20, b"\x1a\x41")),
    "length of a medium": ("moov/trak/mdia/mdhd", patched(16, _text(4))),
    "maker of a handler": ("moov/trak/mdia/hdlr", patched(12, b"appl")),
    "name of a handler": ("moov/trak/mdia/hdlr", lambda body: body[:24] + b"canary\0"),
    "data handler": ("moov/trak.1/mdia/hdlr", patched(8, b"meta")),
    "path of a file": ("moov/trak/mdia/minf/dinf/dref", lambda body: body[:8] + box("url ", b"\0\0\0\0file:///c\0")),
    "balance of a sound": ("moov/trak.1/mdia/minf/smhd", patched(4, b"\1\0")),
    "udta": ("moov/udta", _grown),
    "udta of the same length": ("moov/udta", patched(50, b"xyz")),
    "free space": ("free", _grown),
    "bytes behind the samples": ("mdat", _grown),
    "brand": ("ftyp", patched(8, b"cnry")),
    "version of the brand": ("ftyp", patched(4, b"cnry")),
    "two edits": ("moov/trak/edts/elst", lambda body: body[:7] + b"\2" + body[8:] * 2),
    "slow edit": ("moov/trak/edts/elst", patched(16, b"\0\0\x80\0")),
    "edit that hides the beginning": ("moov/trak/edts/elst", patched(12, struct.pack(">I", 12_800))),
    "edit that hides the end": ("moov/trak/edts/elst", patched(8, struct.pack(">I", 900))),
    "sample not counted": (_TABLE + "stts", patched(8, struct.pack(">I", 49))),
    "time of a sample": (_TABLE + "stts", patched(12, _text(4))),
    "offset of a sample's time": (_TABLE + "ctts", patched(12, _text(4))),
    "key frame that is none": (_TABLE + "stss", patched(8, struct.pack(">I", 51))),
    "longer sample": (_TABLE + "stsz", lambda body: patched(12, struct.pack(">I", _first(body) + 1))(body)),
    "shorter sample": (_TABLE + "stsz", lambda body: patched(12, struct.pack(">I", _first(body) - 1))(body)),
    "chunk elsewhere": (_TABLE + "stco", lambda body: body[:-4] + body[8:12]),
    "samples in chunks": (_TABLE + "stsc", patched(12, struct.pack(">I", 7))),
    "table too long": (_TABLE + "stsz", _grown),
    "roll distance": (_SOUND + "sgpd", patched(16, b"\x12\x34")),
    "vendor": (_TABLE + "stsd", _inside(b"avc1", 12, b"GoPr")),
    "compressor": (_TABLE + "stsd", _inside(b"avc1", 42, b"\x06GoPro!")),
    "size of pictures": (_TABLE + "stsd", _inside(b"avc1", 24, b"\0\x20")),
    "bytes in avcC": (_TABLE + "stsd", _longer(b"avcC", CANARY)),
    "bytes in a PPS": (_TABLE + "stsd", _longer_pps),
    "box in a sample entry": (_TABLE + "stsd", _longer(b"avc1", box("uuid", bytes(16) + CANARY))),
    "text as bit rate": (_TABLE + "stsd", _inside(b"btrt", 0, _text(12))),
    "text as colour": (_TABLE + "stsd", _inside(b"colr", 4, b"canary")),
    "pixels": (_TABLE + "stsd", _inside(b"pasp", 0, _text(8))),
    "length of avcC": (_TABLE + "stsd", _inside(b"avcC", 7, b"\xff")),
    "vendor of a sound": (_SOUND + "stsd", _inside(b"mp4a", 12, b"GoPr")),
    "box in a sound's entry": (_SOUND + "stsd", _longer(b"mp4a", box("chan", CANARY))),
    "text as bit rate of a sound": (_SOUND + "stsd", _inside(b"esds", 22, _text(8))),
    "length in esds": (_SOUND + "stsd", _inside(b"esds", 8, b"\x26")),
    "codec of a sound": (_SOUND + "stsd", _inside(b"esds", 17, b"\x6b")),
    "SBR": (_SOUND + "stsd", _inside(b"esds", 35, b"\x2a")),
}


# Where another thing could be the reason as well.
REASONS = {
    "bytes in avcC": "bytes after the parameter sets",
    "bytes in a PPS": "bytes after a parameter set",
    "box in a sample entry": "a box that may not be there, or one that is missing",
    "box in a sound's entry": "a box that may not be there, or one that is missing",
    "edit that hides the beginning": "media before the edit",
    "length of the film": "mvhd duration",
    "offset of a sample's time": "ctts",
    "bytes behind the samples": "bytes that no sample owns",
    "chunk elsewhere": "bytes that no sample owns",
    "free space": "free space with content",
}


def _first(stsz: bytes) -> int:
    return int(struct.unpack_from(">I", stsz, 12)[0])


@pytest.mark.parametrize("name", CHANGED)
def test_a_field_that_is_no_constant_is_a_doubt(film: bytes, name: str) -> None:
    path, change = CHANGED[name]
    other = changed(film, path, change)

    assert boxes.parse(other)
    why = doubt(other)
    assert why == REASONS.get(name, why)


@pytest.mark.parametrize(
    ("path", "more"),
    [
        ("", box("uuid", bytes(16) + CANARY)),
        ("", box("free", CANARY)),
        ("", box("skip", b"")),
        ("", box("mdat", b"")),
        ("", box("free", b"")),
        ("", box("emsg", CANARY)),
        ("moov", box("udta", CANARY)),
        ("moov", box("meta", CANARY)),
        ("moov", box("free", b"")),
        ("moov/trak", box("udta", box("name", CANARY))),
        ("moov/trak", box("tref", box("chap", b"\0\0\0\2"))),
        ("moov/trak/mdia", box("elng", b"\0\0\0\0en-GB\0")),
        ("moov/trak/mdia/minf/stbl", box("sdtp", bytes(4) + _text(50))),
        ("moov/trak/mdia/minf/stbl", box("saiz", bytes(9))),
        ("moov/trak/edts", box("free", b"")),
    ],
    ids=lambda value: value if isinstance(value, str) else value[4:8].decode(),
)
def test_a_box_that_is_not_on_the_list_is_a_doubt(film: bytes, path: str, more: bytes) -> None:
    other = put(film, path, more)

    assert doubt(other)


def test_what_a_frame_says_of_others_needing_it_may_be_told(film: bytes) -> None:
    """`put` itself does no harm: with bytes that the muxer knows, the same box is proven."""
    told = box("sdtp", bytes(4) + b"\x20" + b"\x10" * 49)

    assert mp4.check(io.BytesIO(put(film, "moov/trak/mdia/minf/stbl", told, at=3)))
    assert doubt(put(film, "moov/trak/mdia/minf/stbl", told)) == "a box that may not be there, or one that is missing"


@pytest.mark.parametrize("kind", [6, 9, 10, 11, 12, 13, 14, 19, 20, 24, 30, 31, 0])
def test_a_unit_of_another_type_is_a_doubt(film: bytes, kind: int) -> None:
    other = at_sample(film, 0, 3, lambda sample: patched(4, bytes((sample[4] & 0xE0 | kind,)))(sample))

    assert doubt(other) == "a unit that may not be there"


def test_a_unit_behind_the_slice_and_lengths_that_do_not_add_up(film: bytes) -> None:
    def behind(unit: bytes) -> Callable[[bytes], bytes]:
        tail = struct.pack(">I", len(unit)) + unit
        return lambda sample: _slice(len(sample) - len(tail), sample[4:5]) + tail

    assert doubt(at_sample(film, 0, 0, behind(b"\x06" + CANARY))) == "a unit that may not be there"
    assert doubt(at_sample(film, 0, 0, behind(b"\x0c" + b"\xff" * 40))) == "a unit that may not be there"
    for length in (0, 1, 0xFFFFFFFF):
        assert doubt(at_sample(film, 0, 0, patched(0, struct.pack(">I", length))))


@pytest.mark.parametrize("element", [2, 3, 4, 5, 6, 7])
def test_a_sound_frame_that_begins_with_anything_but_sound_is_a_doubt(film: bytes, element: int) -> None:
    other = at_sample(film, 1, 5, lambda frame: bytes((frame[0] & 0x1F | element << 5,)) + frame[1:])

    assert doubt(other) == "an element that may not be there"


def test_a_sound_frame_that_ends_otherwise_is_a_doubt(film: bytes) -> None:
    assert doubt(at_sample(film, 1, 5, lambda frame: frame[:-2] + b"y\0")) == "end of a sound frame"
    assert doubt(at_sample(film, 1, 5, lambda frame: frame[:-11] + bytes(11))) == "end of a sound frame"


def test_bytes_around_the_film_are_a_doubt(film: bytes) -> None:
    for other in (film + b"\0", film + CANARY, CANARY + film, b"", film[:7], film + film):
        assert doubt(other)


def test_a_film_cut_anywhere_is_a_doubt(film: bytes) -> None:
    for end in (*range(1, 200, 13), *range(200, len(film), len(film) // 40), len(film) - 1):
        with pytest.raises(Unprocessable, match="not proven"):
            proof.read(io.BytesIO(film[:end]), {"media_type": "video/mp4"})


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.integers(0), st.integers(1, 255)), min_size=1, max_size=4))
def test_no_flip_makes_it_stumble(film: bytes, flips: list[tuple[int, int]]) -> None:
    """Only a doubt or an answer comes out, and soon; most flips meet the head of the file, where the tables are."""
    other = bytearray(film)
    head = film.index(b"mdat")
    for place, mask in flips:
        other[place % head] ^= mask
    try:
        answer, _ = proof.read(io.BytesIO(bytes(other)), {"media_type": "video/mp4"})
    except Unprocessable as error:
        if error.code != "not_proven":
            raise
    else:
        assert answer["bytes"] == len(film)


def test_nothing_and_other_types_are_not_proven(film: bytes) -> None:
    for stream, media_type in ((None, "video/mp4"), (io.BytesIO(film), "video/webm"), (io.BytesIO(film), "image/png")):
        with pytest.raises(Unprocessable, match="not proven"):
            proof.read(stream, {"media_type": media_type})
