"""Steps through the boxes of a file that is too large to be mapped: bounded depth and count, sizes inside the file."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from worker.media.codes import unprocessable
from worker.media.limits import MediaLimits
from worker.media.walk.boxes import Box
from worker.media.walk.film.window import Window

_HEADER = struct.Struct(">I4s")


class Boxes:
    """One file's boxes, all of them counted together. `holders` are those that hold nothing but boxes."""

    def __init__(self, window: Window, limits: MediaLimits, holders: frozenset[bytes]) -> None:
        self.window = window
        self._limits = limits
        self._holders = holders
        self._count = 0

    def level(self, begin: int, end: int, path: tuple[bytes, ...] = ()) -> Iterator[Box]:
        """The boxes side by side between two places. Less than a header at the end is left: QuickTime ends `udta` with
        four zero bytes.

        Raises `Unprocessable`: truncated (a box reaches over the end), corrupt, limits:boxes.
        """
        at = begin
        while at + 8 <= end:
            box = self._box(at, end, path)
            yield box
            at = box.end

    def all(self, begin: int, end: int, path: tuple[bytes, ...] = ()) -> Iterator[Box]:
        """Every box between two places, parents before children, in the order of the file. Raises as `level`."""
        levels = [self.level(begin, end, path)]
        while levels:
            box = next(levels[-1], None)
            if box is None:
                levels.pop()
                continue
            if box.kind in self._holders:
                levels.append(self.level(box.begin, box.end, box.path))
            yield box

    def before(self, meta: Box) -> int:
        """How many bytes of a `meta` lie before its boxes: in QuickTime files it has no version field."""
        return 0 if self.window.at(meta.begin + 4, 4) == b"hdlr" else 4

    def _box(self, at: int, end: int, path: tuple[bytes, ...]) -> Box:
        self._count += 1
        if self._count > self._limits.boxes or len(path) >= self._limits.box_depth:
            raise unprocessable("limits:boxes")
        head = self.window.at(at, 16)
        size, kind = _HEADER.unpack_from(head)
        begin = at + 8
        if size == 1:
            if len(head) < 16 or at + 16 > end:
                raise unprocessable("truncated")
            size = int(struct.unpack_from(">Q", head, 8)[0])
            begin += 8
        elif size == 0:
            size = end - at
        if size < begin - at:
            raise unprocessable("corrupt")
        if size > end - at:
            raise unprocessable("truncated")
        return Box((*path, kind), begin, at + size)
