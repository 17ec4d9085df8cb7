"""Units of streams that carry words and no pictures: SEI messages, filler, unspecified units, OBUs, AAC data.

Looked for in the first and the last samples only: cameras that write them do so in every frame, or in the first.
H.264 and H.265 Annex D, AV1 5.3 to 5.8, ISO/IEC 14496-3.
"""

from __future__ import annotations

import re

from worker.media.walk.film.found import Film

# How many bytes of a sample, and units in them.
SAMPLE_BYTES = 64 << 10
_UNITS = 64
# AVCHD: date, exposure, camera and place, five bytes each (as cameras write it; no public specification).
_MDPM = bytes.fromhex("17ee8c60f84d11d98cd60800200c9a66") + b"MDPM"
_BANNERS = (
    bytes.fromhex("dc45e9bde6d948b7962cd820d923eeef"),  # x264
    bytes.fromhex("2ca2de09b51747dbbb55a4fe7fc2fc4e"),  # x265
)
# Messages that only help a decoder or a screen.
_PLAIN_SEI = frozenset({0, 6, 45, 47, 129, 132, 137, 144, 147})
_SOUND_MAKERS = re.compile(rb"Lavc[0-9.]{0,12}|LAME ?[0-9.]|libfaac|FAAC|Nero AAC|GPAC")
_PLACE = re.compile(rb"GPS|[NS] ?\d{1,2}\.\d{3}|\[?latitude|-?\d{1,2}\.\d{4,}, ?-?\d{1,3}\.\d{4,}", re.IGNORECASE)


def samples(film: Film, codec: str, body: bytes, lengths: int) -> None:
    """The beginning of a chunk of samples; `lengths` are the bytes of a unit's length (H.264, H.265)."""
    if codec in ("avc", "hevc"):
        _lengthed(film, codec, body, lengths)
    elif codec == "av1":
        obus(film, body)
    elif codec == "aac":
        aac(film, body)
    elif codec == "mp3" and _SOUND_MAKERS.search(body[:4096]):
        film.add("software")
    elif codec == "text" and _PLACE.search(body):
        film.add("location")


def _lengthed(film: Film, codec: str, body: bytes, lengths: int) -> None:
    at = 0
    for _ in range(_UNITS):
        size = int.from_bytes(body[at : at + lengths], "big")
        at += lengths
        if not size or at >= len(body):
            return
        (avc_unit if codec == "avc" else hevc_unit)(film, body[at : at + size])
        at += size


def avc_unit(film: Film, unit: bytes) -> None:
    """An H.264 unit with its header."""
    kind = unit[0] & 31
    if kind == 6:
        _messages(film, unit[1:])
    elif kind == 12:
        _filler(film, unit[1:])
    elif kind in (0, 22, 23) or kind >= 24:
        film.add("hidden_data")


def hevc_unit(film: Film, unit: bytes) -> None:
    """An H.265 unit with its header of two bytes; Dolby Vision's (62, 63) count as hidden, which they are."""
    kind = unit[0] >> 1 & 63
    if kind in (39, 40):
        _messages(film, unit[2:])
    elif kind == 38:
        _filler(film, unit[2:])
    elif kind >= 41:
        film.add("hidden_data")


def _filler(film: Film, body: bytes) -> None:
    if body.rstrip(b"\x80").strip(b"\xff"):
        film.add("hidden_data")


def _messages(film: Film, body: bytes) -> None:
    """SEI messages: type and size, each a run of 255s and a byte; the unit ends with a stop bit."""
    body, at = body.replace(b"\0\0\3", b"\0\0"), 0
    for _ in range(_UNITS):
        if at + 2 > len(body):
            return
        kind, at = _run(body, at)
        size, at = _run(body, at)
        _message(film, kind, body[at : at + size])
        at += size


def _run(body: bytes, at: int) -> tuple[int, int]:
    value = 0
    while body[at : at + 1] == b"\xff":
        value, at = value + 255, at + 1
    return value + (body[at] if at < len(body) else 0), at + 1


def _message(film: Film, kind: int, body: bytes) -> None:
    if kind == 5:
        _user_data(film, body)
    elif kind == 4:
        # Captions of television; other makers' codes are of HDR or of nobody knows what.
        film.add("subtitles" if b"GA94" in body[:16] else "unknown_block")
    elif kind in (1, 136):
        film.add("timestamps")
    elif kind == 3:
        _filler(film, body)
    elif kind not in _PLAIN_SEI:
        film.add("unknown_block")


def _user_data(film: Film, body: bytes) -> None:
    if body.startswith(_MDPM):
        tags = {body[at] for at in range(len(_MDPM) + 1, len(body), 5)}
        film.add("camera")
        if tags & {0x18, 0x19}:
            film.add("timestamps")
        if any(0xB0 <= tag <= 0xCA for tag in tags):
            film.add("location")
    else:
        film.add("software" if body[:16] in _BANNERS else "unknown_block")


def obus(film: Film, body: bytes) -> None:
    """AV1 units: metadata (5) but light levels and colours (1, 2), padding (15) and what is reserved."""
    at = 0
    for _ in range(_UNITS):
        if at >= len(body):
            return
        head = body[at]
        kind, at = head >> 3 & 15, at + (2 if head & 4 else 1)
        size, at = _leb128(body, at) if head & 2 else (len(body) - at, at)
        if kind == 5:
            what = body[at : at + 1]
            if what not in (b"\1", b"\2"):
                film.add("timestamps" if what == b"\5" else "unknown_block")
        elif kind == 15 or 9 <= kind <= 14:
            film.add("hidden_data")
        at += size


def _leb128(body: bytes, at: int) -> tuple[int, int]:
    value = 0
    for index in range(8):
        byte = body[at] if at < len(body) else 0
        value, at = value | (byte & 127) << 7 * index, at + 1
        if not byte & 128:
            break
    return value, at


def aac(film: Film, body: bytes) -> None:
    """A frame that begins with a data element; the encoder's name in a fill element."""
    if body and body[0] >> 5 == 4:
        film.add("hidden_data")
    if _SOUND_MAKERS.search(body[:1024]):
        film.add("software")
