"""Walks the chunks of a PNG or APNG."""

from __future__ import annotations

import struct
import zlib

from worker.media.codes import unprocessable
from worker.media.limits import MediaLimits
from worker.media.walk.found import LOOK_BYTES, Walked

# Chunks that only describe the pixels.
_PLAIN = frozenset(
    {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"gAMA", b"cHRM", b"sRGB", b"cICP", b"sBIT", b"bKGD", b"pHYs"}
    | {b"acTL", b"fcTL", b"fdAT", b"hIST", b"mDCV", b"cLLI", b"mDCv", b"cLLi"}
)
_COLOUR_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}


def walk(data: bytes, limits: MediaLimits) -> Walked:
    """Raises `Unprocessable`: truncated, corrupt, unsupported_codec, limits:chunks, limits:frames."""
    walked = Walked()
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
        elif kind == b"acTL" and not pixels:
            default_hidden = _frames(body, limits, walked)
        elif kind == b"fcTL":
            default_hidden = default_hidden and bool(pixels)
        elif kind not in _PLAIN:
            _carrier(kind, body, walked)
        at += 12 + size
        if kind == b"IEND":
            break
    if not pixels:
        raise unprocessable("corrupt")
    if size:
        walked.add("hidden", body)
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


def _carrier(kind: bytes, body: memoryview, walked: Walked) -> None:
    if kind == b"eXIf":
        walked.add("exif", body)
    elif kind == b"iCCP":
        walked.add("icc", _inflated(bytes(body).partition(b"\0")[2][1:]))
    elif kind in (b"tEXt", b"zTXt", b"iTXt"):
        _text(kind, bytes(body[:LOOK_BYTES]), walked)
    elif kind == b"tIME":
        walked.add("time", body)
    elif kind == b"caBX":
        walked.add("c2pa", body)
    else:
        walked.add("unknown", body)


def _text(kind: bytes, body: bytes, walked: Walked) -> None:
    keyword, _, rest = body.partition(b"\0")
    if kind == b"zTXt":
        rest = _inflated(rest[1:])
    elif kind == b"iTXt":
        packed, text = rest[:1] == b"\1", rest[2:].split(b"\0", 2)[-1]
        rest = _inflated(text) if packed else text
    if keyword == b"XML:com.adobe.xmp":
        walked.add("xmp", rest)
    elif keyword.startswith(b"Raw profile type "):
        walked.add(_RAW.get(keyword[17:].strip().lower(), "unknown"), _unhex(rest))
    else:
        walked.add("text", keyword + b"\0" + rest)


_RAW = {b"exif": "exif", b"app1": "exif", b"xmp": "xmp", b"iptc": "photoshop", b"8bim": "photoshop", b"icc": "icc"}


def _unhex(text: bytes) -> bytes:
    """A raw profile: a line feed, its name, its length, then hexadecimal digits in lines."""
    digits = b"".join(text.split()[2:])
    try:
        raw = bytes.fromhex(digits.decode("ascii"))
    except ValueError:
        return b""
    return raw[6:] if raw.startswith(b"Exif\0\0") else raw


def _inflated(packed: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(packed, LOOK_BYTES)
    except zlib.error:
        return b""
