"""Configuration records of codecs, and what lies in them beside the parameters that decoders need.

ISO/IEC 14496-15 (avcC, hvcC), AV1-ISOBMFF (av1C), the Vorbis, FLAC and Ogg specifications. Nothing is decoded.
"""

from __future__ import annotations

from worker.media.walk.film import units
from worker.media.walk.film.found import Film
from worker.media.walk.film.sps import Sizes, sizes

# FLAC metadata blocks: stream info, padding, application, seek table, comments, cue sheet, picture.
_FLAC = {2: "unknown_block", 5: "chapters"}
_H264_EXTENDED = frozenset({100, 110, 122, 144, 244})

# A crop of so many pixels only makes up for whole macroblocks.
_ALIGNED = 15


def avc(film: Film, body: bytes) -> int:
    """`avcC`; returns how many bytes the length of a unit has in samples."""
    if len(body) < 7:
        return 4
    at, count, lists = 5, body[5] & 31, 0
    while lists < 2:
        at += 1
        for _ in range(count):
            size = int.from_bytes(body[at : at + 2], "big")
            unit = body[at + 2 : at + 2 + size]
            if lists == 0 and unit[:1] and unit[0] & 31 == 7:
                _cropped(film, sizes(unit))
            at += 2 + size
        lists += 1
        count = body[at] if lists == 1 and at < len(body) else 0
    tail = body[at:]
    # The high profiles say their chroma in four bytes, and may list extensions of the SPS.
    if tail and not (body[1] in _H264_EXTENDED and len(tail) == 4 and tail[3] == 0):
        film.add("hidden_data")
    return (body[4] & 3) + 1


def hevc(film: Film, body: bytes) -> int:
    """`hvcC`; returns how many bytes the length of a unit has in samples."""
    if len(body) < 23:
        return 4
    at = 23
    for _ in range(body[22]):
        kind, count = body[at : at + 1], int.from_bytes(body[at + 1 : at + 3], "big")
        at += 3
        for _ in range(count):
            if not kind or at + 2 > len(body):
                break
            size = int.from_bytes(body[at : at + 2], "big")
            if kind[0] & 63 not in (32, 33, 34):
                units.hevc_unit(film, body[at + 2 : at + 2 + size])
            at += 2 + size
    if at < len(body):
        film.add("hidden_data")
    return (body[21] & 3) + 1


def av1(film: Film, body: bytes) -> None:
    """`av1C`: OBUs after four bytes."""
    units.obus(film, body[4:])


def vorbis(film: Film, body: bytes) -> None:
    """Three headers laced by Xiph's lengths; the second is the comments."""
    if body[:1] != b"\2":
        return
    at, lengths = 1, []
    for _ in range(2):
        length = 0
        while at < len(body) and body[at] == 255:
            length, at = length + 255, at + 1
        lengths.append(length + (body[at] if at < len(body) else 0))
        at += 1
    comments(film, body[at + lengths[0] + 7 : at + sum(lengths)])


def comments(film: Film, body: bytes) -> None:
    """A Vorbis comment block: the maker's name, then NAME=value."""
    size = int.from_bytes(body[:4], "little")
    if size:
        film.add("software")
    at = 4 + size
    count = int.from_bytes(body[at : at + 4], "little")
    at += 4
    for _ in range(min(count, film.limits.boxes)):
        if at + 4 > len(body):
            break
        size = int.from_bytes(body[at : at + 4], "little")
        film.named(body[at + 4 : at + 4 + min(size, 256)].partition(b"=")[0])
        at += 4 + size


def flac(film: Film, body: bytes) -> None:
    """FLAC's metadata blocks."""
    at = 0
    while at + 4 <= len(body):
        kind, size = body[at] & 127, int.from_bytes(body[at + 1 : at + 4], "big")
        block = body[at + 4 : at + 4 + size]
        if kind == 4:
            comments(film, block)
        elif kind == 6:
            film.add("thumbnail")
        elif kind == 1 and any(block):
            film.add("hidden_data")
        elif kind in _FLAC:
            film.add(_FLAC[kind])
        at += 4 + size


def _cropped(film: Film, found: Sizes | None) -> None:
    """Pixels outside the crop are pictures of what was cut away; less than a macroblock is alignment."""
    if found is None:
        return
    left, right, top, below = (min(each, _ALIGNED) for each in found.hidden)
    film.sized(found.width - left - right, found.height - top - below)
    if max(found.hidden) > _ALIGNED:
        film.add("hidden_data")
