"""Carriers in the boxes of an MP4: user data, names, times, boxes that nobody knows, bytes that nobody owns."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image

from tests import pieces
from tests.boxes import box, changed, patched, put

XMP = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
C2PA = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
TABLE = "moov/trak/mdia/minf/stbl/"
Plant = Callable[[bytes, bytes], bytes]


@dataclass(frozen=True, kw_only=True)
class Carrier:
    """`plant` puts the word into a film; `kind` is what is told of it. `word` is empty where numbers are planted."""

    name: str
    kind: str
    plant: Plant
    word: bytes

    def into(self, film: bytes) -> bytes:
        return self.plant(film, self.word)


def carrier(name: str, kind: str, plant: Plant, *, words: bool = True) -> Carrier:
    return Carrier(name=name, kind=kind, plant=plant, word=b"CANARY_" + name.upper().encode() if words else b"")


def _user(atom: str, body: Callable[[bytes], bytes]) -> Plant:
    """An atom in a `udta` of its own."""
    return lambda film, word: put(film, "moov", box("udta", box(atom, body(word))))


def _text(word: bytes) -> bytes:
    """QuickTime's international text."""
    return struct.pack(">HH", len(word), 0x15C7) + word


def _place(word: bytes) -> bytes:
    """3GPP: language, name, role, longitude, latitude, altitude, body, notes."""
    numbers = struct.pack(">3i", round(2.295 * 65536), round(48.8577 * 65536), 35 << 16)
    return struct.pack(">IH", 0, 0x15C7) + word + b"\0\0" + numbers + b"earth\0\0"


def _attribute(word: bytes) -> bytes:
    """Windows': sizes, a name, its value."""
    return struct.pack(">II", 99, 15) + b"WM/EncodingTime" + word


def _handler(kind: bytes) -> bytes:
    return box("hdlr", bytes(8) + kind + bytes(13))


def _items(film: bytes, word: bytes) -> bytes:
    item = box("\xa9nam", box("data", struct.pack(">II", 1, 0) + word)) + box(
        "----", box("mean", bytes(4) + b"com.apple.iTunes") + box("name", bytes(4) + b"comment") + _data(word)
    )
    return put(film, "moov", box("udta", box("meta", bytes(4) + _handler(b"mdir") + box("ilst", item))))


def _data(word: bytes) -> bytes:
    return box("data", struct.pack(">II", 1, 0) + word)


def _key(name: str) -> Plant:
    """Apple's keys, as telephones write them: names first, values by number."""

    def plant(film: bytes, word: bytes) -> bytes:
        key = name.encode()
        keys = box("keys", struct.pack(">III", 0, 1, 8 + len(key)) + b"mdta" + key)
        values = box("ilst", struct.pack(">II", 8 + len(_data(word)), 1) + _data(word))
        return put(film, "moov", box("meta", _handler(b"mdta") + keys + values))

    return plant


def _id3(film: bytes, word: bytes) -> bytes:
    frame = b"TPE1" + struct.pack(">IH", len(word) + 1, 0) + b"\3" + word
    tag = b"ID3\4\0\0" + struct.pack(">I", len(frame)) + frame
    body = bytes(4) + _handler(b"ID32") + box("ID32", struct.pack(">IH", 0, 0x15C7) + tag)
    return put(film, "moov", box("meta", body))


def _cover(film: bytes, word: bytes) -> bytes:
    """A picture that knows where it was taken."""
    exif = pieces.exif_block({0x013B: word.decode()}, gps={0x0002: ((48, 1), (51, 1), (28, 1))})
    jpeg = io.BytesIO()
    Image.new("RGB", (16, 16), (200, 30, 30)).save(jpeg, "JPEG", exif=b"Exif\0\0" + exif)
    return with_cover(film, jpeg.getvalue())


def with_cover(film: bytes, picture: bytes) -> bytes:
    """Said to be a JPEG."""
    covers = box("ilst", box("covr", box("data", struct.pack(">II", 13, 0) + picture)))
    return put(film, "moov", box("udta", box("meta", bytes(4) + _handler(b"mdir") + covers)))


def _inside(path: str, kind: str, body: Callable[[bytes], bytes], *, at: int | None = None) -> Plant:
    return lambda film, word: put(film, path, box(kind, body(word)), at=at)


def _same(word: bytes) -> bytes:
    return word


def _uuid(identity: bytes, body: Callable[[bytes], bytes] = _same) -> Callable[[bytes], bytes]:
    return lambda word: identity + body(word)


def _packet(word: bytes) -> bytes:
    return b'<x:xmpmeta><rdf:Description exif:GPSLatitude="48,51.46N" dc:creator="' + word + b'"/></x:xmpmeta>'


def _fields(path: str, at: int, value: bytes) -> Plant:
    """Other bytes in a header; no word fits."""
    return lambda film, _word: changed(film, path, patched(at, value))


def _times(film: bytes, _word: bytes) -> bytes:
    """The sixth of May 2024 everywhere, in seconds since 1904."""
    stamp = struct.pack(">I", 3_797_827_689) * 2
    for path in ("moov/mvhd", "moov/trak/tkhd", "moov/trak/mdia/mdhd"):
        film = changed(film, path, patched(4, stamp))
    return film


def _entry(at: int, value: Callable[[bytes], bytes]) -> Plant:
    """Other bytes in the picture's sample entry."""

    def plant(film: bytes, word: bytes) -> bytes:
        return changed(film, TABLE + "stsd", lambda body: patched(body.index(b"avc1") + 4 + at, value(word))(body))

    return plant


def _compressor(word: bytes) -> bytes:
    return (bytes((len(word),)) + word).ljust(32, b"\0")[:32]


def _reference(kind: str) -> Plant:
    def plant(film: bytes, word: bytes) -> bytes:
        entry = box(kind, bytes(4) + b"file:///Volumes/" + word + b"\0")
        return changed(film, "moov/trak/mdia/minf/dinf/dref", lambda body: body[:8] + entry)

    return plant


def _unowned(film: bytes, word: bytes) -> bytes:
    return changed(film, "mdat", lambda body: body + word)


def _second_mdat(film: bytes, word: bytes) -> bytes:
    return put(film, "", box("mdat", b"freeGPS " + word))


def _free_route(film: bytes, word: bytes) -> bytes:
    return put(film, "", box("free", b"GPS " + word))


BOXES: tuple[Carrier, ...] = (
    carrier("mp4-xyz", "location", _user("\xa9xyz", lambda word: _text(b"+48.8577+002.2950/" + word))),
    carrier("mp4-loci", "location", _user("loci", _place)),
    carrier("mp4-auth", "owner_name", _user("auth", lambda word: struct.pack(">IH", 0, 0x15C7) + word + b"\0")),
    carrier("mp4-maker", "camera", _user("\xa9mak", _text)),
    carrier("mp4-software", "software", _user("\xa9swr", _text)),
    carrier("mp4-day", "timestamps", _user("\xa9day", _text)),
    carrier("mp4-gpmf", "telemetry", _user("GPMF", _same)),
    carrier("mp4-serial", "serial_number", _user("CAME", _same)),
    carrier(
        "mp4-xtra", "timestamps", _user("Xtra", lambda word: struct.pack(">II", 99, 15) + b"WM/EncodingTime" + word)
    ),
    carrier("mp4-atom", "unknown_block", _user("cnry", _same)),
    carrier("mp4-ilst", "caption", _items),
    carrier("mp4-keys-loc", "location", _key("com.apple.quicktime.location.ISO6709")),
    carrier("mp4-keys-make", "camera", _key("com.apple.quicktime.make")),
    carrier("mp4-keys-cid", "serial_number", _key("com.apple.quicktime.content.identifier")),
    carrier("mp4-id3", "owner_name", _id3),
    carrier("mp4-cover-exif", "location", _cover),
    carrier("mp4-cover", "thumbnail", _cover),
    carrier("mp4-uuid-xmp", "location", _inside("", "uuid", _uuid(XMP, _packet))),
    carrier("mp4-uuid-c2pa", "provenance", _inside("", "uuid", _uuid(C2PA))),
    carrier("mp4-uuid", "unknown_block", _inside("", "uuid", _uuid(bytes(range(16))))),
    carrier("mp4-moov-uuid", "unknown_block", _inside("moov", "uuid", _uuid(bytes(range(16))))),
    carrier("mp4-trak-uuid", "unknown_block", _inside("moov/trak", "uuid", _uuid(bytes(range(16))))),
    carrier("mp4-moov-free", "hidden_data", _inside("moov", "free", _same)),
    carrier("mp4-stbl-free", "hidden_data", _inside("moov/trak/mdia/minf/stbl", "free", _same)),
    carrier("mp4-free", "hidden_data", _inside("", "free", _same)),
    carrier("mp4-free-late", "hidden_data", _inside("", "free", lambda word: bytes(70_000) + word)),
    carrier("mp4-free-route", "location", _free_route),
    carrier("mp4-skip", "hidden_data", _inside("", "skip", _same)),
    carrier("mp4-wide", "hidden_data", _inside("", "wide", _same)),
    carrier("mp4-unknown", "unknown_block", _inside("", "cnry", _same)),
    carrier("mp4-moov-unknown", "unknown_block", _inside("moov", "cnry", _same)),
    carrier("mp4-mdat", "hidden_data", _unowned),
    carrier("mp4-mdat-second", "hidden_data", _second_mdat),
    carrier("mp4-tail", "trailing_data", lambda film, word: film + b"tail " + word),
    carrier("mp4-times", "timestamps", _times, words=False),
    carrier("mp4-poster", "hidden_data", _fields("moov/mvhd", 72, struct.pack(">III", 77, 88, 99)), words=False),
    carrier("mp4-lang", "language", _fields("moov/trak.1/mdia/mdhd", 20, b"\x1a\x41"), words=False),
    carrier("mp4-elng", "language", _inside("moov/trak/mdia", "elng", lambda word: bytes(4) + b"fr-" + word + b"\0")),
    carrier(
        "mp4-hdlr",
        "software",
        lambda film, word: changed(film, "moov/trak/mdia/hdlr", lambda body: body[:24] + word + b"\0"),
    ),
    carrier("mp4-hdlr-vendor", "software", _fields("moov/trak.1/mdia/hdlr", 12, b"appl"), words=False),
    carrier("mp4-compressor", "software", _entry(42, _compressor)),
    carrier("mp4-vendor", "software", _entry(12, lambda _word: b"GoPr"), words=False),
    carrier("mp4-trackname", "caption", _inside("moov/trak", "udta", lambda word: box("name", word))),
    carrier("mp4-dref-url", "edit_history", _reference("url ")),
    carrier("mp4-dref-alis", "edit_history", _reference("alis")),
    carrier("mp4-prft", "timestamps", _inside("", "prft", lambda word: bytes(4) + word)),
    carrier("mp4-emsg", "comment", _inside("", "emsg", lambda word: bytes(4) + b"urn:x\0" + word)),
    carrier("mp4-jumb", "provenance", _inside("", "jumb", _same)),
)


def all_in(film: bytes) -> bytes:
    """All of them in one file; the tail comes last, and one of each pair that would stand in the same place."""
    later = {"mp4-tail"}
    for each in BOXES:
        if each.name not in later | _ALONE:
            film = each.into(film)
    for each in BOXES:
        if each.name in later:
            film = each.into(film)
    return film


# Second tables of the same place, which would bury the first.
_ALONE = frozenset({"mp4-dref-alis"})


def planted() -> list[bytes]:
    """The words of `all_in`."""
    return [each.word for each in BOXES if each.word and each.name not in _ALONE]
