"""Second reader of an Ultra HDR JPEG: two pictures, each judged on its own, and between them nothing but constants.

What may differ from file to file, besides the pixels: seven bounded numbers of four decimals, said twice and alike, and
the lengths of the two pictures, said twice and right. The format: developer.android.com/media/platform/hdr-image-format
(v1.1); the index: CIPA DC-007, 5.2; the numbers once more: ISO 21496-1, annex C.
"""

from __future__ import annotations

import re
import struct

from worker.media.proof import grey, jpeg
from worker.media.proof.doubt import need

# First marker and APP0 of both pictures; what they say is the JPEG reader's business.
_HEAD = 20
_PACKET = b"http://ns.adobe.com/xap/1.0/\0"
_STANDARD = b"urn:iso:std:iso:ts:21496:-1\0"
_BEGIN = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description rdf:about="" xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0"'
)
_END = b"</rdf:RDF></x:xmpmeta>"
_ABOUT = re.compile(
    re.escape(
        _BEGIN + b' xmlns:Container="http://ns.google.com/photos/1.0/container/"'
        b' xmlns:Item="http://ns.google.com/photos/1.0/container/item/"><Container:Directory><rdf:Seq>'
        b'<rdf:li rdf:parseType="Resource"><Container:Item Item:Semantic="Primary" Item:Mime="image/jpeg"/></rdf:li>'
        b'<rdf:li rdf:parseType="Resource"><Container:Item Item:Semantic="GainMap" Item:Mime="image/jpeg" Item:Length="'
    )
    + rb"([1-9]\d{0,8})"
    + re.escape(b'"/></rdf:li></rdf:Seq></Container:Directory></rdf:Description>' + _END)
)
# Name -> the least and most ten-thousandths that it may say.
_BOUNDS = {
    b"GainMapMin": (-160_000, 160_000),
    b"GainMapMax": (-160_000, 160_000),
    b"Gamma": (1_000, 100_000),
    b"OffsetSDR": (0, 10_000),
    b"OffsetHDR": (0, 10_000),
    b"HDRCapacityMin": (0, 160_000),
    b"HDRCapacityMax": (0, 160_000),
}
_NUMBER = rb"(-?(?:0|[1-9]\d?)\.\d{4})"
_NUMBERS = re.compile(
    re.escape(_BEGIN)
    + b"".join(rb' hdrgm:%s="%s"' % (name, _NUMBER) for name in _BOUNDS)
    + re.escape(b' hdrgm:BaseRenditionIsHDR="False"/>' + _END)
)
# The order of the same numbers in the standard's form, and its beginning: version 0, one channel, the base's colours.
_ORDER = (b"HDRCapacityMin", b"HDRCapacityMax", *tuple(_BOUNDS)[:5])
_FORM = b"\0\0\0\0\x40"
_INDEX_HEAD = bytes.fromhex(
    "4d5046004d4d002a000000080003b00000070000000430313030b00100040000000100000002b002000700000020000000320000"
    "000000030000"
)
_INDEX_BYTES = 86
# How a frame of three components begins, and one of a single component, which stands behind one table.
_FRAME, _GREY_FRAME, _FRAME_AT = b"\xff\xc0\0\x11\x08", b"\xff\xc0\0\x0b\x08", 89
_TABLES = b"\xff\xdb"
_MOST_SIDE = 1_024


def check(data: bytes) -> None:
    """Raises `Doubt`."""
    about, at = _segment(data, _HEAD, 0xE1)
    standard, at = _segment(data, at, 0xE2)
    header_at = at + 8
    index, at = _segment(data, at, 0xE2)
    need(about.startswith(_PACKET) and standard == _STANDARD + bytes(4), "what is said of both")
    said = _ABOUT.fullmatch(about, len(_PACKET))
    need(said is not None, "the packet of the first picture")
    first_size, second_size = _lengths(index, header_at)
    need(said is not None and int(said[1]) == second_size, "the length in the packet")
    need(first_size + second_size == len(data) and at < first_size, "bytes between the pictures, or after them")
    first, second = data[:_HEAD] + data[at:first_size], data[first_size:]
    jpeg.check(first)
    packet, at = _segment(second, _HEAD, 0xE1)
    numbers, at = _segment(second, at, 0xE2)
    need(packet.startswith(_PACKET), "the packet of the gain map")
    _agree(packet[len(_PACKET) :], numbers)
    second = second[:_HEAD] + second[at:]
    need(second.startswith(_TABLES, _HEAD), "a profile of the gain map, which has no colours")
    (grey if second.startswith(_GREY_FRAME, _FRAME_AT) else jpeg).check(second)
    _shapes(_size(first), _size(second))


def _segment(data: bytes, at: int, marker: int) -> tuple[bytes, int]:
    """The payload of the segment that must stand here, and where the next begins."""
    need(at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] == marker, "a segment that must be there")
    size = int(struct.unpack_from(">H", data, at + 2)[0])
    need(size >= 2 and at + 2 + size <= len(data), "a segment's length")
    return data[at + 4 : at + 2 + size], at + 2 + size


def _lengths(index: bytes, header_at: int) -> tuple[int, int]:
    """The sizes of both pictures, by an index of exactly two that says where the second begins."""
    need(len(index) == _INDEX_BYTES and index.startswith(_INDEX_HEAD), "the index")
    first, zero, none, second_kind, second, offset, nothing = struct.unpack(">IIIIIII", index[len(_INDEX_HEAD) :])
    need(zero == none == second_kind == nothing == 0, "an entry of the index")
    need(header_at + offset == first, "where the second picture begins")
    return int(first), int(second)


def _agree(packet: bytes, binary: bytes) -> None:
    """Both spellings say the same numbers, and each lies within its bounds."""
    match = _NUMBERS.fullmatch(packet)
    need(match is not None, "the numbers of the gain map")
    texts = match.groups() if match else ()
    said = {name: int(text.replace(b".", b"")) for name, text in zip(_BOUNDS, texts, strict=True)}
    need(b"-0.0000" not in texts, "a zero with a sign")
    need(all(least <= said[name] <= most for name, (least, most) in _BOUNDS.items()), "a number out of its bounds")
    need(said[b"GainMapMin"] < said[b"GainMapMax"], "the range of the gain map")
    need(said[b"HDRCapacityMin"] < said[b"HDRCapacityMax"], "the range of the display")
    values = b"".join(struct.pack(">iI", said[name], 10_000) for name in _ORDER)
    need(binary == _STANDARD + _FORM + values, "the numbers of the standard")


def _size(picture: bytes) -> tuple[int, int]:
    at = _FRAME_AT if picture.startswith(_GREY_FRAME, _FRAME_AT) else picture.index(_FRAME)
    height, width = struct.unpack_from(">HH", picture, at + len(_FRAME))
    return width, height


def _shapes(base: tuple[int, int], gain_map: tuple[int, int]) -> None:
    """A map has the shape of its picture, to the rounding of its sides and 5 %, and is no larger than it must be."""
    need(max(gain_map) <= min(max(base), _MOST_SIDE), "a gain map larger than its picture")
    one, other = gain_map[0] * base[1], gain_map[1] * base[0]
    need(abs(one - other) <= 0.05 * max(one, other) + 2 * max(base), "a gain map of another shape")
