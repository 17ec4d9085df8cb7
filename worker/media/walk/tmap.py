"""Finds tone-map items of a HEIF or AVIF: a derived picture made of the primary one and a gain map (ISO/IEC 23008-12,
amendment 1 of 2024; the numbers in it are those of ISO 21496-1, with one byte of version in front)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from worker.media.limits import MediaLimits
from worker.media.walk.boxes import Box, boxes
from worker.media.walk.found import Data
from worker.media.walk.items import Items, content, note

_MOST_BYTES = 1_024


@dataclass(frozen=True, kw_only=True)
class ToneMap:
    """`numbers` as they lie there; `patches` (place, bytes) make the map the file's picture."""

    numbers: bytes
    patches: tuple[tuple[int, bytes], ...]

    def shown(self, data: Data) -> bytes:
        """The file with the map as its picture, so that a decoder opens it with all that belongs to it."""
        made = bytearray(data[:])
        for at, body in self.patches:
            made[at : at + len(body)] = body
        return bytes(made)


def tone_maps(data: Data, limits: MediaLimits) -> Iterator[ToneMap]:
    """Raises `Unprocessable`: truncated, corrupt, limits:boxes; LookupError where there is no table of items."""
    items, places = Items(left=limits.boxes), dict[bytes, Box]()
    for box in boxes(data, limits):
        places.setdefault(box.kind, box)
        if box.path[0] == b"meta" and len(box.path) > 1:
            note(data, box, items)
    # A reader that knows the item may use it only where the file names it among its brands.
    if b"tmap" not in data[places[b"ftyp"].begin : places[b"ftyp"].end]:
        return
    for item, kind in items.kinds.items():
        made_of = [to for of, source, to in items.references if (of, source) == (b"dimg", item)]
        body = content(data, items, item, _MOST_BYTES) if kind == b"tmap" else b""
        if body[:1] == b"\0" and len(made_of) == 2 and made_of[0] == items.primary:
            chosen = _chosen(data, places[b"pitm"], made_of[1])
            yield ToneMap(numbers=body[1:], patches=(chosen, *_unhidden(data, places[b"iinf"], made_of[1])))


def _chosen(data: Data, box: Box, item: int) -> tuple[int, bytes]:
    return box.begin + 4, struct.pack(">I" if data[box.begin] else ">H", item)


def _unhidden(data: Data, box: Box, item: int) -> Iterator[tuple[int, bytes]]:
    """The flags of an item without the one that hides it: a hidden item is no picture to a decoder."""
    at = box.begin + (8 if data[box.begin] else 6)
    while at + 12 <= box.end:
        size, version = struct.unpack_from(">I4xB", data, at)
        if version >= 2 and struct.unpack_from(">I" if version == 3 else ">H", data, at + 12)[0] == item:
            yield at + 11, bytes((data[at + 11] & 0xFE,))
        at += max(size, 12)
