"""Reads which kinds of personal data a C2PA manifest store holds (C2PA 2.1, JUMBF: ISO/IEC 19566-5), by its labels."""

from __future__ import annotations

import re
from collections.abc import Iterator

from worker.media.kinds import xmp

# A description box: its kind, a UUID, toggles, then the label.
_LABEL = re.compile(rb"jumd.{16}[\0-\x1f]([\x20-\x7e]{1,120})\0", re.DOTALL)
_LABELS: tuple[tuple[str, str], ...] = (
    ("c2pa.thumbnail", "thumbnail"),
    ("c2pa.actions", "edit_history"),
    ("c2pa.ingredient", "edit_history"),
    ("stds.schema-org.CreativeWork", "owner_name"),
    ("cawg.identity", "owner_name"),
)
# Names inside assertions of JSON, as in `"exif:GPSLatitude"`.
_NAME = re.compile(rb"\"([A-Za-z_][\w-]{0,40}:[A-Za-z_]\w{0,60})\"")
_SOFTWARE = re.compile(rb"claim_generator|softwareAgent")
_WHEN = re.compile(rb"dateCreated|datePublished|dwhen|\"when\"|signingTime|genTime|c2pa\.time-stamp")
_AI = re.compile(rb"[tT]rainedAlgorithmicMedia|/algorithmicMedia")


def kinds_in(store: bytes) -> Iterator[str]:
    """`provenance` always, then what its assertions tell."""
    yield "provenance"
    for match in _LABEL.finditer(store):
        label = match[1].decode("ascii")
        yield from (kind for prefix, kind in _LABELS if label.startswith(prefix))
    for name in {match[1] for match in _NAME.finditer(store)}:
        yield from xmp.kinds_of(name.decode("ascii"))
    if _SOFTWARE.search(store):
        yield "software"
    if _WHEN.search(store):
        yield "timestamps"
    if _AI.search(store):
        yield "ai_generated"
