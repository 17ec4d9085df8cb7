"""Counts what metadata a file holds, by kind and never by value, from the carriers that our own walkers found.

A carrier that does not parse counts as its kind, not as absent. Nothing here removes: removal is by building anew.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from worker.errors import Unprocessable
from worker.media.kinds import exif, icc, iptc, jumbf, text, trailer, vendor
from worker.media.limits import MediaLimits
from worker.media.walk import jpeg
from worker.media.walk.found import Carrier

KINDS: frozenset[str] = frozenset(
    {"location", "camera", "serial_number", "owner_name", "face_regions", "timestamps", "thumbnail", "second_picture"}
    | {"depth_map", "gain_map", "embedded_video", "maker_notes", "edit_history", "provenance", "ai_generated"}
    | {"software", "comment", "caption", "colour_profile", "telemetry", "subtitles", "chapters", "attachments"}
    | {"trailing_data", "hidden_data", "unknown_block", "language"}
)
_PICTURE = re.compile(rb"\xff\xd8\xff[\xc0-\xfe]")
# Pictures behind the first that are looked into, each with its own EXIF.
_MOST_PICTURES = 8


def removed(carriers: Iterable[Carrier]) -> dict[str, int]:
    """Kind -> how many items of it were found, kinds in alphabetical order."""
    counts: Counter[str] = Counter()
    for carrier in carriers:
        counts.update(_kinds(carrier))
    return {kind: counts[kind] for kind in sorted(counts)}


def _kinds(carrier: Carrier) -> Iterator[str]:
    if carrier.form in KINDS:
        yield carrier.form
    else:
        yield from _READERS[carrier.form](carrier.data)


def _exif(data: bytes) -> Iterator[str]:
    """A block that parses may hold nothing of interest, an orientation alone for instance."""
    if data[:2] in (b"II", b"MM"):
        yield from exif.kinds_in(data)
    else:
        yield "unknown_block"


def _text(data: bytes) -> Iterator[str]:
    keyword, _, value = data.partition(b"\0")
    yield from text.kinds_in(keyword[:79].decode("latin-1"), value.decode("latin-1"))


def _vendor(data: bytes) -> Iterator[str]:
    """An application segment of a JPEG, its marker byte first."""
    if data:
        yield from vendor.kinds_in(data[0], data[1:])
    else:
        yield "maker_notes"


def _trailing(data: bytes) -> Iterator[str]:
    yield "trailing_data"
    yield from _behind(data)


def _behind(data: bytes) -> Iterator[str]:
    """What lies behind a picture or in a phone maker's box; a second picture's own carriers count as well."""
    yield from trailer.kinds_in(data)
    at = 0
    for _ in range(_MOST_PICTURES):
        found = _PICTURE.search(data, at)
        if found is None:
            return
        try:
            walked = jpeg.walk(data[found.start() :], MediaLimits())
        except (Unprocessable, LookupError, ValueError, ArithmeticError):
            at = found.end()
            continue
        tails = [len(each.data) for each in walked.carriers if each.form == "trailing"]
        for carrier in walked.carriers:
            if carrier.form != "trailing":
                yield from _kinds(carrier)
        if not tails:
            return
        at = len(data) - tails[0]


_READERS: dict[str, Callable[[bytes], Iterator[str]]] = {
    "exif": _exif,
    "xmp": exif.packet,
    "photoshop": exif.photoshop,
    "iptc": iptc.kinds_in,
    "icc": icc.kinds_in,
    "c2pa": jumbf.kinds_in,
    "text": _text,
    "vendor": _vendor,
    "trailing": _trailing,
    "maker_block": _behind,
}
