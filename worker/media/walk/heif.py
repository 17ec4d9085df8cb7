"""Walks a HEIF or AVIF: the primary picture's size, its items, and what lies beside it."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from fractions import Fraction

from worker.errors import Unprocessable
from worker.media.codes import unprocessable
from worker.media.limits import MediaLimits
from worker.media.walk import beside
from worker.media.walk.boxes import Box, boxes
from worker.media.walk.found import Data, Walked
from worker.media.walk.items import Items, content, note, properties_of

_TOP = frozenset({b"ftyp", b"meta", b"mdat", b"moov", b"free", b"skip", b"styp", b"wide", b"idat"})
_DERIVED = frozenset({b"grid", b"iden", b"iovl"})


def walk(data: Data, limits: MediaLimits) -> Walked:
    """Raises `Unprocessable`: truncated, corrupt, unsupported_codec, limits:boxes, limits:frames, limits:side."""
    walked, items = Walked(), Items(left=limits.boxes)
    for box in _boxes_and_tail(data, limits, walked):
        beside.of_box(data, box, items, walked)
        if box.path[0] == b"meta" and len(box.path) > 1:
            note(data, box, items)
        elif box.kind == b"stsz" and box.end - box.begin >= 12:
            # An image sequence: its longest track is the animation.
            count = int(struct.unpack_from(">I", data, box.begin + 8)[0])
            walked.frames = max(walked.frames, count)
        elif box.kind == b"tkhd" and box.end - box.begin >= 84:
            width, height = struct.unpack_from(">II", data, box.end - 8)
            walked.width, walked.height = max(walked.width, width >> 16), max(walked.height, height >> 16)
    if walked.frames > limits.frames:
        raise unprocessable("limits:frames")
    _primary(data, items, walked, limits)
    # What the bundled decoders know: HEVC in HEIF, AV1 in AVIF. An image sequence says its codec in `moov`.
    if walked.frames == 1 and not {b"hvc1", b"av01"} & set(items.kinds.values()):
        raise unprocessable("unsupported_codec")
    beside.of_items(data, items, walked)
    _colours(data, items, walked)
    _crop(data, items, walked)
    return walked


def _boxes_and_tail(data: Data, limits: MediaLimits, walked: Walked) -> Iterator[Box]:
    """The boxes; bytes after the last whole one at the top are a tail, once the pictures were there."""
    seen, last = False, 0
    try:
        for box in boxes(data, limits):
            if len(box.path) == 1:
                seen, last = seen or box.kind == b"mdat", box.end
            yield box
    except Unprocessable:
        if not seen or data[last + 4 : last + 8] in _TOP:
            raise
    if last < len(data):
        walked.add("trailing", memoryview(data)[last:])


def _primary(data: Data, items: Items, walked: Walked, limits: MediaLimits) -> None:
    """The size of the primary item by `ispe` and, for a grid, by its descriptor: the larger is judged."""
    if items.kinds and items.primary not in items.kinds:
        raise unprocessable("corrupt")
    for kind, begin, end in items.properties:
        if kind == b"ispe" and end - begin >= 12 and max(struct.unpack_from(">II", data, begin + 4)) > limits.side:
            raise unprocessable("limits:side")
    for kind, begin, end in properties_of(items, items.primary):
        if kind == b"ispe" and end - begin >= 12:
            width, height = struct.unpack_from(">II", data, begin + 4)
            walked.width, walked.height = max(walked.width, width), max(walked.height, height)
    if items.kinds.get(items.primary) == b"grid":
        body = content(data, items, items.primary, 16)
        if len(body) >= 8:
            width, height = struct.unpack_from(">II" if body[1] & 1 and len(body) >= 12 else ">HH", body, 4)
            walked.width, walked.height = max(walked.width, width), max(walked.height, height)
    if not walked.width or not walked.height:
        raise unprocessable("corrupt")


def _colours(data: Data, items: Items, walked: Walked) -> None:
    """The numbers of the primary item; those of its first tile where a grid has none."""
    tiles = [item for item, kind in items.kinds.items() if kind in (b"hvc1", b"av01")]
    derived = items.kinds.get(items.primary) in _DERIVED
    for item in [items.primary, *(tiles[:1] if derived else [])]:
        for kind, begin, end in properties_of(items, item):
            if kind == b"colr" and data[begin : begin + 4] == b"nclx":
                walked.colours.setdefault(b"nclx", bytes(data[begin + 4 : min(end, begin + 11)]))


def _crop(data: Data, items: Items, walked: Walked) -> None:
    """The clean aperture of the primary item (ISO/IEC 14496-12, 12.1.4.3), in whole pixels; none if it is empty."""
    for kind, begin, end in properties_of(items, items.primary):
        if kind == b"clap" and end - begin >= 32:
            numbers = struct.unpack_from(">IIIIiIiI", data, begin)
            if 0 in numbers[1::2]:
                continue
            across, down, right, below = (Fraction(*pair) for pair in zip(numbers[::2], numbers[1::2], strict=True))
            (left, right_end), (top, bottom) = _within(across, right, walked.width), _within(down, below, walked.height)
            if right_end > left and bottom > top:
                walked.crop = (left, top, right_end, bottom)


def _within(size: Fraction, offset: Fraction, side: int) -> tuple[int, int]:
    """First pixel and the one behind the last, of an aperture around the middle of a side."""
    begin = (side - size) / 2 + offset
    return max(0, math.ceil(begin)), min(side, math.floor(begin + size))
