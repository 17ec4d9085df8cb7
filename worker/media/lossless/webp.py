"""A WebP without anything but its pictures: bitstreams, alpha, frames and their timing (RFC 9649).

A bitstream is taken over as it lies. A lossless one is coded anew, still without loss, where colour under full
transparency must be made black or the picture be turned; a lossy one that hides something is left to the second reader,
who refuses it.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator

from PIL import Image, ImageChops

from worker.media.image.orientation import turned
from worker.media.lossless.declined import Declined
from worker.media.lossless.pixels import MOST_CODED

_ALPHA, _ANIMATION, _PROFILE = 0x10, 0x02, 0x20
_PICTURE = (b"ALPH", b"VP8 ", b"VP8L")
Chunks = list[tuple[bytes, bytes]]


def rewrite(data: bytes, orientation: int, profile: bytes | None) -> bytes:
    """Raises `Declined`."""
    end = min(8 + int(struct.unpack_from("<I", data, 4)[0]), len(data))
    chunks = list(_chunks(data[12:end]))
    frames = [body for kind, body in chunks if kind == b"ANMF"]
    if frames and orientation != 1:
        raise Declined("orientation")
    if frames:
        return _animation(chunks, frames, profile)
    picture = _turned(_picture(chunks), orientation)
    # Of a lossless picture the flag only says that it may have alpha.
    alpha = picture[0][0] != b"VP8 "
    if profile is None and picture[0][0] != b"ALPH":
        return _file(picture)
    size = struct.pack("<I", (_size(*picture[-1])[0] - 1))[:3] + struct.pack("<I", _size(*picture[-1])[1] - 1)[:3]
    head = bytes(((_ALPHA if alpha else 0) | (_PROFILE if profile else 0), 0, 0, 0)) + size
    return _file([(b"VP8X", head), *_profile(profile), *picture])


def _animation(chunks: Chunks, frames: list[bytes], profile: bytes | None) -> bytes:
    (canvas,) = (body[4:10] for kind, body in chunks[:1] if kind == b"VP8X" and len(body) >= 10)
    (loop,) = (body[4:6] for kind, body in chunks if kind == b"ANIM" and len(body) >= 6)
    made, alpha = [], False
    for body in frames:
        picture = _picture(list(_chunks(body[16:])))
        alpha = alpha or any(_has_alpha(*each) for each in picture)
        made.append((b"ANMF", body[:15] + bytes((body[15] & 0x03,)) + b"".join(_riff(*each) for each in picture)))
    flags = _ANIMATION | (_ALPHA if alpha else 0) | (_PROFILE if profile else 0)
    # The background is a hint that viewers ignore; four bytes of it are four bytes of anything.
    head = [(b"VP8X", bytes((flags, 0, 0, 0)) + canvas), *_profile(profile), (b"ANIM", bytes(4) + loop)]
    return _file([*head, *made])


def _picture(chunks: Chunks) -> Chunks:
    """The bitstreams of one picture."""
    found = [(kind, body) for kind, body in chunks if kind in _PICTURE]
    kinds = [kind for kind, _ in found]
    if kinds == [b"ALPH", b"VP8L"]:
        found = found[1:]
    elif kinds not in ([b"VP8 "], [b"VP8L"], [b"ALPH", b"VP8 "]):
        raise Declined("unusual_coding")
    return [(kind, _bare(body) if kind == b"VP8L" and _has_alpha(kind, body) else body) for kind, body in found]


def _turned(picture: Chunks, orientation: int) -> Chunks:
    """A lossless picture upright; a lossy one cannot be turned without loss, nor its tag be kept (RFC 9649, 2.7.1.6,
    lets viewers ignore it)."""
    if orientation == 1:
        return picture
    if picture[0][0] != b"VP8L":
        raise Declined("orientation")
    return [(b"VP8L", coded(turned(_decoded(picture[0][1]), orientation)))]


def _decoded(body: bytes) -> Image.Image:
    """The samples of a lossless bitstream."""
    with Image.open(io.BytesIO(_file([(b"VP8L", body)])), formats=("WEBP",)) as image:
        image.load()
        return image.copy()


def _has_alpha(kind: bytes, body: bytes) -> bool:
    return kind == b"ALPH" or (kind == b"VP8L" and bool(body[4] & 0x10))


def _size(kind: bytes, body: bytes) -> tuple[int, int]:
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", body, 1)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = struct.unpack_from("<HH", body, 6)
    return width & 0x3FFF, height & 0x3FFF


def _bare(body: bytes) -> bytes:
    """A lossless bitstream without colour under alpha 0."""
    image = _decoded(body)
    if image.mode != "RGBA":
        return body
    alpha = image.getchannel("A")
    seen = alpha.point([0] + [255] * 255)
    bands = list(image.split()[:3])
    bare = [ImageChops.multiply(band, seen) for band in bands]
    if all(one.tobytes() == other.tobytes() for one, other in zip(bands, bare, strict=True)):
        return body
    return coded(Image.merge("RGBA", [*bare, alpha]))


def coded(image: Image.Image) -> bytes:
    """A lossless bitstream of these samples."""
    if image.width * image.height > MOST_CODED:
        raise Declined("too_large")
    made = io.BytesIO()
    image.save(made, "WEBP", lossless=True, exact=True, quality=20, method=1)
    ((_kind, body),) = _picture(list(_chunks(made.getvalue()[12:])))
    return body


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at + 8 <= len(data):
        kind, size = struct.unpack_from("<4sI", data, at)
        yield kind, data[at + 8 : at + 8 + size]
        at += 8 + size + (size & 1)


def _profile(profile: bytes | None) -> Chunks:
    return [(b"ICCP", profile)] if profile is not None else []


def _riff(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("<I", len(body)) + body + bytes(len(body) & 1)


def _file(chunks: Chunks) -> bytes:
    inner = b"".join([b"WEBP", *(_riff(kind, body) for kind, body in chunks)])
    return b"RIFF" + struct.pack("<I", len(inner)) + inner
