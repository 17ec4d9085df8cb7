"""Walks the chain of pages of a TIFF; only the first is ever decoded."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from worker.media.codes import unprocessable
from worker.media.kinds import exif as kinds
from worker.media.limits import MediaLimits
from worker.media.walk import exif
from worker.media.walk.exif import SIZES
from worker.media.walk.found import GAP, Data, Walked, speaks, uncovered

# None, CCITT, LZW, JPEG (new), deflate (two numbers), PackBits.
_PACKED = frozenset({1, 2, 3, 4, 5, 7, 8, 32773, 32946})
# Where strips and tiles lie, and how large they are; of all other tags one number is wanted.
_MANY = frozenset({273, 279, 324, 325})
# Where pixels lie, and how many bytes: of strips, of tiles, of a small JPEG.
_PLACES = ((273, 279), (324, 325), (513, 514))
_PIXELS = frozenset(tag for pair in _PLACES for tag in pair)


def walk(data: Data, limits: MediaLimits) -> Walked:
    """Raises `Unprocessable`: truncated, corrupt, unsupported_codec, limits:pages, limits:tags, limits:chunks."""
    if len(data) < 8:
        raise unprocessable("truncated")
    order = "<" if data[:2] == b"II" else ">"
    if struct.unpack_from(order + "H", data, 2)[0] != 42:
        raise unprocessable("unsupported_codec")
    at = int(struct.unpack_from(order + "I", data, 4)[0])
    walked, seen, left = Walked(), set[int](), limits.tags
    while at:
        if at in seen:
            raise unprocessable("corrupt")
        seen.add(at)
        if len(seen) > limits.pages:
            raise unprocessable("limits:pages")
        tags, at, count = _page(data, at, order, left)
        left -= count
        if len(seen) == 1:
            _first(data, tags, order, walked, limits)
        else:
            walked.add("thumbnail" if _numbers(data, tags, 254, order)[0] & 1 else "second_picture")
    if not walked.width or not walked.height:
        raise unprocessable("corrupt")
    # The file as a whole has EXIF's own syntax; its directories may lie anywhere in it, so it is read where it lies.
    for kind in kinds.kinds_in(data, file=True):
        walked.add(kind)
    walked.adobe_rgb = exif.is_adobe_rgb(data)
    _loose(data, order, walked, limits)
    return walked


def _loose(data: Data, order: str, walked: Walked, limits: MediaLimits) -> None:
    """Bytes that no directory, value or strip owns: behind all of them, or between."""
    spans = sorted(_spans(data, order, limits))
    end = max(end for _, end in spans)
    if uncovered(data, spans, end=min(end, len(data)), least=GAP):
        walked.add("hidden_data")
    if speaks(data, end, len(data)):
        walked.add("trailing", memoryview(data)[end:])


def _spans(data: Data, order: str, limits: MediaLimits) -> Iterator[tuple[int, int]]:
    yield 0, 8
    places: dict[int, tuple[int, ...]] = {}
    left = 2 * limits.strips
    for entry in exif.entries(data):
        yield entry.at, entry.at + entry.size
        if entry.tag == -1:
            places = {}
        elif entry.tag in _PIXELS:
            width = 2 if entry.kind == 3 else 4
            count = min(entry.size // width, left)
            left -= count
            if entry.at + count * width <= len(data):
                places[entry.tag] = struct.unpack_from(f"{order}{count}{'H' if width == 2 else 'I'}", data, entry.at)
        for begins, sizes in _PLACES:
            if entry.tag in (begins, sizes) and begins in places and sizes in places:
                yield from ((at, at + size) for at, size in zip(places[begins], places[sizes], strict=False))


def _page(data: Data, at: int, order: str, most: int) -> tuple[dict[int, tuple[int, int, int]], int, int]:
    """Tags of one page as (type, count, where its value lies), where the next page is, and how many tags there were."""
    if at + 2 > len(data):
        raise unprocessable("truncated")
    count = int(struct.unpack_from(order + "H", data, at)[0])
    end = at + 2 + 12 * count
    if end > len(data):
        raise unprocessable("truncated")
    if count > most:
        raise unprocessable("limits:tags")
    tags = {}
    for entry in range(at + 2, end, 12):
        tag, kind, amount = struct.unpack_from(order + "HHI", data, entry)
        size = SIZES.get(kind, 1) * amount
        where = entry + 8 if size <= 4 else int(struct.unpack_from(order + "I", data, entry + 8)[0])
        tags[tag] = (kind, amount, where)
    following = int(struct.unpack_from(order + "I", data, end)[0]) if end + 4 <= len(data) else 0
    return tags, following, count


def _first(data: Data, tags: dict[int, tuple[int, int, int]], order: str, walked: Walked, limits: MediaLimits) -> None:
    walked.width, walked.height = (_numbers(data, tags, tag, order)[0] for tag in (256, 257))
    if _numbers(data, tags, 259, order, default=1)[0] not in _PACKED:
        raise unprocessable("unsupported_codec")
    for offsets, sizes in ((273, 279), (324, 325)):
        if offsets in tags and sizes in tags:
            if max(tags[offsets][1], tags[sizes][1]) > limits.strips:
                raise unprocessable("limits:chunks")
            pairs = zip(_numbers(data, tags, offsets, order), _numbers(data, tags, sizes, order), strict=False)
            if any(begin + size > len(data) for begin, size in pairs):
                raise unprocessable("truncated")


def _numbers(
    data: Data, tags: dict[int, tuple[int, int, int]], tag: int, order: str, *, default: int = 0
) -> tuple[int, ...]:
    kind, amount, where = tags.get(tag, (0, 0, 0))
    if kind not in (3, 4) or not amount:
        return (default,)
    amount = amount if tag in _MANY else 1
    size = SIZES[kind] * amount
    if where + size > len(data):
        raise unprocessable("truncated")
    return struct.unpack_from(f"{order}{amount}{'H' if kind == 3 else 'I'}", data, where)
