"""Walks the chunks of a PNG or APNG."""

from __future__ import annotations

import re
import struct
import zlib

from worker.media.codes import unprocessable
from worker.media.limits import MediaLimits
from worker.media.walk.found import LOOK_BYTES, Data, Walked

# Chunks that only describe the pixels.
_PLAIN = frozenset(
    {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"gAMA", b"cHRM", b"sRGB", b"cICP", b"sBIT", b"bKGD", b"pHYs"}
    | {b"acTL", b"fcTL", b"fdAT", b"hIST", b"mDCV", b"cLLI", b"mDCv", b"cLLi"}
)
_PIECE = 1 << 14
_COLOURS = frozenset({b"cICP", b"sRGB", b"gAMA", b"cHRM"})
_COLOUR_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}


def walk(data: Data, limits: MediaLimits) -> Walked:
    """Raises `Unprocessable`: truncated, corrupt, unsupported_codec, limits:chunks, limits:frames, limits:text."""
    walked, texts = Walked(), _Texts(limits.text_bytes)
    at, chunks, pixels, default_hidden = 8, 0, 0, False
    while True:
        if at + 12 > len(data):
            raise unprocessable("truncated")
        size, kind = struct.unpack_from(">I4s", data, at)
        chunks += 1
        if chunks > limits.chunks:
            raise unprocessable("limits:chunks")
        if size > len(data) - at - 12:
            raise unprocessable("truncated")
        body = memoryview(data)[at + 8 : at + 8 + size]
        if chunks == 1:
            _header(kind, body, walked)
        if kind == b"IDAT":
            pixels += 1
        elif kind in _COLOURS and not pixels:
            walked.colours.setdefault(kind, bytes(body[:32]))
        elif kind == b"acTL" and not pixels:
            default_hidden = _frames(body, limits, walked)
        elif kind == b"fcTL":
            default_hidden = default_hidden and bool(pixels)
        elif kind not in _PLAIN:
            _carrier(kind, body, walked, texts)
        at += 12 + size
        if kind == b"IEND":
            break
    if not pixels:
        raise unprocessable("corrupt")
    if size:
        walked.add("hidden_data", body)
    if default_hidden:
        walked.add("second_picture")
    if at < len(data):
        walked.add("trailing", memoryview(data)[at:])
    return walked


def _header(kind: bytes, body: memoryview, walked: Walked) -> None:
    if kind == b"CgBI":
        raise unprocessable("unsupported_codec")
    if kind != b"IHDR" or len(body) != 13:
        raise unprocessable("corrupt")
    width, height, depth, colour, _packing, _filter, interlace = struct.unpack(">IIBBBBB", body)
    if not width or not height or depth not in _COLOUR_DEPTHS.get(colour, ()) or interlace > 1:
        raise unprocessable("corrupt")
    walked.width, walked.height = width, height


def _frames(body: memoryview, limits: MediaLimits, walked: Walked) -> bool:
    """Whether the default image may be no frame: true until an fcTL comes before IDAT."""
    if len(body) != 8:
        raise unprocessable("corrupt")
    frames = int(struct.unpack_from(">I", body)[0])
    if frames > limits.frames:
        raise unprocessable("limits:frames")
    walked.frames = max(frames, 1)
    return frames > 0


def _carrier(kind: bytes, body: memoryview, walked: Walked, texts: _Texts) -> None:
    if kind == b"eXIf":
        walked.add("exif", body[6:] if bytes(body[:6]) == b"Exif\0\0" else body)
    elif kind == b"iCCP":
        packed = texts.stored(body).partition(b"\0")[2][1:]
        walked.add("icc", texts.inflated(packed))
    elif kind in (b"tEXt", b"zTXt", b"iTXt"):
        _text(kind, texts.stored(body), walked, texts)
    elif kind == b"tIME":
        walked.add("timestamps", body)
    elif kind == b"caBX":
        walked.add("c2pa", body)
    else:
        walked.add("unknown_block", body)


def _text(kind: bytes, body: bytes, walked: Walked, texts: _Texts) -> None:
    keyword, _, rest = body.partition(b"\0")
    if kind == b"zTXt":
        rest = texts.inflated(rest[1:])
    elif kind == b"iTXt":
        packed, text = rest[:1] == b"\1", rest[2:].split(b"\0", 2)[-1]
        rest = texts.inflated(text) if packed else text
    if keyword == b"XML:com.adobe.xmp":
        walked.add("xmp", rest)
    elif keyword.startswith(b"Raw profile type "):
        walked.add(_RAW.get(keyword[17:].strip().lower(), "unknown_block"), _unhex(rest))
    else:
        walked.add("text", keyword + b"\0" + rest)


_RAW_HEAD = re.compile(rb"\s*+\S++\s++\S++\s")
_RAW = {b"exif": "exif", b"app1": "exif", b"xmp": "xmp", b"iptc": "photoshop", b"8bim": "photoshop", b"icc": "icc"}


def _unhex(text: bytes) -> bytes:
    """A raw profile: a line feed, its name, its length, then hexadecimal digits in lines."""
    head = _RAW_HEAD.match(text)
    try:
        raw = bytes.fromhex(text[head.end() if head else 0 : LOOK_BYTES].decode("ascii"))
    except ValueError:
        return b""
    return raw[6:] if raw.startswith(b"Exif\0\0") else raw


class _Texts:
    """Counts the bytes of text and profiles, as stored and once inflated; never inflates more than may still be."""

    def __init__(self, most: int) -> None:
        self._left = most

    def stored(self, body: memoryview) -> bytes:
        """A copy of a chunk's body. Raises `Unprocessable` (`limits:text`)."""
        self._take(len(body))
        return bytes(body)

    def inflated(self, packed: bytes) -> bytes:
        """What could be inflated of a zlib stream, piece by piece; a broken stream ends where it breaks."""
        unpacker, text = zlib.decompressobj(), bytearray()
        for at in range(0, len(packed), _PIECE):
            rest = packed[at : at + _PIECE]
            while rest:
                try:
                    piece = unpacker.decompress(rest, _PIECE)
                except zlib.error:
                    return bytes(text)
                self._take(len(piece))
                text += piece
                rest = unpacker.unconsumed_tail
        return bytes(text)

    def _take(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise unprocessable("limits:text")
