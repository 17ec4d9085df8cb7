"""Clips whose headers are the bomb: sizes that lie, boxes without end, tables larger than the file, deep elements.

Each maker writes a file of any size, mostly a hole. `CLIPS` maps a name to (maker, the codes that are right for it); ""
stands for a clip that the walk lets through. What a decoder would choke on is in `tests.hostile_clips`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

from tests.boxes import box
from tests.carriers.matroska import element

Make = Callable[[Path], None]
_FTYP = box("ftyp", b"isom\0\0\2\0isomavc1mp41")
_HEAD = bytes.fromhex("1A45DFA38B428288") + b"matroska"
_GB = 1 << 30
# What a file of 2 GB of samples may be, and still be taken.
_LARGE = 1_900_000_000


def _track(*more: bytes, entry: bytes = b"", table: bytes = b"") -> bytes:
    """A picture's track with the least that makes one; `table` are boxes more among its tables."""
    handler = box("hdlr", bytes(8) + b"vide" + bytes(13))
    picture = entry or box("avc1", bytes(24) + struct.pack(">HH", 64, 48) + bytes(50))
    stsd = box("stsd", struct.pack(">II", 0, 1) + picture)
    media = box("mdhd", bytes(12) + struct.pack(">IIHH", 1000, 1000, 0x55C4, 0)) + handler
    tables = box("minf", box("stbl", stsd + table))
    return box("trak", box("tkhd", bytes(84)) + box("mdia", media + tables) + b"".join(more))


def _movie(*more: bytes, tracks: bytes | None = None) -> bytes:
    header = box("mvhd", bytes(12) + struct.pack(">II", 1000, 1000) + bytes(80))
    return box("moov", header + (_track() if tracks is None else tracks) + b"".join(more))


def _whole(*parts: bytes) -> Make:
    def make(path: Path) -> None:
        path.write_bytes(_FTYP + b"".join(parts))

    return make


def _nested(kind: str, depth: int) -> bytes:
    body = b""
    for _ in range(depth):
        body = box(kind, body)
    return body


def _holes(*parts: bytes | int) -> Make:
    """Numbers are so many bytes of nothing."""

    def make(path: Path) -> None:
        with path.open("wb") as stream:
            stream.write(_FTYP)
            for part in parts:
                if isinstance(part, int):
                    stream.truncate(stream.seek(part, 1))
                else:
                    stream.write(part)

    return make


def _long(kind: str, size: int) -> bytes:
    """A header of 64 bits for a payload that follows."""
    return struct.pack(">I4sQ", 1, kind.encode(), size + 16)


def _head(kind: str, size: int) -> bytes:
    return struct.pack(">I4s", size + 8, kind.encode())


def _keys(count: int, entries: bytes) -> bytes:
    handler = box("hdlr", bytes(8) + b"mdta" + bytes(13))
    return box("meta", handler + box("keys", struct.pack(">II", 0, count) + entries) + box("ilst", b""))


def _sizes(count: int) -> Make:
    return _whole(_movie(tracks=_track(table=_table("stsz", count, b"\0\0\1\0" * count))))


def _edits(count: int) -> Make:
    return _whole(_movie(tracks=_track(box("edts", _table("elst", count, bytes(12 * count))))))


def _table(kind: str, said: int, body: bytes) -> bytes:
    head = struct.pack(">III", 0, 0, said) if kind == "stsz" else struct.pack(">II", 0, said)
    return box(kind, head + body)


_DAMAGED, _LIMITS = frozenset({"truncated", "corrupt"}), frozenset({"limits:boxes"})
_TAKEN = frozenset({""})
MP4: dict[str, tuple[Make, frozenset[str]]] = {
    "a box of size 0 at the top": (_whole(_movie(), struct.pack(">I4s", 0, b"mdat"), bytes(99)), _TAKEN),
    "a movie of size 0": (_whole(struct.pack(">I4s", 0, b"moov"), _movie()[8:]), _TAKEN),
    "a track of size 0": (_whole(box("moov", _movie()[8:] + struct.pack(">I4s", 0, b"trak"))), _TAKEN),
    "a box of size 1 without its size": (_whole(struct.pack(">I4s", 1, b"moov")), _DAMAGED),
    "a box of 64 bits that is too short": (_whole(struct.pack(">I4sQ", 1, b"moov", 15), bytes(9)), _DAMAGED),
    "a movie of 2^63 bytes": (_whole(struct.pack(">I4sQ", 1, b"moov", 1 << 63), bytes(99)), _DAMAGED),
    "samples of 2^63 bytes": (_whole(_movie(), struct.pack(">I4sQ", 1, b"mdat", 1 << 63)), _TAKEN),
    "samples of 2^63 bytes first": (_whole(struct.pack(">I4sQ", 1, b"mdat", 1 << 63), _movie()), _DAMAGED),
    "a track of 2^63 bytes": (_whole(box("moov", struct.pack(">I4sQ", 1, b"trak", 1 << 63))), _DAMAGED),
    "sizes below a header": (_whole(struct.pack(">I4s", 7, b"moov"), bytes(99)), _DAMAGED),
    "movies a thousand deep": (_whole(_nested("moov", 1000)), _LIMITS),
    "tracks a thousand deep": (_whole(box("moov", _nested("trak", 1000))), _LIMITS),
    "user data a thousand deep": (_whole(_movie(_nested("udta", 1000))), _TAKEN),
    "a million boxes": (_whole(_movie(), box("free", b"") * 1_000_000), _LIMITS),
    "a million boxes in a movie": (_whole(_movie(box("free", b"") * 1_000_000)), _LIMITS),
    "a million atoms": (_whole(_movie(box("udta", box("cnry", b"") * 1_000_000))), _LIMITS),
    "a million items": (_whole(_movie(box("meta", bytes(4) + box("ilst", box("cnry", b"") * 1_000_000)))), _LIMITS),
    "as many boxes as are read": (_whole(_movie(), box("cnry", b"") * 9_980), _TAKEN),
    "as many texts as are read": (_whole(_movie(), box("uuid", bytes(16) + b"x" * 64) * 9_980), _TAKEN),
    "four thousand million keys": (_whole(_movie(_keys(0xFFFFFFFF, b""))), _LIMITS),
    "nine thousand keys": (_whole(_movie(_keys(9_000, box("mdta", b"com.canary") * 9_000))), _TAKEN),
    "four hundred tracks": (_whole(_movie(tracks=_track() * 400)), frozenset({"limits:streams"})),
    "two movies": (_whole(_movie(), _movie()), _DAMAGED),
    "no movie": (_whole(box("mdat", bytes(999))), _DAMAGED),
    "a packed movie": (_whole(box("moov", box("cmov", bytes(99)))), frozenset({"unsupported_codec"})),
    "more sizes than bytes": (_whole(_movie(tracks=_track(table=_table("stsz", 0xFFFFFFFF, bytes(64))))), _TAKEN),
    "more places than bytes": (_whole(_movie(tracks=_track(table=_table("stco", 0xFFFFFFFF, bytes(64))))), _TAKEN),
    "five million sizes": (_sizes(5_000_000), _TAKEN),
    "as many sizes as are read": (_sizes(240_000), _TAKEN),
    "a million edits": (_edits(1_000_000), _TAKEN),
    "entries without end": (
        _whole(_movie(tracks=_track(entry=box("avc1", bytes(78)) * 100_000))),
        _LIMITS,
    ),
    "a picture of 65,535 pixels a side": (
        _whole(_movie(tracks=_track(entry=box("avc1", bytes(24) + b"\xff" * 4 + bytes(50))))),
        frozenset({"limits:pixels"}),
    ),
    "a movie of 136 years": (
        _whole(box("moov", box("mvhd", bytes(12) + struct.pack(">II", 1, 0xFFFFFFFE) + bytes(80)) + _track())),
        frozenset({"limits:duration"}),
    ),
    "a movie without time": (
        _whole(box("moov", box("mvhd", bytes(12) + struct.pack(">II", 0, 99) + bytes(80)) + _track())),
        _TAKEN,
    ),
    "a header cut short": (_whole(box("moov", box("mvhd", bytes(9)) + _track())), _DAMAGED),
    "headers of no length": (
        _whole(_movie(tracks=box("trak", box("mdia", box("mdhd", b"") + box("hdlr", b"") + box("elst", b""))))),
        _DAMAGED,
    ),
    "two gigabytes of samples": (_holes(_long("mdat", _LARGE), _LARGE, _movie()), _TAKEN),
    "two gigabytes of free space": (_holes(_movie(), _long("free", _LARGE), _LARGE), _TAKEN),
    "two gigabytes of user data": (_holes(_movie(), _long("uuid", _LARGE), _LARGE), _TAKEN),
    "two gigabytes behind the film": (_holes(_movie(), box("mdat", b""), b"not a box", _LARGE), _TAKEN),
    "two gigabytes of XMP": (
        _holes(_movie(), _long("uuid", _LARGE), bytes.fromhex("be7acfcb97a942e89c71999491e3afac"), _LARGE - 16),
        _TAKEN,
    ),
    "over two gigabytes": (_holes(_long("mdat", 2 * _GB), 2 * _GB, _movie()), frozenset({"limits:bytes"})),
    "three thousand fragments": (
        _whole(_movie(), (box("moof", box("traf", box("tfhd", bytes(8)))) + box("mdat", bytes(8))) * 3_000),
        _TAKEN,
    ),
}  # fmt: skip


def _clip(*parts: bytes, size: bytes | None = None) -> Make:
    """A Matroska; `size` says another size of its segment."""

    def make(path: Path) -> None:
        body = b"".join(parts)
        segment = element("18538067", body)
        path.write_bytes(_HEAD + (segment if size is None else segment[:4] + size + body))

    return make


_UNKNOWN = b"\1" + b"\xff" * 7
_TRACK = element(
    "AE",
    element("D7", b"\1") + element("83", b"\1") + element("86", b"V_VP8") + element("E0", element("B0", b"\x40")),
)
_TRACKS = element("1654AE6B", _TRACK)
_BLOCKS = bytes.fromhex("a38481000000") * 1_000_000


def _deep(number: str, depth: int) -> bytes:
    body = b""
    for _ in range(depth):
        body = element(number, body)
    return body


def _unknown(number: str) -> bytes:
    return bytes.fromhex(number) + _UNKNOWN


def _large(path: Path) -> None:
    """One cluster of two gigabytes."""
    with path.open("wb") as stream:
        stream.write(_HEAD + bytes.fromhex("18538067") + _UNKNOWN + _TRACKS)
        stream.write(bytes.fromhex("1F43B675") + struct.pack(">Q", 1 << 56 | _LARGE))
        stream.truncate(stream.seek(_LARGE, 1))


MATROSKA: dict[str, tuple[Make, frozenset[str]]] = {
    "a segment of unknown size": (_clip(_TRACKS, size=_UNKNOWN), _TAKEN),
    "a segment of 2^56 bytes": (_clip(_TRACKS, size=b"\1" + b"\xff" * 6 + b"\xfe"), _DAMAGED),
    "a segment of size 0": (_clip(_TRACKS, size=b"\x80"), frozenset({"no_video"})),
    "no segment": (lambda path: path.write_bytes(_HEAD + bytes(99)) and None, _DAMAGED),
    "tracks of unknown size": (_clip(_unknown("1654AE6B"), _TRACK), _DAMAGED),
    "a track of unknown size": (_clip(element("1654AE6B", _unknown("AE") + _TRACK)), _DAMAGED),
    "clusters of unknown size": (_clip(_TRACKS, (_unknown("1F43B675") + element("E7", b"\0")) * 99), _TAKEN),
    "a cluster of unknown size in one of unknown size": (_clip(_TRACKS, _unknown("1F43B675") * 9_000), _TAKEN),
    "a million clusters": (_clip(_TRACKS, element("1F43B675", b"") * 1_000_000), _LIMITS),
    "a million blocks in a cluster of unknown size": (_clip(_TRACKS, _unknown("1F43B675"), _BLOCKS), _TAKEN),
    "a million blocks in a cluster": (_clip(_TRACKS, element("1F43B675", _BLOCKS)), _TAKEN),
    "groups in groups": (_clip(_TRACKS, element("1F43B675", _deep("A0", 1000))), _TAKEN),
    "tags a thousand deep": (_clip(_TRACKS, element("1254C367", _deep("67C8", 1000))), _LIMITS),
    "chapters a thousand deep": (_clip(_TRACKS, element("1043A770", _deep("B6", 1000))), _LIMITS),
    "a million voids": (_clip(_TRACKS, element("EC", b"") * 1_000_000), _LIMITS),
    "a million tags": (_clip(_TRACKS, element("1254C367", element("7373", b"") * 1_000_000)), _LIMITS),
    "four hundred tracks": (_clip(element("1654AE6B", _TRACK * 400)), frozenset({"limits:streams"})),
    "an id of zeros": (_clip(_TRACKS, bytes(64)), _DAMAGED),
    "a size of zeros": (_clip(_TRACKS, b"\xec\0" + bytes(64)), _DAMAGED),
    "a length of infinity": (
        _clip(element("1549A966", element("4489", struct.pack(">d", float("inf")))), _TRACKS),
        frozenset({"limits:duration"}),
    ),
    "a length that is no number": (
        _clip(element("1549A966", element("4489", struct.pack(">d", float("nan")))), _TRACKS),
        _TAKEN,
    ),
    "a length of three bytes": (_clip(element("1549A966", element("4489", b"abc")), _TRACKS), _TAKEN),
    "a picture of four thousand million pixels": (
        _clip(element("1654AE6B", element("AE", element("83", b"\1") + element("E0", element("B0", b"\xff" * 8))))),
        frozenset({"limits:side"}),
    ),
    "a cluster of two gigabytes": (_large, _TAKEN),
}
CLIPS: dict[str, tuple[Make, frozenset[str]]] = {
    **{f"mp4: {name}": flood for name, flood in MP4.items()},
    **{f"mkv: {name}": flood for name, flood in MATROSKA.items()},
}
