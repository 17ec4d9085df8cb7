"""Carriers of AVIF and HEIC: items, names, properties, boxes and bytes of nobody, and pictures beside the picture."""

from __future__ import annotations

import io
import struct

import pillow_heif

from tests import pieces, samples
from tests.carriers.jpeg import packet
from tests.carriers.planted import SIZE, Carrier, Plant, made, other, saved
from tests.pieces import box

_CREATOR = "<dc:creator><rdf:Seq><rdf:li>{}</rdf:li></rdf:Seq></dc:creator>"
# A metadata unit of AV1 (type 5) of the registered kind (ITU-T T.35).
_UNIT = 0x2A


def carriers() -> list[Carrier]:
    """All of them, in the order of the reference."""
    return [*_avif(), *_heic()]


def _avif() -> list[Carrier]:
    return [
        _made("exif", "camera", _saved("exif"), tag="Make"),
        _made("xmp", "owner_name", _saved("xmp"), tag="Creator"),
        _made("icc", "colour_profile", _saved("icc_profile"), tag="ProfileDescription"),
        _made("free", "hidden_data", lambda avif, mark: avif + box(b"free", mark)),
        _made("uuid", "unknown_block", lambda avif, mark: avif + box(b"uuid", bytes(16), mark)),
        _made("mdat", "hidden_data", lambda avif, mark: avif + box(b"mdat", mark)),
        _made("meta", "hidden_data", lambda avif, mark: in_meta(avif, "", box(b"free", mark))),
        _made("trailer", "trailing_data", lambda avif, mark: avif + mark),
        _made("itemname", "caption", _item_name),
        _made("hdlr", "software", _handler, tag="HandlerDescription"),
        _made("udes", "caption", lambda avif, mark: in_meta(avif, "iprp/ipco", _description(mark))),
        _made("av1c", "hidden_data", _configuration),
        _made("obu", "hidden_data", _unit_at_end),
        made("avif-depth", "avif-alpha", "depth_map", _depth, mark=b"aux:depth", into="avif-alpha"),
    ]


def _made(name: str, kinds: str, plant: Plant, **more: object) -> Carrier:
    return made(f"avif-{name}", "avif", kinds, plant, into="avif", **more)


def _block(what: str, mark: bytes) -> bytes:
    if what == "exif":
        return b"Exif\0\0" + pieces.exif_block({0x010F: mark.decode()})
    return packet(_CREATOR.format(mark.decode())) if what == "xmp" else pieces.rgb_profile("p3", text=mark.decode())


def _saved(what: str) -> Plant:
    """By Pillow's own writer; the picture is that of the clean file."""
    return lambda _avif, mark: saved(samples.scene(*SIZE), "AVIF", quality=60, speed=10, **{what: _block(what, mark)})


def _description(mark: bytes) -> bytes:
    return box(b"udes", bytes(4) + b"en\0" + mark + b"\0\0\0")


# --- boxes of `meta`, and the offsets that move with them


def _top(body: bytes) -> list[tuple[bytes, int, int]]:
    """Kind, begin and end of each box of a level."""
    found, at = [], 0
    while at + 8 <= len(body):
        size, kind = struct.unpack_from(">I4s", body, at)
        found.append((kind, at, at + size))
        at += size
    return found


def _changed(body: bytes, path: str, change: Plant, mark: bytes, *, skip: int = 0) -> bytes:
    """A level with another payload in one box; "" is the level itself."""
    if not path:
        return body[:skip] + change(body[skip:], mark)
    first, _, rest = path.partition("/")
    parts = [body[:skip]]
    for kind, begin, end in _top(body[skip:]):
        inner = body[skip + begin + 8 : skip + end]
        if kind == first.encode():
            inner = _changed(inner, rest, change, mark, skip=4 if kind in (b"meta", b"iref") else 0)
        parts.append(box(kind, inner))
    return b"".join(parts)


def _settled(old: bytes, new: bytes) -> bytes:
    """Every place in `iloc` follows: what it points to lies behind `meta`. Numbers have four bytes in both writers'."""
    moved = len(new) - len(old)
    at = new.index(b"iloc") + 4
    version, sizes, based = new[at], new[at + 4], new[at + 5] >> 4
    assert (version < 2, sizes, based in (0, 4)) == (True, 0x44, True)
    body = bytearray(new)
    (count,) = struct.unpack_from(">H", new, at + 6)
    at += 8
    for _ in range(count):
        at += 4 + (2 if version else 0)
        places = [at] if based else []
        at += based
        (extents,) = struct.unpack_from(">H", new, at)
        places += [] if based else [at + 2 + 8 * number for number in range(extents)]
        for place in places:
            struct.pack_into(">I", body, place, struct.unpack_from(">I", new, place)[0] + moved)
        at += 2 + 8 * extents
    return bytes(body)


def _edited(avif: bytes, path: str, change: Plant, mark: bytes) -> bytes:
    return _settled(avif, _changed(avif, f"meta/{path}".rstrip("/"), change, mark))


def in_meta(body: bytes, path: str, more: bytes) -> bytes:
    """With one box more at the end of `meta` (path "") or of one inside it."""
    return _edited(body, path, lambda inner, _: inner + more, b"")


def _item_name(avif: bytes, mark: bytes) -> bytes:
    """The one item's entry, with a name."""

    def named(body: bytes, name: bytes) -> bytes:
        (size,) = struct.unpack_from(">I", body, 6)
        entry = body[6 : 6 + size]
        return body[:6] + box(b"infe", entry[8:20], name + b"\0") + body[6 + size :]

    return _edited(avif, "iinf", named, mark)


def _handler(avif: bytes, mark: bytes) -> bytes:
    return _edited(avif, "hdlr", lambda body, name: body[:24] + name + b"\0", mark)


def unit(mark: bytes) -> bytes:
    return bytes((_UNIT, len(mark) + 2, 4)) + mark + b"\x80"


def _configuration(avif: bytes, mark: bytes) -> bytes:
    return _edited(avif, "iprp/ipco/av1C", lambda body, text: body + unit(text), mark)


def _unit_at_end(avif: bytes, mark: bytes) -> bytes:
    """The item's only extent is the last thing in the file; it and its `mdat` grow."""
    at = avif.index(b"iloc") + 4
    more = unit(mark)
    body = bytearray(avif + more)
    begin = next(begin for kind, begin, _ in _top(avif) if kind == b"mdat")
    struct.pack_into(">I", body, begin, len(avif) - begin + len(more))
    version = avif[at]
    place = at + 8 + 4 + (2 if version else 0) + 2 + 4
    (length,) = struct.unpack_from(">I", avif, place)
    struct.pack_into(">I", body, place, length + len(more))
    return bytes(body)


def _depth(avif: bytes, mark: bytes) -> bytes:
    """The mask of what is clear becomes a map of depth, by its name alone."""
    assert b"auxiliary:alpha" in avif
    return avif.replace(b"auxiliary:alpha", b"aux:depth".rjust(15, b":"))


# --- HEIC


def heic(*, pictures: int = 1, **info: bytes) -> bytes:
    """By pillow-heif's own writer; further pictures show another scene."""
    file = pillow_heif.from_pillow(samples.scene(*SIZE))
    for _ in range(pictures - 1):
        file.add_from_pillow(other())
    file[0].info.update(info)
    body = io.BytesIO()
    file.save(body, quality=60, save_all=True)
    return body.getvalue()


def _with_second(_heic: bytes, mark: bytes) -> bytes:
    file = pillow_heif.from_pillow(samples.scene(*SIZE))
    file.add_from_pillow(other())
    file[1].info["exif"] = _block("exif", mark)
    body = io.BytesIO()
    file.save(body, quality=60, save_all=True)
    return body.getvalue()


def _thumbed(_heic: bytes, _mark: bytes) -> bytes:
    body = io.BytesIO()
    pillow_heif.from_pillow(samples.scene(160, 120)).save(body, quality=60, thumbnails=[64])
    return body.getvalue()


def _has_thumbnail(body: bytes) -> bool:
    return b"thmb" in body


def _heic() -> list[Carrier]:
    video = box(b"ftyp", b"mp42\0\0\0\0")
    return [
        made("heic-exif", "heic", "camera", lambda _, mark: heic(exif=_block("exif", mark)), tag="Make"),
        made("heic-xmp", "heic", "owner_name", lambda _, mark: heic(xmp=_block("xmp", mark)), tag="Creator"),
        made("heic-second", "heic", "second_picture camera", _with_second, tag="Make"),
        made("heic-thumb", "heic", "thumbnail", _thumbed, mark=b"thmb", there=_has_thumbnail),
        made("heic-mpvd", "heic", "embedded_video", lambda body, mark: body + box(b"mpvd", video, mark)),
    ]
