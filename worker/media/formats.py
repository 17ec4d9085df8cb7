"""The table of formats taken in, and the sniff that tells them by their first bytes: never by name or declared type."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Literal

from worker.media.codes import unprocessable

HEAD_BYTES = 4096
_PNG = b"\x89PNG\r\n\x1a\n"
_EBML = b"\x1a\x45\xdf\xa3"
_BMP_HEADERS = frozenset({12, 40, 52, 56, 64, 108, 124})
# Box types with which a QuickTime file older than `ftyp` may begin.
_OLD_MOVIE = frozenset({b"moov", b"mdat", b"wide", b"pnot"})

_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"})
_HEIF_BRANDS = frozenset({b"mif1", b"mif2", b"msf1", b"miaf", b"MiHE", b"MiHB", b"MiHA", b"1pic"})
_M4V_BRANDS = frozenset({b"M4V ", b"M4VH", b"M4VP"})
_MP4_BRANDS = frozenset(
    {b"isom", b"iso2", b"iso3", b"iso4", b"iso5", b"iso6", b"iso7", b"iso8", b"iso9", b"mp41", b"mp42", b"avc1"}
    | {b"mp71", b"MSNV", b"dash", b"cmfc", b"cmf2", b"dby1", b"F4V ", b"f4v ", b"NDSC", b"NDSH", b"NDSM", b"NDSP"}
    | {b"XAVC", b"nras", b"mmp4", b"MSN2", b"hvc1", b"av01", b"dvx1", b"CAEP", b"pana"}
)
_NO_PICTURE = frozenset({b"M4A ", b"M4B ", b"M4P ", b"F4A ", b"F4B ", b"crx ", b"jp2 ", b"jpx ", b"jpm ", b"mjp2"})


@dataclass(frozen=True, kw_only=True)
class Format:
    """`decoder` is Pillow's name of a picture format or ffmpeg's name of a demuxer, forced at each open.

    `declared` are the exact declared types that agree with it, lower case.
    """

    name: str
    media_type: str
    work_class: Literal["image", "video"]
    decoder: str
    declared: frozenset[str]
    enabled_by_default: bool = True


_HEIF_TYPES = frozenset({"image/heic", "image/heif", "image/heic-sequence", "image/heif-sequence"})
_MATROSKA_TYPES = frozenset({"video/x-matroska", "video/matroska"})


def _image(name: str, media_type: str, decoder: str, *others: str, on: bool = True) -> Format:
    declared = frozenset({media_type, *others})
    return Format(
        name=name, media_type=media_type, work_class="image", decoder=decoder, declared=declared, enabled_by_default=on
    )


def _video(name: str, media_type: str, decoder: str, *others: str) -> Format:
    declared = frozenset({media_type, *others})
    return Format(name=name, media_type=media_type, work_class="video", decoder=decoder, declared=declared)


FORMATS: tuple[Format, ...] = (
    _image("jpeg", "image/jpeg", "JPEG", "image/jpg", "image/pjpeg", "image/mpo"),
    _image("png", "image/png", "PNG", "image/x-png", "image/apng", "image/vnd.mozilla.apng"),
    _image("gif", "image/gif", "GIF"),
    _image("webp", "image/webp", "WEBP"),
    _image("avif", "image/avif", "AVIF", "image/avif-sequence"),
    _image("heic", "image/heic", "HEIF", *_HEIF_TYPES),
    _image("heif", "image/heif", "HEIF", *_HEIF_TYPES),
    _image("tiff", "image/tiff", "TIFF", "image/tif", on=False),
    _image("bmp", "image/bmp", "BMP", "image/x-ms-bmp", "image/x-bmp", on=False),
    _video("mp4", "video/mp4", "mov"),
    _video("m4v", "video/x-m4v", "mov", "video/mp4", "video/m4v"),
    _video("mov", "video/quicktime", "mov", "video/mov"),
    _video("3gp", "video/3gpp", "mov", "video/3gpp2", "video/3gp"),
    _video("webm", "video/webm", "matroska"),
    _video("mkv", "video/x-matroska", "matroska", *_MATROSKA_TYPES),
)
_BY_NAME = {fmt.name: fmt for fmt in FORMATS}
_BY_TYPE = {fmt.media_type: fmt for fmt in FORMATS}


def format_named(name: str) -> Format:
    """The row of a name (`jpeg`) or of a media type (`image/jpeg`); raises `Unprocessable` (`unsupported_type`)."""
    found = _BY_NAME.get(name) or _BY_TYPE.get(name)
    if found is None:
        raise unprocessable("unsupported_type")
    return found


def sniff(head: bytes) -> Format | None:
    """The format that the first bytes (4,096 suffice) are of, or None."""
    name = _sniff_plain(head) or _sniff_boxes(head) or _sniff_matroska(head)
    return _BY_NAME[name] if name else None


def _sniff_plain(head: bytes) -> str | None:
    if head.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if head.startswith(_PNG):
        return "png"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "gif"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "webp"
    if head.startswith((b"II*\0", b"MM\0*", b"II+\0\x08\0\0\0", b"MM\0+\0\x08\0\0")):
        # A Canon raw file says so at byte 8; it is a camera negative, not a picture to publish.
        return None if head[8:10] == b"CR" else "tiff"
    if head.startswith(b"BM") and len(head) >= 18 and struct.unpack_from("<I", head, 14)[0] in _BMP_HEADERS:
        return "bmp"
    return None


def _sniff_boxes(head: bytes) -> str | None:
    if len(head) < 12:
        return None
    size, kind = struct.unpack_from(">I4s", head)
    if kind != b"ftyp":
        return "mov" if kind in _OLD_MOVIE and (size in (0, 1) or size >= 8) else None
    if size < 12:
        return None
    major = head[8:12]
    brands = [head[at : at + 4] for at in range(16, min(size, len(head)) - 3, 4)]
    return _branded(major, frozenset(brands))


def _branded(major: bytes, others: frozenset[bytes]) -> str | None:
    """The major brand decides; where it only says "some HEIF", the compatible ones tell which."""
    if major in _NO_PICTURE:
        return None
    if major == b"qt  ":
        return "mov"
    if major in _M4V_BRANDS:
        return "m4v"
    if major[:3] in (b"3gp", b"3g2", b"3ge", b"3gg", b"3gs"):
        return "3gp"
    if major in _MP4_BRANDS:
        return "mp4"
    if major in _AVIF_BRANDS:
        return "avif"
    if major in _HEIC_BRANDS:
        return "heic"
    if major in _HEIF_BRANDS or others & _HEIF_BRANDS:
        if others & _AVIF_BRANDS:
            return "avif"
        return "heic" if others & _HEIC_BRANDS else "heif"
    return "mp4" if others & _MP4_BRANDS else None


def _sniff_matroska(head: bytes) -> str | None:
    """EBML: the DocType in the header element must be one of the two."""
    if not head.startswith(_EBML):
        return None
    at = head.find(b"\x42\x82", 5, 64)
    if at < 0 or at + 3 > len(head) or not head[at + 2] & 0x80:
        return None
    doctype = head[at + 3 : at + 3 + (head[at + 2] & 0x7F)].rstrip(b"\0")
    return {b"matroska": "mkv", b"webm": "webm"}.get(doctype)
