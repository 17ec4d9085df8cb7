"""Counts what ffprobe tells of a clip's metadata, by kind and never by value: tags, chapters, streams beside the film.

Names of tags are looked up in one table; what it does not know counts as an unknown block, so nothing goes unseen.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from worker.media.video.ffprobe import Told

# Tags that every file carries and that say nothing of anybody.
_PLAIN = re.compile(
    r"major_brand|minor_version|compatible_brands|language|duration|number_of_(?:frames|bytes)|bps|rotate|alpha_mode"
    r"|_statistics_tags|stereo_mode|vendor_id",
)
# Stands before most names that phones write, and holds a word of the table.
_APPLE = "com.apple.quicktime."
# First match wins; names are lower case.
_KINDS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), kind)
    for pattern, kind in (
        (r"location|xyz|loci|gps|coord|latitude|longitude", "location"),
        (r"serial|content\.identifier|imei|camera\.identifier|umid|uuid", "serial_number"),
        (r"(?:^|[._])(?:make|model|lens|manufacturer|device)|android\.(?:model|manufacturer|version)", "camera"),
        (r"artist|author|owner|copyright|performer|composer|director|producer|album_artist|publisher", "owner_name"),
        (r"date|time|year|_tags$", "timestamps"),
        (r"encoder|software|tool|writing|encoded_by|muxing|swr|compressor|handler_name", "software"),
        (r"title|description|synopsis|subject|keywords|genre|album|show|episode|caption|lyrics|track", "caption"),
        (r"comment|note|message", "comment"),
        (r"xmp|history|derived", "edit_history"),
        (r"face|people|person", "face_regions"),
    )
)
_DATA_STREAMS = {"subtitle": "subtitles", "attachment": "attachments", "data": "telemetry"}
# QuickTime's tracks of chapter names and of the time of day.
_DATA_TAGS = {"text": "chapters", "tmcd": "timestamps"}
# Names that muxers give every track; they tell no more than the file does.
_HANDLERS = frozenset({"videohandler", "soundhandler", "datahandler", "", "core media video", "core media audio"})


def removed(told: Told) -> dict[str, int]:
    """Kind -> how many items of it were found, kinds in alphabetical order; `told` is of the original."""
    counts: Counter[str] = Counter(_kinds(told))
    return {kind: counts[kind] for kind in sorted(counts)}


def _kinds(told: Told) -> Iterator[str]:
    for holder in (told.format, *told.streams):
        yield from _tagged(holder)
    pictures = 0
    for stream in told.streams:
        kind = str(stream.get("codec_type"))
        if _is_cover(stream):
            yield "thumbnail"
        elif kind in _DATA_STREAMS:
            yield _DATA_TAGS.get(str(stream.get("codec_tag_string")), _DATA_STREAMS[kind])
        elif kind == "video":
            pictures += 1
    if pictures > 1:
        yield "second_picture"
    if told.chapters and not any(stream.get("codec_tag_string") == "text" for stream in told.streams):
        yield "chapters"


def _tagged(holder: Mapping[str, Any]) -> Iterator[str]:
    tags = holder.get("tags")
    for name, value in tags.items() if isinstance(tags, dict) else ():
        low = str(name).lower().removeprefix(_APPLE)
        if _PLAIN.fullmatch(low) or (low == "handler_name" and str(value).strip("\x00 ").lower() in _HANDLERS):
            continue
        yield next((kind for pattern, kind in _KINDS if pattern.search(low)), "unknown_block")


def _is_cover(stream: Mapping[str, Any]) -> bool:
    disposition = stream.get("disposition")
    return isinstance(disposition, dict) and 1 in (disposition.get("attached_pic"), disposition.get("timed_thumbnails"))
