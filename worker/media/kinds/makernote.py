"""Reads the tags of camera makers' private notes where their layout is known, which serial numbers and faces hide in.

A note is a directory behind a mark of its maker; only tag numbers are read, so where its values lie does not matter.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

_MOST_ENTRIES = 300


@dataclass(frozen=True, kw_only=True, slots=True)
class _Maker:
    """`mark` begins the note; its directory lies at `skip` (or, with `inside`, where the TIFF header there says)."""

    mark: bytes
    skip: int
    tags: dict[int, str]
    order: str = ""
    inside: bool = False


def _table(**kinds: tuple[int, ...]) -> dict[int, str]:
    return {tag: kind for kind, tags in kinds.items() for tag in tags}


_APPLE = _table(serial_number=(0x0B, 0x11, 0x15, 0x16, 0x20, 0x2B), face_regions=(0x1F,))
_CANON = _table(
    owner_name=(0x09,), serial_number=(0x0C, 0x28, 0x96), software=(0x07,), camera=(0x06, 0x95),
    face_regions=(0x24, 0x25, 0x2F), timestamps=(0x35,),
)  # fmt: skip
_NIKON = _table(
    serial_number=(0x1D, 0xA0), face_regions=(0x21,), camera=(0x84,), timestamps=(0x24,), location=(0x39,),
    thumbnail=(0x11,),
)  # fmt: skip
_PANASONIC = _table(
    serial_number=(0x25, 0x52, 0x54), camera=(0x51, 0x53), face_regions=(0x4E, 0x61), owner_name=(0x66,),
    caption=(0x65,), location=(0x67, 0x69, 0x6B, 0x6D, 0x6F), timestamps=(0xAF,),
)  # fmt: skip
_OLYMPUS = _table(
    serial_number=(0x2010, 0x0209, 0x0404),
    camera=(0x0207, 0x0203),
    thumbnail=(0x0100, 0x0280, 0x1036),
    software=(0x0104,),
)
_FUJI = _table(serial_number=(0x10,), face_regions=(0x4100, 0x4103, 0x4282))
_PENTAX = _table(
    timestamps=(0x06, 0x07), serial_number=(0x0229, 0x0215), location=(0x23, 0x24), thumbnail=(0x04,),
    face_regions=(0x60,), camera=(0x05, 0x3F),
)  # fmt: skip
_SONY = _table(serial_number=(0x2031, 0x9050), camera=(0xB001, 0xB027), thumbnail=(0x2001,))
_SAMSUNG = _table(serial_number=(0xA002,), camera=(0xA003,), face_regions=(0x0100, 0x0123), timestamps=(0x43,))
_RICOH = _table(serial_number=(0x05,), timestamps=(0x03,), software=(0x02,))
_MOTOROLA = _table(serial_number=(0x5501,))
_NINTENDO = _table(serial_number=(0x1101,))
# First match wins. Canon and Samsung write no mark: their notes begin with the directory, and the camera's make tells.
_MAKERS = (
    _Maker(mark=b"Apple iOS\0", skip=14, tags=_APPLE, order=">"),
    _Maker(mark=b"Nikon\0\2", skip=10, tags=_NIKON, inside=True),
    _Maker(mark=b"Panasonic\0", skip=12, tags=_PANASONIC),
    _Maker(mark=b"OLYMP\0", skip=8, tags=_OLYMPUS),
    _Maker(mark=b"OLYMPUS\0", skip=12, tags=_OLYMPUS),
    _Maker(mark=b"OM SYSTEM\0", skip=16, tags=_OLYMPUS),
    _Maker(mark=b"FUJIFILM", skip=12, tags=_FUJI, order="<"),
    _Maker(mark=b"AOC\0", skip=6, tags=_PENTAX),
    _Maker(mark=b"PENTAX \0", skip=10, tags=_PENTAX),
    _Maker(mark=b"SONY DSC \0", skip=12, tags=_SONY),
    _Maker(mark=b"SONY CAM \0", skip=12, tags=_SONY),
    _Maker(mark=b"MOT\0", skip=8, tags=_MOTOROLA),
    _Maker(mark=b"Ricoh", skip=8, tags=_RICOH),
    _Maker(mark=b"RICOH\0", skip=8, tags=_RICOH),
)
# Cameras for wildlife write a table of numbers, their own among them.
_RECONYX = (b"RECONYX", b"\x01\xf1\3\0")
_UNMARKED = ((b"canon", _CANON), (b"samsung", _SAMSUNG), (b"nikon", _NIKON), (b"sony", _SONY), (b"nintendo", _NINTENDO))


def kinds_in(note: bytes, order: str, make: bytes) -> Iterator[str]:
    """What the tags of a note stand for. `order` is `<` or `>`, of the block it lies in; `make` as the camera says."""
    for maker in _MAKERS:
        if note.startswith(maker.mark):
            begin = maker.skip
            if maker.inside and note[begin : begin + 2] in (b"II", b"MM"):
                order = "<" if note[begin : begin + 2] == b"II" else ">"
                begin += 8
            yield from _tags(note, begin, maker.order or order, maker.tags)
            return
    if note.startswith(_RECONYX):
        yield "serial_number"
        return
    for name, tags in _UNMARKED:
        if make.lower().startswith(name):
            yield from _tags(note, 0, order, tags)
            return


def _tags(note: bytes, at: int, order: str, tags: dict[int, str]) -> Iterator[str]:
    """Entries of a directory, in the byte order that gives the lesser number of them: notes do not always keep to their
    block's."""
    if at + 2 > len(note):
        return
    counts = {way: int(struct.unpack_from(way + "H", note, at)[0]) for way in (order, "<" if order == ">" else ">")}
    way = min(counts, key=lambda each: counts[each])
    if counts[way] <= _MOST_ENTRIES:
        for place in range(at + 2, min(at + 2 + 12 * counts[way], len(note) - 11), 12):
            kind = tags.get(int(struct.unpack_from(way + "H", note, place)[0]))
            if kind:
                yield kind
