"""Second reader of JPEG: baseline, three components, the standard tables, one scan; nothing before, between or after.

With constant Huffman tables and quantisation tables of a known quality there is no table left to hide anything in.
"""

from __future__ import annotations

import functools
import hashlib
import re
import struct

from worker.media.proof import profile
from worker.media.proof.doubt import need
from worker.media.proof.native import turbojpeg

_APP0 = b"JFIF\0\1\1\0\0\1\0\1\0\0"
_SCAN = bytes((3, 1, 0x00, 2, 0x11, 3, 0x11, 0, 63, 0))
# Anything in the scan that is not sample data or a stuffed zero.
_IN_SCAN = re.compile(rb"\xff[^\0]")
# SHA-256 of the four Huffman tables of ITU-T T.81 Annex K.3, each as its segment's payload.
_HUFFMAN = frozenset(
    {
        "9fb04cb1a8076318f33f273ffef967a9ea7291ecf3adeca79f643dfd300de425",
        "f27ce9b718f91cd426885e6ce4a37d0ba4900db219f719eef29ecc1f7f4fd5f0",
        "af48d4f608dfb682fd19ee479c66dad5342dfbed5b1d1807b95393162a8715d1",
        "8cf60aa835f8474bb590e73332bee9c246bec9ce1e368aa725674c096f3efd2c",
    }
)
# Annex K.1 and K.2, in zigzag order.
_LUMINANCE = bytes.fromhex(
    "100b0c0e0c0a100e0d0e1211101318281a181616183123251d283a333d3c3933"
    "383740485c4e404457453738506d51575f626768673e4d71797064785c656763"
)
_CHROMINANCE = bytes.fromhex("1112121815182f1a1a2f634238426363" + "63" * 48)
_QUALITIES = range(50, 96)
# Pixels of a block's side at 4:2:0, and the most blocks of an interval of restarting (16 bits).
_BLOCK, _MOST_BLOCKS = 16, 0xFFFF
# Six units of no difference and nothing else, by the tables above: 00 1010 four times, then 00 00 twice.
_EMPTY_BLOCK = b"\x28\xa2\x8a\0"


def check(data: bytes) -> None:
    """Raises `Doubt`."""
    need(data[:2] == b"\xff\xd8" and data[-2:] == b"\xff\xd9", "first or last marker")
    segments, scan_at = _segments(data)
    need([marker for marker, _ in segments[:1]] == [0xE0] and segments[0][1] == _APP0, "APP0")
    if segments[1][0] == 0xE2:
        profile.in_jpeg(segments.pop(1)[1])
    by_marker: dict[int, list[bytes]] = {}
    for marker, body in segments[1:]:
        by_marker.setdefault(marker, []).append(body)
    need(set(by_marker) == {0xDB, 0xC0, 0xC4, 0xDA}, "a segment that may not be there")
    _quantisation(by_marker[0xDB])
    _huffman(by_marker[0xC4])
    need(len(by_marker[0xC0]) == 1 and by_marker[0xDA] == [_SCAN], "frame or scan")
    _frame(by_marker[0xC0][0])
    found = _IN_SCAN.search(data, scan_at)
    need(found is not None and found.start() == len(data) - 2, "a marker in the scan, or bytes after the end")
    need(_exact(data, scan_at, by_marker[0xC0][0]), "bytes after the last sample, or samples that lack")


def _segments(data: bytes) -> tuple[list[tuple[int, bytes]], int]:
    """Marker and payload up to the scan, and where its samples begin."""
    found: list[tuple[int, bytes]] = []
    at = 2
    while True:
        need(at + 4 <= len(data) and data[at] == 0xFF and len(found) < 16, "a segment")
        marker, size = data[at + 1], int(struct.unpack_from(">H", data, at + 2)[0])
        need(size >= 2 and at + 2 + size <= len(data), "a segment's length")
        found.append((marker, data[at + 4 : at + 2 + size]))
        at += 2 + size
        if marker == 0xDA:
            return found, at


def _quantisation(tables: list[bytes]) -> None:
    need([body[:1] for body in tables] == [b"\0", b"\1"], "number of quantisation tables")
    pair = (tables[0][1:], tables[1][1:])
    need(pair in _known_tables(), "quantisation tables")


@functools.cache
def _known_tables() -> frozenset[tuple[bytes, bytes]]:
    return frozenset((_scaled(_LUMINANCE, quality), _scaled(_CHROMINANCE, quality)) for quality in _QUALITIES)


def _scaled(table: bytes, quality: int) -> bytes:
    """The usual scaling of the tables of Annex K by a quality of 50 to 100."""
    percent = 200 - 2 * quality
    return bytes(min(max((value * percent + 50) // 100, 1), 255) for value in table)


def _huffman(tables: list[bytes]) -> None:
    digests = [hashlib.sha256(body).hexdigest() for body in tables]
    need(len(digests) == 4 and set(digests) == _HUFFMAN, "Huffman tables")


def _frame(body: bytes) -> None:
    need(len(body) == 15 and body[0] == 8 and body[5] == 3, "frame header")
    height, width = struct.unpack_from(">HH", body, 1)
    need(0 < width <= 16_384 and 0 < height <= 16_384 and width * height <= 40_000_000, "size")
    need(body[6:] == bytes((1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1)), "components")


def _exact(data: bytes, scan_at: int, frame: bytes) -> bool:
    """Whether the scan has neither a byte too few nor one too many.

    A decoder fills up in silence what lacks, and skips what is left before the last marker. But between two intervals
    of restarting it counts what it skips. So a row of empty blocks is put below the picture, in an interval of its
    own, and a comment behind it; at the comment the decoder complains of whatever was left before.
    """
    height, width = (-(-side // _BLOCK) for side in struct.unpack_from(">HH", frame, 1))
    need(width * height <= _MOST_BLOCKS, "more blocks than an interval can have")
    size = width * _BLOCK, (height + 1) * _BLOCK
    taller = frame[:1] + struct.pack(">HH", size[1], size[0]) + frame[5:]
    scan_from = data.rindex(b"\xff\xda" + struct.pack(">H", len(_SCAN) + 2) + _SCAN, 0, scan_at)
    parts = (
        data[:scan_from].replace(_segment(0xC0, frame), _segment(0xC0, taller)),
        _segment(0xDD, struct.pack(">H", width * height)),
        data[scan_from:-2],
        b"\xff\xd0",
        _EMPTY_BLOCK * width,
        _segment(0xFE, b""),
        data[-2:],
    )
    return turbojpeg.without_complaint(b"".join(parts), size)


def _segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body
