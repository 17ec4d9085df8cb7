"""Walks the blocks of a GIF."""

from __future__ import annotations

import re
import struct

from worker.media.codes import unprocessable
from worker.media.limits import MediaLimits
from worker.media.walk.found import LOOK_BYTES, Data, Walked, passed

_NEXT_BLOCK = re.compile(rb"[\x21\x2c\x3b]")
_WINDOW = 1 << 20
# Of an extension's body, the bytes that are looked into where its sub-blocks must be joined.
_BODY = 1 << 16


def walk(data: Data, limits: MediaLimits) -> Walked:
    """Raises `Unprocessable`: truncated, corrupt, limits:frames, limits:chunks."""
    return _Walk(data, limits).run()


class _Walk:
    def __init__(self, data: Data, limits: MediaLimits) -> None:
        self.data = data
        self.limits = limits
        self.at = 13
        self.left = limits.sub_blocks
        self.blocks = 0
        self.walked = Walked(frames=0)

    def run(self) -> Walked:
        if len(self.data) < 14:
            raise unprocessable("truncated")
        self.walked.width, self.walked.height, flags = struct.unpack_from("<HHB", self.data, 6)
        self._palette(flags)
        # A file that ends cleanly after a block, without its trailer, is common and harmless.
        while self.at < len(self.data) and self.data[self.at] != 0x3B:
            self._block(self.data[self.at])
        if not self.walked.frames:
            raise unprocessable("truncated" if self.at >= len(self.data) else "corrupt")
        if not self.walked.width or not self.walked.height:
            raise unprocessable("corrupt")
        if self.at + 1 < len(self.data):
            self.walked.add("trailing", memoryview(self.data)[self.at + 1 :])
        return self.walked

    def _block(self, kind: int) -> None:
        self.blocks += 1
        if self.blocks > self.limits.chunks:
            raise unprocessable("limits:chunks")
        if kind == 0x21:
            self._extension()
        elif kind == 0x2C:
            self._image()
        else:
            # Stray bytes between blocks: decoders skip them one by one, we look for the next block once.
            found = _NEXT_BLOCK.search(self.data, self.at + 1)
            self.walked.add("hidden_data")
            self.at = found.start() if found else len(self.data)

    def _image(self) -> None:
        if self.at + 11 > len(self.data):
            raise unprocessable("truncated")
        left, top, width, height, flags = struct.unpack_from("<HHHHB", self.data, self.at + 1)
        self.walked.frames += 1
        if self.walked.frames > self.limits.frames:
            raise unprocessable("limits:frames")
        # A frame that reaches over the canvas makes it larger, as decoders do.
        self.walked.width = max(self.walked.width, left + width)
        self.walked.height = max(self.walked.height, top + height)
        self.at += 10
        self._palette(flags)
        self.at += 1
        self._skip()

    def _extension(self) -> None:
        if self.at + 2 > len(self.data):
            raise unprocessable("truncated")
        label = self.data[self.at + 1]
        self.at += 2
        body = self._body()
        if label == 0xFE:
            self.walked.add("comment", body)
        elif label == 0xFF:
            self._application(body)
        elif label == 0x01:
            self.walked.add("comment", body[12:])
        elif label != 0xF9:
            self.walked.add("unknown_block", body)

    def _application(self, body: bytes) -> None:
        name = body[:11]
        if name in (b"NETSCAPE2.0", b"ANIMEXTS1.0"):
            if len(body) > 14:
                self.walked.add("hidden_data", body[14:])
        elif name == b"XMP DataXMP":
            self.walked.add("xmp", body[11:])
        elif name == b"ICCRGBG1012":
            self.walked.add("icc", body[11:])
        elif name[:8] == b"C2PA_GIF":
            self.walked.add("c2pa", body[11:])
        else:
            self.walked.add("unknown_block", body)

    def _palette(self, flags: int) -> None:
        if flags & 0x80:
            self.at += 3 << ((flags & 7) + 1)

    def _body(self) -> bytes:
        """Steps over an extension's sub-blocks; returns its first bytes (an XMP packet is read by the same lengths)."""
        data, begin = self.data, self.at
        self._skip()
        taken, at = bytearray(), begin
        while at < self.at and len(taken) < _BODY:
            taken += data[at + 1 : at + 1 + data[at]]
            at += 1 + data[at]
        # XMP in GIF is stored plain, with its length bytes being text: take it as it lies.
        plain = taken.startswith(b"XMP DataXMP")
        return data[begin + 1 : min(self.at, begin + LOOK_BYTES)] if plain else bytes(taken)

    def _skip(self) -> None:
        """Steps over a chain of sub-blocks and the empty one at its end."""
        data, at, left = self.data, self.at, self.left
        clear = at
        try:
            while length := data[at]:
                at += length + 1
                left -= 1
                if left < 0:
                    raise unprocessable("limits:chunks")
                if at - clear > _WINDOW:
                    passed(data, clear, min(at, len(data)))
                    clear = at
        except IndexError:
            raise unprocessable("truncated") from None
        self.at, self.left = at + 1, left
