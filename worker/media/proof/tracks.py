"""The second reader's view of one track: headers of constants, one sample entry, tables that agree with each other."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from worker.media.proof import boxes, codecs
from worker.media.proof.boxes import named, numbers, u16, u32
from worker.media.proof.doubt import need

_MOST_SAMPLES = 2_000_000


@dataclass(frozen=True, kw_only=True)
class Track:
    """`chunks` are (offset, bytes) in the file, `sizes` the bytes of each sample, `per_chunk` samples of each chunk.

    `parameters` are the parameter sets that the sample entry holds, which may come again in samples. `shown` is how
    long the track is on show, in thousandths of a second.
    """

    handler: bytes
    number: int
    shown: int
    chunks: list[tuple[int, int]]
    sizes: tuple[int, ...]
    per_chunk: list[int]
    parameters: frozenset[bytes]


def read(body: bytes) -> Track:
    """Raises `Doubt`."""
    parts = named(body, [b"tkhd", b"edts", b"mdia"], [b"edts"])
    media = named(parts[b"mdia"], [b"mdhd", b"hdlr", b"minf"])
    handler = _handler(media[b"hdlr"])
    number = _track_header(parts[b"tkhd"], handler)
    timescale, duration = _media_header(media[b"mdhd"])
    head = b"vmhd" if handler == b"vide" else b"smhd"
    inner = named(media[b"minf"], [head, b"dinf", b"stbl"])
    need(inner[head] == (b"\0\0\0\1" + bytes(8) if handler == b"vide" else bytes(8)), "media header")
    need(named(inner[b"dinf"], [b"dref"])[b"dref"] == _OWN_FILE, "dref")
    table = named(
        inner[b"stbl"],
        [b"stsd", b"stts", b"stss", b"sdtp", b"ctts", b"stsc", b"stsz", b"stco", b"co64", b"sgpd", b"sbgp"],
        [b"stss", b"sdtp", b"ctts", b"stco", b"co64", b"sgpd", b"sbgp"],
    )
    parameters = codecs.entry(table[b"stsd"], handler, parts[b"tkhd"])
    sizes = _sizes(table[b"stsz"])
    _side_tables(table, len(sizes))
    times = _times(table, len(sizes))
    per_chunk, chunks = _chunks(table, sizes)
    # From the first picture on show to the end of the last; an encoder counts that end by its own frame rate.
    first, last = min(times.shown), max(times.shown)
    need(-1 <= duration - (last - first) <= max(times.longest, timescale // 10), "duration")
    shown = u32(parts[b"tkhd"], 20)
    if b"edts" in parts:
        begin, length = _edits(named(parts[b"edts"], [b"elst"])[b"elst"], shown)
        # Pictures: none lies before or behind what is shown. Sound: an encoder's delay does, and less than a frame.
        late = first - begin if handler == b"vide" else begin - first
        need(late == 0 if handler == b"vide" else 0 <= 2 * late < timescale, "media before the edit")
        need(1000 * (last - begin) < (length + 1) * timescale, "media after the edit")
    else:
        length = shown
    need(abs(1000 * duration - length * timescale) <= max(500 * timescale, 1000 * times.longest), "duration of a track")
    return Track(
        handler=handler,
        number=number,
        shown=shown,
        chunks=chunks,
        sizes=sizes,
        per_chunk=per_chunk,
        parameters=parameters,
    )


_OWN_FILE = bytes(7) + b"\1" + b"\0\0\0\x0curl \0\0\0\1"


def _handler(body: bytes) -> bytes:
    """No manufacturer, no name."""
    need(len(body) in (24, 25) and body[:8] == bytes(8) and not any(body[12:]), "hdlr")
    need(body[8:12] in (b"vide", b"soun"), "handler")
    return body[8:12]


def _track_header(body: bytes, handler: bytes) -> int:
    need(len(body) == 84 and body[:3] == bytes(3) and body[3] in (1, 3) and body[4:12] == bytes(8), "tkhd times")
    need(body[16:20] == bytes(4) and body[24:34] == bytes(10) and u16(body, 34) <= 1, "tkhd layer")
    need(body[36:40] == (bytes(4) if handler == b"vide" else b"\1\0\0\0"), "tkhd volume")
    need(body[40:76] == boxes.MATRIX and (handler == b"vide" or body[76:] == bytes(8)), "tkhd matrix")
    return u32(body, 12)


def _media_header(body: bytes) -> tuple[int, int]:
    need(len(body) == 24 and body[:12] == bytes(12) and body[20:] == b"\x55\xc4\0\0", "mdhd times or language")
    timescale = u32(body, 12)
    need(0 < timescale <= 1_000_000, "timescale")
    return timescale, u32(body, 16)


def _sizes(body: bytes) -> tuple[int, ...]:
    need(len(body) >= 12, "stsz")
    count = u32(body, 8)
    need(0 < count <= _MOST_SAMPLES, "number of samples")
    if u32(body, 4):
        need(len(body) == 12 and not any(body[:4]), "stsz")
        return (u32(body, 4),) * count
    return numbers(body, 12, 4)


@dataclass(frozen=True, kw_only=True)
class _Times:
    """When each sample is shown, in the track's time, and the longest time between two."""

    shown: list[int]
    longest: int


def _times(table: dict[bytes, bytes], samples: int) -> _Times:
    """Raises `Doubt` unless every sample has one time, and is shown not long after it is decoded."""
    runs = [(each >> 32, each & _WORD) for each in numbers(table[b"stts"], 8, 8)]
    need(sum(count for count, _ in runs) == samples and all(count for count, _ in runs), "stts")
    longest = max(each for _, each in runs)
    decoded: list[int] = []
    at = 0
    for count, each in runs:
        decoded += range(at, at + count * each, each) if each else [at] * count
        at += count * each
    if b"ctts" not in table:
        return _Times(shown=decoded, longest=longest)
    offsets: list[int] = []
    for each in numbers(table[b"ctts"], 8, 8):
        need(0 < each >> 32 <= samples and each & _WORD <= _MOST_REORDERED * longest, "ctts")
        offsets += [each & _WORD] * (each >> 32)
    need(len(offsets) == samples, "ctts")
    return _Times(shown=[one + two for one, two in zip(decoded, offsets, strict=True)], longest=longest)


_WORD = 0xFFFFFFFF
# Frames that a decoder may have to hold back before it shows one (H.264, table A-1).
_MOST_REORDERED = 16


def _side_tables(table: dict[bytes, bytes], samples: int) -> None:
    if b"stss" in table:
        keys = numbers(table[b"stss"], 8, 4)
        need(bool(keys) and keys[0] >= 1 and keys[-1] <= samples, "stss")
        need(all(one < two for one, two in pairwise(keys)), "stss")
    if b"sdtp" in table:
        need(table[b"sdtp"][:4] == bytes(4) and len(table[b"sdtp"]) == 4 + samples, "sdtp")
        need(set(table[b"sdtp"][4:]) <= _DEPENDENCIES, "sdtp")
    need((b"sgpd" in table) == (b"sbgp" in table), "sample groups")
    if b"sgpd" in table:
        # Roll distance of the sound: how many frames a decoder must run before the first good one.
        need(table[b"sgpd"] == b"\1\0\0\0roll\0\0\0\2\0\0\0\1\xff\xff", "sgpd")
        group = table[b"sbgp"]
        need(group[:8] == b"\0\0\0\0roll" and len(group) == 20 and u32(group, 8) == 1, "sbgp")
        need(u32(group, 12) == samples and u32(group, 16) == 1, "sbgp")


# Whether a sample needs others and others need it, as the muxer says it.
_DEPENDENCIES = frozenset({0x10, 0x18, 0x20, 0x28})


def _chunks(table: dict[bytes, bytes], sizes: tuple[int, ...]) -> tuple[list[int], list[tuple[int, int]]]:
    """How many samples each chunk has, and where each chunk lies."""
    need((b"stco" in table) != (b"co64" in table), "chunk offsets")
    offsets = numbers(table[b"stco"], 8, 4) if b"stco" in table else numbers(table[b"co64"], 8, 8)
    need(len(offsets) <= len(sizes), "number of chunks")
    flat = numbers(table[b"stsc"], 8, 12)
    runs = [flat[at : at + 3] for at in range(0, len(flat), 3)]
    need(bool(runs) and runs[0][0] == 1, "stsc")
    per_chunk: list[int] = []
    for index, (first, each, description) in enumerate(runs):
        after = runs[index + 1][0] if index + 1 < len(runs) else len(offsets) + 1
        need(description == 1 and each > 0 and first < after <= len(offsets) + 1, "stsc")
        per_chunk += [each] * (after - first)
    need(sum(per_chunk) == len(sizes), "samples in chunks")
    chunks, at = [], 0
    for offset, each in zip(offsets, per_chunk, strict=True):
        chunks.append((offset, sum(sizes[at : at + each])))
        at += each
    return per_chunk, chunks


def _edits(body: bytes, shown: int) -> tuple[int, int]:
    """Where the one edit begins in the track's time, and its length in thousandths of a second.

    It runs at normal speed, after at most one pause; both together are what the track's header says.
    """
    need(len(body) in (20, 32) and not any(body[:4]) and len(body) == 8 + 12 * u32(body, 4), "elst")
    need(all(body[at + 8 : at + 12] == b"\0\1\0\0" for at in range(8, len(body), 12)), "speed of an edit")
    pause = 0
    if len(body) == 32:
        pause = u32(body, 8)
        need(body[12:16] == b"\xff\xff\xff\xff", "more than one edit")
    length, begin = u32(body, len(body) - 12), u32(body, len(body) - 8)
    need(abs(pause + length - shown) <= 1, "duration of the edits")
    return begin, length
