"""Carriers of WebP: chunks around the pixels and inside the frames, and bytes behind and between them."""

from __future__ import annotations

import struct

from tests import pieces
from tests.carriers.jpeg import packet
from tests.carriers.planted import SIZE, Carrier, Plant, made
from tests.pieces import riff, riff_chunks, webp_of

WEBP = "webp"
_EXIF, _XMP, _ICC = 0x08, 0x04, 0x20


def carriers() -> list[Carrier]:
    """All of them, in the order of the reference."""
    behind = "behind the last sample, where only a decoder could tell it from samples"
    return [
        _webp("exif", "camera", _exif, tag="Make"),
        _webp("xmp", "owner_name", _xmp, tag="Creator"),
        _webp("icc", "colour_profile", _icc, tag="ProfileDescription"),
        _webp("unknown", "unknown_block", lambda webp, mark: _with(webp, 0, riff(b"caNy", mark))),
        made("webp-anmf", "webp-animated", "unknown_block", _in_frame, into="webp-animated"),
        _webp("trailer", "trailing_data", lambda webp, mark: webp + mark),
        _webp("vp8-tail", "", _tail, why=behind),
        _webp("pad", "hidden_data", _padded, mark=b"A", there=_pad_speaks),
    ]


def _webp(name: str, kinds: str, plant: Plant, **more: object) -> Carrier:
    return made(f"webp-{name}", WEBP, kinds, plant, **{"into": WEBP, **more})


def _with(webp: bytes, flags: int, *more: bytes) -> bytes:
    """In the extended form, with chunks behind the pixels."""
    return pieces.extended(webp, flags=flags, size=SIZE, more=more)


def _exif(webp: bytes, mark: bytes) -> bytes:
    return _with(webp, _EXIF, riff(b"EXIF", pieces.exif_block({0x010F: mark.decode()})))


def _xmp(webp: bytes, mark: bytes) -> bytes:
    said = packet(f"<dc:creator><rdf:Seq><rdf:li>{mark.decode()}</rdf:li></rdf:Seq></dc:creator>")
    return _with(webp, _XMP, riff(b"XMP ", said))


def _icc(webp: bytes, mark: bytes) -> bytes:
    """A profile comes before the pixels."""
    canvas = b"".join((side - 1).to_bytes(3, "little") for side in SIZE)
    pixels = [riff(*each) for each in riff_chunks(webp) if each[0] != b"VP8X"]
    profile = riff(b"ICCP", pieces.rgb_profile("p3", text=mark.decode()))
    return webp_of(riff(b"VP8X", bytes((_ICC, 0, 0, 0)) + canvas), profile, *pixels)


def _in_frame(webp: bytes, mark: bytes) -> bytes:
    chunks = [(kind, body + riff(b"caNy", mark) if kind == b"ANMF" else body) for kind, body in riff_chunks(webp)]
    return webp_of(*(riff(kind, body) for kind, body in chunks))


def _tail(webp: bytes, mark: bytes) -> bytes:
    return webp_of(*(riff(kind, body + mark if kind == b"VP8 " else body) for kind, body in riff_chunks(webp)))


def _padded(webp: bytes, mark: bytes) -> bytes:
    """The last chunk has an odd size, by one more byte where it needs one, and its pad says something."""
    *before, (kind, body) = riff_chunks(webp)
    body += b"" if len(body) & 1 else b"\0"
    made_of = webp_of(*(riff(*each) for each in before), riff(kind, body))
    return made_of[:-1] + mark


def _pad_speaks(body: bytes) -> bool:
    if not body.startswith(b"RIFF"):
        return False
    at = 12
    while at + 8 <= len(body):
        (size,) = struct.unpack_from("<I", body, at + 4)
        if size & 1 and at + 8 + size < len(body) and body[at + 8 + size]:
            return True
        at += 8 + size + (size & 1)
    return False
