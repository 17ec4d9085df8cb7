"""Walks a JPEG's segments and scans, up to the end of its first picture."""

from __future__ import annotations

import re
import struct

from worker.media.codes import unprocessable
from worker.media.limits import MediaLimits
from worker.media.walk.found import Walked

# The next marker inside entropy-coded data: not a stuffed zero, not a restart, not a fill byte.
_AFTER_SCAN = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_MARKER = re.compile(rb"\xff[\x01-\xfe]")
_NOT_FILL = re.compile(rb"[^\xff]")
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# Baseline, extended, progressive, and the arithmetic forms of the last two.
_DECODABLE = frozenset({0xC0, 0xC1, 0xC2, 0xC9, 0xCA})
_TABLES = frozenset({0xC4, 0xCC, 0xDB, 0xDD, 0xDC})
_APP_FORMS: tuple[tuple[int, bytes, str], ...] = (
    (0xE0, b"JFIF\0", "jfif"),
    (0xE0, b"JFXX\0", "jpeg_thumbnail"),
    (0xE1, b"Exif\0", "exif"),
    (0xE1, b"http://ns.adobe.com/xap/1.0/\0", "xmp"),
    (0xE1, b"http://ns.adobe.com/xmp/extension/\0", "xmp"),
    (0xE2, b"ICC_PROFILE\0", "icc"),
    (0xE2, b"MPF\0", "second_picture"),
    (0xE2, b"urn:iso:std:iso:ts:21496", "gain_map"),
    (0xE6, b"GoPro\0", "telemetry"),
    (0xEB, b"JP", "c2pa"),
    (0xED, b"Photoshop 3.0\0", "photoshop"),
    (0xEE, b"Adobe", "adobe"),
)


def walk(data: bytes, limits: MediaLimits) -> Walked:
    """Raises `Unprocessable`: truncated, corrupt, unsupported_codec, limits:segments, limits:scans."""
    walked = Walked()
    at, segments, scans = 2, 0, 0
    profile: list[bytes] = []
    while True:
        at, marker = _marker(data, at, walked)
        segments += 1
        if segments > limits.segments:
            raise unprocessable("limits:segments")
        if marker == 0xD9:
            break
        if marker == 0x01 or 0xD0 <= marker <= 0xD8:
            continue
        if at + 2 > len(data):
            raise unprocessable("truncated")
        size = int(struct.unpack_from(">H", data, at)[0])
        if size < 2:
            raise unprocessable("corrupt")
        if at + size > len(data):
            raise unprocessable("truncated")
        payload = data[at + 2 : at + size]
        at += size
        if marker == 0xDA:
            scans += 1
            if scans > limits.scans:
                raise unprocessable("limits:scans")
            at = _entropy_end(data, at)
        elif marker in _FRAMES:
            _frame(marker, payload, walked)
        elif marker == 0xFE:
            walked.add("comment", payload)
        elif marker not in _TABLES:
            form, body = _app(marker, payload)
            if form == "icc":
                profile.append(body)
            elif form:
                walked.add(form, body)
    if profile:
        walked.add("icc", b"".join(profile))
    if not walked.width or not scans:
        raise unprocessable("corrupt")
    if at < len(data):
        walked.add("trailing", memoryview(data)[at:])
    return walked


def _marker(data: bytes, at: int, walked: Walked) -> tuple[int, int]:
    """The next marker and where its payload begins; bytes before it that belong to nothing are noted."""
    found = _MARKER.search(data, at)
    if found is None:
        raise unprocessable("truncated")
    if found.start() > at and _NOT_FILL.search(data, at, found.start()):
        walked.add("hidden", data[at : found.start()])
    return found.end(), data[found.end() - 1]


def _entropy_end(data: bytes, at: int) -> int:
    found = _AFTER_SCAN.search(data, at)
    if found is None:
        raise unprocessable("truncated")
    return found.start()


def _frame(marker: int, payload: bytes, walked: Walked) -> None:
    if marker not in _DECODABLE:
        raise unprocessable("unsupported_codec")
    if len(payload) < 6:
        raise unprocessable("corrupt")
    precision, height, width, components = struct.unpack_from(">BHHB", payload)
    if precision != 8 or components not in (1, 3, 4):
        raise unprocessable("unsupported_codec")
    if not width or not height or len(payload) != 6 + 3 * components:
        raise unprocessable("corrupt")
    if not walked.width:
        walked.width, walked.height = width, height


def _app(marker: int, payload: bytes) -> tuple[str, bytes]:
    for wanted, prefix, form in _APP_FORMS:
        if marker == wanted and payload.startswith(prefix):
            if form == "jfif":
                return _jfif(payload), payload
            if form == "adobe":
                return ("hidden" if len(payload) > 12 else ""), payload
            skip = {"exif": 6, "icc": 14, "xmp": len(prefix), "photoshop": 14}.get(form, 0)
            return form, payload[skip:]
    return "vendor", payload


def _jfif(payload: bytes) -> str:
    """A thumbnail, bytes too many, or nothing to tell."""
    if len(payload) < 14:
        return ""
    if payload[12] and payload[13]:
        return "jpeg_thumbnail"
    return "hidden" if len(payload) > 14 else ""
