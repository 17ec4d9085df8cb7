"""A PNG or APNG without anything but its picture: header, palette, transparency, samples, frames, and one word of
colour.

A stream of samples is taken over as it lies where it holds exactly the picture; else its rows are packed anew. Unused
entries of a palette and colour under full transparency are made black: nobody has seen them.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from worker.media.lossless import pixels
from worker.media.lossless.chunks import SIGNATURE, Header, chunk, chunks_of
from worker.media.lossless.declined import Declined

_COLOURS = frozenset({b"sRGB", b"gAMA", b"cHRM", b"cICP", b"iCCP"})
_KEPT = frozenset({b"IHDR", b"PLTE", b"tRNS", b"acTL"}) | _COLOURS


@dataclass(kw_only=True)
class _Frame:
    """`control` is fcTL after its sequence number, or None for a still; `packed` the zlib stream of its samples."""

    control: bytes | None
    packed: list[memoryview] = field(default_factory=list)


def rewrite(data: bytes, orientation: int, profile: bytes | None) -> bytes:
    """Raises `Declined`."""
    header, animation, frames, word = _parsed(data, profile)
    streams = [(frame.control, _stream(header, frame)) for frame in frames]
    header, streams = pixels.turned(*pixels.without_hidden(header, streams), orientation)
    pieces = [SIGNATURE, header.chunk(), word]
    if header.palette:
        pieces.append(chunk(b"PLTE", header.palette))
    if header.clear:
        pieces.append(chunk(b"tRNS", header.clear))
    if animation is not None:
        pieces.insert(2, chunk(b"acTL", struct.pack(">II", len(frames), animation)))
    pieces += _frames(streams)
    return b"".join([*pieces, chunk(b"IEND", b"")])


def _frames(streams: list[tuple[bytes | None, bytes]]) -> Iterator[bytes]:
    sequence = 0
    for number, (control, packed) in enumerate(streams):
        if control is not None:
            yield chunk(b"fcTL", struct.pack(">I", sequence) + control)
            sequence += 1
        if number == 0:
            yield chunk(b"IDAT", packed)
        else:
            yield chunk(b"fdAT", struct.pack(">I", sequence) + packed)
            sequence += 1


def _parsed(data: bytes, profile: bytes | None) -> tuple[Header, int | None, list[_Frame], bytes]:
    """The header, how often an animation is played (None for a still), its frames, and the word of colour."""
    found: dict[bytes, bytes] = {}
    frames: list[_Frame] = []
    default = _Frame(control=None)
    current = default
    sequence = 0
    for kind, body in chunks_of(data):
        if kind in (b"fcTL", b"fdAT"):
            # Out of order, decoders show the default image or nothing; which one is not ours to choose.
            if int.from_bytes(body[:4], "big") != sequence:
                raise Declined("unusual_coding")
            sequence += 1
        if kind == b"fcTL":
            current = _Frame(control=_control(bytes(body)))
            frames.append(current)
        elif kind == b"IDAT":
            (frames[0] if frames else default).packed.append(body)
        elif kind == b"fdAT":
            current.packed.append(body[4:])
        elif kind in _KEPT:
            found.setdefault(kind, bytes(body))
    header = _header(found)
    if b"acTL" not in found:
        still = frames[0] if frames else default
        return header, None, [_Frame(control=None, packed=still.packed)], _word(found, profile)
    if not frames or int.from_bytes(found[b"acTL"][:4], "big") != len(frames):
        raise Declined("unusual_coding")
    _checked_frames(header, frames)
    return header, int.from_bytes(found[b"acTL"][4:8], "big"), frames, _word(found, profile)


def _control(body: bytes) -> bytes:
    if len(body) != 26 or body[24] > 2 or body[25] > 1:
        raise Declined("unusual_coding")
    return body[4:]


def _header(found: dict[bytes, bytes]) -> Header:
    width, height, depth, colour, packing, filtering, interlaced = struct.unpack(">IIBBBBB", found[b"IHDR"])
    if packing or filtering:
        raise Declined("unusual_coding")
    palette = found.get(b"PLTE", b"") if colour == 3 else b""
    clear = found.get(b"tRNS", b"") if colour in (0, 2, 3) else b""
    if (colour == 3) != bool(palette) or len(palette) % 3 or (colour != 3 and len(clear) not in (0, 2 + 2 * colour)):
        raise Declined("unusual_coding")
    return Header(
        width=width,
        height=height,
        depth=depth,
        colour=colour,
        interlaced=bool(interlaced),
        palette=palette,
        clear=clear[: len(palette) // 3] if colour == 3 else clear,
    )


def _checked_frames(header: Header, frames: list[_Frame]) -> None:
    """The first frame is the default image. Where an animation hides another one there, it is left behind: the first
    frame takes its place, which it can where it covers the canvas."""
    for number, frame in enumerate(frames):
        width, height, x, y = struct.unpack_from(">4I", frame.control or b"")
        inside = 0 < width <= header.width - x and 0 < height <= header.height - y
        if not inside or not frame.packed or (not number and (width, height) != (header.width, header.height)):
            raise Declined("unusual_coding")


def _word(found: dict[bytes, bytes], profile: bytes | None) -> bytes:
    """What says the colours: our profile, or the one word that stands for whatever said that they are sRGB."""
    if profile is not None:
        # Its usual name, and one stored block (RFC 1951, 3.2.4): the same bytes with any zlib.
        stored = b"\x78\x01\x01" + struct.pack("<HH", len(profile), 65_535 - len(profile)) + profile
        return chunk(b"iCCP", b"ICC Profile\0\0" + stored + struct.pack(">I", zlib.adler32(profile)))
    return chunk(b"sRGB", b"\0") if found.keys() & _COLOURS else b""


def _stream(header: Header, frame: _Frame) -> bytes:
    """The frame's samples packed: as they lie, or anew where the stream holds more than the rows."""
    own = header
    if frame.control is not None:
        own = header.of_frame(*struct.unpack_from(">II", frame.control))
    packed, size = b"".join(frame.packed), own.samples()
    inflating = zlib.decompressobj()
    raw = inflating.decompress(packed, size)
    if len(raw) != size:
        raise Declined("unusual_coding")
    ends = not inflating.decompress(inflating.unconsumed_tail, 1) and inflating.eof and not inflating.unused_data
    return packed if ends else zlib.compress(raw, 6)
