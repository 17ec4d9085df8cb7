"""A JPEG without anything but its picture: tables, frame and scans are taken over by name, all else is left behind.

A baseline picture of one scan is copied byte for byte; its coefficients are touched only where it must be turned, or
where its scan holds more than its blocks. Every other kind of JPEG has its coefficients coded anew, still without loss.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

from worker.media.lossless import turbojpeg
from worker.media.lossless.declined import Declined
from worker.media.lossless.turbojpeg import CannotTransform

_JFIF = b"\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0"
# Only its last byte, the transform, says anything (ITU-T T.872, 6.5.3).
_ADOBE = b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0"
_EXIF = b"\xff\xe1\0\x22Exif\0\0MM\0*\0\0\0\x08\0\1\x01\x12\0\3\0\0\0\1\0%c\0\0\0\0\0\0"
_ICC = b"ICC_PROFILE\0\1\1"
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_BASELINE, _PROGRESSIVE = 0xC0, 0xC2
_MARKER = re.compile(rb"\xff[\x01-\xfe]")
# What ends a scan: a marker that is neither a stuffed zero nor a restart.
_SCAN_END = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")


@dataclass(kw_only=True)
class _Scan:
    """`tables` are the Huffman tables defined since the scan before, in their order: class and number -> table."""

    head: bytes
    tables: dict[int, bytes]
    restart: int
    samples: memoryview


@dataclass(kw_only=True)
class _Parts:
    frame: tuple[int, bytes] | None = None
    quantisation: dict[int, bytes] = field(default_factory=dict)
    scans: list[_Scan] = field(default_factory=list)
    jfif: bool = False
    adobe: int | None = None
    odd: bool = False


def rewrite(data: bytes, orientation: int, profile: bytes | None) -> bytes:
    """The picture alone, upright, or with the one EXIF tag where its blocks do not allow turning it without loss.

    `profile` is one of ours, or None. Raises `Declined`.
    """
    parts = _parsed(data)
    head = _colour(parts)
    plain = _plain(parts)
    whole = _assembled(parts, head, profile) if plain else data
    if orientation == 1:
        return whole if plain and _ends_with_its_blocks(whole) else _coded_anew(whole, 1, parts, head, profile)
    try:
        return _coded_anew(whole, orientation, parts, head, profile)
    except Declined:
        straight = whole if plain and _ends_with_its_blocks(whole) else _coded_anew(whole, 1, parts, head, profile)
        return _tagged(straight, orientation, head)


def _coded_anew(whole: bytes, orientation: int, parts: _Parts, head: bytes, profile: bytes | None) -> bytes:
    progressive = parts.frame is not None and parts.frame[0] == _PROGRESSIVE
    try:
        made = _parsed(turbojpeg.upright(whole, orientation, progressive=progressive))
    except CannotTransform:
        raise Declined("unusual_coding") from None
    if made.odd or made.frame is None or made.frame[0] not in (_BASELINE, _PROGRESSIVE):
        raise Declined("unusual_coding")
    return _assembled(made, head, profile)


def _ends_with_its_blocks(whole: bytes) -> bool:
    """Whether the scan has no byte to spare: nothing odd comes up in it, and without its last byte a block lacks bits.

    A host without the library leaves this to the second reader, which proves it in any case.
    """
    less = whole[:-4] if whole.endswith(b"\xff\0\xff\xd9") else whole[:-3]
    try:
        return turbojpeg.lacks_data(turbojpeg.complaint(less + b"\xff\xd9"))
    except CannotTransform:
        return True


def _plain(parts: _Parts) -> bool:
    """One scan of all components, baseline, its tables in order: what nearly every camera writes."""
    if parts.odd or parts.frame is None or parts.frame[0] != _BASELINE or len(parts.scans) != 1:
        return False
    (scan,) = parts.scans
    return (
        scan.head[0] == parts.frame[1][5] and _used(parts, scan) is not None and b"\xff\xff" not in bytes(scan.samples)
    )


def _used(parts: _Parts, scan: _Scan) -> tuple[list[bytes], list[bytes]] | None:
    """The quantisation and Huffman tables that the components name, each once; None where one is not there."""
    frame = parts.frame[1] if parts.frame else b""
    wanted = sorted({frame[8 + 3 * number] for number in range(frame[5])})
    coders = sorted(
        {number for pair in scan.head[2 : 1 + 2 * scan.head[0] : 2] for number in (pair >> 4, 0x10 | pair & 15)}
    )
    if not set(wanted) <= set(parts.quantisation) or not set(coders) <= set(scan.tables):
        return None
    return [parts.quantisation[number] for number in wanted], [scan.tables[number] for number in coders]


def _assembled(parts: _Parts, head: bytes, profile: bytes | None) -> bytes:
    """SOI, APP0 or APP14, our profile, tables, frame, scans, EOI."""
    if parts.frame is None:
        raise Declined("unusual_coding")
    single = _used(parts, parts.scans[0]) if len(parts.scans) == 1 else None
    quantisation = single[0] if single else parts.quantisation.values()
    pieces: list[bytes | memoryview] = [b"\xff\xd8", head]
    if profile is not None:
        pieces.append(_segment(0xE2, _ICC + profile))
    pieces += [_segment(0xDB, table) for table in quantisation]
    pieces.append(_segment(parts.frame[0], parts.frame[1]))
    restart = 0
    for scan in parts.scans:
        pieces += [_segment(0xC4, table) for table in (single[1] if single else scan.tables.values())]
        if scan.restart != restart:
            restart = scan.restart
            pieces.append(_segment(0xDD, struct.pack(">H", restart)))
        pieces += [_segment(0xDA, scan.head), scan.samples]
    pieces.append(b"\xff\xd9")
    return b"".join(pieces)


def _tagged(whole: bytes, orientation: int, head: bytes) -> bytes:
    at = 2 + len(head)
    return whole[:at] + _EXIF % orientation + whole[at:]


def _colour(parts: _Parts) -> bytes:
    """APP0, or APP14 where a decoder could not tell the colours without it (the rules are those of libjpeg)."""
    if parts.frame is None:
        raise Declined("unusual_coding")
    components, names = parts.frame[1][5], parts.frame[1][6::3]
    if components == 4 and parts.adobe is not None:
        return _ADOBE + bytes((parts.adobe,))
    if components == 3 and not parts.jfif and (parts.adobe == 0 or (parts.adobe is None and names == b"RGB")):
        return _ADOBE + b"\0"
    return _JFIF


def _parsed(data: bytes) -> _Parts:
    """The parts by name. The walk before this one has judged lengths and counts; what it let pass and we do not know
    makes the picture `odd`."""
    parts, view, at, restart = _Parts(), memoryview(data), 2, 0
    tables: dict[int, bytes] = {}
    while True:
        found = _MARKER.search(data, at)
        if found is None:
            raise Declined("unusual_coding")
        marker, at = data[found.end() - 1], found.end()
        if marker == 0xD9:
            return parts
        if marker == 0x01 or 0xD0 <= marker <= 0xD8:
            parts.odd = True
            continue
        size = int(struct.unpack_from(">H", data, at)[0])
        body, at = data[at + 2 : at + size], at + size
        if marker == 0xDA:
            ends = _SCAN_END.search(data, at)
            end = ends.start() if ends else len(data)
            while data[end - 1] == 0xFF:  # fill bytes before the marker
                end -= 1
            _checked_scan(body)
            parts.scans.append(_Scan(head=body, tables=tables, restart=restart, samples=view[at:end]))
            tables, at = {}, end
        elif marker == 0xDD:
            restart = int.from_bytes(body[:2], "big")
        else:
            _segment_of(marker, body, parts, tables)


def _checked_scan(body: bytes) -> None:
    if not body or len(body) != 4 + 2 * body[0]:
        raise Declined("unusual_coding")


def _segment_of(marker: int, body: bytes, parts: _Parts, tables: dict[int, bytes]) -> None:
    if marker == 0xDB:
        parts.odd = _split(body, parts.quantisation, lambda each: 1 + 64 * (1 + (each[0] >> 4))) or parts.odd
        parts.odd = parts.odd or bool(parts.scans) or any(number > 3 for number in parts.quantisation)
    elif marker == 0xC4:
        parts.odd = _split(body, tables, lambda each: 17 + sum(each[1:17])) or parts.odd
    elif marker in _FRAMES:
        parts.odd = parts.odd or parts.frame is not None
        parts.frame = marker, body
    elif marker == 0xE0 and body.startswith(b"JFIF\0") and len(body) >= 14:
        parts.jfif = True
    elif marker == 0xEE and body.startswith(b"Adobe") and len(body) >= 12:
        parts.adobe = body[11]
    elif marker in (0xCC, 0xDC):
        parts.odd = True


def _split(body: bytes, into: dict[int, bytes], size: Callable[[bytes], int]) -> bool:
    """Tables of one segment, each by its first byte; returns whether something did not add up."""
    while body:
        length = size(body) if len(body) >= 17 else len(body) + 1
        if length > len(body):
            return True
        into[body[0]], body = body[:length], body[length:]
    return False


def _segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body
