"""Walks an MP4, MOV, M4V or 3GP: its boxes to the last byte of the file, never its samples but the first and last.

ISO/IEC 14496-12; QuickTime File Format. Old QuickTime files have no `ftyp`, and users' files may have a tail.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

from worker.errors import Unprocessable
from worker.media.codes import unprocessable
from worker.media.walk.boxes import Box
from worker.media.walk.film import tracks, userdata
from worker.media.walk.film.boxes import Boxes
from worker.media.walk.film.found import EMPTY, Film
from worker.media.walk.film.tracks import Track

_HOLDERS = frozenset(
    {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"dinf", b"tref", b"mvex", b"moof", b"traf"}
)
_TOP_PLAIN = frozenset({b"ftyp", b"styp", b"sidx", b"ssix", b"mfra", b"pdin", b"moov", b"moof", b"mdat", b"imda"})
_TOP = _TOP_PLAIN | EMPTY | {b"uuid", b"meta", b"udta", b"pnot", b"PICT", b"prft", b"emsg", b"mpvd", b"sefd"}
_TOP_KINDS = {
    b"prft": "timestamps",
    b"emsg": "comment",
    b"pnot": "timestamps",
    b"PICT": "thumbnail",
    b"thum": "thumbnail",
    b"jumb": "provenance",
    b"mpvd": "embedded_video",
    b"sefd": "maker_notes",
    b"sefh": "maker_notes",
    b"gps ": "location",
}
# Boxes of `moov` and `moof` that say how to play, and hold no more than numbers.
_PLAIN = frozenset(
    {*_HOLDERS, b"mvhd", b"iods", b"vmhd", b"smhd", b"hmhd", b"nmhd", b"sthd", b"gmhd", b"dref", b"tkhd"}
)
_PLAIN |= {b"stts", b"ctts", b"cslg", b"stss", b"stps", b"stsc", b"stsh", b"sdtp", b"sgpd", b"sbgp", b"subs", b"csgm"}
_PLAIN |= {b"stsd", b"stsz", b"stz2", b"stco", b"co64", b"padb", b"stdp", b"saiz", b"saio", b"senc", b"hdlr", b"mdhd"}
_PLAIN |= {b"elst", b"tapt", b"load", b"txas", b"trex", b"mehd", b"trep", b"leva", b"tfhd", b"tfdt", b"trun", b"mfhd"}
_PLAIN |= {b"pssh", b"ctab", b"clip", b"matt", b"kmat", b"trgr", b"ipmc", b"imap", b"tfra", b"cdsc", b"hint", b"tmcd"}
# References of a track to others.
_PLAIN |= {b"chap", b"sync", b"folw", b"fall", b"forc", b"font", b"vdep", b"vplx", b"subt", b"thmb", b"auxl", b"sbas"}
# Of so many fragments the boxes are looked at one by one.
_FRAGMENTS = 16
_UNKNOWN_LENGTHS = frozenset({0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF})
_SAMPLES = frozenset({b"mdat", b"imda"})


def walk(film: Film) -> None:
    """Raises `Unprocessable`: truncated, corrupt, no_video, unsupported_codec, limits:<name>."""
    reader = _Reader(film)
    for box in reader.top():
        reader.read(box)
    reader.end()


class _Reader:
    def __init__(self, film: Film) -> None:
        self.film = film
        self.steps = Boxes(film.window, film.limits, _HOLDERS)
        self.tracks: list[Track] = []
        self.scale = 0
        self.movies = self.fragments = self.media = 0

    def top(self) -> Iterator[Box]:
        """The boxes of the file. Bytes behind the last whole one are a tail, once the film was there."""
        last, size = 0, self.film.window.size
        try:
            for box in self.steps.level(0, size):
                if box.kind == bytes(4):
                    break
                yield box
                last = box.end
        except Unprocessable as refusal:
            cut = self.film.window.at(last + 4, 4)
            if refusal.code.startswith("limits:") or not self.movies:
                raise
            if cut in _SAMPLES:
                # Its samples are listed: whether all of them are there is seen when they are decoded.
                self.media += 1
                return
            if cut in _TOP or not self.media:
                raise
        if last < size:
            self.film.tail(last)

    def read(self, box: Box) -> None:
        kind, film = box.kind, self.film
        if kind == b"moov":
            self.movies += 1
            if self.movies > 1:
                raise unprocessable("corrupt")
            self._inside(box)
        elif kind == b"moof":
            self.fragments += 1
            if self.fragments <= _FRAGMENTS:
                self._inside(box)
        elif kind in _SAMPLES:
            self.media += box.end - box.begin
        elif kind == b"meta":
            userdata.meta(self.steps, box, film)
        elif kind == b"udta":
            userdata.user_data(self.steps, box, film)
        elif kind in _TOP_KINDS:
            film.add(_TOP_KINDS[kind])
        elif kind not in _TOP_PLAIN:
            film.loose(box)

    def _inside(self, holder: Box) -> None:
        """A movie or a fragment, box by box; user data is left to readers of its own."""
        for box in self.steps.all(holder.begin, holder.end, holder.path):
            self._box(box)

    def _box(self, box: Box) -> None:
        kind, film = box.kind, self.film
        if kind == b"trak":
            self.tracks.append(Track())
            if len(self.tracks) > film.limits.streams:
                raise unprocessable("limits:streams")
        elif kind == b"mvhd":
            self._movie_header(box)
        elif kind == b"cmov":
            # Tables packed by zlib: old QuickTime, and a way to make much of little.
            raise unprocessable("unsupported_codec")
        elif kind == b"udta":
            userdata.user_data(self.steps, box, film)
        elif kind == b"meta":
            userdata.meta(self.steps, box, film)
        elif kind == b"elng":
            film.add("language")
        elif kind in _TOP_KINDS:
            film.add(_TOP_KINDS[kind])
        elif kind not in _PLAIN:
            film.loose(box)
        elif self.tracks:
            self._of_track(box)

    def _of_track(self, box: Box) -> None:
        track = self.tracks[-1]
        try:
            if box.kind == b"stsd":
                tracks.descriptions(self.steps, self.film, track, box)
            elif box.kind == b"hdlr" and box.path[-2:-1] != (b"mdia",):
                return
            elif box.kind in _READERS:
                _READERS[box.kind](self.film, track, box)
        except (struct.error, IndexError):
            raise unprocessable("corrupt") from None

    def _movie_header(self, box: Box) -> None:
        """Times, length, and the places of a poster, a preview and a selection."""
        body = self.film.window.at(box.begin, min(box.end - box.begin, 112))
        wide = body[:1] == b"\1"
        if any(body[4 : 20 if wide else 12]):
            self.film.add("timestamps")
        try:
            self.scale, length = struct.unpack_from(">IQ" if wide else ">II", body, 20 if wide else 12)
        except struct.error:
            raise unprocessable("corrupt") from None
        if any(body[84:108] if wide else body[72:96]):
            self.film.add("hidden_data")
        if self.scale and length not in _UNKNOWN_LENGTHS:
            self.film.lasts(length / self.scale)

    def end(self) -> None:
        """What only the whole says."""
        film = self.film
        if not self.movies:
            raise unprocessable("truncated")
        chapters = {number for track in self.tracks for number in track.chapters}
        for track in self.tracks:
            tracks.tell(film, track, chapters=chapters, movie_scale=self.scale)
        if not film.pictures:
            raise unprocessable("no_video")
        owned = [track.owned for track in self.tracks]
        if not self.fragments and None not in owned and self.media > sum(each or 0 for each in owned):
            film.add("hidden_data")


_READERS: dict[bytes, Callable[[Film, Track, Box], None]] = {
    b"tkhd": tracks.track_header,
    b"mdhd": tracks.media_header,
    b"hdlr": tracks.handler,
    b"elst": tracks.edits,
    b"stsz": tracks.sizes,
    b"stz2": tracks.compact_sizes,
    b"stsc": tracks.runs,
    b"stco": tracks.offsets,
    b"co64": tracks.offsets,
    b"chap": tracks.references,
    b"dref": tracks.data_references,
}
