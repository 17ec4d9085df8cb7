"""Carriers of JPEG: EXIF, XMP, profiles, the makers' segments, and every place around and between the samples."""

from __future__ import annotations

import struct

from tests import pieces, samples
from tests.carriers.planted import Carrier, Plant, base, made, other, saved
from tests.pieces import Value, segment, with_segments

JPEG = "jpeg"
_GPS = b"".join(struct.pack("<II", *pair) for pair in ((48, 1), (51, 1), (2772, 100)))
_DATE = b"2019:03:04 05:06:07"
_DPI = b"\1\1\x2c\1\x2c"
_SCENE = struct.pack(">6H", 2024, 7, 14, 12, 34, 56)
# The table of luminance as it lies in a segment of its own: 64 letters.
_LETTERS = (b"CANARY_JPG_DQT__" * 4)[:64]


def carriers() -> list[Carrier]:
    """All of them, in the order of the reference."""
    return [*_exif(), *_xmp(), *_app2(), *_makers(), *_photoshop(), *_around(), *_samples()]


def _segment(marker: int, head: bytes, *, after: bytes = b"") -> Plant:
    return lambda jpeg, mark: with_segments(jpeg, segment(marker, head + mark + after))


def _jpeg(name: str, kinds: str, plant: Plant, **more: object) -> Carrier:
    return made(f"jpg-{name}", JPEG, kinds, plant, **{"into": JPEG, **more})


def _tagged(
    main: dict[int, bytes] | None = None,
    camera: dict[int, bytes] | None = None,
    *,
    head: bytes = b"",
    tail: bytes = b"\0",
) -> Plant:
    """An EXIF block with the mark as the value of a tag; `{tag: kind of value}`."""

    def plant(jpeg: bytes, mark: bytes) -> bytes:
        sets: list[dict[int, Value]] = [
            {tag: (head + mark if how == b"raw" else mark.decode()) for tag, how in (tags or {}).items()}
            for tags in (main, camera)
        ]
        block = pieces.exif_block({0x0112: 1} | sets[0], sets[1] or None)
        return with_segments(jpeg, segment(0xE1, b"Exif\0\0" + block))

    return plant


def _exif() -> list[Carrier]:
    text = b"text"
    return [
        _jpeg("exif-make", "camera", _tagged({0x010F: text}), tag="Make"),
        _jpeg("exif-artist", "owner_name", _tagged({0x013B: text}), tag="Artist"),
        _jpeg("exif-host", "owner_name", _tagged({0x013C: text}), tag="HostComputer"),
        _jpeg("exif-serial", "serial_number", _tagged(camera={0xA431: text}), tag="SerialNumber"),
        _jpeg("exif-owner", "owner_name", _tagged(camera={0xA430: text}), tag="OwnerName"),
        _jpeg("exif-unique", "serial_number", _tagged(camera={0xA420: text}), tag="ImageUniqueID"),
        _jpeg("exif-comment", "comment", _tagged(camera={0x9286: b"raw"}, head=b"ASCII\0\0\0"), tag="UserComment"),
        _jpeg("exif-xp", "owner_name", _utf16, tag="XPAuthor"),
        _jpeg("exif-gps", "location", _gps, mark=_GPS, tag="GPSLatitude"),
        _jpeg(
            "exif-dates", "timestamps", _tagged(camera={0x9003: text, 0x9011: text}), mark=_DATE, tag="DateTimeOriginal"
        ),
        _jpeg("exif-makernote", "maker_notes", _tagged(camera={0x927C: b"raw"}, head=b"Examplenote\0")),
        _jpeg("exif-gap", "hidden_data", _gap),
        _jpeg("exif-two", "camera", _two, tag="Make"),
        _jpeg("exif-thumb", "thumbnail", _thumbnail, tag="ThumbnailImage"),
    ]


def _utf16(jpeg: bytes, mark: bytes) -> bytes:
    block = pieces.exif_block({0x9C9D: mark.decode().encode("utf-16-le") + b"\0\0"})
    return with_segments(jpeg, segment(0xE1, b"Exif\0\0" + block))


def _gps(jpeg: bytes, _mark: bytes) -> bytes:
    block = pieces.exif_block({0x0112: 1}, gps=dict(samples.GPS))
    return with_segments(jpeg, segment(0xE1, b"Exif\0\0" + block))


def _gap(jpeg: bytes, mark: bytes) -> bytes:
    """64 bytes between the directory and its one value."""
    entry = struct.pack("<HHHII", 1, 0x010F, 2, 11, 26 + 64)
    block = b"II*\0\x08\0\0\0" + entry + bytes(4) + (mark * 4)[:64] + b"Examplecam\0"
    return with_segments(jpeg, segment(0xE1, b"Exif\0\0" + block))


def _two(jpeg: bytes, mark: bytes) -> bytes:
    blocks = [pieces.exif_block({0x0112: 1}), pieces.exif_block({0x010F: mark.decode()})]
    return with_segments(jpeg, *(segment(0xE1, b"Exif\0\0" + block) for block in blocks))


def _small(mark: bytes) -> bytes:
    return saved(other().resize((24, 16)), "JPEG", comment=mark)


def _thumbnail(jpeg: bytes, mark: bytes) -> bytes:
    block = pieces.exif_block({0x0112: 1}, thumbnail=_small(mark))
    return with_segments(jpeg, segment(0xE1, b"Exif\0\0" + block))


def packet(inner: str) -> bytes:
    """An XMP packet around one element."""
    spaces = {
        "dc": "http://purl.org/dc/elements/1.1/",
        "exif": "http://ns.adobe.com/exif/1.0/",
        "mwg-rs": "http://www.metadataworkinggroup.com/schemas/regions/",
        "xmpMM": "http://ns.adobe.com/xap/1.0/mm/",
        "stEvt": "http://ns.adobe.com/xap/1.0/sType/ResourceEvent#",
    }
    declared = "".join(f' xmlns:{prefix}="{space}"' for prefix, space in spaces.items())
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description rdf:about=""{declared}>{inner}</rdf:Description></rdf:RDF></x:xmpmeta>'
    ).encode()


_XMP_HEAD = b"http://ns.adobe.com/xap/1.0/\0"
_CREATOR = "<dc:creator><rdf:Seq><rdf:li>{}</rdf:li></rdf:Seq></dc:creator>"
_FACES = (
    '<mwg-rs:Regions rdf:parseType="Resource"><mwg-rs:RegionList><rdf:Bag><rdf:li rdf:parseType="Resource">'
    "<mwg-rs:Name>{}</mwg-rs:Name></rdf:li></rdf:Bag></mwg-rs:RegionList></mwg-rs:Regions>"
)
_HISTORY = (
    '<xmpMM:History><rdf:Seq><rdf:li rdf:parseType="Resource"><stEvt:action>{}</stEvt:action></rdf:li></rdf:Seq>'
    "</xmpMM:History>"
)


def _packet(inner: str) -> Plant:
    return lambda jpeg, mark: with_segments(jpeg, segment(0xE1, _XMP_HEAD + packet(inner.format(mark.decode()))))


def _xmp() -> list[Carrier]:
    place = "<exif:GPSLatitude>48,51.462N</exif:GPSLatitude>"
    return [
        _jpeg("xmp", "owner_name", _packet(_CREATOR), tag="Creator"),
        _jpeg("xmp-gps", "location", _packet(place), mark=b"48,51.462N", tag="GPSLatitude"),
        _jpeg("xmp-faces", "face_regions", _packet(_FACES), tag="RegionName"),
        _jpeg("xmp-history", "edit_history", _packet(_HISTORY), tag="HistoryAction"),
        _jpeg("xmp-extended", "owner_name", _extended, tag="Creator"),
    ]


def _extended(jpeg: bytes, mark: bytes) -> bytes:
    body = packet(_CREATOR.format(mark.decode()))
    guid = b"0123456789ABCDEF" * 2
    note = "http://ns.adobe.com/xmp/note/"
    first = packet(f'<x:a xmlns:xmpNote="{note}"/>').replace(
        b'rdf:about=""', b'rdf:about="" xmlns:xmpNote="' + note.encode() + b'" xmpNote:HasExtendedXMP="' + guid + b'"'
    )
    head = b"http://ns.adobe.com/xmp/extension/\0" + guid + struct.pack(">I", len(body))
    half = len(body) // 2
    parts = [head + struct.pack(">I", at) + body[at:to] for at, to in ((0, half), (half, len(body)))]
    return with_segments(jpeg, segment(0xE1, _XMP_HEAD + first), *(segment(0xE1, part) for part in parts))


def _profiled(jpeg: bytes, profile: bytes) -> bytes:
    return with_segments(jpeg, segment(0xE2, b"ICC_PROFILE\0\1\1" + profile))


def private_profile(mark: bytes) -> bytes:
    """A profile with a tag that nobody knows, which holds the mark."""
    return pieces.rgb_profile("p3", text=mark.decode()).replace(b"desc", b"prvC", 1)


def _dated(jpeg: bytes, mark: bytes) -> bytes:
    profile = pieces.rgb_profile("p3")
    return _profiled(jpeg, profile[:24] + mark + profile[36:])


def _app2() -> list[Carrier]:
    urn = b"urn:iso:std:iso:ts:21496:-1\0"
    return [
        _jpeg("icc-private", "colour_profile", lambda jpeg, mark: _profiled(jpeg, private_profile(mark))),
        _jpeg("icc-date", "colour_profile timestamps", _dated, mark=_SCENE, tag="ProfileDateTime"),
        _jpeg("fpxr", "maker_notes", _segment(0xE2, b"FPXR\0")),
        _jpeg("mpf", "second_picture", _segment(0xE2, b"MPF\0")),
        _jpeg("gainmap-urn", "gain_map", _segment(0xE2, urn)),
    ]


def _store(jpeg: bytes, mark: bytes) -> bytes:
    described = pieces.box(b"jumd", b"c2pa" + bytes.fromhex("0011001080000000aa00389b71"[:24]), b"\3c2pa\0")
    body = pieces.box(b"jumb", described, pieces.box(b"bidb", mark))
    return with_segments(jpeg, segment(0xEB, b"JP\0\1\0\0\0\1" + body))


def _makers() -> list[Carrier]:
    picture_info = _segment(0xEC, b"[picture info]\r\nType=", after=b"\r\n")
    return [
        _jpeg("app3", "maker_notes", _segment(0xE3, b"Meta\0\0")),
        _jpeg("app4", "maker_notes", _segment(0xE4, b"SCALADO\0")),
        _jpeg("app5", "maker_notes", _segment(0xE5, b"RMETA\0")),
        _jpeg("app6", "telemetry", _segment(0xE6, b"GoPro\0DEVC")),
        _jpeg("app7", "maker_notes", _segment(0xE7, b"\x1aQualcomm Camera Attributes")),
        _jpeg("app8", "unknown_block", _segment(0xE8, b"SPIFF\0")),
        _jpeg("app9", "caption", _segment(0xE9, b"Media Jukebox\0")),
        _jpeg("app10", "comment", _segment(0xEA, b"UNICODE\0")),
        _jpeg("app11", "provenance", _store),
        _jpeg("app12", "maker_notes", picture_info),
        _jpeg("app12-ducky", "comment", _segment(0xEC, b"Ducky\0\2\0")),
        _jpeg("app15", "maker_notes", _segment(0xEF, b"Q 85")),
    ]


def iptc(mark: bytes) -> bytes:
    """A by-line and a city."""
    return b"".join(b"\x1c\2" + bytes((number,)) + struct.pack(">H", len(mark)) + mark for number in (80, 90))


def resource(number: int, body: bytes) -> bytes:
    """One of Photoshop's."""
    return b"8BIM" + struct.pack(">HHI", number, 0, len(body)) + body + bytes(len(body) & 1)


def preview(mark: bytes) -> bytes:
    """Photoshop's thumbnail: a head of 28 bytes, then a JPEG."""
    small = _small(mark)
    return struct.pack(">6I2H", 1, 24, 16, 72, 24 * 16 * 3, len(small), 24, 1) + small


def _resource(number: int, body: Plant) -> Plant:
    return lambda jpeg, mark: with_segments(jpeg, segment(0xED, b"Photoshop 3.0\0" + resource(number, body(b"", mark))))


def _photoshop() -> list[Carrier]:
    return [
        _jpeg("iptc", "owner_name location", _resource(0x0404, lambda _, mark: iptc(mark)), tag="By-line"),
        _jpeg("8bim-url", "comment", _resource(0x040B, lambda _, mark: mark), tag="URL"),
        _jpeg("8bim-thumb", "thumbnail", _resource(0x040C, lambda _, mark: preview(mark)), tag="PhotoshopThumbnail"),
    ]


def _comments(jpeg: bytes, mark: bytes) -> bytes:
    return with_segments(jpeg, segment(0xFE, b"first"), segment(0xFE, mark))


def _thumbed(jpeg: bytes, mark: bytes) -> bytes:
    """APP0 with a thumbnail of 4 by 4 pixels."""
    assert jpeg[2:4] == b"\xff\xe0"
    return jpeg[:2] + segment(0xE0, jpeg[6:18] + b"\4\4" + mark.ljust(48, b"\0")) + jpeg[20:]


def _jfxx(jpeg: bytes, mark: bytes) -> bytes:
    return jpeg[:20] + segment(0xE0, b"JFXX\0\x13\4\4" + mark.ljust(48, b"\0")) + jpeg[20:]


def _density(jpeg: bytes, mark: bytes) -> bytes:
    return jpeg[:13] + mark + jpeg[18:]


def _in_last_scan(jpeg: bytes, mark: bytes) -> bytes:
    at = jpeg.rindex(b"\xff\xda")
    block = pieces.exif_block({0x010F: mark.decode()})
    return jpeg[:at] + segment(0xFE, mark) + segment(0xE1, b"Exif\0\0" + block) + jpeg[at:]


def _behind(jpeg: bytes, mark: bytes) -> bytes:
    place = segment(0xE1, b"Exif\0\0" + pieces.exif_block({0x0112: 1}, gps=dict(samples.GPS)))
    return jpeg + with_segments(base(JPEG), segment(0xFE, mark), place)


def film(mark: bytes) -> bytes:
    return pieces.box(b"ftyp", b"mp42\0\0\0\0mp42") + pieces.box(b"mdat", mark)


def samsung(mark: bytes) -> bytes:
    """A phone maker's block: one part, a list of parts, its length, the last mark."""
    part = b"\0\0\x30\x0a" + struct.pack("<I", 16) + b"MotionPhoto_Data" + film(mark)
    head = b"SEFH" + struct.pack("<IIHHII", 106, 1, 0, 0x0A30, len(part), len(part))
    return part + head + struct.pack("<I", len(head)) + b"SEFT"


def _unknown_marker(jpeg: bytes, mark: bytes) -> bytes:
    return _at_stray(jpeg, segment(0xF5, mark))


def _at_stray(jpeg: bytes, mark: bytes) -> bytes:
    return jpeg[:20] + mark + jpeg[20:]


def _around() -> list[Carrier]:
    adobe = b"Adobe\0\x64\0\0\0\0\1"
    return [
        _jpeg("app14-long", "hidden_data", _segment(0xEE, adobe)),
        _jpeg("com", "comment", _segment(0xFE, b""), tag="Comment"),
        _jpeg("com-second", "comment", _comments, tag="Comment"),
        made("jpg-between-scans", "jpeg-progressive", "comment camera", _in_last_scan, into=JPEG),
        _jpeg("jfif-thumb", "thumbnail", _thumbed),
        _jpeg("jfxx-thumb", "thumbnail", _jfxx),
        _jpeg("dpi", "", _density, mark=_DPI, tag="XResolution", why="how large to print it says nothing of anybody"),
        _jpeg("jpgn", "", _unknown_marker, code="corrupt", why="a decoder refuses it"),
        _jpeg("stray", "hidden_data", _at_stray),
        _jpeg("before-soi", "", lambda jpeg, mark: mark + jpeg, code="unsupported_type", why="no JPEG begins so"),
        _jpeg("eoi-jpeg", "trailing_data second_picture location", _behind),
        _jpeg("eoi-mp4", "trailing_data embedded_video", lambda jpeg, mark: jpeg + film(mark)),
        _jpeg("eoi-samsung", "trailing_data embedded_video maker_notes", lambda jpeg, mark: jpeg + samsung(mark)),
        _jpeg("eoi-byte", "trailing_data", lambda jpeg, mark: jpeg[:-2] + mark, mark=b"\xff\xd9\0"),
    ]


def _tables(jpeg: bytes, mark: bytes) -> bytes:
    at = jpeg.index(b"\xff\xdb") + 5
    return jpeg[:at] + mark + jpeg[at + 64 :]


def _samples() -> list[Carrier]:
    tail = "behind the last sample, where only a decoder could tell it from samples"
    return [
        _jpeg("scan-tail", "", lambda jpeg, mark: jpeg[:-2] + b"\xff\0" + mark + jpeg[-2:], why=tail),
        _jpeg("dqt", "", _tables, mark=_LETTERS, why="a table of numbers like any other"),
    ]
