"""Reads which kinds of personal data an IPTC block holds (IIM 4.2, records 1 and 2) and what Photoshop's resources are
(Adobe Photoshop File Formats Specification, image resource blocks)."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

# Data sets of record 2, the application record, then those of record 1, the envelope.
_APPLICATION: dict[int, str] = {
    **dict.fromkeys((26, 27, 90, 92, 95, 100, 101), "location"),
    **dict.fromkeys((80, 85, 110, 115, 116, 118, 122, 188), "owner_name"),
    **dict.fromkeys((30, 35, 37, 38, 55, 60, 62, 63), "timestamps"),
    **dict.fromkeys((5, 7, 15, 20, 25, 105, 120, 121), "caption"),
    **dict.fromkeys((40, 45, 103, 230), "comment"),
    **dict.fromkeys((65, 70), "software"),
    **dict.fromkeys((22, 47, 50, 184, 187, 231), "edit_history"),
    **dict.fromkeys((200, 201, 202), "thumbnail"),
    232: "camera",
}
_ENVELOPE = {70: "timestamps", 80: "timestamps", 50: "owner_name", 100: "serial_number"}
_DATA_SET = re.compile(rb"\x1c([\x01\x02])(.)([\0-\xff]{2})", re.DOTALL)
# A resource: signature, id, a name padded to an even length, its size, its bytes.
_SIGNATURES = (b"8BIM", b"PHUT", b"AgHg", b"DCSR", b"MeSa")
_RESOURCE = re.compile(b"(?:" + b"|".join(_SIGNATURES) + rb")(..)", re.DOTALL)
_MOST_RESOURCES = 2_000

IPTC, EXIF, XMP, ICC = "iptc", "exif", "xmp", "icc"
# Resources that hold another carrier whole.
_NESTED = {0x0404: IPTC, 0x0422: EXIF, 0x0423: EXIF, 0x0424: XMP, 0x040F: ICC}
_KINDS = {0x0409: "thumbnail", 0x040C: "thumbnail", 0x040B: "comment", 0x041E: "comment", 0x0421: "software"}


def kinds_in(block: bytes) -> Iterator[str]:
    """Each kind that a data set stands for."""
    for match in _DATA_SET.finditer(block):
        table = _APPLICATION if match[1] == b"\2" else _ENVELOPE
        kind = table.get(match[2][0])
        if kind:
            yield kind


def resources(block: bytes) -> Iterator[tuple[str, bytes]]:
    """(kind or form of a carrier, bytes) of each resource; a form is one of IPTC, EXIF, XMP, ICC.

    What does not parse is looked through for its marks: a broken block counts as what it was.
    """
    at, count = 0, 0
    while block[at : at + 4] in _SIGNATURES and count < _MOST_RESOURCES and at + 12 <= len(block):
        number = int(struct.unpack_from(">H", block, at + 4)[0])
        name = at + 6
        size_at = name + 2 * ((block[name] + 2) // 2)
        if size_at + 4 > len(block):
            break
        size = int(struct.unpack_from(">I", block, size_at)[0])
        yield _named(number), block[size_at + 4 : size_at + 4 + size]
        at, count = size_at + 4 + size + (size & 1), count + 1
    rest = block[at:]
    for match in _RESOURCE.finditer(rest):
        yield _named(int.from_bytes(match[1], "big")), b""
    yield IPTC, rest


def _named(number: int) -> str:
    return _NESTED.get(number) or _KINDS.get(number, "edit_history")
