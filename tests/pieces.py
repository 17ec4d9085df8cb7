"""Builds the containers of pictures byte by byte: segments, chunks, blocks, boxes, EXIF and ICC, all from code."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

PNG = b"\x89PNG\r\n\x1a\n"


def segment(marker: int, body: bytes) -> bytes:
    """A JPEG segment."""
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def with_segments(jpeg: bytes, *segments: bytes) -> bytes:
    """A JPEG with segments put right after its first marker."""
    return jpeg[:2] + b"".join(segments) + jpeg[2:]


def chunk(kind: bytes, body: bytes = b"") -> bytes:
    """A PNG chunk with its checksum."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def with_chunks(png: bytes, *chunks: bytes) -> bytes:
    """A PNG with chunks put right after IHDR."""
    return png[:33] + b"".join(chunks) + png[33:]


def chunks_of(png: bytes) -> list[tuple[bytes, bytes]]:
    found, at = [], 8
    while at < len(png):
        size, kind = struct.unpack_from(">I4s", png, at)
        found.append((kind, png[at + 8 : at + 8 + size]))
        at += 12 + size
    return found


def png_of(chunks: Sequence[tuple[bytes, bytes]]) -> bytes:
    return PNG + b"".join(chunk(kind, body) for kind, body in chunks)


def header(width: int, height: int, *, depth: int = 8, colour: int = 2) -> bytes:
    """An IHDR chunk; colour 0 grey, 2 RGB, 3 palette, 6 RGBA."""
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))


def zeros(amount: int) -> bytes:
    """A zlib stream of so many zero bytes, about a thousandth of their size, without ever holding them."""
    packer = zlib.compressobj(9)
    head = packer.compress(b"") or b"\x78\xda"
    block = 1 << 20
    raw = zlib.compressobj(9, zlib.DEFLATED, -15)
    one = raw.compress(bytes(block)) + raw.flush(zlib.Z_FULL_FLUSH)
    last = zlib.compressobj(9, zlib.DEFLATED, -15)
    rest = last.compress(bytes(amount % block)) + last.flush()
    return head + one * (amount // block) + rest + struct.pack(">HH", amount % 65_521, 1)


def riff(kind: bytes, body: bytes) -> bytes:
    """A RIFF chunk, padded to an even length."""
    return kind + struct.pack("<I", len(body)) + body + bytes(len(body) & 1)


def webp_of(*chunks: bytes) -> bytes:
    inner = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(inner)) + inner


def riff_chunks(webp: bytes) -> list[tuple[bytes, bytes]]:
    found, at = [], 12
    while at + 8 <= len(webp):
        kind, size = struct.unpack_from("<4sI", webp, at)
        found.append((kind, webp[at + 8 : at + 8 + size]))
        at += 8 + size + (size & 1)
    return found


def extended(webp: bytes, *, flags: int = 0, size: tuple[int, int], more: Sequence[bytes] = ()) -> bytes:
    """A still WebP in its extended form, with chunks after its pixels."""
    pixels = [riff(kind, body) for kind, body in riff_chunks(webp) if kind != b"VP8X"]
    canvas = b"".join((side - 1).to_bytes(3, "little") for side in size)
    return webp_of(riff(b"VP8X", bytes((flags, 0, 0, 0)) + canvas), *pixels, *more)


def box(kind: bytes, *bodies: bytes) -> bytes:
    body = b"".join(bodies)
    return struct.pack(">I4s", 8 + len(body), kind) + body


# --- EXIF ----------------------------------------------------------------------------------------------------------

Value = str | bytes | int | tuple[tuple[int, int], ...]


def _packed(value: Value, tag: int) -> tuple[int, int, bytes]:
    """Type, count and bytes of a value: text, raw bytes, a short (orientation), a long, or rationals."""
    if isinstance(value, str):
        body = value.encode() + b"\0"
        return 2, len(body), body
    if isinstance(value, bytes):
        return 7, len(value), value
    if isinstance(value, int):
        short = tag in (0x0112, 0x0103, 0xA001)
        return (3, 1, struct.pack("<HH", value, 0)) if short else (4, 1, struct.pack("<I", value))
    return 5, len(value), b"".join(struct.pack("<II", *pair) for pair in value)


def _directory(tags: dict[int, Value], at: int, following: int = 0) -> bytes:
    """One directory lying at `at`, its longer values right behind it."""
    entries, behind = b"", b""
    end = at + 6 + 12 * len(tags)
    for tag in sorted(tags):
        kind, count, body = _packed(tags[tag], tag)
        if len(body) > 4:
            body, behind = struct.pack("<I", end + len(behind)), behind + body + bytes(len(body) & 1)
        entries += struct.pack("<HHI", tag, kind, count) + body.ljust(4, b"\0")
    return struct.pack("<H", len(tags)) + entries + struct.pack("<I", following) + behind


def exif_block(
    main: dict[int, Value],
    camera: dict[int, Value] | None = None,
    gps: dict[int, Value] | None = None,
    thumbnail: bytes = b"",
) -> bytes:
    """A TIFF structure as EXIF uses it: IFD0, the camera's and the GPS directory, a thumbnail in IFD1."""
    main = dict(main) | ({0x8769: 0} if camera else {}) | ({0x8825: 0} if gps else {})
    parts, at = [], 8 + len(_directory(main, 8))
    for pointer, tags in ((0x8769, camera), (0x8825, gps)):
        if tags:
            main[pointer] = at
            parts.append(_directory(tags, at))
            at += len(parts[-1])
    following = 0
    if thumbnail:
        following = at
        small: dict[int, Value] = {0x0103: 6, 0x0201: 0, 0x0202: len(thumbnail)}
        small[0x0201] = at + len(_directory(small, at))
        parts.append(_directory(small, at) + thumbnail)
    return b"II*\0\x08\0\0\0" + _directory(main, 8, following) + b"".join(parts)


# --- ICC -----------------------------------------------------------------------------------------------------------


def _profile(space: bytes, device: bytes, tags: dict[bytes, bytes], connection: bytes = b"XYZ ") -> bytes:
    table, body, at = b"", b"", 132 + 12 * len(tags)
    for name, data in tags.items():
        table += name + struct.pack(">II", at + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    head = struct.pack(">I4sI4s4s4s", at + len(body), b"\0" * 4, 0x02400000, device, space, connection)
    head += struct.pack(">6H", 2020, 1, 1, 0, 0, 0) + b"acsp" + bytes(28)
    head += struct.pack(">3i", 63_190, 65_536, 54_061) + bytes(48)
    return head + struct.pack(">I", len(tags)) + table + body


def _xyz(*values: float) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65_536) for value in values))


def _gamma(value: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(value * 256))


def _srgb_curve() -> bytes:
    codes = [step / 1023 for step in range(1024)]
    light = [code / 12.92 if code <= 0.04045 else ((code + 0.055) / 1.055) ** 2.4 for code in codes]
    return b"curv\0\0\0\0" + struct.pack(">I1024H", 1024, *(round(value * 65_535) for value in light))


def _named(text: bytes) -> dict[bytes, bytes]:
    said = b"desc\0\0\0\0" + struct.pack(">I", len(text) + 1) + text + b"\0" + bytes(78)
    return {b"desc": said, b"cprt": b"text\0\0\0\0none\0", b"wtpt": _xyz(0.9642, 1.0, 0.8249)}


# XYZ under D50 of red, green and blue, as the profiles of their makers have them.
COLOURS = {
    "adobe": ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457)),
    "p3": ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407)),
    "rec2020": ((0.67348, 0.27904, -0.00194), (0.16566, 0.67534, 0.02998), (0.12505, 0.04561, 0.79684)),
    "srgb": ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410)),
}


def rgb_profile(name: str, *, text: str = "canary profile", gamma: float | None = 2.2) -> bytes:
    """A matrix profile of the primaries of `COLOURS`, with a description that names its owner's monitor.

    Without a gamma its curve is that of sRGB, in 1,024 steps.
    """
    columns = dict(zip((b"rXYZ", b"gXYZ", b"bXYZ"), (_xyz(*each) for each in COLOURS[name]), strict=True))
    curves = dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), _srgb_curve() if gamma is None else _gamma(gamma))
    return _profile(b"RGB ", b"mntr", _named(text.encode()) | columns | curves)


def grey_profile(gamma: float) -> bytes:
    """A grey profile of one curve."""
    return _profile(b"GRAY", b"mntr", _named(b"grey") | {b"kTRC": _gamma(gamma)})


def cmyk_profile() -> bytes:
    """A press of our own: black takes all light, each ink one third of it, paper is white."""
    fields = []
    for number in range(16):
        inks = [number >> shift & 1 for shift in (3, 2, 1, 0)]
        fields.append((0 if inks[3] else 100 - 60 * sum(inks[:3]) / 2.55, 0, 0))
    return press(fields)


# L*, a*, b* of offset print on coated paper: white, yellow, magenta, red, cyan, green, blue, all three.
_OFFSET = (
    (95, 0, -2),
    (89, -5, 93),
    (48, 74, -3),
    (47, 68, 48),
    (55, -37, -50),
    (50, -65, 27),
    (24, 22, -46),
    (23, 0, 0),
)


def offset_profile() -> bytes:
    """A press with inks as they are; black leaves a sixth of the light."""
    return press([each for light, a, b in _OFFSET for each in ((light, a, b), (light / 6, a / 8, b / 8))])


def press(fields: Sequence[tuple[float, float, float]]) -> bytes:
    """A CMYK profile: L*, a*, b* where each ink is none or full, black running fastest, cyan slowest."""
    corners = bytearray()
    for light, a, b in fields:
        corners += bytes(round(value) for value in (light * 2.55, a + 128, b + 128))
    identity = bytes(range(256))
    matrix = struct.pack(">9i", 65_536, 0, 0, 0, 65_536, 0, 0, 0, 65_536)
    table = b"mft1\0\0\0\0" + bytes((4, 3, 2, 0)) + matrix + identity * 4 + bytes(corners) + identity * 3
    return _profile(b"CMYK", b"prtr", _named(b"press") | {b"A2B0": table}, connection=b"Lab ")
