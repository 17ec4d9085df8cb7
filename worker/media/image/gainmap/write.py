"""Writes an Ultra HDR JPEG: base, gain map, and between them constant metadata with seven numbers and two lengths.

Ultra HDR Image Format v1.1; multi-picture index by CIPA DC-007, 5.2; the same numbers once more by ISO 21496-1, annex
C, for readers that know only the standard.
"""

from __future__ import annotations

import struct

from PIL import Image

from worker.media.image.encode import encoded
from worker.media.image.gainmap.numbers import STEPS, Numbers
from worker.media.image.gainmap.sources import FIT
from worker.media.image.scale import fitted, smaller

_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_ISO = b"urn:iso:std:iso:ts:21496:-1\0"
_OPEN = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0"'
)
_CLOSE = "</rdf:RDF></x:xmpmeta>"
_ITEM = '<rdf:li rdf:parseType="Resource"><Container:Item Item:Semantic="{}" Item:Mime="image/jpeg"{}/></rdf:li>'
_DIRECTORY = (
    ' xmlns:Container="http://ns.google.com/photos/1.0/container/"'
    ' xmlns:Item="http://ns.google.com/photos/1.0/container/item/"><Container:Directory><rdf:Seq>'
    + _ITEM.format("Primary", "")
    + _ITEM.format("GainMap", ' Item:Length="{}"')
    + "</rdf:Seq></Container:Directory></rdf:Description>"
)
# Where our encoder's APP0 ends: the two bytes of the first marker and a segment of 18.
_HEAD = 20
_MPF_BYTES = 90
# CIPA DC-007, 5.2.3.3.1: the representative picture is a baseline one; of the second nothing is said.
_PRIMARY = 0x030000
# One level of a map is a step in brightness: it is packed with more care than what it brightens.
_QUALITY = 92


def ultra_hdr(
    base: Image.Image, gain_map: Image.Image, numbers: Numbers, quality: int, *, profile: bytes | None = None
) -> bytes:
    """An RGB picture and its map (L or RGB, turned as the picture is), each encoded anew; the map never the larger.

    `profile` is the base's, where its colours are not sRGB; the map has none, it works in those of the base.
    """
    above = smaller(gain_map, fitted(gain_map.size, min(max(base.size), FIT)))
    pair = encoded(base, "image/jpeg", quality, profile=profile), encoded(above, "image/jpeg", _QUALITY)
    return joined(*pair, numbers)


def joined(base: bytes, gain_map: bytes, numbers: Numbers) -> bytes:
    """One file of two JPEGs of our own encoder."""
    second = _put(gain_map, _segment(0xE1, _XMP + _numbers(numbers)), _segment(0xE2, _ISO + _binary(numbers)))
    about = _segment(0xE1, _XMP + (_OPEN + _DIRECTORY.format(len(second)) + _CLOSE).encode())
    about += _segment(0xE2, _ISO + bytes(4))
    size = len(base) + len(about) + _MPF_BYTES
    # Offsets count from the index's own header, eight bytes behind its marker.
    offset = size - (_HEAD + len(about) + 8)
    return _put(base, about, _segment(0xE2, b"MPF\0" + _index(size, len(second), offset))) + second


def _put(jpeg: bytes, *segments: bytes) -> bytes:
    return jpeg[:_HEAD] + b"".join(segments) + jpeg[_HEAD:]


def _segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def _numbers(numbers: Numbers) -> bytes:
    said = {
        "GainMapMin": numbers.low,
        "GainMapMax": numbers.high,
        "Gamma": numbers.gamma,
        "OffsetSDR": numbers.offset_sdr,
        "OffsetHDR": numbers.offset_hdr,
        "HDRCapacityMin": numbers.capacity_min,
        "HDRCapacityMax": numbers.capacity_max,
    }
    values = "".join(f' hdrgm:{name}="{value / STEPS:.4f}"' for name, value in said.items())
    return f'{_OPEN}{values} hdrgm:BaseRenditionIsHDR="False"/>{_CLOSE}'.encode()


def _binary(numbers: Numbers) -> bytes:
    """Version 0, one channel for all, in the colours of the base (flag 0x40); each number over ten thousand."""
    values = (
        *(numbers.capacity_min, numbers.capacity_max, numbers.low, numbers.high),
        *(numbers.gamma, numbers.offset_sdr, numbers.offset_hdr),
    )
    return struct.pack(">HHB", 0, 0, 0x40) + b"".join(struct.pack(">iI", value, STEPS) for value in values)


def _index(size: int, second: int, offset: int) -> bytes:
    """Three entries (version, how many, where) and the list of two pictures."""
    head = b"MM\0*" + struct.pack(">IH", 8, 3)
    entries = struct.pack(">HHI4s", 0xB000, 7, 4, b"0100") + struct.pack(">HHII", 0xB001, 4, 1, 2)
    entries += struct.pack(">HHII", 0xB002, 7, 32, 50)
    pictures = struct.pack(">IIIHH", _PRIMARY, size, 0, 0, 0) + struct.pack(">IIIHH", 0, second, offset, 0, 0)
    return head + entries + bytes(4) + pictures
