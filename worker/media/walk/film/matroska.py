"""Walks a Matroska or WebM: its elements to the last byte of the file, and of its clusters the first and the last.

RFC 9559. A segment and clusters of unknown size, as browsers record them, are stepped through block by block.
"""

from __future__ import annotations

import math
import struct

from worker.errors import Unprocessable
from worker.media.codes import unprocessable
from worker.media.walk.film import records, units
from worker.media.walk.film.ebml import Elements
from worker.media.walk.film.found import Film

_EBML, _SEGMENT, _VOID, _CRC = 0x1A45DFA3, 0x18538067, 0xEC, 0xBF
_INFO, _TRACKS, _TAGS, _CHAPTERS, _ATTACHED = 0x1549A966, 0x1654AE6B, 0x1254C367, 0x1043A770, 0x1941A469
_CLUSTER, _SEEK, _CUES = 0x1F43B675, 0x114D9B74, 0x1C53BB6B
_TOP = frozenset({_INFO, _TRACKS, _TAGS, _CHAPTERS, _ATTACHED, _CLUSTER, _SEEK, _CUES})
# A cluster's own: time, position, previous size, silent tracks, blocks; and what may stand anywhere.
_SIMPLE, _GROUP, _BLOCK, _ADDITIONS = 0xA3, 0xA0, 0xA1, 0x75A1
_IN_CLUSTER = frozenset({0xE7, 0xA7, 0xAB, 0x5854, _SIMPLE, _GROUP, 0xAF, _VOID, _CRC})
# In a group: block, duration, priority, references, codec state, padding.
_IN_GROUP = frozenset({_BLOCK, 0x9B, 0xFA, 0xFB, 0xFD, 0xA4, 0x75A2, 0x8E, _VOID, _CRC})
_LOOKED_BLOCKS = 12
_SMALL = 1 << 16
_INFO_KINDS = {
    0x7BA9: "caption",
    0x4461: "timestamps",
    0x73A4: "serial_number",
    0x3CB923: "serial_number",
    0x3EB923: "serial_number",
    0x4444: "serial_number",
    0x7384: "edit_history",
    0x3C83AB: "edit_history",
    0x3E83BB: "edit_history",
    0x6924: "edit_history",
    0x4D80: "software",
    0x5741: "software",
}
_SCALE, _DURATION = 0x2AD7B1, 0x4489
# TrackEntry: numbers and switches; those of Video, Audio, Colour and the like are not looked into.
_TRACK_PLAIN = frozenset({0xD7, 0x83, 0xB9, 0x88, 0x55AA, 0x9C, 0x6DE7, 0x6DF8, 0x23E383, 0x234E7A, 0x23314F, 0x55EE})
_TRACK_PLAIN |= {0x86, 0xAA, 0x56AA, 0x56BB, 0x6FAB, 0x537F, 0xE1, 0xE0, 0x63A2, 0x6D80, 0xE2, 0x55AB, 0x55AC, 0x55AD}
_TRACK_PLAIN |= {0x55AE, 0x55AF, 0x41E4, _VOID, _CRC, 0x6624, 0x7446}
_UID, _NAME, _LANGUAGE, _LANGUAGE_BCP47, _CODEC_NAME, _CODEC, _PRIVATE, _TYPE, _VIDEO = (
    0x73C5, 0x536E, 0x22B59C, 0x22B59D, 0x258688, 0x86, 0x63A2, 0x83, 0xE0,
)  # fmt: skip
_WIDTH, _HEIGHT, _CROPS = 0xB0, 0xBA, frozenset({0x54AA, 0x54BB, 0x54CC, 0x54DD})
_PICTURE, _SOUND = 1, 2
_CODECS = {
    b"V_MPEG4/ISO/AVC": "avc",
    b"V_MPEGH/ISO/HEVC": "hevc",
    b"V_AV1": "av1",
    b"A_AAC": "aac",
    b"A_MPEG/L3": "mp3",
}
_BESIDE = {0x11: "subtitles", 0x12: "subtitles", 0x20: "telemetry", 0x21: "telemetry", 3: "second_picture"}
# Counted by the muxer itself, needed to play, or left over from another container's head.
_PLAIN_TAGS: tuple[bytes, ...] = (
    *(b"DURATION", b"BPS", b"NUMBER_OF_", b"_STATISTICS_TAGS", b"ALPHA_MODE", b"STEREO_MODE", b"ROTATE"),
    *(b"MAJOR_BRAND", b"MINOR_VERSION", b"COMPATIBLE_BRANDS", b"VENDOR_ID"),
)


def walk(film: Film) -> None:
    """Raises `Unprocessable`: truncated, corrupt, no_video, limits:<name>."""
    _Reader(film).read()


class _Reader:
    def __init__(self, film: Film) -> None:
        self.film = film
        self.steps = Elements(film.window, film.limits.boxes)
        self.blocks = Elements(film.window, film.limits.boxes)
        self.tracks: dict[int, tuple[str, int]] = {}
        self.streams = 0
        self.last: tuple[int, int] | None = None

    def read(self) -> None:
        film, size, at, seen = self.film, self.film.window.size, 0, False
        while at < size and not seen:
            element = self.steps.one(at, size)
            if element.id == _SEGMENT:
                seen = True
                at = self._segment(element.begin, size if element.end is None else element.end)
            elif element.end is None:
                raise unprocessable("corrupt")
            else:
                if element.id != _EBML:
                    self._loose(element.id, element.begin, element.end)
                at = element.end
        if not seen:
            raise unprocessable("truncated")
        if at < size:
            film.tail(at)
        if not film.pictures:
            raise unprocessable("no_video")
        if self.last is not None:
            self._looked_into(*self.last)

    def _segment(self, begin: int, end: int) -> int:
        at, first = begin, True
        while at < end:
            element = self.steps.one(at, end)
            if element.id == _CLUSTER:
                at = self._cluster_ends(element.begin, end) if element.end is None else element.end
                if first:
                    self._looked_into(element.begin, at)
                    first = False
                else:
                    self.last = element.begin, at
                continue
            if element.end is None:
                raise unprocessable("corrupt")
            at = element.end
            self._top(element.id, element.begin, at)
        return at

    def _cluster_ends(self, begin: int, end: int) -> int:
        """Where a cluster of unknown size ends: before the first element that cannot be in it.

        A recording that was cut off, or has more blocks than are stepped over, ends the walk: what is there is for the
        decoder to judge, and browsers write nothing behind it.
        """
        at = begin
        while at < end:
            try:
                element = self.blocks.one(at, end)
            except Unprocessable as refusal:
                if refusal.code == "corrupt":
                    raise
                return end
            if element.id in _TOP or element.end is None:
                break
            at = element.end
        return at

    def _top(self, number: int, begin: int, end: int) -> None:
        if number == _INFO:
            self._info(begin, end)
        elif number == _TRACKS:
            for part, one, two in self.steps.level(begin, end):
                if part == 0xAE:
                    self._track(one, two)
                else:
                    self._loose(part, one, two)
        elif number == _TAGS:
            self._tags(begin, end)
        elif number == _CHAPTERS:
            self._chapters(begin, end)
        elif number == _ATTACHED:
            for part, one, two in self.steps.level(begin, end):
                if part == 0x61A7:
                    self._attached(one, two)
                else:
                    self._loose(part, one, two)
        elif number not in (_SEEK, _CUES):
            self._loose(number, begin, end)

    def _loose(self, number: int, begin: int, end: int) -> None:
        if number == _VOID:
            self.film.empty(begin, end)
        elif number != _CRC:
            self.film.add("unknown_block")

    def _info(self, begin: int, end: int) -> None:
        scale, length = 1_000_000, 0.0
        for number, one, two in self.steps.level(begin, end):
            if number == _SCALE:
                scale = self.steps.whole(one, two)
            elif number == _DURATION:
                length = _real(self.film.window.at(one, min(8, two - one)))
            elif number in _INFO_KINDS:
                self.film.add(_INFO_KINDS[number])
            else:
                self._loose(number, one, two)
        if length > 0:
            self.film.lasts(length * scale / 1e9)

    def _track(self, begin: int, end: int) -> None:
        self.streams += 1
        if self.streams > self.film.limits.streams:
            raise unprocessable("limits:streams")
        film, window = self.film, self.film.window
        parts = {number: (one, two) for number, one, two in self.steps.level(begin, end)}
        for number, (one, two) in parts.items():
            body = window.at(one, min(128, two - one))
            if number == _UID:
                if int.from_bytes(body, "big") > _SMALL:
                    film.add("serial_number")
            elif number == _NAME:
                film.add("caption")
            elif number == _CODEC_NAME:
                film.add("software")
            elif number in (_LANGUAGE, _LANGUAGE_BCP47):
                if body.rstrip(b"\0") != b"und":
                    film.add("language")
            elif number not in _TRACK_PLAIN:
                self._loose(number, one, two)
        kind = self.steps.whole(*parts.get(_TYPE, (0, 0)))
        if kind == _PICTURE:
            self._picture(parts.get(_VIDEO))
        elif kind != _SOUND:
            film.add(_BESIDE.get(kind, "unknown_block"))
        self._codec(parts)

    def _picture(self, place: tuple[int, int] | None) -> None:
        self.film.pictures += 1
        if self.film.pictures > 1:
            self.film.add("second_picture")
        if place is None:
            return
        parts = {number: self.steps.whole(one, two) for number, one, two in self.steps.level(*place)}
        self.film.sized(parts.get(_WIDTH, 0), parts.get(_HEIGHT, 0))
        if any(parts.get(crop) for crop in _CROPS):
            self.film.add("hidden_data")

    def _codec(self, parts: dict[int, tuple[int, int]]) -> None:
        """What is told by its private data, and how its blocks are to be read."""
        film = self.film
        name = film.window.at(*_span(parts.get(_CODEC, (0, 0)), 32)).rstrip(b"\0")
        codec, lengths = _CODECS.get(name, "text" if name.startswith(b"S_TEXT") else ""), 4
        if _PRIVATE in parts:
            body = film.look(*parts[_PRIVATE], 64 << 10)
            if codec == "avc":
                lengths = records.avc(film, body)
            elif codec == "hevc":
                lengths = records.hevc(film, body)
            elif codec == "av1":
                records.av1(film, body)
            elif name == b"A_VORBIS":
                records.vorbis(film, body)
            elif name == b"A_FLAC":
                records.flac(film, body[4:])
        self.tracks[self.steps.whole(*parts.get(0xD7, (0, 0)))] = codec, lengths

    def _tags(self, begin: int, end: int) -> None:
        """Every SimpleTag, nested ones too, by its name."""
        todo = [(begin, end, 0)]
        while todo:
            at, to, depth = todo.pop()
            for number, one, two in self.steps.level(at, to):
                if number in (0x7373, 0x67C8):
                    if depth >= self.film.limits.box_depth:
                        raise unprocessable("limits:boxes")
                    todo.append((one, two, depth + 1))
                elif number == 0x45A3:
                    name = self.film.window.at(one, min(128, two - one)).rstrip(b"\0")
                    if not name.upper().startswith(_PLAIN_TAGS):
                        self.film.named(name)
                elif number not in (0x63C0, 0x447A, 0x447B, 0x4484, 0x4487, 0x4485):
                    self._loose(number, one, two)

    def _chapters(self, begin: int, end: int) -> None:
        todo = [(begin, end, 0)]
        while todo:
            at, to, depth = todo.pop()
            for number, one, two in self.steps.level(at, to):
                if number in (0x45B9, 0xB6):
                    if depth >= self.film.limits.box_depth:
                        raise unprocessable("limits:boxes")
                    todo.append((one, two, depth + 1))
                    if number == 0xB6:
                        self.film.add("chapters")
                elif number in (_VOID,):
                    self.film.empty(one, two)

    def _attached(self, begin: int, end: int) -> None:
        """A file: a cover picture, or whatever the sender put in."""
        parts = {number: (one, two) for number, one, two in self.steps.level(begin, end)}
        kind = self.film.window.at(*_span(parts.get(0x4660, (0, 0)), 32))
        if kind.startswith(b"image/") and 0x465C in parts:
            self.film.cover(*parts[0x465C])
        else:
            self.film.add("attachments")

    def _looked_into(self, begin: int, end: int) -> None:
        """Some blocks of a cluster, and what lies between them."""
        left = _LOOKED_BLOCKS
        try:
            for number, one, two in self.blocks.level(begin, end):
                if number == _SIMPLE:
                    self._block(one, two)
                elif number == _GROUP:
                    self._group(one, two)
                elif number not in _IN_CLUSTER or number == _VOID:
                    self._loose(number, one, two)
                left -= 1
                if not left:
                    return
        except Unprocessable:
            # Cut off in its last block, or stepped through long enough: for the decoder to judge.
            return

    def _group(self, begin: int, end: int) -> None:
        for number, one, two in self.blocks.level(begin, end):
            if number == _BLOCK:
                self._block(one, two)
            elif number == _ADDITIONS:
                self.film.add("hidden_data")
            elif number not in _IN_GROUP:
                self._loose(number, one, two)

    def _block(self, begin: int, end: int) -> None:
        """Number of the track, time, flags, and the frame; laced ones are left to the decoder."""
        head = self.film.window.at(begin, 4)
        if len(head) == 4 and head[0] & 0x80 and not head[3] & 6:
            codec, lengths = self.tracks.get(head[0] & 0x7F, ("", 4))
            if codec:
                body = self.film.look(begin + 4, end, units.SAMPLE_BYTES)
                units.samples(self.film, codec, body, lengths)


def _span(place: tuple[int, int], most: int) -> tuple[int, int]:
    """As begin and length."""
    return place[0], min(most, place[1] - place[0])


def _real(body: bytes) -> float:
    if len(body) not in (4, 8):
        return 0.0
    value = float(struct.unpack(">f" if len(body) == 4 else ">d", body)[0])
    return 0.0 if math.isnan(value) else value
