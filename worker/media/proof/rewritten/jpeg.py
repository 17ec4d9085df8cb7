"""Second reader of a rewritten JPEG: the camera's own tables and scans, whole, each ending with its last block.

Order: SOI, APP0 or a bare APP14, one EXIF tag, our profile, DQT, frame, DRI, DHT and scans, EOI.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field

from worker.media.proof import profile
from worker.media.proof.doubt import need
from worker.media.proof.native import turbojpeg

_APP0 = b"JFIF\0\1\1\0\0\1\0\1\0\0"
_APP14 = b"Adobe\0\x64\0\0\0\0"
_TAG = re.compile(rb"Exif\0\0MM\0\*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0[\2-\x08]\0\0\0\0\0\0")
_BASELINE, _PROGRESSIVE = 0xC0, 0xC2
_NOT_SAMPLES = re.compile(rb"\xff[^\0]")
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")
_MOST_SCANS, _MOST_SIDE = 100, 16_384


@dataclass(frozen=True, kw_only=True)
class _Scan:
    head: bytes
    begin: int
    end: int


@dataclass(kw_only=True)
class _File:
    """What stands before the scans, by marker; `frame` and `scans` once they were met."""

    data: bytes
    at: int = 2
    tables: set[int] = field(default_factory=set)
    coders: set[int] = field(default_factory=set)
    restart: int = 0
    marker: int = 0
    frame: bytes = b""
    scans: list[_Scan] = field(default_factory=list)

    def segment(self) -> tuple[int, bytes]:
        """The next marker and its payload; nothing may stand between."""
        need(self.at + 4 <= len(self.data) and self.data[self.at] == 0xFF, "a segment")
        marker, size = self.data[self.at + 1], int(struct.unpack_from(">H", self.data, self.at + 2)[0])
        need(size >= 2 and self.at + 2 + size <= len(self.data), "a segment's length")
        body = self.data[self.at + 4 : self.at + 2 + size]
        self.at += 2 + size
        return marker, body


def check(data: bytes) -> None:
    """Raises `Doubt`."""
    need(data[:2] == b"\xff\xd8" and data[-2:] == b"\xff\xd9", "first or last marker")
    file = _File(data=data)
    transform = _head(file)
    while not file.scans:
        _before_scan(file, *_next(file, (0xDB, _BASELINE, _PROGRESSIVE, 0xC4, 0xDD, 0xDA)))
    while data[file.at : file.at + 2] != b"\xff\xd9":
        _between_scans(file, *_next(file, (0xC4, 0xDA)))
        need(len(file.scans) <= _MOST_SCANS, "too many scans")
    need(file.at + 2 == len(data), "bytes after the end")
    components = file.frame[5]
    need(transform is None or (components, transform) in ((3, 0), (4, 0), (4, 2)), "APP14")
    need(file.marker == _PROGRESSIVE or len(file.scans) == 1, "number of scans")
    _ends(file)


def _next(file: _File, allowed: tuple[int, ...]) -> tuple[int, bytes]:
    marker, body = file.segment()
    need(marker in allowed, "a segment that may not be there")
    return marker, body


def _head(file: _File) -> int | None:
    """APP0 or APP14, the tag, the profile; returns what APP14 says of the colours."""
    marker, body = file.segment()
    plain = marker == 0xE0 and body == _APP0
    need(plain or (marker == 0xEE and len(body) == 12 and body[:11] == _APP14), "APP0")
    if file.data[file.at : file.at + 2] == b"\xff\xe1":
        need(_TAG.fullmatch(file.segment()[1]) is not None, "APP1")
    if file.data[file.at : file.at + 2] == b"\xff\xe2":
        profile.in_jpeg(file.segment()[1])
    return None if plain else body[11]


def _before_scan(file: _File, marker: int, body: bytes) -> None:
    if marker == 0xDB:
        need(not file.frame and len(body) == 65 and body[0] < 4 and body[0] not in file.tables, "quantisation table")
        need(0 not in body[1:], "quantisation table")
        file.tables.add(body[0])
    elif marker in (_BASELINE, _PROGRESSIVE):
        _frame(file, marker, body)
    elif marker == 0xDD:
        need(not file.restart and len(body) == 2 and body != b"\0\0" and bool(file.frame), "restart interval")
        file.restart = int.from_bytes(body, "big")
    else:
        need(bool(file.frame), "a scan without a frame")
        _between_scans(file, marker, body)


def _frame(file: _File, marker: int, body: bytes) -> None:
    need(not file.frame and len(body) >= 9 and body[0] == 8 and body[5] in (1, 3, 4), "frame header")
    height, width = struct.unpack_from(">HH", body, 1)
    need(0 < width <= _MOST_SIDE and 0 < height <= _MOST_SIDE and len(body) == 6 + 3 * body[5], "size")
    need(len(set(body[6::3])) == body[5] and set(body[8::3]) == file.tables, "components, or a table that none uses")
    need(all(1 <= each >> 4 <= 4 and 1 <= each & 15 <= 4 for each in body[7::3]), "sampling")
    file.marker, file.frame = marker, body


def _between_scans(file: _File, marker: int, body: bytes) -> None:
    if marker == 0xC4:
        _coder(file, body)
        return
    count = body[0] if body else 0
    need(1 <= count <= 4 and len(body) == 4 + 2 * count, "a scan's header")
    need(set(body[1 : 1 + 2 * count : 2]) <= set(file.frame[6::3]), "a scan's components")
    first, last, height = body[-3], body[-2], body[-1]
    if file.marker == _BASELINE:
        need(count == file.frame[5] and (first, last, height) == (0, 63, 0), "a scan's header")
        named = {number for pair in body[2 : 1 + 2 * count : 2] for number in (pair >> 4, 0x10 | pair & 15)}
        need(named == file.coders, "a Huffman table that nothing uses")
    else:
        need(
            first <= last < 64 and (first > 0 or last == 0) and height >> 4 < 14 and height & 15 < 14, "a scan's header"
        )
    begin = file.at
    file.at = _samples_end(file, begin)
    file.coders.clear()
    file.scans.append(_Scan(head=body, begin=begin, end=file.at))


def _coder(file: _File, body: bytes) -> None:
    """One table: a prefix code that fits, no symbol twice, and none that a coefficient of eight bits cannot have."""
    need(len(body) > 17 and body[0] & 0xEF < 4 and body[0] not in file.coders, "Huffman table")
    counts, symbols = body[1:17], body[17:]
    room = 1
    for count in counts:
        room = 2 * room - count
        need(room >= 0, "Huffman table")
    need(sum(counts) == len(symbols) == len(set(symbols)), "Huffman table")
    most = 11 if body[0] < 4 else 10
    long_runs = file.marker == _PROGRESSIVE
    for symbol in symbols:
        bits = symbol & 15
        need(bits <= most and (body[0] >= 4 or symbol < 12), "Huffman symbol")
        need(bits > 0 or body[0] < 4 or long_runs or symbol in (0x00, 0xF0), "Huffman symbol")
    file.coders.add(body[0])


def _samples_end(file: _File, begin: int) -> int:
    """Where the scan ends; between its samples stand only the restart markers that the frame needs, in their order."""
    at, restarts = begin, 0
    while True:
        found = _NOT_SAMPLES.search(file.data, at)
        need(found is not None, "a scan without an end")
        if found is None or not _RESTART.match(file.data, found.start()):
            break
        need(file.data[found.start() + 1] == 0xD0 + restarts % 8, "order of restarts")
        at, restarts = found.end(), restarts + 1
    needed = -(-_units(file.frame) // file.restart) - 1 if file.restart else 0
    need(restarts == needed and (not file.restart or file.marker == _BASELINE), "number of restarts")
    return found.start() if found else begin


def _units(frame: bytes) -> int:
    """How many minimal coded units the frame has (T.81, A.2): one block each where there is one component."""
    height, width = int.from_bytes(frame[1:3], "big"), int.from_bytes(frame[3:5], "big")
    across, down = (max(each >> 4 for each in frame[7::3]), max(each & 15 for each in frame[7::3]))
    if frame[5] == 1:
        across = down = 1
    return -(-width // (8 * across)) * -(-height // (8 * down))


def _ends(file: _File) -> None:
    """The whole decodes in silence, and no scan can do without its last byte: what is there to spare carries nothing of
    the picture."""
    height, width = struct.unpack_from(">HH", file.frame, 1)
    size, components = (width, height), file.frame[5]
    need(turbojpeg.without_complaint(file.data, size, components), "samples that lack, or bytes between them")
    for scan in file.scans:
        need(scan.end > scan.begin, "an empty scan")
        cut = scan.end - (2 if file.data[scan.end - 2 : scan.end] == b"\xff\0" else 1)
        less = file.data[:cut] + file.data[scan.end :]
        need(not turbojpeg.without_complaint(less, size, components), "bytes after the last sample")
