"""Walks the chain of pages of a TIFF; only the first is ever decoded."""

from __future__ import annotations

import struct

from worker.media.codes import unprocessable
from worker.media.limits import MediaLimits
from worker.media.walk.found import Data, Walked

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
# None, CCITT, LZW, JPEG (new), deflate (two numbers), PackBits.
_PACKED = frozenset({1, 2, 3, 4, 5, 7, 8, 32773, 32946})
# Where strips and tiles lie, and how large they are; of all other tags one number is wanted.
_MANY = frozenset({273, 279, 324, 325})
_FORMS = {700: "xmp", 33723: "iptc", 34377: "photoshop", 34675: "icc", 52545: "c2pa"}


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
            walked.add("second_picture")
    if not walked.width or not walked.height:
        raise unprocessable("corrupt")
    # The file as a whole has EXIF's own syntax.
    walked.add("exif", memoryview(data))
    return walked


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
        size = _SIZES.get(kind, 1) * amount
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
    for tag, form in _FORMS.items():
        if tag in tags:
            kind, amount, where = tags[tag]
            walked.add(form, memoryview(data)[where : where + _SIZES.get(kind, 1) * amount])


def _numbers(
    data: Data, tags: dict[int, tuple[int, int, int]], tag: int, order: str, *, default: int = 0
) -> tuple[int, ...]:
    kind, amount, where = tags.get(tag, (0, 0, 0))
    if kind not in (3, 4) or not amount:
        return (default,)
    amount = amount if tag in _MANY else 1
    size = _SIZES[kind] * amount
    if where + size > len(data):
        raise unprocessable("truncated")
    return struct.unpack_from(f"{order}{amount}{'H' if kind == 3 else 'I'}", data, where)
