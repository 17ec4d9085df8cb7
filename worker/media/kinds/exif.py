"""Reads which kinds of personal data an EXIF block, or a whole TIFF file, holds: one count a tag."""

from __future__ import annotations

from collections.abc import Iterator

from worker.media.kinds import icc, iptc, jumbf, makernote, xmp
from worker.media.walk.exif import Entry, entries
from worker.media.walk.found import GAP, LOOK_BYTES, Data, uncovered

# Tag -> kind (CIPA DC-008, Exif 3.0; TIFF tags of the same names; DNG 1.7 and GeoTIFF 1.1 for those above 0xC000).
_TAGS: dict[int, str] = {
    **dict.fromkeys((0x010F, 0x0110, 0xA432, 0xA433, 0xA434, 0xC614, 0xC615), "camera"),
    **dict.fromkeys((0xA431, 0xA435, 0xA420, 0xC62F, 0xC65D), "serial_number"),
    **dict.fromkeys((0x013B, 0x8298, 0xA430, 0xA437, 0xA438, 0x9C9D, 0x013C), "owner_name"),
    **dict.fromkeys((0x0132, 0x9003, 0x9004, 0x9010, 0x9011, 0x9012, 0x9290, 0x9291, 0x9292, 0xC71B), "timestamps"),
    **dict.fromkeys((0x927C, 0xC634, 0xFE00, 0xC4A5), "maker_notes"),
    **dict.fromkeys((0xA43A, 0xA43B, 0xA43C, 0x9213, 0xC68B), "edit_history"),
    **dict.fromkeys((0x0131, 0x000B, 0xA439), "software"),
    0x9286: "comment",
    **dict.fromkeys((0x010E, 0x010D, 0x011D, 0x9C9B, 0x9C9C, 0x9C9E, 0x9C9F, 0xA436), "caption"),
    **dict.fromkeys((33550, 33922, 34264, 34735, 34736, 34737), "location"),
    0xA40B: "maker_notes",
}
_GPS_TIME = frozenset({0x0007, 0x001D})
# Where a small JPEG lies, or the strips of a small picture.
_THUMBNAILS = frozenset({0x0201, 0x0111})
_MAKER_NOTE, _MAKE = 0x927C, 0x010F
# Tags for anybody's own use (TIFF 6.0, section 8: "private"; those from 65,000 on need not even be registered).
_PRIVATE = range(65_000, 65_536)
# A maker note's directory lies at its beginning.
_MOST_NOTE = 8192


def kinds_in(block: Data | memoryview, *, file: bool = False, whole: bool = True) -> Iterator[str]:
    """Each kind that a tag stands for; a broken block gives what could be read.

    `file` is true for a whole TIFF, whose second directory is a page and not a thumbnail's. `whole` looks into the
    carriers that lie in tags: once, for what lies in those may hold a block again.
    """
    order = "<" if bytes(block[:2]) == b"II" else ">"
    make, left = b"", LOOK_BYTES if whole else 0
    found = list(entries(block))
    for entry in found:
        if entry.tag in (_MAKE, _MAKER_NOTE):
            body = bytes(block[entry.at : entry.at + min(entry.size, _MOST_NOTE)])
            make = body if entry.tag == _MAKE else make
            yield from makernote.kinds_in(body, order, make) if entry.tag == _MAKER_NOTE else ()
        if entry.tag in _NESTED and left > 0:
            yield from _NESTED[entry.tag](bytes(block[entry.at : entry.at + min(entry.size, left)]))
            left -= entry.size
        elif entry.size:
            yield from _of_tag(entry, file=file)
    if not file and uncovered(block, _spans(found), least=GAP):
        yield "hidden_data"


def _of_tag(entry: Entry, *, file: bool) -> Iterator[str]:
    if entry.where == "gps":
        if entry.tag > 0:
            yield "timestamps" if entry.tag in _GPS_TIME else "location"
    elif entry.tag in _THUMBNAILS:
        if entry.where == "sub" or (entry.where == "ifd1" and not file):
            yield "thumbnail"
    elif entry.tag in _TAGS:
        yield _TAGS[entry.tag]
    elif entry.tag in _PRIVATE:
        yield "unknown_block"


def photoshop(data: bytes) -> Iterator[str]:
    """What Photoshop's resources stand for, with what lies whole in them."""
    for form, body in iptc.resources(data):
        if form in _WHOLE:
            yield from _WHOLE[form](body)
        else:
            yield form


def packet(data: bytes) -> Iterator[str]:
    """What an XMP packet stands for: one in which nothing is known is still a block that was there."""
    found = list(xmp.kinds_in(data))
    yield from found or ["unknown_block"]


def _inner(data: bytes) -> Iterator[str]:
    yield from kinds_in(data, whole=False)


_WHOLE = {iptc.IPTC: iptc.kinds_in, iptc.XMP: packet, iptc.ICC: icc.kinds_in, iptc.EXIF: _inner}
_NESTED = {700: packet, 33723: photoshop, 34377: photoshop, 34675: icc.kinds_in, 52545: jumbf.kinds_in}


def _spans(found: list[Entry]) -> Iterator[tuple[int, int]]:
    """Bytes that something in the block owns: begin and end."""
    yield 0, 8
    offsets: dict[tuple[str, int], int] = {}
    for entry in found:
        yield entry.at, entry.at + entry.size
        offsets[entry.where, entry.tag] = entry.value
    for where in ("ifd1", "sub"):
        for begin, size in ((0x0201, 0x0202), (0x0111, 0x0117)):
            if (where, begin) in offsets:
                yield offsets[where, begin], offsets[where, begin] + offsets.get((where, size), 0)
