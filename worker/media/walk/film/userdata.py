"""User data of MP4 and QuickTime: atoms of `udta`, Apple's item lists and keys, ID3, Windows' attributes.

ISO/IEC 14496-12, 8.10; QuickTime File Format, "User data atoms" and "Metadata atoms"; 3GPP TS 26.244, 8. A list that is
broken counts as an unknown block and hides nothing before it: players skip it as well.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from worker.errors import Unprocessable
from worker.media.codes import unprocessable
from worker.media.walk.boxes import Box
from worker.media.walk.film.boxes import Boxes
from worker.media.walk.film.found import EMPTY, Film

_COVERS = frozenset({b"covr", b"thmb", b"thum", b"THMB"})
_LOOSE = EMPTY | {b"uuid"}
_LIST_BYTES = 64 << 10
# Parts of a `meta` that only say how its items lie.
_PLAIN = frozenset({b"hdlr", b"keys", b"ilst", b"dinf", b"ctry", b"lang"})


def user_data(steps: Boxes, box: Box, film: Film) -> None:
    """What is in a `udta`. Raises `Unprocessable` (limits:boxes)."""
    for item in _level(steps, box.begin, box.end, box.path, film):
        if item.kind == b"meta":
            meta(steps, item, film)
        elif item.kind in _LOOSE:
            film.loose(item)
        elif item.kind == b"Xtra":
            _windows(film, item)
        elif item.kind in _COVERS:
            film.cover(item.begin, item.end)
        elif item.kind == b"XMP_":
            film.add("xmp", film.look(item.begin, item.end))
        else:
            film.add("atom", item.kind)


def meta(steps: Boxes, box: Box, film: Film) -> None:
    """What is in a `meta`. Raises `Unprocessable` (limits:boxes)."""
    keys = 0
    for item in _level(steps, box.begin + steps.before(box), box.end, box.path, film):
        if item.kind == b"keys":
            keys = _keys(film, item)
        elif item.kind == b"ilst":
            for entry in _level(steps, item.begin, item.end, item.path, film):
                _item(steps, entry, keys, film)
        elif item.kind == b"ID32":
            _id3(film, film.look(item.begin + 6, item.end, _LIST_BYTES))
        elif item.kind in (b"xml ", b"bxml"):
            film.add("camera_xml", film.look(item.begin, item.end, _LIST_BYTES))
        elif item.kind not in _PLAIN:
            film.loose(item)


def _level(steps: Boxes, begin: int, end: int, path: tuple[bytes, ...], film: Film) -> Iterator[Box]:
    try:
        yield from steps.level(begin, end, path)
    except Unprocessable as refusal:
        if refusal.code.startswith("limits:"):
            raise
        film.add("unknown_block")


def _keys(film: Film, box: Box) -> int:
    """Apple's names, each told; returns how many there are."""
    count = int.from_bytes(film.window.at(box.begin + 4, 4), "big")
    if count > film.limits.boxes:
        raise unprocessable("limits:boxes")
    body, at = film.look(box.begin + 8, box.end, _LIST_BYTES), 0
    for _ in range(count):
        size = int.from_bytes(body[at : at + 4], "big")
        if size < 8 or at + size > len(body):
            film.add("unknown_block")
            break
        film.named(body[at + 8 : at + size])
        at += size
    return count


def _item(steps: Boxes, item: Box, keys: int, film: Film) -> None:
    """One entry of `ilst`: of a key by its number, of a name of its own, or one of the well-known four letters."""
    if 1 <= int.from_bytes(item.kind, "big") <= keys:
        return
    if item.kind == b"----":
        names = [part for part in _level(steps, item.begin, item.end, item.path, film) if part.kind == b"name"]
        for part in names:
            film.named(film.window.at(part.begin + 4, min(128, part.end - part.begin - 4)))
        if not names:
            film.add("unknown_block")
    elif item.kind == b"covr":
        film.cover(item.begin, item.end)
    else:
        film.add("atom", item.kind)


def _id3(film: Film, body: bytes) -> None:
    """ID3v2 frames, by their four letters (id3.org, ID3v2.4.0 native frames)."""
    at = 10
    found = body[:3] == b"ID3"
    while found and at + 10 <= len(body) and body[at] != 0:
        size = int.from_bytes(body[at + 4 : at + 8], "big")
        film.add("id3", body[at : at + 4])
        at += 10 + size
    if not found:
        film.add("unknown_block")


def _windows(film: Film, box: Box) -> None:
    """Windows Media attributes: size, length of the name, the name."""
    body, at = film.look(box.begin, box.end, _LIST_BYTES), 0
    while at + 8 <= len(body):
        size, length = struct.unpack_from(">II", body, at)
        film.named(body[at + 8 : at + 8 + min(length, 128)])
        if size < 8:
            break
        at += size
