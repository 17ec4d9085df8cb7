"""Counts what metadata a file holds, by kind and never by value, from the carriers that our own walkers found.

A carrier that does not parse counts as its kind, not as absent. Nothing here removes: removal is by building anew.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator

from worker.media.walk import exif
from worker.media.walk.found import Carrier

KINDS: frozenset[str] = frozenset(
    {"location", "camera", "serial_number", "owner_name", "face_regions", "timestamps", "thumbnail", "second_picture"}
    | {"depth_map", "gain_map", "embedded_video", "maker_notes", "edit_history", "provenance", "ai_generated"}
    | {"software", "comment", "caption", "colour_profile", "telemetry", "subtitles", "chapters", "attachments"}
    | {"trailing_data", "hidden_data", "unknown_block", "language"}
)

# Names of properties in XMP packets, as they stand in attributes and elements.
_XMP: tuple[tuple[str, re.Pattern[bytes]], ...] = tuple(
    (kind, re.compile(pattern))
    for kind, pattern in (
        (
            "location",
            rb"exif:GPS(?!TimeStamp)\w+|photoshop:(?:City|State|Country)|Iptc4xmpCore:Location"
            rb"|Iptc4xmpExt:Location\w*|GPano:Pose\w+|drone-dji:(?:Gps|Relative|Absolute)\w+",
        ),
        ("camera", rb"tiff:(?:Make|Model)\b|aux:Lens\w*|exifEX:Lens(?:Make|Model)|crs:CameraProfile\b"),
        ("serial_number", rb"aux:SerialNumber|exifEX:\w*SerialNumber|exif:ImageUniqueID"),
        ("owner_name", rb"dc:(?:creator|rights)|aux:OwnerName|exifEX:CameraOwnerName|photoshop:Credit|tiff:Artist"),
        ("face_regions", rb"mwg-rs:Regions|MP:RegionInfo|Iptc4xmpExt:PersonInImage\w*|Iptc4xmpExt:ImageRegion"),
        ("timestamps", rb"(?:xmp|xap):\w*Date|photoshop:DateCreated|exif:DateTime\w+|exif:GPSTimeStamp"),
        ("thumbnail", rb"(?:xmp|xap):Thumbnails"),
        ("depth_map", rb"GDepth:|Device:Camera"),
        ("second_picture", rb"GImage:"),
        ("gain_map", rb"hdrgm:|HDRGainMap"),
        ("embedded_video", rb"(?:GCamera|Camera):(?:MotionPhoto|MicroVideo)\b"),
        ("edit_history", rb"xmpMM:\w+|photoshop:(?:DocumentAncestors|History)|crs:\w+"),
        ("ai_generated", rb"(?:compositeWith)?[tT]rainedAlgorithmicMedia|/algorithmicMedia"),
        ("software", rb"xmp:CreatorTool|tiff:Software|xmpMM:softwareAgent|stEvt:softwareAgent"),
        ("caption", rb"dc:(?:title|description|subject)|photoshop:(?:Headline|CaptionWriter)|tiff:ImageDescription"),
    )
)
_IPTC: dict[int, str] = {
    **dict.fromkeys((90, 92, 95, 100, 101), "location"),
    **dict.fromkeys((80, 85, 110, 116, 118, 122), "owner_name"),
    **dict.fromkeys((55, 60, 62, 63), "timestamps"),
    **dict.fromkeys((5, 25, 105, 120), "caption"),
    65: "software",
}
_IPTC_RECORD = re.compile(rb"\x1c\x02(.)", re.DOTALL)
_RESOURCES = {0x040C: "thumbnail", 0x0409: "thumbnail", 0x040B: "comment"}
_RESOURCE = re.compile(rb"8BIM(..)", re.DOTALL)
_CAMERA_MARKS = re.compile(rb"SEF[HT]|MotionPhoto_Data|QDIOBS")
_AI = re.compile(rb"[tT]rainedAlgorithmicMedia|/algorithmicMedia")
# Keywords under which generators of pictures store their prompt.
_PROMPTS = (b"parameters\0", b"prompt\0", b"workflow\0", b"Dream\0", b"sd-metadata\0")
_KEYWORDS = {
    b"software\0": "software",
    b"author\0": "owner_name",
    b"artist\0": "owner_name",
    b"copyright\0": "owner_name",
    b"creation time\0": "timestamps",
    b"date:": "timestamps",
    b"title\0": "caption",
    b"description\0": "caption",
}
_SIMPLE = {
    "jpeg_thumbnail": "thumbnail",
    "thumbnail": "thumbnail",
    "second_picture": "second_picture",
    "depth_map": "depth_map",
    "gain_map": "gain_map",
    "embedded_video": "embedded_video",
    "telemetry": "telemetry",
    "comment": "comment",
    "hidden": "hidden_data",
    "unknown": "unknown_block",
    "time": "timestamps",
    "icc": "colour_profile",
    "vendor": "maker_notes",
}


def removed(carriers: Iterable[Carrier]) -> dict[str, int]:
    """Kind -> how many items of it were found, kinds in alphabetical order."""
    counts: Counter[str] = Counter()
    for carrier in carriers:
        counts.update(_kinds(carrier))
    return {kind: counts[kind] for kind in sorted(counts)}


def _kinds(carrier: Carrier) -> Iterator[str]:
    form, data = carrier.form, carrier.data
    if form in _SIMPLE:
        yield _SIMPLE[form]
    elif form == "exif":
        yield from _exif(data)
    elif form == "xmp":
        found = [kind for kind, pattern in _XMP if pattern.search(data)]
        yield from found or ["unknown_block"]
    elif form in ("photoshop", "iptc"):
        yield from _photoshop(data)
    elif form == "text":
        yield from _text(data)
    elif form == "c2pa":
        yield "provenance"
        if _AI.search(data):
            yield "ai_generated"
    elif form == "trailing":
        yield from _trailing(data)


def _exif(data: bytes) -> Iterator[str]:
    """One count a tag. A block that parses may hold nothing of interest, an orientation alone for instance."""
    if data[:2] in (b"II", b"MM"):
        yield from exif.kinds_in(data)
    else:
        yield "unknown_block"


def _photoshop(data: bytes) -> Iterator[str]:
    for match in _IPTC_RECORD.finditer(data):
        if match[1][0] in _IPTC:
            yield _IPTC[match[1][0]]
    numbers = [int.from_bytes(match[1], "big") for match in _RESOURCE.finditer(data)]
    yield from (_RESOURCES[number] for number in numbers if number in _RESOURCES)
    if any(number not in _RESOURCES and number != 0x0404 for number in numbers):
        yield "edit_history"


def _text(data: bytes) -> Iterator[str]:
    lowered = data[:80].lower()
    for keyword, kind in _KEYWORDS.items():
        if lowered.startswith(keyword):
            yield kind
            return
    yield "comment"
    if data.startswith(_PROMPTS):
        yield "ai_generated"


def _trailing(data: bytes) -> Iterator[str]:
    """A film, a second picture, a phone maker's block, or bytes of which we know nothing."""
    yield "trailing_data"
    if b"ftyp" in data:
        yield "embedded_video"
    if b"\xff\xd8\xff" in data:
        yield "second_picture"
    if _CAMERA_MARKS.search(data):
        yield "maker_notes"
