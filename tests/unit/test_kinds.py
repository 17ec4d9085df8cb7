"""The readers of what a carrier says, syntax by syntax: every spelling counts, a broken one as what could be read."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import pieces, samples
from tests.darkroom import LIMITS
from worker.media.formats import sniff
from worker.media.image.metadata import KINDS, removed
from worker.media.image.probe import probe
from worker.media.kinds import exif as blocks
from worker.media.kinds import icc, iptc, jumbf, makernote, text, trailer, vendor, xmp
from worker.media.walk.found import uncovered

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
SOURCES = "http://cv.iptc.org/newscodes/digitalsourcetype/"


def packet(inner: str, **spaces: str) -> str:
    declared = "".join(f' xmlns:{prefix}="{space}"' for prefix, space in spaces.items())
    return (
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{RDF}"><rdf:Description{declared}>{inner}'
        "</rdf:Description></rdf:RDF></x:xmpmeta>"
    )


def kinds_of(*given: str | bytes) -> set[str]:
    return {kind for each in given for kind in xmp.kinds_in(each.encode() if isinstance(each, str) else each)}


@pytest.mark.parametrize(
    ("inner", "kind"),
    [
        ("<exif:GPSLatitude>48,51N</exif:GPSLatitude>", "location"),
        ("<photoshop:City>Paris</photoshop:City>", "location"),
        ("<Iptc4xmpExt:LocationShown/>", "location"),
        ("<tiff:Make>Example</tiff:Make>", "camera"),
        ("<aux:SerialNumber>1</aux:SerialNumber>", "serial_number"),
        ("<dc:creator>Ada</dc:creator>", "owner_name"),
        ("<xmpRights:Owner>Ada</xmpRights:Owner>", "owner_name"),
        ("<mwg-rs:Regions/>", "face_regions"),
        ("<MP:RegionInfo/>", "face_regions"),
        ("<xmp:CreateDate>2024</xmp:CreateDate>", "timestamps"),
        ("<xmp:Thumbnails/>", "thumbnail"),
        ("<GDepth:Data>aGk=</GDepth:Data>", "depth_map"),
        ("<GImage:Data>aGk=</GImage:Data>", "second_picture"),
        ("<hdrgm:Version>1.0</hdrgm:Version>", "gain_map"),
        ('<Item Item:Semantic="GainMap"/>', "gain_map"),
        ('<Item Item:Mime="video/mp4" Item:Semantic="MotionPhoto"/>', "embedded_video"),
        ("<GCamera:MicroVideo>1</GCamera:MicroVideo>", "embedded_video"),
        ("<GAudio:Data>aGk=</GAudio:Data>", "attachments"),
        ("<xmpMM:History/>", "edit_history"),
        ("<crs:Exposure2012>0</crs:Exposure2012>", "edit_history"),
        ("<dcterms:provenance>https://example.org/m</dcterms:provenance>", "provenance"),
        ("<xmp:CreatorTool>Editor</xmp:CreatorTool>", "software"),
        ("<dc:description>A cat</dc:description>", "caption"),
        (f"<Iptc4xmpExt:DigitalSourceType>{SOURCES}trainedAlgorithmicMedia<", "ai_generated"),
        (f'<a Iptc4xmpExt:DigitalSourceType="{SOURCES}compositeWithTrainedAlgorithmicMedia"/>', "ai_generated"),
        ("<Iptc4xmpExt:DigitalSourceType>algorithmicMedia</Iptc4xmpExt:DigitalSourceType>", "ai_generated"),
    ],
)
def test_every_property_of_xmp_counts_as_its_kind(inner: str, kind: str) -> None:
    assert kind in kinds_of(packet(inner))


def test_a_camera_that_took_the_picture_is_no_ai() -> None:
    said = packet(f"<Iptc4xmpExt:DigitalSourceType>{SOURCES}digitalCapture</Iptc4xmpExt:DigitalSourceType>")

    assert "ai_generated" not in kinds_of(said, packet("<dc:title>trained on algorithmicMedia</dc:title>"))


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"]
)
def test_a_packet_in_any_encoding_says_the_same(encoding: str) -> None:
    said = '<?xpacket begin="\ufeff"?>' + packet("<exif:GPSLatitude>48,51N</exif:GPSLatitude>")

    assert kinds_of(said.encode(encoding)) == {"location"}


@pytest.mark.parametrize(
    "said",
    [
        packet("<q:GPSLatitude>48</q:GPSLatitude>", q="http://ns.adobe.com/exif/1.0/"),
        packet("<q:GPSLatitude>48</q:GPSLatitude>", q="http&#58;//ns.adobe.com/exif/1.0/"),
        packet("<GPSLatitude xmlns='http://ns.adobe.com/exif/1.0/'>48</GPSLatitude>"),
        packet("").replace("<rdf:Description", "<rdf:Description\n exif:GPSLatitude\t=\n'48,51N'"),
        '<rdf:Description exif:GPSLatitude="48',
    ],
)
def test_any_prefix_and_any_spelling_of_a_property_is_read(said: str) -> None:
    assert kinds_of(said) == {"location"}


def test_extended_xmp_is_put_together_from_its_segments() -> None:
    """The name of the property lies over the border of two segments, which come in the wrong order."""
    said = packet("<dc:title>" + "x" * 500 + "</dc:title><exif:GPSLatitude>48</exif:GPSLatitude>").encode()
    cut = said.index(b"GPSLat") + 3
    head = b"http://ns.adobe.com/xmp/extension/\0" + b"A" * 32 + struct.pack(">I", len(said))
    parts = [head + struct.pack(">I", at) + said[at:to] for at, to in ((cut, len(said)), (0, cut))]
    data = pieces.with_segments(samples.grey_jpeg(), *(pieces.segment(0xE1, part) for part in parts))

    assert found_in(data) == {"caption": 1, "location": 1}


def found_in(data: bytes) -> dict[str, int]:
    fmt = sniff(data)
    assert fmt is not None
    return removed(probe(data, fmt, LIMITS).carriers)


def resource(number: int, body: bytes, name: bytes = b"\0\0") -> bytes:
    return b"8BIM" + struct.pack(">H", number) + name + struct.pack(">I", len(body)) + body + bytes(len(body) & 1)


def data_set(number: int, body: bytes = b"x", record: int = 2) -> bytes:
    return b"\x1c" + bytes((record, number)) + struct.pack(">H", len(body)) + body


def test_photoshops_resources_are_read_with_what_lies_in_them() -> None:
    block = b"".join(
        (
            resource(0x0404, data_set(90) + data_set(80)),
            resource(0x040C, bytes(28) + b"\xff\xd8"),
            resource(0x0424, packet("<aux:SerialNumber>1</aux:SerialNumber>").encode(), name=b"\3abc"),
            resource(0x0422, pieces.exif_block({0x010F: "Examplecam"})),
            resource(0x040F, pieces.grey_profile(2.2)),
            resource(0x03ED, bytes(16)),
        )
    )

    found = set(blocks.photoshop(block))

    assert found == {
        "location", "owner_name", "thumbnail", "serial_number", "camera", "colour_profile", "timestamps",
        "edit_history",
    }  # fmt: skip


def test_a_broken_resource_counts_as_what_it_was() -> None:
    assert set(blocks.photoshop(b"rubbish" + resource(0x0409, b"")[:9])) == {"thumbnail"}
    assert set(blocks.photoshop(b"rubbish" + data_set(92))) == {"location"}


@pytest.mark.parametrize(
    ("number", "kind"), [(26, "location"), (85, "owner_name"), (62, "timestamps"), (120, "caption")]
)
def test_iptc_counts_by_data_set(number: int, kind: str) -> None:
    assert list(iptc.kinds_in(data_set(0, b"\0\2") + data_set(number))) == [kind]
    assert list(iptc.kinds_in(data_set(70, record=1))) == ["timestamps"]


def test_a_block_inside_a_block_inside_a_block_is_left_alone() -> None:
    """As deep as the file chooses: nothing here may follow it."""
    block = pieces.exif_block({0x010F: "Examplecam"})
    for _ in range(3_000):
        block = pieces.exif_block({0x010F: "Examplecam", 34377: resource(0x0422, block)})

    assert set(blocks.kinds_in(block)) == {"camera"}


def test_a_profile_that_names_a_device_says_more_than_colour() -> None:
    plain = bytearray(pieces.rgb_profile("p3"))
    plain[24:36] = bytes(12)
    named, dated, standard = bytearray(plain), bytearray(plain), bytearray(plain)
    named[48:56] = b"EXAMMON1"
    dated[24:36] = struct.pack(">6H", 2024, 7, 14, 12, 0, 0)
    standard[24:36] = struct.pack(">6H", 1998, 2, 9, 6, 49, 0)
    standard[48:56] = b"IEC sRGB"
    serial = bytes(plain).replace(b"cprt", b"mmod")

    assert list(icc.kinds_in(bytes(plain))) == ["colour_profile"]
    assert list(icc.kinds_in(bytes(named))) == ["colour_profile", "camera"]
    assert list(icc.kinds_in(bytes(dated))) == ["colour_profile", "timestamps"]
    assert list(icc.kinds_in(bytes(standard))) == ["colour_profile"]
    assert list(icc.kinds_in(serial)) == ["colour_profile", "serial_number"]
    assert list(icc.kinds_in(b"broken")) == ["colour_profile"]


def label(name: bytes, body: bytes = b"") -> bytes:
    return pieces.box(b"jumb", pieces.box(b"jumd", bytes(16), b"\3", name + b"\0"), body)


def test_a_manifest_tells_more_than_that_it_is_there() -> None:
    store = label(
        b"c2pa",
        label(b"c2pa.thumbnail.claim.jpeg")
        + label(b"c2pa.actions", b'digitalSourceTypexF' + f"{SOURCES}trainedAlgorithmicMedia".encode())
        + label(b"stds.exif", b'{"exif:GPSLatitude": "48,51N", "tiff:Make": "Examplecam"}')
        + label(b"stds.schema-org.CreativeWork", b'{"author": [{"name": "Ada"}]}')
        + label(b"c2pa.claim", b"claim_generator"),
    )  # fmt: skip

    assert set(jumbf.kinds_in(store)) == {
        "provenance", "thumbnail", "edit_history", "location", "camera", "owner_name", "software", "ai_generated",
    }  # fmt: skip
    assert list(jumbf.kinds_in(b"")) == ["provenance"]


def test_a_manifest_over_two_segments_is_put_together() -> None:
    store = label(b"c2pa", b"x" * 900 + f"{SOURCES}trainedAlgorithmicMedia".encode() + b"y" * 900)
    cut = store.index(b"trained") + 5
    head = b"JP\0\1"
    parts = [head + b"\0\0\0\1" + store[:cut], head + b"\0\0\0\2" + store[:8] + store[cut:]]
    data = pieces.with_segments(samples.grey_jpeg(), *(pieces.segment(0xEB, part) for part in parts))

    assert found_in(data) == {"ai_generated": 1, "provenance": 1}


@pytest.mark.parametrize(
    ("keyword", "kinds"),
    [
        ("Author", {"owner_name"}), ("Creation Time", {"timestamps"}), ("date:create", {"timestamps"}),
        ("exif:GPSLatitude", {"location"}), ("Software", {"software"}), ("Title", {"caption"}),
        ("anything", {"comment"}),
        ("Source", {"camera"}), ("parameters", {"comment", "ai_generated"}), ("prompt", {"comment", "ai_generated"}),
    ],
)  # fmt: skip
def test_a_text_counts_by_its_keyword(keyword: str, kinds: set[str]) -> None:
    assert set(text.kinds_in(keyword, "x")) == kinds


@pytest.mark.parametrize(
    ("marker", "body", "kinds"),
    [
        (0xE5, b"ssuniqueid\0abc", {"serial_number"}),
        (0xE6, b"GoPro\0DEVCGPS5CASN", {"telemetry", "location", "serial_number"}),
        (0xEC, b"[picture info]\nSerial#=1", {"maker_notes", "serial_number"}),
        (0xE0, b"II\x1a\0\0\0HEAPJPGM\x10\x08", {"maker_notes", "camera", "owner_name"}),
        (0xE7, b"anything", {"maker_notes"}),
    ],
)
def test_a_makers_segment_counts_by_its_mark(marker: int, body: bytes, kinds: set[str]) -> None:
    assert set(vendor.kinds_in(marker, body)) == kinds


NOTES = {
    "apple": (b"Apple iOS\0\0\1MM", ">", 0x11),
    "nikon": (b"Nikon\0\2\x10\0\0MM\0*\0\0\0\x08", ">", 0x1D),
    "panasonic": (b"Panasonic\0\0\0", "<", 0x25),
    "olympus": (b"OLYMPUS\0II\3\0", "<", 0x2010),
    "fuji": (b"FUJIFILM\x0c\0\0\0", "<", 0x10),
    "pentax": (b"AOC\0MM", ">", 0x0229),
    "sony": (b"SONY DSC \0\0\0", "<", 0x2031),
    "canon": (b"", "<", 0x0C),
}


@pytest.mark.parametrize("name", NOTES)
def test_a_serial_number_is_found_in_a_makers_note(name: str) -> None:
    head, order, tag = NOTES[name]
    note = head + struct.pack(order + "HHHII", 1, tag, 2, 4, 0) + bytes(4)

    for said in "<>":
        assert list(makernote.kinds_in(note, said, b"Canon\0")) == ["serial_number"]
    assert list(makernote.kinds_in(note[:-9], "<", b"Canon\0")) == []


def test_what_lies_behind_a_picture_is_looked_into() -> None:
    """A second picture with a position of its own, a film with one, a phone's block that says when."""
    second = pieces.with_segments(samples.grey_jpeg(), pieces.segment(0xE1, b"Exif\0\0" + samples.exif()))
    film = pieces.box(b"ftyp", b"mp42") + pieces.box(b"moov", pieces.box(b"udta", pieces.box(b"\xa9xyz", b"+48+002/")))

    assert found_in(samples.grey_jpeg() + bytes(9) + second)["location"] == 4
    assert set(trailer.kinds_in(film)) == {"embedded_video", "location"}
    assert set(trailer.kinds_in(b"Image_UTC_Data1SEFH")) == {"timestamps", "maker_notes"}
    assert set(trailer.kinds_in(b"AXS!\0\1IPTC" + data_set(90))) == {"caption", "location"}
    assert set(trailer.kinds_in(b"nothing")) == set()


def test_bytes_between_directories_are_seen_and_padding_is_not() -> None:
    block = samples.exif(thumbnail=False)

    assert "hidden_data" not in set(blocks.kinds_in(block)) | set(blocks.kinds_in(block + bytes(64)))
    assert "hidden_data" in set(blocks.kinds_in(block + b"x" * 64))
    assert uncovered(b"ab\0\0cd", [(0, 2)])
    assert not uncovered(b"ab\0\0cd", [(4, 6), (0, 2)])


READERS: list[Callable[[bytes], object]] = [
    lambda data: list(xmp.kinds_in(data)),
    lambda data: list(blocks.kinds_in(b"II*\0\x08\0\0\0" + data)),
    lambda data: list(blocks.kinds_in(b"MM\0*\0\0\0\x08" + data, file=True)),
    lambda data: list(blocks.photoshop(b"8BIM" + data)),
    lambda data: list(icc.kinds_in(bytes(128) + data)),
    lambda data: list(jumbf.kinds_in(data)),
    lambda data: list(trailer.kinds_in(data)),
    lambda data: [list(makernote.kinds_in(mark[0] + data, "<", b"Canon")) for mark in NOTES.values()],
]


@given(data=st.binary(max_size=300))
def test_no_reader_fails_over_garbage(data: bytes) -> None:
    for reader in READERS:
        kinds = reader(data)
        assert isinstance(kinds, list)
        assert set(itertools.chain.from_iterable([each] if isinstance(each, str) else each for each in kinds)) <= KINDS
