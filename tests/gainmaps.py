"""Pictures with an HDR gain map, as phones write them, made in code; and what such a picture shows on a bright display.

`canary` is planted into both pictures. Nothing here is shared with the writer or the readers of the gain map.
"""

from __future__ import annotations

import io
import math
import re
import struct
from dataclasses import dataclass

import pillow_heif
from PIL import Image

from tests import pieces, samples
from tests.boxes import parse

XMP = b"http://ns.adobe.com/xap/1.0/\0"
ISO = b"urn:iso:std:iso:ts:21496:-1\0"
NAMES = ("GainMapMin", "GainMapMax", "Gamma", "OffsetSDR", "OffsetHDR", "HDRCapacityMin", "HDRCapacityMax")
# What a phone may write: from a third of a stop darker to 2.3 stops brighter, bent, with the usual offsets.
USUAL: dict[str, float | tuple[float, ...]] = {
    "GainMapMin": -0.33,
    "GainMapMax": 2.3,
    "Gamma": 1.4,
    "OffsetSDR": 0.015625,
    "OffsetHDR": 0.015625,
    "HDRCapacityMin": 0.0,
    "HDRCapacityMax": 2.3,
}


def glow(width: int = 160, height: int = 120) -> Image.Image:
    """A grey map: bright in one corner, so that it shows how it was turned."""
    made = Image.radial_gradient("L").resize((2 * width, 2 * height)).crop((width, height, 2 * width, 2 * height))
    return made.point([255 - value for value in range(256)])


def ultra_hdr(
    size: tuple[int, int] = (640, 480),
    *,
    gain: Image.Image | None = None,
    said: dict[str, float | tuple[float, ...]] | None = None,
    spelling: str = "attributes",
    index: bool = True,
    **photo: object,
) -> bytes:
    """A JPEG with MPF and container; `spelling` of the numbers: attributes, elements, iso, shared (its early form)."""
    canary = photo.get("canary")
    numbers = USUAL | (said or {})
    parts = [pieces.segment(0xE1, b"Exif\0\0" + samples.exif(canary=str(canary)))]
    if spelling in ("attributes", "elements"):
        parts.append(pieces.segment(0xE1, XMP + _packet(numbers, spelling, str(canary))))
    else:
        parts.append(pieces.segment(0xE2, ISO + binary(numbers, shared=spelling == "shared")))
    second = pieces.with_segments(_jpeg(gain or glow(size[0] // 4, size[1] // 4), str(canary)), *parts)
    first = samples.photo(size, **photo)  # type: ignore[arg-type]
    return pair(first, second, index=index)


def apple_jpeg(
    size: tuple[int, int] = (640, 480), *, headroom: float | None = 4.0, canary: str | None = None, **photo: object
) -> bytes:
    """A JPEG as a phone of that maker shares it; without `headroom` in the packet, the maker note says 2 ** 1.601."""
    second = pieces.with_segments(
        _jpeg(glow(size[0] // 2, size[1] // 2), canary or "none"),
        pieces.segment(0xE1, XMP + apple_packet(headroom, canary)),
    )
    body = io.BytesIO()
    samples.scene(*size).save(body, "JPEG", quality=90)
    exif = pieces.exif_block({0x010F: "Apple", 0x0112: int(str(photo.get("orientation", 1)))}, {0x927C: maker_note()})
    return pair(pieces.with_segments(body.getvalue(), pieces.segment(0xE1, b"Exif\0\0" + exif)), second)


def apple_packet(headroom: float | None, canary: str | None = None) -> bytes:
    said = f"<HDRGainMap:HDRGainMapHeadroom>{headroom}</HDRGainMap:HDRGainMapHeadroom>" if headroom else ""
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description xmlns:HDRGainMap='
        f'"http://ns.apple.com/HDRGainMap/1.0/"><HDRGainMap:HDRGainMapVersion>131072</HDRGainMap:HDRGainMapVersion>'
        f"{said}<dc:creator>{canary}</dc:creator></rdf:Description></rdf:RDF></x:xmpmeta>"
    ).encode()


def maker_note(first: tuple[int, int] = (8, 10), second: tuple[int, int] = (2, 100)) -> bytes:
    """Tags 33 and 48 as signed rationals behind the directory."""
    entries = struct.pack(">HHII", 33, 10, 1, 44) + struct.pack(">HHII", 48, 10, 1, 52)
    return b"Apple iOS\0\0\1MM" + struct.pack(">H", 2) + entries + bytes(4) + struct.pack(">iiii", *first, *second)


def apple_heic(
    size: tuple[int, int] = (256, 192), *, headroom: float = 4.0, canary: str | None = None, turns: int = 0
) -> bytes:
    """A HEIC with the map as an auxiliary image; `turns` to the left, by boxes, of both."""
    turn = (pieces.box(b"irot", bytes((turns,))),) if turns else ()
    base = coded(heic(samples.scene(*size)), turn)
    above = coded(heic(glow(size[0] // 2, size[1] // 2)), turn)
    urn = b"\0\0\0\0urn:com:apple:photo:2020:aux:hdrgainmap\0"
    exif = b"\0\0\0\0" + samples.exif(canary=canary)
    return heif(
        b"heic",
        [
            base,
            Item(kind=b"hvc1", data=above.data, properties=(*above.properties, pieces.box(b"auxC", urn))),
            Item(kind=b"mime", data=apple_packet(headroom, canary), content=b"application/rdf+xml\0"),
            Item(kind=b"Exif", data=exif),
        ],
        [(b"auxl", 2, [1]), (b"cdsc", 3, [2]), (b"cdsc", 4, [1])],
    )


def tone_mapped(
    kind: str,
    size: tuple[int, int] = (256, 192),
    *,
    gain: Image.Image | None = None,
    canary: str | None = None,
    version: int = 0,
    shown: tuple[int, int] | None = None,
) -> bytes:
    """An AVIF or HEIC with a derived `tmap` item (ISO/IEC 23008-12, amendment of 2024); of the picture, but not of the
    map, only its middle is `shown`."""
    crop = struct.pack(">IIIIiIiI", shown[0], 1, shown[1], 1, 0, 1, 0, 1) if shown else b""
    make = avif if kind == "avif" else heic
    base = coded(make(samples.scene(*size)), (pieces.box(b"clap", crop),) if shown else ())
    above = coded(make(gain or glow(size[0] // 2, size[1] // 2)))
    return heif(
        kind.encode(),
        [
            base,
            Item(kind=above.kind, data=above.data, properties=above.properties, flags=1),
            Item(kind=b"tmap", data=bytes((version,)) + binary(USUAL), properties=base.properties[1:2]),
            Item(kind=b"Exif", data=b"\0\0\0\0" + samples.exif(canary=canary)),
        ],
        [(b"dimg", 3, [1, 2]), (b"cdsc", 4, [1])],
    )


@dataclass(frozen=True, kw_only=True)
class Item:
    """One item of a HEIF; `properties` are whole boxes."""

    kind: bytes
    data: bytes
    properties: tuple[bytes, ...] = ()
    content: bytes = b""
    flags: int = 0


# What a decoder that does not know it must not pass over (ISO/IEC 23008-12, 6.5; 23000-22, 7.3.9).
_ESSENTIAL = (b"hvcC", b"av1C", b"clap", b"irot", b"imir")


def heif(brand: bytes, items: list[Item], references: list[tuple[bytes, int, list[int]]]) -> bytes:
    """A file of these items, numbered from 1, the first of them the picture."""
    tone_mapped = b"tmap" if any(item.kind == b"tmap" for item in items) else b""
    head = pieces.box(b"ftyp", brand + bytes(4) + b"mif1miaf" + tone_mapped + brand)
    meta = _meta(items, references, 0)
    begin = len(head) + len(meta) + 8
    return head + _meta(items, references, begin) + pieces.box(b"mdat", *(item.data for item in items))


def _meta(items: list[Item], references: list[tuple[bytes, int, list[int]]], begin: int) -> bytes:
    infos, places, uses, properties = b"", b"", b"", b""
    count, at = 0, begin
    for number, item in enumerate(items, 1):
        said = struct.pack(">BBHHH4s", 2, 0, item.flags, number, 0, item.kind) + b"\0" + item.content
        infos += pieces.box(b"infe", said)
        places += struct.pack(">HHHII", number, 0, 1, at, len(item.data))
        at += len(item.data)
        if item.properties:
            uses += struct.pack(">HB", number, len(item.properties))
            uses += bytes(0x80 * (each[4:8] in _ESSENTIAL) + count + n for n, each in enumerate(item.properties, 1))
            properties += b"".join(item.properties)
            count += len(item.properties)
    amount = sum(1 for item in items if item.properties)
    refs = b"".join(
        pieces.box(kind, struct.pack(f">HH{len(to)}H", source, len(to), *to)) for kind, source, to in references
    )
    return pieces.box(
        b"meta",
        bytes(4),
        pieces.box(b"hdlr", bytes(8) + b"pict" + bytes(13)),
        pieces.box(b"pitm", bytes(4) + b"\0\1"),
        pieces.box(b"iloc", b"\0\0\0\0\x44\0" + struct.pack(">H", len(items)) + places),
        pieces.box(b"iinf", bytes(4) + struct.pack(">H", len(items)) + infos),
        pieces.box(
            b"iprp", pieces.box(b"ipco", properties), pieces.box(b"ipma", bytes(4) + struct.pack(">I", amount) + uses)
        ),
        pieces.box(b"iref", bytes(4), refs),
    )


def coded(file: bytes, more: tuple[bytes, ...] = ()) -> Item:
    """The only picture of a file, with the properties that a decoder needs, the codec's first."""
    tops = {each.kind: each.payload for each in parse(file)}
    inside = {each.kind: each.payload for each in parse(tops[b"meta"][4:])}
    offset, length = struct.unpack(">II", inside[b"iloc"][-8:])
    if inside[b"iloc"][5] >> 4:
        offset += struct.unpack(">I", inside[b"iloc"][-14:-10])[0]
    kept = [bytes(each) for each in parse({e.kind: e.payload for e in parse(inside[b"iprp"])}[b"ipco"])]
    kind = b"av01" if b"av01" in inside[b"iinf"] else b"hvc1"
    wanted = [each for each in kept if each[4:8] in (b"hvcC", b"av1C", b"ispe", b"pixi", b"colr")]
    wanted.sort(key=lambda each: each[4:8] not in (b"hvcC", b"av1C"))
    return Item(kind=kind, data=file[offset : offset + length], properties=(*wanted, *more))


def heic(image: Image.Image) -> bytes:
    body = io.BytesIO()
    pillow_heif.from_pillow(image).save(body, quality=90)
    return body.getvalue()


def avif(image: Image.Image) -> bytes:
    body = io.BytesIO()
    image.save(body, "AVIF", quality=95, speed=10)
    return body.getvalue()


def _jpeg(image: Image.Image, comment: str) -> bytes:
    body = io.BytesIO()
    image.save(body, "JPEG", quality=95, comment=comment.encode())
    return body.getvalue()


def _packet(numbers: dict[str, float | tuple[float, ...]], spelling: str, canary: str) -> bytes:
    attributes, elements = "", f"<dc:creator>{canary}</dc:creator>"
    for name, value in numbers.items():
        if isinstance(value, tuple):
            listed = "".join(f"<rdf:li>{each}</rdf:li>" for each in value)
            elements += f"<hdrgm:{name}>\n <rdf:Seq>{listed}</rdf:Seq></hdrgm:{name}>"
        elif spelling == "elements":
            elements += f"<hdrgm:{name}>{value}</hdrgm:{name}>"
        else:
            attributes += f' hdrgm:{name}="{value}"'
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description exif:GPSLatitude="48,51.46N" hdrgm:Version="1.0"'
        f' xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/"{attributes}>{elements}</rdf:Description></rdf:RDF>'
        "</x:xmpmeta>"
    ).encode()


def binary(numbers: dict[str, float | tuple[float, ...]], *, shared: bool = False) -> bytes:
    """The numbers as ISO 21496-1 has them, over a million each."""
    rows = [value if isinstance(value, tuple) else (value,) * 3 for value in (numbers[name] for name in NAMES[:5])]
    count = 3 if any(isinstance(numbers[name], tuple) for name in NAMES) else 1
    order = [numbers["HDRCapacityMin"], numbers["HDRCapacityMax"], *(row[at] for at in range(count) for row in rows)]
    overs = [round(float(value) * 1_000_000) for value in order]  # type: ignore[arg-type]
    head = struct.pack(">HHB", 0, 0, 0x40 | (0x80 if count == 3 else 0) | (8 if shared else 0))
    if shared:
        return head + struct.pack(f">I{len(overs)}i", 1_000_000, *overs)
    return head + b"".join(struct.pack(">iI", over, 1_000_000) for over in overs)


def pair(first: bytes, second: bytes, *, index: bool = True) -> bytes:
    """Two JPEGs in one file, with the index of CIPA DC-007 in the first, little-endian as some cameras write it."""
    if not index:
        return first + second
    at, size = 2, len(first) + 4 + 4 + 8 + 2 + 36 + 4 + 32
    head = b"II*\0" + struct.pack("<IH", 8, 3) + struct.pack("<HHI4s", 0xB000, 7, 4, b"0100")
    head += struct.pack("<HHIIHHII", 0xB001, 4, 1, 2, 0xB002, 7, 32, 50) + bytes(4)
    head += struct.pack("<IIIHHIIIHH", 0x030000, size, 0, 0, 0, 0, len(second), size - at - 8, 0, 0)
    return first[:at] + pieces.segment(0xE2, b"MPF\0" + head) + first[at:] + second


# --- what it shows ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A written file taken apart by our own few lines: both pictures and the numbers of the packet."""

    base: Image.Image
    gain: Image.Image
    numbers: dict[str, float]

    def light(self, at: tuple[float, float]) -> tuple[float, ...]:
        """Linear light at a place (0 to 1 in both directions) where the display can show all of it."""
        return self._light(_at(self.base, at), _at(self.gain, at))

    def at_pixel(self, at: tuple[int, int]) -> tuple[float, ...]:
        """The same of one pixel of the base."""
        place = (at[0] + 0.5) / self.base.width, (at[1] + 0.5) / self.base.height
        side = self.gain.width / self.base.width
        x, y = place[0] * self.gain.width, place[1] * self.gain.height
        box = (max(0.0, x - side / 2), max(0.0, y - side / 2), x + side / 2, y + side / 2)
        gain = self.gain.resize((1, 1), Image.Resampling.BILINEAR, box=box).getpixel((0, 0))
        base = self.base.getpixel(at)
        return self._light(_numbers(base), _numbers(gain))

    def _light(self, base: tuple[float, ...], gain: tuple[float, ...]) -> tuple[float, ...]:
        numbers = self.numbers
        low, high = numbers["GainMapMin"], numbers["GainMapMax"]
        stops = [low + (high - low) * (value / 255) ** (1 / numbers["Gamma"]) for value in gain]
        pairs = zip(base, stops * (3 // len(stops)), strict=True)
        return tuple(
            (linear(value) + numbers["OffsetSDR"]) * 2**gained - numbers["OffsetHDR"] for value, gained in pairs
        )


def taken_apart(file: bytes) -> Shown:
    begin = file.index(b"\xff\xd9\xff\xd8") + 2
    said = dict(re.findall(rb'hdrgm:(\w+)="([-\d.]+)"', file[begin : begin + 2_000]))
    gain = Image.open(io.BytesIO(file[begin:]))
    base = Image.open(io.BytesIO(file[:begin])).convert("RGB")
    return Shown(base=base, gain=gain, numbers={name.decode(): float(value) for name, value in said.items()})


def halves_without_words(file: bytes) -> tuple[bytes, bytes]:
    """Both pictures of a written file without the segments between APP0 and their tables."""
    begin = file.index(b"\xff\xd9\xff\xd8") + 2
    first, second = file[:begin], file[begin:]
    return first[:20] + first[first.index(b"\xff\xdb") :], second[:20] + second[second.index(b"\xff\xdb") :]


def linear(value: float) -> float:
    """Light of an sRGB sample of 0 to 255 (IEC 61966-2-1)."""
    part = value / 255
    return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4


def light_of_apple(base: Image.Image, gain: Image.Image, headroom: float, at: tuple[float, float]) -> tuple[float, ...]:
    """By the maker's article."""
    (value,) = _at(gain.convert("L"), at)
    part = value / 255
    opened = part / 4.5 if part < 0.081 else ((part + 0.099) / 1.099) ** (1 / 0.45)
    return tuple(linear(each) * (1 + (headroom - 1) * opened) for each in _at(base, at))


def stops_between(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """The mean difference of two lights in stops, the darkest hundredth left out of account."""
    return sum(abs(math.log2((a + 0.01) / (b + 0.01))) for a, b in zip(one, other, strict=True)) / len(one)


def _at(image: Image.Image, at: tuple[float, float]) -> tuple[float, ...]:
    """The mean of a small square around a place."""
    x, y = at[0] * image.width, at[1] * image.height
    reach = max(1.0, image.width / 40)
    box = tuple(round(side) for side in (x - reach, y - reach, x + reach, y + reach))
    small = image.crop(box).resize((1, 1), Image.Resampling.BOX)  # type: ignore[arg-type]
    return _numbers(small.getpixel((0, 0)))


def _numbers(pixel: object) -> tuple[float, ...]:
    return tuple(map(float, pixel)) if isinstance(pixel, tuple) else (float(str(pixel)),)
