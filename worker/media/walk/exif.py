"""Reads which kinds of personal data an EXIF block holds, and its orientation; never a value of anything else."""

from __future__ import annotations

import struct
from collections.abc import Iterator

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_MOST_ENTRIES = 2_000
_DIRECTORIES = {0x8769: "exif", 0x8825: "gps", 0xA005: "interop"}

# Tag -> kind (CIPA DC-008, Exif 3.0; TIFF tags of the same names).
TAGS: dict[int, str] = {
    **dict.fromkeys((0x010F, 0x0110, 0xA432, 0xA433, 0xA434, 0xC614), "camera"),
    **dict.fromkeys((0xA431, 0xA435, 0xA420, 0xC62F), "serial_number"),
    **dict.fromkeys((0x013B, 0x8298, 0xA430, 0xA437, 0xA438, 0x9C9D, 0x013C), "owner_name"),
    **dict.fromkeys((0x0132, 0x9003, 0x9004, 0x9010, 0x9011, 0x9012, 0x9290, 0x9291, 0x9292), "timestamps"),
    **dict.fromkeys((0x927C, 0xC634, 0xFE00, 0xC4A5), "maker_notes"),
    **dict.fromkeys((0xA43A, 0xA43B, 0xA43C), "edit_history"),
    **dict.fromkeys((0x0131, 0xA439), "software"),
    **dict.fromkeys((0x9286,), "comment"),
    **dict.fromkeys((0x010E, 0x9C9B, 0x9C9C, 0x9C9E, 0x9C9F, 0xA436), "caption"),
    **dict.fromkeys((33550, 33922, 34735), "location"),
    **dict.fromkeys((0x0201, 0x0202), "thumbnail"),
}
_GPS_TIME = frozenset({0x0007, 0x001D})


def kinds_in(block: bytes) -> Iterator[str]:
    """Each kind that a tag of this TIFF structure stands for; a broken block gives what could be read."""
    for where, tag, _value in _tags(block):
        if where == "gps":
            if tag != 0x0000:
                yield "timestamps" if tag in _GPS_TIME else "location"
        elif tag in TAGS and (TAGS[tag] != "thumbnail" or where == "ifd1"):
            yield TAGS[tag]


def orientation(block: bytes) -> int:
    """The orientation 1 to 8 of the first directory; 0 where it is absent or makes no sense."""
    for where, tag, value in _tags(block):
        if where == "ifd0" and tag == 0x0112:
            return value if 1 <= value <= 8 else 0
    return 0


def is_adobe_rgb(block: bytes) -> bool:
    """Whether a camera says Adobe RGB without a profile: ColorSpace 2, or Interop index R03 with it uncalibrated."""
    tags = {(where, tag): value for where, tag, value in _tags(block)}
    space = tags.get(("exif", 0xA001))
    return space == 2 or (space == 0xFFFF and tags.get(("interop", 0x0001)) == int.from_bytes(b"R03\0", "big"))


def _tags(block: bytes) -> Iterator[tuple[str, int, int]]:
    """(directory, tag, value where it is a short or long or four letters, else 0), each directory once."""
    if len(block) < 8 or block[:2] not in (b"II", b"MM"):
        return
    order = "<" if block[:2] == b"II" else ">"
    todo = [("ifd0", int(struct.unpack_from(order + "I", block, 4)[0]))]
    seen: set[int] = set()
    left = _MOST_ENTRIES
    while todo:
        where, at = todo.pop(0)
        if at in seen or not 8 <= at <= len(block) - 2:
            continue
        seen.add(at)
        count = int(struct.unpack_from(order + "H", block, at)[0])
        end = at + 2 + 12 * count
        for entry in range(at + 2, min(end, len(block) - 11), 12):
            left -= 1
            if left < 0:
                return
            tag, kind, amount = struct.unpack_from(order + "HHI", block, entry)
            value = _value(block, entry, order, kind, amount)
            if tag in _DIRECTORIES and where in ("ifd0", "exif"):
                todo.append((_DIRECTORIES[tag], value))
            elif _SIZES.get(kind, 0) * amount:
                yield where, tag, value
        if where == "ifd0" and end + 4 <= len(block):
            todo.append(("ifd1", int(struct.unpack_from(order + "I", block, end)[0])))


def _value(block: bytes, entry: int, order: str, kind: int, amount: int) -> int:
    if kind == 3 and amount == 1:
        return int(struct.unpack_from(order + "H", block, entry + 8)[0])
    if kind in (4, 13) and amount == 1:
        return int(struct.unpack_from(order + "I", block, entry + 8)[0])
    return int.from_bytes(block[entry + 8 : entry + 12], "big") if kind == 2 and amount == 4 else 0
