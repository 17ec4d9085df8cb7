"""Second reader of MP4: one H.264 video and at most one AAC sound, every field a constant or a number of the table.

Linear in the number of samples: tables are read, samples are stepped over; a file of 2 GB is never in memory.
"""

from __future__ import annotations

from typing import BinaryIO

from worker.media.proof import boxes, streams, tracks
from worker.media.proof.boxes import u32
from worker.media.proof.doubt import Doubt, need

_BRANDS = frozenset({b"isom", b"iso2", b"iso4", b"iso5", b"iso6", b"avc1", b"mp41", b"mp42"})
_MOST_MOOV = 64 << 20
# An empty `udta` as the muxer writes it even when it has nothing to say.
_UDTA = bytes.fromhex(
    "000000356d657461000000000000002168646c7200000000000000006d6469726170706c" + "00" * 9 + "00000008696c7374"
)
_TIMES_AND_RATES = 100
# The movie's own time, as the muxer sets it: thousandths of a second.
_TIMESCALE = 1_000


def check(stream: BinaryIO) -> int:
    """Returns the size of the file in bytes; raises `Doubt`."""
    size = stream.seek(0, 2)
    top = list(boxes.top_level(stream, size))
    kinds = [box.kind for box in top]
    need(kinds in _ORDERS, "a box at the top that may not be there")
    by_kind = {box.kind: box for box in top}
    _file_type(boxes.payload(stream, by_kind[b"ftyp"], 64))
    if b"free" in by_kind:
        need(by_kind[b"free"].size == 0, "free space with content")
    moov = boxes.payload(stream, by_kind[b"moov"], _MOST_MOOV)
    found = _movie(moov)
    mdat = by_kind[b"mdat"]
    _owned(found, mdat.begin, mdat.begin + mdat.size)
    for track in found:
        streams.check(stream, track)
    return size


_ORDERS = (
    [b"ftyp", b"moov", b"mdat"],
    [b"ftyp", b"moov", b"free", b"mdat"],
    [b"ftyp", b"free", b"mdat", b"moov"],
    [b"ftyp", b"mdat", b"moov"],
)


def _file_type(body: bytes) -> None:
    need(len(body) >= 8 and len(body) % 4 == 0 and body[4:8] in (bytes(4), b"\0\0\2\0"), "ftyp")
    brands = [body[:4], *(body[at : at + 4] for at in range(8, len(body), 4))]
    need(set(brands) <= _BRANDS and len(brands) <= 9, "a brand")


def _movie(moov: bytes) -> list[tracks.Track]:
    parts = boxes.children(moov)
    kinds = [kind for kind, _ in parts]
    need(kinds in ([b"mvhd", *[b"trak"] * n, *tail] for n in (1, 2) for tail in ([], [b"udta"])), "moov")
    found = [tracks.read(body) for kind, body in parts if kind == b"trak"]
    need([track.handler for track in found] in ([b"vide"], [b"vide", b"soun"]), "tracks")
    need([track.number for track in found] == list(range(1, len(found) + 1)), "track numbers")
    _header(parts[0][1], longest=max(track.shown for track in found))
    if kinds[-1] == b"udta":
        need(parts[-1][1] == _UDTA, "udta")
    return found


def _header(body: bytes, *, longest: int) -> None:
    """mvhd, version 0: no times; as long as its longest track; no preview, poster or selection."""
    need(len(body) == _TIMES_AND_RATES and body[:12] == bytes(12), "mvhd times")
    need(u32(body, 12) == _TIMESCALE and u32(body, 16) == longest, "mvhd duration")
    need(body[20:26] == b"\0\1\0\0\1\0" and body[26:36] == bytes(10), "mvhd rate")
    need(body[36:72] == boxes.MATRIX and body[72:96] == bytes(24), "mvhd matrix or preview")
    need(u32(body, 96) in (2, 3), "mvhd next track")


def _owned(found: list[tracks.Track], begin: int, end: int) -> None:
    """Every byte of the samples' box belongs to exactly one chunk of a track."""
    chunks = sorted(chunk for track in found for chunk in track.chunks)
    at = begin
    for offset, size in chunks:
        if offset != at:
            raise Doubt("bytes that no sample owns")
        at += size
    need(at == end, "bytes that no sample owns")
