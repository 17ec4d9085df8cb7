"""Carriers of TIFF and BMP, which are taken in where the operator wishes and are never published."""

from __future__ import annotations

import struct

from tests import pieces
from tests.carriers.jpeg import iptc, packet, preview, resource
from tests.carriers.planted import Carrier, Plant, Tag, made, tiff

_ASCII, _BYTE, _RATIONAL, _UNDEFINED = 2, 1, 5, 7
_PLACE = b"".join(struct.pack("<II", *pair) for pair in ((48, 1), (51, 1), (2772, 100)))


def carriers() -> list[Carrier]:
    """All of them, in the order of the reference."""
    return [*_tiff(), *_bmp()]


def _text(mark: bytes) -> Tag:
    return _ASCII, mark + b"\0"


def _tags(*numbers: int, kind: int = _ASCII, body: Plant | None = None) -> Plant:
    """Tags of the first page, with the mark or what is made of it."""

    def plant(_clean: bytes, mark: bytes) -> bytes:
        value = body(b"", mark) if body else mark
        return tiff([dict.fromkeys(numbers, (kind, value + b"\0" if kind == _ASCII else value))])

    return plant


def _made(name: str, kinds: str, plant: Plant, **more: object) -> Carrier:
    return made(f"tif-{name}", "tiff", kinds, plant, **more)


def _gps(_clean: bytes, mark: bytes) -> bytes:
    return tiff([{}], inner={34853: {1: (_ASCII, b"N\0"), 2: (_RATIONAL, mark)}})


def _xmp(_: bytes, mark: bytes) -> bytes:
    return packet(f"<dc:creator><rdf:Seq><rdf:li>{mark.decode()}</rdf:li></rdf:Seq></dc:creator>")


def _second_page(_clean: bytes, mark: bytes) -> bytes:
    return tiff([{}, {270: _text(mark)}])


def _tiff() -> list[Carrier]:
    profile = _tags(34675, kind=_UNDEFINED, body=lambda _, mark: pieces.rgb_profile("p3", text=mark.decode()))
    resources = _tags(34377, kind=_BYTE, body=lambda _, mark: resource(0x040C, preview(mark)))
    return [
        _made("ifd0", "camera owner_name", _tags(271, 315, 316), tag="Make"),
        _made("gps", "location", _gps, mark=_PLACE, tag="GPSLatitude"),
        _made("xmp", "owner_name", _tags(700, kind=_BYTE, body=_xmp), tag="Creator"),
        _made(
            "iptc", "owner_name location", _tags(33723, kind=_UNDEFINED, body=lambda _, mark: iptc(mark)), tag="City"
        ),
        _made("8bim", "thumbnail", resources, tag="PhotoshopThumbnail"),
        _made("icc", "colour_profile", profile, tag="ProfileDescription"),
        _made("private", "unknown_block", _tags(65_000)),
        _made("page2", "second_picture caption", _second_page, tag="ImageDescription"),
        _made("trailer", "trailing_data", lambda clean, mark: clean + mark),
    ]


def _gap(bmp: bytes, mark: bytes) -> bytes:
    """Bytes between the header and the pixels, which begin that much later."""
    (offset,) = struct.unpack_from("<I", bmp, 10)
    size = struct.pack("<I", len(bmp) + len(mark))
    return bmp[:2] + size + bmp[6:10] + struct.pack("<I", offset + len(mark)) + bmp[14:offset] + mark + bmp[offset:]


def _linked(bmp: bytes, mark: bytes) -> bytes:
    """A header of the fifth version that names a file with a profile."""
    (offset,) = struct.unpack_from("<I", bmp, 10)
    pixels = bmp[offset:]
    head = struct.pack("<I", 124) + bmp[18:54] + bytes(16) + b"KNIL" + bytes(36 + 12)
    head += struct.pack("<IIII", 4, 124 + len(pixels), len(mark) + 1, 0)
    begin = b"BM" + struct.pack("<IHHI", 14 + 124 + len(pixels) + len(mark) + 1, 0, 0, 14 + 124)
    return begin + head + pixels + mark + b"\0"


def _bmp() -> list[Carrier]:
    return [
        made("bmp-gap", "bmp", "hidden_data", _gap),
        made("bmp-trailer", "bmp", "trailing_data", lambda bmp, mark: bmp + mark),
        made("bmp-v5", "bmp", "colour_profile", _linked),
    ]
