"""Walks the blocks of a GIF."""

from __future__ import annotations

import struct

from worker.media.codes import unprocessable
from worker.media.limits import MediaLimits
from worker.media.walk.found import Walked

# A sub-block has at most 255 bytes, so 50 MB are some 200,000; many more are a bomb of tiny ones.
_SUB_BLOCKS = 400_000


def walk(data: bytes, limits: MediaLimits) -> Walked:
    """Raises `Unprocessable`: truncated, corrupt, limits:frames, limits:chunks."""
    return _Walk(data, limits).run()


class _Walk:
    def __init__(self, data: bytes, limits: MediaLimits) -> None:
        self.data = data
        self.limits = limits
        self.at = 13
        self.left = _SUB_BLOCKS
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
            found = [at for at in (self.data.find(b, self.at + 1) for b in (b"\x21", b"\x2c", b"\x3b")) if at >= 0]
            self.walked.add("hidden")
            self.at = min(found, default=len(self.data))

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
        self._sub_blocks()

    def _extension(self) -> None:
        if self.at + 2 > len(self.data):
            raise unprocessable("truncated")
        label = self.data[self.at + 1]
        self.at += 2
        body = self._sub_blocks()
        if label == 0xFE:
            self.walked.add("comment", body)
        elif label == 0xFF:
            self._application(body)
        elif label == 0x01:
            self.walked.add("comment", body[12:])
        elif label != 0xF9:
            self.walked.add("unknown", body)

    def _application(self, body: bytes) -> None:
        name = body[:11]
        if name in (b"NETSCAPE2.0", b"ANIMEXTS1.0"):
            if len(body) > 14:
                self.walked.add("hidden", body[14:])
        elif name == b"XMP DataXMP":
            self.walked.add("xmp", body[11:])
        elif name == b"ICCRGBG1012":
            self.walked.add("icc", body[11:])
        elif name[:8] == b"C2PA_GIF":
            self.walked.add("c2pa", body[11:])
        else:
            self.walked.add("unknown", body)

    def _palette(self, flags: int) -> None:
        if flags & 0x80:
            self.at += 3 << ((flags & 7) + 1)

    def _sub_blocks(self) -> bytes:
        """Steps over a chain of sub-blocks; returns its first bytes (an XMP packet is read by the same lengths)."""
        data, begin, taken, size = self.data, self.at, [], 0
        while True:
            if self.at >= len(data):
                raise unprocessable("truncated")
            length = data[self.at]
            if size < 1 << 16:
                taken.append(data[self.at + 1 : self.at + 1 + length])
                size += length
            self.at += 1 + length
            if not length:
                break
            self.left -= 1
            if self.left < 0:
                raise unprocessable("limits:chunks")
        body = b"".join(taken)
        # XMP in GIF is stored plain, with its length bytes being text: take it as it lies.
        return data[begin + 1 : self.at] if body.startswith(b"XMP DataXMP") else body
