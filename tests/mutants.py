"""Mutants of finished files: a segment, chunk, box or a few bytes put in, taken away or altered at a random place.

`dice` is a `random.Random`, from a seed or from hypothesis. It shares no code with the second reader. What is planted
is told apart from what lies in samples: a decoder that takes other samples has another picture, not a hidden text.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

from tests import pieces, samples

CANARY = b"CANARY-7731 at 48.8577 north"
_NOISE = 24


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """`what` was done to it; `planted` where the canary now stands in it outside of any sample."""

    body: bytes
    what: str
    planted: bool


@dataclass(kw_only=True)
class Part:
    """A segment, chunk or box: `inside` it are others, or its payload. `pixels` marks samples."""

    kind: bytes
    payload: bytes = b""
    inside: list[Part] | None = None
    pixels: bool = False


Join = Callable[[list[Part]], bytes]
# Quantisation and Huffman tables of a JPEG.
_TABLES = frozenset({b"\xdb", b"\xc4"})
Change = Callable[[Random, list[Part]], tuple[str, bool]]


def mutant(media_type: str, body: bytes, dice: Random, *, ours: bool = True) -> Mutant:
    """One to three changes of a finished file of one of the published types. Where it is not `ours` but an original
    with its samples untouched, the tables that the samples need are the camera's, and as good as samples."""
    if dice.random() < 0.2:
        return _raw(body, dice)
    split, join = FORMATS[media_type]
    parts = split(body)
    for part in parts:
        part.pixels = part.pixels or (not ours and part.kind in _TABLES)
    said, planted, other = [], False, False
    for _ in range(dice.choice((1, 1, 1, 2, 3))):
        row = _row(parts, dice)
        if row:
            change = dice.choice(_CHANGES)
            before = [part.payload for part in row if part.pixels]
            what, plants = change(dice, row)
            said.append(what)
            planted = planted or plants
            # Samples that were altered may run on into what stands behind them, and need it.
            other = other or (change in (_alter, _bit) and before != [part.payload for part in row if part.pixels])
    made = join(parts)
    if dice.random() < 0.1:
        made, planted, other = made + CANARY, True, False
        said.append("a tail")
    return Mutant(body=made, what=", ".join(said), planted=planted and not other and CANARY in made)


def _raw(body: bytes, dice: Random) -> Mutant:
    """Bytes without regard to what they mean. They may be samples, so nothing counts as planted."""
    at = dice.randrange(len(body) + 1)
    size = dice.choice((1, 2, 3, 4, 8, 64))
    some = bytes(dice.randrange(256) for _ in range(size))
    made = {
        "bytes put in": body[:at] + some + body[at:],
        "bytes taken away": body[:at] + body[at + size :],
        "bytes altered": body[:at] + some + body[at + size :],
        "bytes twice": body[:at] + body[max(0, at - size) : at] + body[at:],
        "cut": body[:at],
        "bytes before": some + body,
        "bytes after": body + some,
        "the file twice": body + body,
    }
    what = dice.choice(list(made))
    return Mutant(body=made[what], what=what, planted=False)


def _row(parts: list[Part], dice: Random) -> list[Part]:
    """The parts at the top or, as likely, those inside one of them, at any depth."""
    row = parts
    while True:
        deeper = [part.inside for part in row if part.inside]
        if not deeper or dice.random() < 0.4:
            return row
        row = dice.choice(deeper)


def _filling(dice: Random) -> bytes:
    noise = bytes(dice.randrange(256) for _ in range(dice.randrange(_NOISE)))
    return dice.choice((CANARY, CANARY, samples.xmp(CANARY.decode()), b"", bytes(8), noise))


def _put(dice: Random, row: list[Part]) -> tuple[str, bool]:
    near = dice.choice(row).kind
    kind = dice.choice((near, near, dice.choice(_KINDS), bytes(dice.randrange(256) for _ in range(len(near)))))
    filling = _filling(dice)
    row.insert(dice.randrange(len(row) + 1), Part(kind=kind[: len(near)].ljust(len(near)), payload=filling))
    return f"put {kind!r}", CANARY in filling


def _drop(dice: Random, row: list[Part]) -> tuple[str, bool]:
    return f"took away {row.pop(dice.randrange(len(row))).kind!r}", False


def _twin(dice: Random, row: list[Part]) -> tuple[str, bool]:
    part = dice.choice(row)
    row.insert(dice.randrange(len(row) + 1), part)
    return f"{part.kind!r} twice", False


def _swap(dice: Random, row: list[Part]) -> tuple[str, bool]:
    one, other = dice.randrange(len(row)), dice.randrange(len(row))
    row[one], row[other] = row[other], row[one]
    return f"swapped {row[one].kind!r} and {row[other].kind!r}", False


def _grow(dice: Random, row: list[Part]) -> tuple[str, bool]:
    """Bytes at the end of a payload: behind samples, too, they are a text that nobody asked for."""
    part = dice.choice(row)
    if part.inside is not None:
        part.inside.append(Part(kind=part.kind, payload=CANARY))
    else:
        part.payload += CANARY
    return f"{part.kind!r} longer", True


def _alter(dice: Random, row: list[Part]) -> tuple[str, bool]:
    """Other bytes in a payload, as many; or a few in the middle."""
    part = dice.choice(row)
    at = dice.randrange(len(part.payload) + 1)
    text = CANARY if not part.pixels and dice.random() < 0.5 else bytes(dice.randrange(256) for _ in range(3))
    over = dice.random() < 0.7
    part.payload = part.payload[:at] + text + part.payload[at + (len(text) if over else 0) :]
    return f"{part.kind!r} altered at {at}", text == CANARY and part.inside is None


def _bit(dice: Random, row: list[Part]) -> tuple[str, bool]:
    part = dice.choice(row)
    if part.payload:
        at = dice.randrange(len(part.payload))
        flipped = part.payload[at] ^ 1 << dice.randrange(8)
        part.payload = part.payload[:at] + bytes((flipped,)) + part.payload[at + 1 :]
    return f"a bit of {part.kind!r}", False


_CHANGES: tuple[Change, ...] = (_put, _put, _put, _drop, _twin, _swap, _grow, _alter, _alter, _bit)
# Names that mean something somewhere.
_KINDS = (
    *(bytes((marker, 0, 0, 0)) for marker in (0xE0, 0xE1, 0xE2, 0xEB, 0xED, 0xEE, 0xFE, 0xDB, 0xC4, 0xDD, 0xF5, 0xC1)),
    *(b"\x21\xfe", b"\x21\xff", b"\x21\x01", b"\x21\xf9", b"\x2c\0"),
    *(b"tEXt", b"zTXt", b"iTXt", b"eXIf", b"iCCP", b"tIME", b"pHYs", b"acTL", b"caBX", b"sRGB", b"gAMA", b"IDAT"),
    *(b"EXIF", b"XMP ", b"ICCP", b"ALPH", b"ANIM", b"ANMF", b"VP8 ", b"VP8L", b"VP8X", b"C2PA"),
    *(b"udta", b"meta", b"uuid", b"free", b"skip", b"wide", b"mdat", b"moov", b"trak", b"hdlr", b"ilst", b"sgpd"),
    *(b"infe", b"iinf", b"iref", b"colr", b"auxC", b"ispe", b"Exif", b"mime", b"thmb", b"clap", b"irot"),
)


def _jpeg_parts(body: bytes) -> list[Part]:
    found, at = [], 2
    while body[at + 1] != 0xDA:
        size = int.from_bytes(body[at + 2 : at + 4], "big")
        found.append(Part(kind=body[at + 1 : at + 2], payload=body[at + 4 : at + 2 + size]))
        at += 2 + size
    size = int.from_bytes(body[at + 2 : at + 4], "big")
    found.append(Part(kind=b"\xda", payload=body[at + 4 : at + 2 + size]))
    return [*found, Part(kind=b"\0", payload=body[at + 2 + size : -2], pixels=True)]


def _jpeg_of(parts: list[Part]) -> bytes:
    """The part without a marker is the samples; a text among them must not read as a marker."""
    made = [part.payload if part.kind == b"\0" else pieces.segment(part.kind[0], part.payload) for part in parts]
    return b"\xff\xd8" + b"".join(made) + b"\xff\xd9"


def _gif_parts(body: bytes) -> list[Part]:
    """The head with its palette, then blocks, each with its chain of sub-blocks."""
    at = 13 + _palette(body[10])
    found = [Part(kind=b"GI", payload=body[2:at])]
    while body[at] != 0x3B:
        begin = at
        at += 2 if body[at] == 0x21 else 11 + _palette(body[at + 9])
        while body[at]:
            at += 1 + body[at]
        at += 1
        found.append(Part(kind=body[begin : begin + 2], payload=body[begin + 2 : at], pixels=body[begin] == 0x2C))
    return found


def _palette(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _sub_blocks(inner: bytes) -> bytes:
    parts = [inner[at : at + 255] for at in range(0, len(inner), 255)]
    return b"".join(bytes((len(part),)) + part for part in parts) + b"\0"


def _gif_of(parts: list[Part]) -> bytes:
    """What was put in, or ends no chain any more, is made one."""
    made = [
        part.kind + (part.payload if part.payload.endswith(b"\0") else _sub_blocks(part.payload))
        if part.kind[0] == 0x21
        else part.kind + part.payload
        for part in parts
    ]
    return b"".join(made) + b"\x3b"


def _png_parts(body: bytes) -> list[Part]:
    return [Part(kind=kind, payload=data, pixels=kind == b"IDAT") for kind, data in pieces.chunks_of(body)]


def _png_of(parts: list[Part]) -> bytes:
    return pieces.png_of([(part.kind, part.payload) for part in parts])


def _webp_parts(body: bytes) -> list[Part]:
    found = []
    for kind, data in pieces.riff_chunks(body):
        part = Part(kind=kind, payload=data, pixels=kind in (b"VP8 ", b"VP8L", b"ALPH"))
        if kind == b"ANMF":
            part.payload, part.inside = data[:16], _webp_parts(b"RIFF\0\0\0\0WEBP" + data[16:])
        found.append(part)
    return found


def _webp_of(parts: list[Part]) -> bytes:
    return pieces.webp_of(*map(_riff, parts))


def _riff(part: Part) -> bytes:
    return pieces.riff(part.kind, part.payload + b"".join(map(_riff, part.inside or ())))


def _box_parts(body: bytes) -> list[Part]:
    """Boxes of a film or a still; those that hold others are opened."""
    found, at = [], 0
    while at + 8 <= len(body):
        size, kind = struct.unpack_from(">I4s", body, at)
        inner = body[at + 8 : at + size]
        part = Part(kind=kind, payload=inner, pixels=kind == b"mdat")
        if kind in _HOLDERS:
            head = _HOLDERS[kind]
            part.payload, part.inside = inner[:head], _box_parts(inner[head:])
        found.append(part)
        at += size
    return found


# Bytes before the boxes inside.
_HOLDERS = dict.fromkeys((b"moov", b"trak", b"mdia", b"minf", b"dinf", b"stbl", b"edts", b"iprp", b"ipco"), 0) | {
    b"meta": 4, b"iref": 4, b"stsd": 8, b"dref": 8, b"avc1": 78, b"mp4a": 28,
}  # fmt: skip


def _boxes_of(parts: list[Part]) -> bytes:
    return b"".join(
        pieces.box(part.kind, part.payload, b"" if part.inside is None else _boxes_of(part.inside)) for part in parts
    )


def _film_of(parts: list[Part]) -> bytes:
    """Chunk offsets follow what has moved, as a muxer would have it: else every change would be found by them alone."""
    begins = [len(_boxes_of(parts[:number])) for number, part in enumerate(parts) if part.kind == b"mdat"]
    moved = begins[0] + 8 - _first_offset(parts) if begins else 0
    # A table that stands there twice is one object, and is moved once.
    for table in {id(each): each for each in _all(parts, b"stco")}.values() if moved else ():
        count = max(0, len(table.payload) - 8) // 4
        offsets = [
            (each + moved) & 0xFFFFFFFF for each in struct.unpack(f">{count}I", table.payload[8 : 8 + 4 * count])
        ]
        table.payload = table.payload[:8] + struct.pack(f">{count}I", *offsets) + table.payload[8 + 4 * count :]
    return _boxes_of(parts)


def _first_offset(parts: list[Part]) -> int:
    offsets = [int.from_bytes(table.payload[8:12], "big") for table in _all(parts, b"stco") if len(table.payload) >= 12]
    return min(offsets, default=0)


def rows(parts: list[Part]) -> Iterator[list[Part]]:
    """The parts at the top, then those inside each of them, at every depth."""
    yield parts
    for part in parts:
        if part.inside is not None:
            yield from rows(part.inside)


def _all(parts: list[Part], kind: bytes) -> list[Part]:
    return [part for row in rows(parts) for part in row if part.kind == kind]


FORMATS: dict[str, tuple[Callable[[bytes], list[Part]], Join]] = {
    "image/jpeg": (_jpeg_parts, _jpeg_of),
    "image/png": (_png_parts, _png_of),
    "image/webp": (_webp_parts, _webp_of),
    "image/gif": (_gif_parts, _gif_of),
    "image/avif": (_box_parts, _boxes_of),
    "video/mp4": (_box_parts, _film_of),
}
