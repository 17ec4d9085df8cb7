"""Tells what an application segment of a JPEG stands for that is no standard's: its writer's mark is its name."""

from __future__ import annotations

import re
from collections.abc import Iterator

# Marker's last digit and first bytes -> kinds; names as they stand in the segments. All others are maker notes.
_SEGMENTS: tuple[tuple[int, bytes, tuple[str, ...]], ...] = (
    (0xE0, b"II\x1a\0\0\0HEAP", ("maker_notes", "camera")),
    (0xE5, b"ssuniqueid\0", ("serial_number",)),
    (0xE6, b"GoPro\0", ("telemetry",)),
    (0xE8, b"SPIFF\0", ("unknown_block",)),
    (0xE8, b"SEAL\0", ("provenance",)),
    (0xE9, b"SEAL\0", ("provenance",)),
    (0xE9, b"Media Jukebox\0", ("caption",)),
    (0xEA, b"UNICODE\0", ("comment",)),
    (0xEA, b"AROT\0", ("gain_map",)),
    (0xEB, b"HDR_RI", ("gain_map",)),
    (0xEC, b"Ducky", ("comment",)),
    (0xED, b"Adobe_CM", ("unknown_block",)),
    (0xE2, b"FPXR\0", ("maker_notes",)),
    (0xE3, b"_JPSJPS_", ("second_picture",)),
    (0xE1, b"FLIR\0", ("maker_notes", "second_picture")),
)
# Keys of GoPro's telemetry (GPMF): positions, the camera's serial number, its name, times.
_GPMF: tuple[tuple[str, bytes], ...] = (
    ("location", rb"GPS[5U9P]|GPSF"),
    ("serial_number", rb"CASN|MUID|GUMI"),
    ("camera", rb"MINF|DVNM"),
    ("timestamps", rb"GPSU|CDAT"),
    ("software", rb"FMWR"),
    ("face_regions", rb"FACE"),
)
# Tag of the owner's name in Canon's heap (CIFF 1.0).
_CIFF_OWNER = b"\x10\x08"
_SERIAL = re.compile(rb"serial|S/N=|SN=", re.IGNORECASE)
_PLACE = re.compile(rb"\bGPS|latitude", re.IGNORECASE)


def kinds_in(marker: int, body: bytes) -> Iterator[str]:
    """What the segment with this marker byte (0xE0 to 0xEF) stands for."""
    found = next((kinds for number, mark, kinds in _SEGMENTS if marker == number and body.startswith(mark)), None)
    yield from found or ("maker_notes",)
    if body.startswith(b"GoPro\0"):
        yield from telemetry(body)
        return
    if marker == 0xE0 and _CIFF_OWNER in body:
        yield "owner_name"
    if _SERIAL.search(body):
        yield "serial_number"
    if _PLACE.search(body):
        yield "location"


def telemetry(body: bytes) -> Iterator[str]:
    """What a GPMF stream tells, once a kind."""
    for kind, keys in _GPMF:
        if re.search(keys, body):
            yield kind
