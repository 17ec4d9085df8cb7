"""One track of an MP4 or QuickTime file: what its headers and tables say, read without the tables' memory.

ISO/IEC 14496-12, 8.3 to 8.6 and 12; QuickTime File Format, "Track atoms" and "Sample description atoms".
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field

from worker.errors import Unprocessable
from worker.media.walk.boxes import Box
from worker.media.walk.film import records, units
from worker.media.walk.film.boxes import Boxes
from worker.media.walk.film.found import Film

# Names that muxers give every track; they tell no more than the file does.
_HANDLERS = frozenset({b"", b"videohandler", b"soundhandler", b"datahandler", b"videohandle", b"soundhandle"})
_HANDLERS |= {b"core media video", b"core media audio"}
_UNDETERMINED = frozenset({0x55C4, 0, 0x7FFF})
# Routes and sensors of cameras, drones and telephones, second by second.
_ROUTES = frozenset({b"gpmd", b"camm", b"mebx", b"rtmd", b"mett", b"metx", b"CTMD", b"marl", b"RVMI"})
_ROUTE = (b"GPS5", b"GPS9", b"GPSU", b"GPSF")
_TEXTS = frozenset({b"text", b"sbtl", b"subt", b"subp", b"clcp"})
_STILLS = frozenset({b"jpeg", b"png ", b"tiff", b"mjpa", b"mjpb"})
_AVC, _HEVC = frozenset({b"avc1", b"avc2", b"avc3", b"avc4"}), frozenset({b"hvc1", b"hev1", b"dvh1", b"dvhe"})
# Boxes of sample entries that say how to decode, and nothing else.
_PLAIN = frozenset({b"pasp", b"btrt", b"fiel", b"gama", b"dvcC", b"dvvC", b"dvwC", b"SmDm", b"CoLL", b"mdcv", b"clli"})
_PLAIN |= {b"esds", b"chan", b"frma", b"enda", b"sinf", b"dOps", b"dac3", b"dec3", b"dac4", b"vpcC", b"st3d", b"sv3d"}
_PLAIN |= {b"mp4a", b"amve", b"alac", b"ctab", b"chrm", b"hvcE", b"lhvC", b"vexu", b"hfov", b"srat", b"\0\0\0\0"}
_PIECE = 64 << 10
_SIGNED_BYTES = 2048
# The longest piece of film outside the edits that is an encoder's delay and no scene.
_DELAY_S = 0.5


@dataclass(kw_only=True)
class Track:
    """`owned` counts the bytes of all samples, None where the tables do not say; `edits` are (length in the movie's
    time, begin in the track's); `chunks` are the places of the first and the last chunk, `last_chunk` counts the
    samples in it; `table` is where the sizes of `samples` lie, or 0 where all are `each`."""

    number: int = 0
    handler: bytes = b""
    entry: bytes = b""
    timescale: int = 0
    duration: int = 0
    edits: list[tuple[int, int]] = field(default_factory=list)
    owned: int | None = 0
    samples: int = 0
    each: int = 0
    table: int = 0
    last_chunk: int = 1
    chunks: tuple[int, ...] = ()
    lengths: int = 4
    chapters: set[int] = field(default_factory=set)

    @property
    def codec(self) -> str:
        """The syntax of its samples, as `units.samples` knows it; empty for another."""
        if self.handler in _TEXTS:
            return "text"
        if self.entry in _AVC:
            return "avc"
        if self.entry in _HEVC:
            return "hevc"
        return {b"av01": "av1", b"mp4a": "aac", b".mp3": "mp3"}.get(self.entry, "")


def track_header(film: Film, track: Track, box: Box) -> None:
    body = film.window.at(box.begin, 24)
    wide = body[:1] == b"\1"
    _times(film, body, wide=wide)
    track.number = int.from_bytes(body[20:24] if wide else body[12:16], "big")


def media_header(film: Film, track: Track, box: Box) -> None:
    body = film.window.at(box.begin, min(36, box.end - box.begin))
    wide = body[:1] == b"\1"
    _times(film, body, wide=wide)
    scale, duration, language = struct.unpack_from(">IQH" if wide else ">IIH", body, 20 if wide else 12)
    track.timescale, track.duration = scale, duration
    if language not in _UNDETERMINED:
        film.add("language")


def _times(film: Film, body: bytes, *, wide: bool) -> None:
    """Creation and change, in seconds since 1904."""
    if any(body[4 : 20 if wide else 12]):
        film.add("timestamps")


def handler(film: Film, track: Track, box: Box) -> None:
    """Its type; a manufacturer or a name beside it tells of software."""
    body = film.window.at(box.begin, min(box.end - box.begin, 256))
    track.handler = body[8:12]
    name = body[24:].strip(b"\0 ")
    if name and name[0] == len(name) - 1:
        name = name[1:]
    if any(body[12:24]) or name.strip(b"\0 ").lower() not in _HANDLERS:
        film.add("software")


def edits(film: Film, track: Track, box: Box) -> None:
    head = film.window.at(box.begin, 8)
    count = min(int.from_bytes(head[4:8], "big"), (box.end - box.begin) // 12, 1024)
    shape, size = (">Qq", 20) if head[:1] == b"\1" else (">Ii", 12)
    body = film.window.at(box.begin + 8, count * size)
    track.edits = [struct.unpack_from(shape, body, at) for at in range(0, len(body) - size + 1, size)]


def sizes(film: Film, track: Track, box: Box) -> None:
    """Adds up `stsz`, in pieces. A table of sizes of 1 is that of plain sound, whose samples are larger."""
    each, count = struct.unpack_from(">II", film.window.at(box.begin, 12), 4)
    track.samples, track.each = count, each
    if each or track.owned is None:
        track.owned = None if each <= 1 or track.owned is None else each * count
        return
    at, end = box.begin + 12, min(box.end, box.begin + 12 + 4 * count)
    track.table = at
    film.entries -= max(0, end - at) // 4
    if film.entries < 0:
        track.owned = None
        return
    while at < end:
        piece = array("I", film.window.at(at, min(_PIECE, end - at) // 4 * 4))
        if sys.byteorder == "little":
            piece.byteswap()
        track.owned += sum(piece)
        at += _PIECE


def compact_sizes(film: Film, track: Track, box: Box) -> None:
    track.owned = None


def runs(film: Film, track: Track, box: Box) -> None:
    """`stsc`: how many samples the last chunk has."""
    if box.end - box.begin >= 20:
        track.last_chunk = int.from_bytes(film.window.at(box.end - 8, 4), "big")


def offsets(film: Film, track: Track, box: Box) -> None:
    """Where its first and its last chunk lie."""
    width = 8 if box.kind == b"co64" else 4
    count = min(int.from_bytes(film.window.at(box.begin + 4, 4), "big"), (box.end - box.begin - 8) // width)
    places = (0, count - 1) if count > 1 else (0,) * count
    track.chunks = tuple(
        int.from_bytes(film.window.at(box.begin + 8 + place * width, width), "big") for place in places
    )


def references(film: Film, track: Track, box: Box) -> None:
    """`chap`: the tracks that hold the names or pictures of chapters."""
    body = film.window.at(box.begin, min(box.end - box.begin, 256))
    track.chapters = {int.from_bytes(body[at : at + 4], "big") for at in range(0, len(body) - 3, 4)}


def data_references(film: Film, track: Track, box: Box) -> None:
    """Anything but "in this file": paths of folders and volumes of the editor's computer."""
    body = film.window.at(box.begin, min(box.end - box.begin, _PIECE))
    at = 8
    while at + 12 <= len(body):
        size, kind = struct.unpack_from(">I4s", body, at)
        if size < 12 or (kind, size) not in ((b"url ", 12), (b"alis", 12)):
            film.add("edit_history")
        if size < 12:
            return
        at += size


def descriptions(steps: Boxes, film: Film, track: Track, box: Box) -> None:
    """`stsd`: every entry of it. Raises `Unprocessable` (limits:<name>)."""
    try:
        for entry in steps.level(box.begin + 8, box.end, box.path):
            track.entry = track.entry or entry.kind
            children = _entry(film, track, entry)
            if children is not None:
                for child in steps.level(children, entry.end, entry.path):
                    _child(film, track, child)
    except Unprocessable as refusal:
        if refusal.code.startswith("limits:"):
            raise
        film.add("unknown_block")


def _entry(film: Film, track: Track, entry: Box) -> int | None:
    """Where the boxes of a sample entry begin; None for an entry without."""
    body = film.window.at(entry.begin, 78)
    if track.handler == b"vide" and len(body) == 78:
        width, height = struct.unpack_from(">HH", body, 24)
        if entry.kind not in _STILLS:
            film.sized(width, height)
        if any(body[12:16]) or any(body[42:74]):
            film.add("software")
        return entry.begin + 78
    if track.handler == b"soun" and len(body) >= 28:
        if any(body[12:16]):
            film.add("software")
        version = int.from_bytes(body[8:10], "big")
        return entry.begin + {1: 44, 2: 64}.get(version, 28)
    return None


def _child(film: Film, track: Track, box: Box) -> None:
    read = _RECORDS.get(box.kind)
    if read is not None:
        read(film, track, film.look(box.begin, box.end, _PIECE))
    elif box.kind == b"wave":
        # QuickTime's: the decoder's own boxes once more.
        return
    elif box.kind not in _PLAIN:
        film.loose(box)


def _avc(film: Film, track: Track, body: bytes) -> None:
    track.lengths = records.avc(film, body)


def _hevc(film: Film, track: Track, body: bytes) -> None:
    track.lengths = records.hevc(film, body)


def _colour(film: Film, track: Track, body: bytes) -> None:
    if body[:4] in (b"prof", b"rICC"):
        film.add("icc", body[4:])


def _aperture(film: Film, track: Track, body: bytes) -> None:
    """`clap`: width and height as fractions; what lies outside is stored and not shown."""
    across, by, down, of = struct.unpack_from(">4I", body.ljust(16, b"\0"))
    if by and of and (across // by + 16 <= film.width or down // of + 16 <= film.height):
        film.add("hidden_data")


def _vendor(film: Film, track: Track, body: bytes) -> None:
    """3GPP TS 26.244: four letters of the encoder's maker come first."""
    if any(body[:4]):
        film.add("software")


_RECORDS: dict[bytes, Callable[[Film, Track, bytes], None]] = {
    b"avcC": _avc,
    b"hvcC": _hevc,
    b"av1C": lambda film, _track, body: records.av1(film, body),
    b"dfLa": lambda film, _track, body: records.flac(film, body[4:]),
    b"colr": _colour,
    b"clap": _aperture,
    b"damr": _vendor,
    b"d263": _vendor,
}


def tell(film: Film, track: Track, *, chapters: set[int], movie_scale: int) -> None:
    """What the whole of a track is, beside the first picture and the first sound."""
    named = track.number in chapters
    if track.handler == b"vide":
        film.pictures += 1
        if named or (film.pictures > 1 and track.entry in _STILLS):
            film.add("thumbnail")
        elif film.pictures > 1:
            film.add("second_picture")
    elif track.handler in _TEXTS:
        film.add("chapters" if named else "subtitles")
    elif track.handler == b"tmcd" or track.entry == b"tmcd":
        film.add("timestamps")
    elif track.handler != b"soun":
        film.add("telemetry")
        if track.entry in _ROUTES or track.entry.startswith(b"gpmd"):
            film.add("location")
    if track.handler in (b"vide", b"soun") and _outside(track, movie_scale) > _DELAY_S:
        film.add("hidden_data")
    _samples(film, track)


def _outside(track: Track, movie_scale: int) -> float:
    """Seconds of the track that no edit shows."""
    shown = [length for length, begin in track.edits if begin >= 0]
    if not shown or not all(shown) or not movie_scale or not track.timescale:
        return 0.0
    return track.duration / track.timescale - sum(shown) / movie_scale


def _samples(film: Film, track: Track) -> None:
    """The first sample of the first chunk and of the last."""
    if not track.codec or not track.samples:
        return
    last = max(0, track.samples - track.last_chunk)
    for place, number in dict(zip(track.chunks, (0, last), strict=False)).items():
        size = track.each or int.from_bytes(film.window.at(track.table + 4 * number, 4), "big")
        # Encoders of sound sign in one of the first frames.
        size = max(size, _SIGNED_BYTES) if track.codec == "aac" else size
        body = film.look(place, place + min(size, units.SAMPLE_BYTES))
        units.samples(film, track.codec, body, track.lengths)
