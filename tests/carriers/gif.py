"""Carriers of GIF: extensions of every label, what follows the end, and what hides in sub-blocks and palettes."""

from __future__ import annotations

import struct

from tests import pieces
from tests.carriers.jpeg import packet
from tests.carriers.planted import Carrier, Plant, made

GIF = "gif"


def carriers() -> list[Carrier]:
    """All of them, in the order of the reference."""
    behind = "behind the samples' end code, where only a decoder could tell it from samples"
    unused = "a colour that no pixel has: palettes are seldom full, so it is no sign"
    return [
        _gif("comment", "comment", _extension(0xFE), tag="Comment"),
        _gif("plaintext", "comment", _extension(0x01, struct.pack("<4H4B", 0, 0, 8, 8, 8, 8, 1, 0))),
        _gif("xmp", "owner_name", _xmp, tag="Creator"),
        _gif("icc", "colour_profile", _icc),
        _gif("app", "unknown_block", _extension(0xFF, b"CANARYAPP10")),
        _gif("netscape", "hidden_data", _extension(0xFF, b"NETSCAPE2.0", b"\1\0\0")),
        _gif("unknown", "unknown_block", _extension(0x99)),
        _gif("trailer", "trailing_data", lambda gif, mark: gif + mark),
        _gif("lzw-tail", "", _lzw_tail, why=behind),
        _gif("palette", "", _palette, why=unused),
    ]


def _gif(name: str, kinds: str, plant: Plant, **more: object) -> Carrier:
    return made(f"gif-{name}", GIF, kinds, plant, **more)


def sub_blocks(body: bytes) -> bytes:
    """Blocks of 255 bytes at most, then the empty one."""
    parts = [body[at : at + 255] for at in range(0, len(body), 255)]
    return b"".join(bytes((len(part),)) + part for part in parts) + b"\0"


def _put(gif: bytes, extension: bytes) -> bytes:
    """Right after the global palette."""
    flags = gif[10]
    at = 13 + (3 << ((flags & 7) + 1) if flags & 0x80 else 0)
    return gif[:at] + extension + gif[at:]


def _extension(label: int, *heads: bytes) -> Plant:
    """The heads are sub-blocks of their own, as the first one must be."""
    begin = b"".join(bytes((len(head),)) + head for head in heads)
    return lambda gif, mark: _put(gif, b"\x21" + bytes((label,)) + begin + sub_blocks(mark))


def _xmp(gif: bytes, mark: bytes) -> bytes:
    """The packet lies plain; a slide of 256 bytes leads whoever reads lengths to its end (XMP part 3, 1.1.2)."""
    said = packet(f"<dc:creator><rdf:Seq><rdf:li>{mark.decode()}</rdf:li></rdf:Seq></dc:creator>")
    slide = b"\1" + bytes(range(255, -1, -1)) + b"\0"
    return _put(gif, b"\x21\xff\x0bXMP DataXMP" + said + slide)


def _icc(gif: bytes, mark: bytes) -> bytes:
    """The profile's sub-blocks are cut where its text begins, so that the mark lies in one of them."""
    profile = pieces.rgb_profile("p3", text=mark.decode())
    cut = profile.index(mark)
    return _put(gif, b"\x21\xff\x0bICCRGBG1012" + sub_blocks(profile[:cut])[:-1] + sub_blocks(profile[cut:]))


def _first_image(gif: bytes) -> int:
    """Where the first image's samples begin: behind its descriptor, its palette and the code size."""
    at = gif.index(b"\x2c", 13)
    flags = gif[at + 9]
    return at + 10 + (3 << ((flags & 7) + 1) if flags & 0x80 else 0) + 1


def _lzw_tail(gif: bytes, mark: bytes) -> bytes:
    at = _first_image(gif)
    while gif[at]:
        at += 1 + gif[at]
    return gif[:at] + bytes((len(mark),)) + mark + gif[at:]


def _palette(gif: bytes, mark: bytes) -> bytes:
    """A global palette of 256 colours, of which the last say something."""
    flags, old = gif[10], gif[13 : 13 + (3 << ((gif[10] & 7) + 1))]
    assert flags & 0x80
    colours = old.ljust(768 - 48, b"\0") + mark.ljust(48, b"\0")
    return gif[:10] + bytes((flags | 7,)) + gif[11:13] + colours + gif[13 + len(old) :]
