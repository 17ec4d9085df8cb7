"""Walks the chunks of a WebP, and those inside its animation frames."""

from __future__ import annotations

import struct

from worker.media.codes import unprocessable
from worker.media.limits import MediaLimits
from worker.media.walk.found import Data, Walked

_PIXELS = frozenset({b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF"})
_FORMS = {b"EXIF": "exif", b"XMP ": "xmp", b"ICCP": "icc", b"C2PA": "c2pa"}


def walk(data: Data, limits: MediaLimits) -> Walked:
    """Raises `Unprocessable`: truncated, corrupt, limits:chunks, limits:frames."""
    if len(data) < 30:
        raise unprocessable("truncated")
    end = 8 + int(struct.unpack_from("<I", data, 4)[0])
    if end > len(data) + 1:
        raise unprocessable("truncated")
    end = min(end, len(data))
    walked = Walked(frames=0)
    chunks = _chunks(data, 12, end, limits, walked)
    if not walked.width or not walked.frames:
        raise unprocessable("corrupt" if chunks else "truncated")
    if end < len(data):
        walked.add("trailing", memoryview(data)[end:])
    return walked


def _chunks(data: Data, at: int, end: int, limits: MediaLimits, walked: Walked) -> int:
    """One level; an animation frame's chunks stand in the same count. Returns how many there were."""
    spans = [(at, end)]
    count = 0
    while spans:
        at, end = spans.pop()
        while at + 8 <= end:
            kind, size = struct.unpack_from("<4sI", data, at)
            if size > end - at - 8:
                raise unprocessable("truncated")
            count += 1
            if count > limits.chunks:
                raise unprocessable("limits:chunks")
            body = memoryview(data)[at + 8 : at + 8 + size]
            if kind == b"ANMF":
                _frame(body, limits, walked)
                spans.append((at + 24, at + 8 + size))
            elif kind in _PIXELS:
                _size(kind, body, walked)
            else:
                walked.add(_FORMS.get(kind, "unknown_block"), body[6:] if bytes(body[:6]) == b"Exif\0\0" else body)
            end_of = at + 8 + size
            if size & 1 and end_of < end and data[end_of]:
                walked.add("hidden_data")
            at = end_of + (size & 1)
    return count


def _frame(body: memoryview, limits: MediaLimits, walked: Walked) -> None:
    if len(body) < 16:
        raise unprocessable("corrupt")
    walked.frames += 1
    if walked.frames > limits.frames:
        raise unprocessable("limits:frames")


def _size(kind: bytes, body: memoryview, walked: Walked) -> None:
    """The canvas is said first; a bitstream of a still file says it where there is no VP8X."""
    if kind == b"VP8X" and len(body) >= 10:
        walked.width = int.from_bytes(body[4:7], "little") + 1
        walked.height = int.from_bytes(body[7:10], "little") + 1
        return
    if kind not in (b"VP8 ", b"VP8L"):
        return
    walked.frames = max(walked.frames, 1)
    if kind == b"VP8 " and len(body) >= 10 and bytes(body[3:6]) == b"\x9d\x01\x2a":
        width, height = (value & 0x3FFF for value in struct.unpack_from("<HH", body, 6))
    elif kind == b"VP8L" and len(body) >= 5 and body[0] == 0x2F:
        bits = int(struct.unpack_from("<I", body, 1)[0])
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    else:
        raise unprocessable("corrupt")
    walked.width, walked.height = max(walked.width, width), max(walked.height, height)
