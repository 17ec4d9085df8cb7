"""Carriers of PNG and APNG: chunks of every kind, and bytes in and under the samples."""

from __future__ import annotations

import struct
import zlib

from tests import pieces
from tests.carriers.jpeg import packet
from tests.carriers.planted import Carrier, Plant, made, other
from tests.pieces import chunk, chunks_of, png_of, with_chunks

PNG = "png"
_TIME = b"\x07\xe3\x03\x04\x05\x06\x07"
_DPI = struct.pack(">II", 11_811, 11_811)
# Three bytes a pixel, as they lie between zeros of alpha.
_HIDDEN = b"CAN\0ARY\0PNG\0ALP\0HA!\0"


def carriers() -> list[Carrier]:
    """All of them, in the order of the reference."""
    return [*_texts(), *_profiles(), *_blocks(), *_stream(), *_animated()]


def _png(name: str, kinds: str, plant: Plant, **more: object) -> Carrier:
    return made(f"png-{name}", PNG, kinds, plant, **{"into": PNG, **more})


def _chunk(kind: bytes, head: bytes = b"", *, tail: bytes = b"", packed: bool = False) -> Plant:
    return lambda png, mark: with_chunks(png, chunk(kind, head + (zlib.compress(mark) if packed else mark) + tail))


def _exif(png: bytes, mark: bytes) -> bytes:
    return with_chunks(png, chunk(b"eXIf", pieces.exif_block({0x010F: mark.decode()})))


def _raw(png: bytes, mark: bytes) -> bytes:
    block = b"Exif\0\0" + pieces.exif_block({0x010F: mark.decode()})
    text = b"\nexif\n%8d\n" % len(block) + block.hex().encode() + b"\n"
    return with_chunks(png, chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(text)))


def _late(png: bytes, mark: bytes) -> bytes:
    return png[:-12] + chunk(b"tEXt", b"Comment\0" + mark) + png[-12:]


def _xmp(png: bytes, mark: bytes) -> bytes:
    said = packet(f"<dc:creator><rdf:Seq><rdf:li>{mark.decode()}</rdf:li></rdf:Seq></dc:creator>")
    return with_chunks(png, chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + said))


def _texts() -> list[Carrier]:
    return [
        _png("exif", "camera", _exif, tag="Make"),
        _png("text", "owner_name", _chunk(b"tEXt", b"Author\0"), tag="Author"),
        _png("ztxt", "comment", _chunk(b"zTXt", b"Comment\0\0", packed=True), tag="Comment"),
        _png("itxt", "caption", _chunk(b"iTXt", b"Title\0\1\0\0\0", packed=True), tag="Title"),
        _png("xmp", "owner_name", _xmp, tag="Creator"),
        _png("rawprofile", "camera", _raw, tag="Make"),
        _png("text-late", "comment", _late, tag="Comment"),
        _png("prompt", "comment ai_generated", _chunk(b"tEXt", b"parameters\0"), tag="Parameters"),
    ]


def _profile(png: bytes, name: bytes, text: bytes) -> bytes:
    body = zlib.compress(pieces.rgb_profile("p3", text=text.decode()))
    return with_chunks(png, chunk(b"iCCP", name + b"\0\0" + body))


def _profiles() -> list[Carrier]:
    density = "how large to print it says nothing of anybody"
    return [
        _png("icc", "colour_profile", lambda png, mark: _profile(png, b"icc", mark), tag="ProfileDescription"),
        _png("icc-name", "colour_profile", lambda png, mark: _profile(png, mark, b"p3"), tag="ProfileName"),
        _png("time", "timestamps", _chunk(b"tIME"), mark=_TIME, tag="ModifyDate"),
        _png("phys", "", _chunk(b"pHYs", tail=b"\1"), mark=_DPI, tag="PixelsPerUnitX", why=density),
    ]


def _blocks() -> list[Carrier]:
    described = pieces.box(b"jumd", b"c2pa" + bytes(12), b"\3c2pa\0")
    store = struct.pack(">I4s", 8 + len(described) + 8 + 15, b"jumb") + described + struct.pack(">I4s", 8 + 15, b"bidb")
    return [
        _png("cabx", "provenance", _chunk(b"caBX", store)),
        _png("private", "unknown_block", _chunk(b"caNy")),
        _png("splt", "unknown_block", _chunk(b"sPLT", tail=b"\0\x08" + bytes(6))),
        _png("pcal", "unknown_block", _chunk(b"pCAL", tail=b"\0" + bytes(8) + b"\0\2m\0" + b"0\0" + b"1")),
        _png("scal", "unknown_block", _chunk(b"sCAL", b"\1", tail=b"\0" + b"1")),
        _png("idot", "unknown_block", _chunk(b"iDOT", tail=bytes(8))),
        _png("offs", "unknown_block", _chunk(b"oFFs", tail=b"\0"), mark=b"CANARYOF"),
        _png("gifx", "unknown_block", _chunk(b"gIFx", b"CANARYAP1.0")),
    ]


def _pixels(png: bytes) -> bytes:
    return zlib.decompress(b"".join(body for kind, body in chunks_of(png) if kind == b"IDAT"))


def _repacked(png: bytes, stream: bytes) -> bytes:
    """The same chunks around another stream of samples."""
    kept = [(kind, body) for kind, body in chunks_of(png) if kind != b"IDAT"]
    return png_of([*kept[:-1], (b"IDAT", stream), kept[-1]])


def _more_rows(png: bytes, mark: bytes) -> bytes:
    return _repacked(png, zlib.compress(_pixels(png) + (mark * 40)[:500]))


def _tail(png: bytes, mark: bytes) -> bytes:
    return _repacked(png, zlib.compress(_pixels(png)) + mark)


def _end(png: bytes, mark: bytes) -> bytes:
    return png[:-12] + chunk(b"IEND", mark)


def _wrong(png: bytes, mark: bytes) -> bytes:
    body = chunk(b"caNy", mark)
    return with_chunks(png, body[:-1] + bytes((body[-1] ^ 1,)))


def _palette(png: bytes, mark: bytes) -> bytes:
    """Sixteen colours are used; what follows them says something."""
    return png_of(
        [(kind, body + mark.ljust(48, b"\0")[:48] if kind == b"PLTE" else body) for kind, body in chunks_of(png)]
    )


def _new_palette(png: bytes, mark: bytes) -> bytes:
    return with_chunks(png, chunk(b"PLTE", mark.ljust(48, b"\0")))


def _under_alpha(png: bytes, mark: bytes) -> bytes:
    """Rows without a filter; on their clear half lies another scene, and the mark in each row."""
    width, height = struct.unpack_from(">II", png, 16)
    scene = other().resize((width, height)).convert("RGBA")
    scene.putalpha(0)
    clear, row = 4 * (width // 2), 4 * width
    shown = b"\x40\x90\xc0\xff" * (width - width // 2)
    pixels = scene.tobytes()
    lines = [b"\0" + mark + pixels[at + len(mark) : at + clear] + shown for at in range(0, row * height, row)]
    head = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    return png_of([(b"IHDR", head), (b"IDAT", zlib.compress(b"".join(lines))), (b"IEND", b"")])


def _stream() -> list[Carrier]:
    unused = "a colour that no pixel has: palettes are seldom full, so it is no sign"
    return [
        _png("idat-tail", "hidden_data", _tail),
        _png("extra-rows", "hidden_data", _more_rows),
        _png("iend", "hidden_data", _end),
        _png("trailer", "trailing_data", lambda png, mark: png + mark, tag=""),
        _png("crc", "", _wrong, code="corrupt", why="a decoder refuses it"),
        made("png-palette", "png-palette", "", _palette, into=PNG, finish=_new_palette, why=unused),
        made("png-alpha", "png-alpha", "hidden_data", _under_alpha, mark=_HIDDEN, into=PNG),
    ]


def _control(number: int, width: int, height: int) -> bytes:
    return struct.pack(">IIIIIHHBB", number, width, height, 0, 0, 2, 25, 0, 0)


def _default(png: bytes, mark: bytes) -> bytes:
    """The picture is the animation's one frame; before it stands another, with the mark in its first row."""
    width, height = struct.unpack_from(">II", png, 16)
    channels = {2: 3, 6: 4}[png[25]]
    scene = other().resize((width, height)).convert("RGB" if channels == 3 else "RGBA").tobytes()
    row = width * channels
    return before_frames(png, mark.ljust(row, b"\1")[:row] + scene[row:])


def before_frames(png: bytes, pixels: bytes) -> bytes:
    """An animation of one frame, the picture; its default image, of these samples, is no frame of it."""
    width, height = struct.unpack_from(">II", png, 16)
    row = len(pixels) // height
    lines = [b"\0" + pixels[at : at + row] for at in range(0, len(pixels), row)]
    frame = b"".join(body for kind, body in chunks_of(png) if kind == b"IDAT")
    return png_of(
        [
            (b"IHDR", chunks_of(png)[0][1]),
            (b"acTL", struct.pack(">II", 1, 0)),
            (b"IDAT", zlib.compress(b"".join(lines))),
            (b"fcTL", _control(0, width, height)),
            (b"fdAT", struct.pack(">I", 1) + frame),
            (b"IEND", b""),
        ]
    )


def _frame_tails(png: bytes, mark: bytes) -> bytes:
    chunks = chunks_of(png)
    if b"fdAT" not in [kind for kind, _ in chunks]:
        return _frame_tails(_default(png, b"\0"), mark)
    return png_of([(kind, body + mark if kind == b"fdAT" else body) for kind, body in chunks])


def _between_frames(png: bytes, mark: bytes) -> bytes:
    chunks = chunks_of(png)
    if b"fdAT" not in [kind for kind, _ in chunks]:
        return _between_frames(_default(png, b"\0"), mark)
    at = [kind for kind, _ in chunks].index(b"fdAT")
    return png_of([*chunks[:at], (b"tEXt", b"Comment\0" + mark), *chunks[at:]])


def _animated() -> list[Carrier]:
    return [
        made("apng-default", "png", "second_picture", _default, into=PNG),
        made("apng-fdat-tail", "apng", "hidden_data", _frame_tails, into=PNG),
        made("apng-text", "apng", "comment", _between_frames, into=PNG),
    ]
