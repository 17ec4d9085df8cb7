"""A GIF without anything but its pictures: screen, palettes, timing, images, and how often they are played.

The codes of each image end with its last pixel, and palette entries that no pixel uses are made black.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from worker.media.lossless import lzw
from worker.media.lossless.declined import Declined

_LOOPS = (b"NETSCAPE2.0", b"ANIMEXTS1.0")
_TABLE, _INTERLACED = 0x80, 0x40
# Bytes of all images. A megabyte takes half a second here and most of one in the second reader.
MOST_CODES = 12_000_000
# Colour resolution of eight bits, which says nothing of the file it came from.
_RESOLUTION = 0x70


@dataclass(kw_only=True)
class _Palette:
    """Colours as they were, and the numbers that some pixel shows."""

    colours: bytes
    used: set[int] = field(default_factory=set)

    def bare(self) -> bytes:
        entries = (self.colours[3 * n : 3 * n + 3] if n in self.used else b"\0\0\0" for n in range(self.size))
        return b"".join(entries)

    @property
    def size(self) -> int:
        return len(self.colours) // 3


@dataclass(frozen=True, kw_only=True)
class _Image:
    """`control` is the graphic control's four bytes, or empty; `place` left, top, width, height in pixels."""

    control: bytes
    place: tuple[int, int, int, int]
    interlaced: bool
    palette: _Palette | None
    minimum: int
    codes: bytes


@dataclass(kw_only=True)
class _Screen:
    width: int
    height: int
    background: int
    palette: _Palette | None
    bytes_left: int
    images: list[_Image] = field(default_factory=list)
    loop: int | None = None


def rewrite(data: bytes, orientation: int, profile: bytes | None) -> bytes:
    """`orientation` and `profile` are never of a GIF. Raises `Declined`."""
    if orientation != 1 or profile is not None:
        raise Declined("unusual_coding")
    screen = _parsed(data)
    flags = _RESOLUTION | (_table_flags(screen.palette) if screen.palette else 0)
    pieces = [b"GIF89a", struct.pack("<HHBBB", screen.width, screen.height, flags, screen.background, 0)]
    if screen.palette:
        pieces.append(screen.palette.bare())
    if screen.loop is not None:
        pieces.append(b"\x21\xff\x0bNETSCAPE2.0\x03\x01" + struct.pack("<HB", screen.loop, 0))
    for image in screen.images:
        pieces += _written(image)
    return b"".join([*pieces, b"\x3b"])


def _table_flags(palette: _Palette) -> int:
    return _TABLE | (palette.size.bit_length() - 2)


def _written(image: _Image) -> Iterator[bytes]:
    if image.control:
        yield b"\x21\xf9\x04" + image.control + b"\0"
    flags = (_INTERLACED if image.interlaced else 0) | (_table_flags(image.palette) if image.palette else 0)
    yield b"\x2c" + struct.pack("<4HB", *image.place, flags)
    if image.palette:
        yield image.palette.bare()
    yield bytes((image.minimum,))
    for at in range(0, len(image.codes), 255):
        part = image.codes[at : at + 255]
        yield bytes((len(part),)) + part
    yield b"\0"


def _parsed(data: bytes) -> _Screen:
    width, height, flags, background = struct.unpack_from("<HHBB", data, 6)
    palette, at = _palette(data, 13, flags)
    in_use = palette is not None and background < palette.size
    screen = _Screen(
        width=width, height=height, background=background if in_use else 0, palette=palette, bytes_left=MOST_CODES
    )
    if palette:
        palette.used.add(screen.background)
    control = b""
    while at < len(data) and data[at] != 0x3B:
        if data[at] == 0x2C:
            at = _image(data, at + 1, control, screen)
            control = b""
        elif data[at] == 0x21:
            body, after = _sub_blocks(data, at + 2)
            control = _extension(data[at + 1], body, control, screen)
            at = after
        else:
            raise Declined("unusual_coding")
    if not screen.images:
        raise Declined("unusual_coding")
    return screen


def _extension(label: int, body: bytes, control: bytes, screen: _Screen) -> bytes:
    """The graphic control for the next image; a plain text is drawn by nobody, and uses up its own."""
    if label == 0xF9 and len(body) >= 4:
        clear = body[0] & 1
        return bytes((body[0] & 0x1D, body[1], body[2], body[3] if clear else 0))
    if label == 0xFF and body[:11] in _LOOPS and len(body) >= 14 and body[11] == 1 and screen.loop is None:
        screen.loop = int.from_bytes(body[12:14], "little")
    return b"" if label == 0x01 else control


def _image(data: bytes, at: int, control: bytes, screen: _Screen) -> int:
    left, top, width, height, flags = struct.unpack_from("<4HB", data, at)
    if not width or not height or left + width > screen.width or top + height > screen.height:
        # What lies outside the screen is never shown.
        raise Declined("hidden_data")
    palette, at = _palette(data, at + 9, flags)
    minimum = data[at]
    packed, at = _sub_blocks(data, at + 1)
    shown = palette or screen.palette
    if shown is None or not 1 < minimum < 9:
        raise Declined("unusual_coding")
    screen.bytes_left -= len(packed)
    if screen.bytes_left < 0:
        raise Declined("too_large")
    codes, used = lzw.trimmed(packed, minimum, width * height)
    clear = {control[3]} if control and control[0] & 1 else set()
    if max(used) >= shown.size:
        raise Declined("unusual_coding")
    shown.used |= used - clear
    place = left, top, width, height
    screen.images.append(
        _Image(
            control=control,
            place=place,
            interlaced=bool(flags & _INTERLACED),
            palette=palette,
            minimum=minimum,
            codes=codes,
        )
    )
    return at


def _palette(data: bytes, at: int, flags: int) -> tuple[_Palette | None, int]:
    if not flags & _TABLE:
        return None, at
    end = at + (3 << ((flags & 7) + 1))
    return _Palette(colours=data[at:end]), end


def _sub_blocks(data: bytes, at: int) -> tuple[bytes, int]:
    """What a chain holds, and where the next block begins."""
    parts = []
    while size := data[at]:
        parts.append(data[at + 1 : at + 1 + size])
        at += 1 + size
    return b"".join(parts), at + 1
