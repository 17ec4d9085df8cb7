"""Reads what an ICC profile says beside colour (ICC.1:2022): who made the device, which one it is, and when."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

# Houses that publish profiles of standard colour spaces: their signature says nothing of anybody's device.
_HOUSES = frozenset({b"\0\0\0\0", b"none", b"IEC ", b"APPL", b"appl", b"ADBE", b"MSFT", b"GOOG", b"lcms", b"ICC "})
_HOUSES_MODELS = frozenset({b"\0\0\0\0", b"none", b"sRGB"})
_SERIAL = re.compile(rb"serial|s\0e\0r\0i\0a\0l|EDID", re.IGNORECASE)
_MOST_TAGS = 200


def kinds_in(profile: bytes) -> Iterator[str]:
    """`colour_profile` always; `camera`, `serial_number` and `timestamps` where it names a device or a moment."""
    yield "colour_profile"
    if len(profile) < 128:
        return
    tags = _tags(profile)
    maker, model = profile[48:52], profile[52:56]
    # The profile of sRGB by its standard's own committee names the standard where others name a device.
    standard = (maker, model) == (b"IEC ", b"sRGB")
    named = maker not in _HOUSES or model not in _HOUSES_MODELS
    if not standard and (named or {b"dmnd", b"dmdd"} & set(tags)):
        yield "camera"
    if b"mmod" in tags or any(_SERIAL.search(body) for name, body in tags.items() if name in (b"meta", b"dmdd")):
        yield "serial_number"
    if not standard and profile[24:36].strip(b"\0"):
        yield "timestamps"


def _tags(profile: bytes) -> dict[bytes, bytes]:
    if len(profile) < 132:
        return {}
    count = min(int(struct.unpack_from(">I", profile, 128)[0]), _MOST_TAGS)
    found = {}
    for at in range(132, min(132 + 12 * count, len(profile) - 11), 12):
        name, offset, size = struct.unpack_from(">4sII", profile, at)
        found[name] = profile[offset : offset + min(size, 1 << 16)]
    return found
