"""Counts what our own walkers found in a clip, by kind and never by value.

A carrier either is a kind already, or is told by name: of an atom, of a key or tag, of an ID3 frame. Names are looked
up in tables; what they do not know counts as an unknown block, so nothing goes unseen.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from worker.media.image import metadata
from worker.media.image.metadata import KINDS
from worker.media.walk.found import Carrier

# Stands before most names that phones write, and holds a word of the table.
_APPLE = "com.apple.quicktime."
# First match wins; names are lower case.
_NAMES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), kind)
    for pattern, kind in (
        (r"location|xyz|loci|gps|coord|latitude|longitude", "location"),
        (r"serial|content\.identifier|imei|camera\.identifier|umid|uuid|uniqueid", "serial_number"),
        (r"(?:^|[._/])(?:make|model|lens|manufacturer|device)|android\.(?:model|manufacturer|version)", "camera"),
        (r"artist|author|owner|copyright|performer|composer|director|producer|album_artist|publisher", "owner_name"),
        (r"date|time|year|_tags$", "timestamps"),
        (r"encoder|software|tool|writing|encoded_by|muxing|swr|compressor|handler_name", "software"),
        (r"title|description|synopsis|subject|keywords|genre|album|show|episode|caption|lyrics|track", "caption"),
        (r"comment|note|message", "comment"),
        (r"xmp|history|derived", "edit_history"),
        (r"face|people|person", "face_regions"),
    )
)
# QuickTime's and 3GPP's user data, Apple's item list, and what makers of cameras put beside them.
_ATOMS: dict[bytes, str] = {
    **dict.fromkeys((b"\xa9xyz", b"loci", b"@xyz", b"GPS0"), "location"),
    **dict.fromkeys((b"\xa9mak", b"\xa9mod", b"manu", b"modl", b"CNCV", b"CNMN", b"LENS"), "camera"),
    **dict.fromkeys((b"CAME", b"MUID", b"CNDB", b"SNum"), "serial_number"),
    **dict.fromkeys((b"auth", b"\xa9ART", b"aART", b"\xa9aut", b"cprt", b"\xa9cpy", b"perf", b"\xa9prf"), "owner_name"),
    **dict.fromkeys((b"\xa9dir", b"\xa9prd", b"\xa9pub", b"\xa9wrt", b"\xa9com", b"ownr", b"apID"), "owner_name"),
    **dict.fromkeys((b"\xa9hst", b"\xa9cmp", b"\xa9src"), "owner_name"),
    **dict.fromkeys((b"\xa9day", b"date", b"yrrc", b"purd", b"rldt"), "timestamps"),
    **dict.fromkeys((b"\xa9swr", b"\xa9too", b"\xa9enc", b"\xa9req", b"\xa9fmt", b"FIRM", b"CNFV"), "software"),
    **dict.fromkeys(
        (b"\xa9nam", b"titl", b"dscp", b"desc", b"ldes", b"\xa9alb", b"albm", b"\xa9gen", b"gnre"), "caption"
    ),
    **dict.fromkeys((b"kywd", b"keyw", b"\xa9key", b"\xa9lyr", b"name", b"\xa9grp", b"\xa9trk", b"clsf"), "caption"),
    **dict.fromkeys((b"\xa9des", b"\xa9st3", b"tvsh", b"tven", b"sonm", b"soal"), "caption"),
    **dict.fromkeys((b"\xa9cmt", b"\xa9inf", b"\xa9wrn"), "comment"),
    **dict.fromkeys((b"TAGS", b"MVTG", b"NCDT", b"CNTH", b"PANA", b"pana", b"LEIC", b"smta", b"SDLN"), "maker_notes"),
    **dict.fromkeys((b"smrd", b"CNOP", b"INFO", b"QVMI", b"MMA0", b"PXTH", b"PXMN", b"PENT"), "maker_notes"),
    **dict.fromkeys((b"GPMF", b"SETT", b"HMMT", b"gps "), "telemetry"),
    **dict.fromkeys((b"\xa9ed1", b"\xa9ed2", b"\xa9ed3", b"PrjR"), "edit_history"),
    b"chpl": "chapters",
}
_FRAMES: dict[bytes, str] = {
    **dict.fromkeys((b"TPE1", b"TPE2", b"TCOM", b"TOWN", b"TCOP", b"TPUB", b"TOPE", b"TENC"), "owner_name"),
    **dict.fromkeys((b"TIT1", b"TIT2", b"TIT3", b"TALB", b"TCON", b"TRCK", b"USLT", b"SYLT"), "caption"),
    **dict.fromkeys((b"TDRC", b"TDRL", b"TDTG", b"TDEN", b"TDOR", b"TYER", b"TDAT"), "timestamps"),
    **dict.fromkeys((b"COMM", b"TXXX"), "comment"),
    **dict.fromkeys((b"TSSE",), "software"),
    **dict.fromkeys((b"APIC",), "thumbnail"),
    **dict.fromkeys((b"GEOB",), "attachments"),
    **dict.fromkeys((b"UFID",), "serial_number"),
    **dict.fromkeys((b"CHAP", b"CTOC"), "chapters"),
}
# What a camera writes as XML beside its film.
_XML: tuple[tuple[re.Pattern[bytes], str], ...] = (
    (re.compile(rb"<Device|modelName|manufacturer"), "camera"),
    (re.compile(rb"serialNo"), "serial_number"),
    (re.compile(rb"CreationDate|LtcChange"), "timestamps"),
    (re.compile(rb"GPS|Latitude"), "location"),
)


class Found:
    """Hears carriers one by one and keeps their numbers alone."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def tell(self, carrier: Carrier) -> None:
        self._counts.update(_kinds(carrier))

    def removed(self) -> dict[str, int]:
        """Kind -> how many items of it were found, kinds in alphabetical order."""
        return {kind: self._counts[kind] for kind in sorted(self._counts)}


def _kinds(carrier: Carrier) -> Iterator[str]:
    form, data = carrier.form, carrier.data
    if form in KINDS:
        yield form
    elif form == "atom":
        yield _ATOMS.get(data, "unknown_block")
    elif form == "id3":
        yield _FRAMES.get(data, "unknown_block")
    elif form == "named":
        low = data.decode("utf-8", "replace").lower().removeprefix(_APPLE)
        yield next((kind for pattern, kind in _NAMES if pattern.search(low)), "unknown_block")
    elif form == "camera_xml":
        yield from [kind for pattern, kind in _XML if pattern.search(data)] or ["unknown_block"]
    else:
        for kind, count in metadata.removed([carrier]).items():
            yield from [kind] * count
