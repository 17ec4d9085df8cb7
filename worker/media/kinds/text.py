"""Tells what a text of a PNG stands for by its keyword (PNG 3rd edition, 11.3.3, and what programs write)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from worker.media.kinds import xmp

# Keywords under which generators of pictures store their prompt.
_PROMPTS = re.compile(
    r"parameters|prompt|workflow|dream|sd-metadata|invokeai_(?:metadata|graph|workflow)|generation_data|aesthetic_score"
    r"|fooocus_scheme"
)
# First match wins; keywords are lower case.
_KEYWORDS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (kind, re.compile(pattern))
    for kind, pattern in (
        ("location", r".*(?:gps|latitude|longitude|location).*"),
        ("serial_number", r".*(?:serial|uniqueid|unique id).*"),
        ("timestamps", r"creation time|create-date|modify-date|.*(?:date|time(?:stamp)?)(?:original|digitized)?|date:.*"
        r"|thumb::mtime|.*mtime"),
        ("software", r"software|.*software|creator ?tool|.*encoder|producer|generator|thumb::.*version"),
        ("owner_name", r"author|artist|copyright|.*owner.*|credit|creator|by-?line|rights"),
        ("camera", r"source|.*:(?:make|model|lens\w*)|make|model|camera"),
        ("edit_history", r".*history.*|.*derived.*|.*documentid.*|photoshop:.*"),
        ("caption", r"title|description|subject|keywords?|caption|label"),
    )
)  # fmt: skip


def kinds_in(keyword: str, text: str) -> Iterator[str]:
    """What one text stands for: a keyword that is an XMP name as that, an unknown one as a comment."""
    low = keyword.strip().lower()
    named = xmp.kinds_of(keyword.strip())
    if named:
        yield from named
    else:
        yield next((kind for kind, pattern in _KEYWORDS if pattern.fullmatch(low)), "comment")
    if _PROMPTS.fullmatch(low) or xmp.is_ai(text):
        yield "ai_generated"
