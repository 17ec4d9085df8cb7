"""Walks a JPEG's segments and scans, up to the end of its first picture."""

from __future__ import annotations

import re
import struct

from worker.media.codes import unprocessable
from worker.media.limits import MediaLimits
from worker.media.walk.found import LOOK_BYTES_ALL, Data, Walked, passed

# The next marker inside entropy-coded data: not a stuffed zero, not a restart, not a fill byte.
_AFTER_SCAN = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
# Samples are looked through in windows of so many bytes; between segments at most so many stray bytes are stepped over.
_WINDOW, _MOST_STRAY = 1 << 18, 1 << 20
_MARKER = re.compile(rb"\xff[\x01-\xfe]")
_NOT_FILL = re.compile(rb"[^\xff\0]")
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# Baseline, extended, progressive, and the arithmetic forms of the last two.
_DECODABLE = frozenset({0xC0, 0xC1, 0xC2, 0xC9, 0xCA})
_TABLES = frozenset({0xC4, 0xCC, 0xDB, 0xDD, 0xDC})
# Marker, how its payload begins, form, bytes before what is read.
_APP_FORMS: tuple[tuple[int, bytes, str, int], ...] = (
    (0xE0, b"JFIF\0", "jfif", 0),
    (0xE0, b"JFXX\0", "thumbnail", 0),
    (0xE1, b"Exif\0", "exif", 6),
    (0xE1, b"http://ns.adobe.com/xap/1.0/\0", "xmp", 29),
    (0xE1, b"http://ns.adobe.com/xmp/extension/\0", "extended", 35),
    (0xE2, b"ICC_PROFILE\0", "icc", 14),
    (0xE2, b"MPF\0", "second_picture", 0),
    (0xE2, b"urn:iso:std:iso:ts:21496", "gain_map", 0),
    (0xEB, b"JP", "c2pa", 2),
    (0xED, b"Photoshop 3.0\0", "photoshop", 14),
    (0xEE, b"Adobe", "adobe", 0),
)


def walk(data: Data, limits: MediaLimits) -> Walked:
    """Raises `Unprocessable`: truncated, corrupt, unsupported_codec, limits:segments, limits:scans, limits:markers,
    limits:text."""
    return _Walk(data, limits).run()


class _Walk:
    """`at` is where the walker stands, `clear` up to where a mapped file's pages were given back."""

    def __init__(self, data: Data, limits: MediaLimits) -> None:
        self.data = data
        self.limits = limits
        self.walked = Walked()
        self.at, self.clear = 2, 0
        self.segments = self.scans = 0
        self.exif = limits.text_bytes
        self.stray, self.markers = _MOST_STRAY, limits.markers
        self.joined = _Joined()

    def run(self) -> Walked:
        while (marker := self._marker()) != 0xD9:
            if marker != 0x01 and not 0xD0 <= marker <= 0xD8:
                self._segment(marker, self._payload())
            if self.at - self.clear > _WINDOW:
                passed(self.data, self.clear, self.at)
                self.clear = self.at
        self.joined.into(self.walked)
        if not self.walked.width or not self.scans:
            raise unprocessable("corrupt")
        if self.at < len(self.data):
            self.walked.add("trailing", memoryview(self.data)[self.at :])
        return self.walked

    def _marker(self) -> int:
        """The next marker; bytes before it that belong to nothing are noted, and few of them are borne."""
        data, at = self.data, self.at
        found = _MARKER.search(data, at, min(len(data), at + self.stray + 2))
        if found is None:
            raise unprocessable("truncated" if at + self.stray + 2 >= len(data) else "corrupt")
        self.stray -= found.start() - at
        if found.start() > at and _NOT_FILL.search(data, at, found.start()):
            self.walked.add("hidden_data", data[at : found.start()])
        self.segments += 1
        if self.segments > self.limits.segments:
            raise unprocessable("limits:segments")
        self.at = found.end()
        return data[found.end() - 1]

    def _payload(self) -> bytes:
        data, at = self.data, self.at
        if at + 2 > len(data):
            raise unprocessable("truncated")
        size = int(struct.unpack_from(">H", data, at)[0])
        if size < 2:
            raise unprocessable("corrupt")
        if at + size > len(data):
            raise unprocessable("truncated")
        self.at += size
        return data[at + 2 : at + size]

    def _segment(self, marker: int, payload: bytes) -> None:
        if marker == 0xDA:
            self.scans += 1
            if self.scans > self.limits.scans:
                raise unprocessable("limits:scans")
            self._samples()
        elif marker in _FRAMES:
            _frame(marker, payload, self.walked)
        elif marker == 0xFE:
            self.walked.add("comment", payload)
        elif marker not in _TABLES:
            form, body = _app(marker, payload)
            # A decoder that joins pieces of EXIF one by one takes a minute for fifty megabytes of them.
            self.exif -= len(body) if form == "exif" else 0
            if self.exif < 0:
                raise unprocessable("limits:text")
            if form and not self.joined.took(form, body):
                self.walked.add(form, body)

    def _samples(self) -> None:
        """Step over a scan's samples, window by window; one byte more is seen, since a marker has two."""
        while self.at < len(self.data):
            window = self.data[self.at : self.at + _WINDOW + 1]
            found = _AFTER_SCAN.search(window)
            self.markers -= window.count(b"\xff", 0, found.start() if found else _WINDOW)
            if self.markers < 0:
                raise unprocessable("limits:markers")
            if found:
                self.at += found.start()
                return
            self.at += _WINDOW
            passed(self.data, self.clear, self.at)
            self.clear = self.at
        raise unprocessable("truncated")


class _Joined:
    """What is spread over several segments, put together: an ICC profile, Photoshop's resources, a C2PA store by its
    box instance (ISO/IEC 18477-3), an extended XMP packet by its GUID and offset (XMP part 3, 1.1.3.1)."""

    def __init__(self) -> None:
        self.parts: dict[tuple[str, bytes], list[tuple[int, bytes]]] = {}
        self.room = LOOK_BYTES_ALL

    def took(self, form: str, body: bytes) -> bool:
        which, place = b"", 0
        if form == "c2pa":
            # Every further segment of a box repeats the box's own header.
            which, body = body[:2], body[14 if (form, body[:2]) in self.parts else 6 :]
        elif form == "extended":
            form, which, place, body = "xmp", body[:32], int.from_bytes(body[36:40], "big"), body[40:]
        elif form not in ("icc", "photoshop"):
            return False
        body = body[: self.room]
        self.room -= len(body)
        self.parts.setdefault((form, which), []).append((place, body))
        return True

    def into(self, walked: Walked) -> None:
        for (form, _which), parts in self.parts.items():
            walked.add(form, b"".join(body for _, body in sorted(parts, key=lambda part: part[0])))


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
    for wanted, prefix, form, skip in _APP_FORMS:
        if marker == wanted and payload.startswith(prefix):
            if form == "jfif":
                return _jfif(payload), payload
            if form == "adobe":
                return ("hidden_data" if len(payload) > 12 else ""), payload
            return form, payload[skip:]
    return "vendor", bytes((marker,)) + payload


def _jfif(payload: bytes) -> str:
    """A thumbnail, bytes too many, or nothing to tell."""
    if len(payload) < 14:
        return ""
    if payload[12] and payload[13]:
        return "thumbnail"
    # Four letters of a phone maker, who says so that an index of further pictures follows.
    if payload[14:] == b"AMPF":
        return "maker_notes"
    return "hidden_data" if len(payload) > 14 else ""
