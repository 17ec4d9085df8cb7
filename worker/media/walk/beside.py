"""Finds what a HEIF or AVIF carries beside its picture: metadata, further pictures, names, times, bytes of nobody."""

from __future__ import annotations

import struct

from worker.media.walk import bitstream
from worker.media.walk.boxes import Box
from worker.media.walk.found import LOOK_BYTES, Data, Walked, passed, speaks, uncovered
from worker.media.walk.items import Items, content

_C2PA = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
_XMP = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_TOP = frozenset({b"ftyp", b"meta", b"mdat", b"moov", b"free", b"skip", b"styp", b"wide", b"idat"})
# Items that are pictures, or rules to make one of others.
_PICTURES = frozenset(
    {b"hvc1", b"av01", b"grid", b"iden", b"iovl", b"jpeg", b"unci", b"vvc1", b"j2k1", b"avc1", b"mski", b"evc1"}
)
_READ = frozenset({b"Exif", b"mime", *bitstream.READERS})
# Of an item's content, and of a property that is only a label, the bytes that are looked into.
_ITEM, _LABEL, _WINDOW = 1 << 20, 128, 1 << 20
# Names that encoders give every item.
_NAMES = frozenset({b"", b"Color", b"Alpha", b"Exif", b"XMP", b"Image", b"Gain Map", b"GMap"})
_TEXTS = {b"udes": "caption", b"altt": "caption", b"crtt": "timestamps", b"mdft": "timestamps"}
# Pixels that an encoder may add to fill its largest blocks.
_PADDING = 64
_TIMED = frozenset({b"mvhd", b"tkhd", b"mdhd"})
_PLACES = frozenset({b"\xa9xyz", b"loci"})


def of_box(data: Data, box: Box, items: Items, walked: Walked) -> None:
    """Note what one box is, wherever it stands."""
    body = memoryview(data)[box.begin : box.end]
    if box.kind == b"uuid":
        walked.add({_C2PA: "c2pa", _XMP: "xmp"}.get(bytes(body[:16]), "unknown_block"), body[16:])
    elif box.kind in (b"free", b"skip"):
        if speaks(data, box.begin, box.end):
            walked.add("hidden_data")
    elif box.kind == b"hdlr" and speaks(data, box.begin + 24, box.end):
        walked.add("software")
    elif box.kind in _TIMED and bytes(body[4:20] if data[box.begin] == 1 else body[4:12]).strip(b"\0"):
        walked.add("timestamps")
    elif b"udta" in box.path[:-1]:
        walked.add("location" if box.kind in _PLACES else "unknown_block")
    elif box.kind == b"iinf" and box.path[0] != b"meta":
        walked.add("unknown_block")
    elif len(box.path) == 1:
        items.movie = items.movie or box.kind == b"moov"
        items.mdat.extend([(box.begin, box.end)] if box.kind == b"mdat" else [])
        _top(box.kind, body, walked)


def _top(kind: bytes, body: memoryview, walked: Walked) -> None:
    if kind == b"mpvd":
        walked.add("embedded_video")
    if kind in (b"mpvd", b"sefd"):
        walked.add("maker_block", body)
    elif kind not in _TOP:
        walked.add("unknown_block")


def of_items(data: Data, items: Items, walked: Walked) -> None:
    """Note what each item and property stands for, and pixels or bytes that none of them shows."""
    left = LOOK_BYTES
    for item, kind in items.kinds.items():
        if kind in _READ:
            body = content(data, items, item, min(_ITEM, max(left, 1)))
            left -= len(body)
        name = items.names.get(item, b"").partition(b"\0")[0]
        if name not in _NAMES:
            walked.add("caption")
        if kind == b"Exif":
            walked.add("exif", body[4 + int.from_bytes(body[:4], "big") :])
        elif kind == b"mime":
            xmp = b"rdf+xml" in items.names.get(item, b"")
            walked.add("xmp" if xmp else "unknown_block", body)
        elif kind not in _PICTURES:
            walked.add("gain_map" if kind == b"tmap" else "unknown_block")
        elif kind in bitstream.READERS:
            for found in bitstream.READERS[kind](body):
                walked.add(found)
    _other_pictures(items, walked)
    sizes = (struct.unpack_from(">II", data, at + 4) for kind, at, _ in items.properties if kind == b"ispe")
    # A sequence says its size in its track alone.
    largest = max(sizes, default=(walked.width, walked.height))
    clear = items.properties[0][1] if items.properties else 0
    for kind, begin, end in items.properties:
        _property(kind, data[begin : min(end, begin + max(walked.room, _LABEL))], largest, walked)
        if not clear <= begin <= clear + _WINDOW:
            passed(data, clear, begin)
            clear = begin
    if not items.movie and any(_loose(data, items, *box) for box in items.mdat):
        walked.add("hidden_data")


def _other_pictures(items: Items, walked: Walked) -> None:
    """Thumbnails, and pictures that are neither the primary one nor part of another."""
    parts = {source for kind, source, _ in items.references if kind in (b"thmb", b"auxl")}
    parts |= {target for kind, _, target in items.references if kind == b"dimg"}
    for _ in {source for kind, source, _ in items.references if kind == b"thmb"}:
        walked.add("thumbnail")
    for item, kind in items.kinds.items():
        if kind in _PICTURES and item != items.primary and item not in parts:
            walked.add("second_picture")


def _property(kind: bytes, body: bytes, largest: tuple[int, int], walked: Walked) -> None:
    if kind == b"colr" and body[:4] in (b"prof", b"rICC"):
        walked.add("icc", body[4:])
    elif kind == b"auxC":
        second = _auxiliary(body)
        if second:
            walked.add(second)
    elif kind in _TEXTS:
        walked.add(_TEXTS[kind])
    elif kind == b"clap" and _cut(body, largest):
        walked.add("hidden_data")
    elif kind in bitstream.CONFIGURATIONS:
        for found in bitstream.CONFIGURATIONS[kind](body):
            walked.add(found)


def _cut(body: bytes, largest: tuple[int, int]) -> bool:
    """Whether a clean aperture leaves out more than what an encoder pads: then there are pixels that were cropped."""
    if len(body) < 16:
        return True
    across, across_by, down, down_by = (int.from_bytes(body[at : at + 4], "big") for at in (0, 4, 8, 12))
    return across_by * (largest[0] - _PADDING) > across or down_by * (largest[1] - _PADDING) > down


def _loose(data: Data, items: Items, begin: int, end: int) -> bool:
    """Whether an `mdat` holds bytes that no item owns. An extent without a length owns all behind it."""
    spans = []
    for method, places in items.extents.values():
        if method == 0:
            spans += [(at, at + size if size else end) for at, size in places]
    return uncovered(data, spans, begin=begin, end=end)


def _auxiliary(body: bytes) -> str:
    """Alpha is part of the picture; anything else is a second picture of some kind."""
    body = body[:_LABEL]
    if b"alpha" in body or b":auxid:1\0" in body:
        return ""
    if b"depth" in body or b"disparity" in body or b":auxid:2\0" in body:
        return "depth_map"
    return "gain_map" if b"gainmap" in body.lower() else "second_picture"
