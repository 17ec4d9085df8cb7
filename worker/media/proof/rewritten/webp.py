"""Second reader of a rewritten WebP: bitstreams of any encoder, alpha, frames, our profile; nothing else (RFC 9649).

Each picture is decoded on its own: nothing may lie under full transparency, and no bitstream may do without its end.
"""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Iterator

from PIL import Image, ImageChops

from worker.media.proof.doubt import Doubt, need
from worker.media.proof.rewritten import icc

_ALPHA, _ANIMATION, _PROFILE = 0x10, 0x02, 0x20
_PICTURES = ([b"VP8 "], [b"VP8L"], [b"ALPH", b"VP8 "])
_MOST_CHUNKS = 4_000
# A coder may flush so many bytes more than its last symbol needs; what decodes without them had bytes to spare.
_SPARE = 8
# How far the colour of a lossy block may reach under full transparency, in pixels, and how bright it may be there.
_REACH, _LEVEL = 17, 8


def check(data: bytes) -> None:
    """Raises `Doubt`."""
    need(len(data) >= 20 and data[:4] == b"RIFF" and data[8:12] == b"WEBP", "signature")
    need(struct.unpack_from("<I", data, 4)[0] == len(data) - 8 and len(data) % 2 == 0, "size of the file")
    chunks = list(_chunks(data[12:]))
    if chunks[0][0] != b"VP8X":
        need([kind for kind, _ in chunks] in _PICTURES[:2], "a chunk that may not be there")
        _picture(chunks)
        return
    head = chunks[0][1]
    need(len(head) == 10 and not head[0] & ~(_ALPHA | _ANIMATION | _PROFILE) and head[1:4] == b"\0\0\0", "VP8X")
    canvas = _number(head[4:7]) + 1, _number(head[7:10]) + 1
    rest = chunks[1:]
    if head[0] & _PROFILE:
        need(bool(rest) and rest[0][0] == b"ICCP" and icc.ours(rest[0][1]), "profile")
        rest = rest[1:]
    if head[0] & _ANIMATION:
        alpha = _animation(rest, canvas)
    else:
        need([kind for kind, _ in rest] in _PICTURES, "a chunk that may not be there")
        size, alpha = _picture(rest)
        need(size == canvas, "size")
    need(alpha == bool(head[0] & _ALPHA), "alpha flag")


def _number(body: bytes) -> int:
    return int.from_bytes(body, "little")


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at, count = 0, 0
    while at < len(data):
        need(at + 8 <= len(data), "a chunk's header")
        kind, size = struct.unpack_from("<4sI", data, at)
        end = at + 8 + size
        need(end + (size & 1) <= len(data), "a chunk's length")
        need(not size & 1 or data[end] == 0, "a pad byte")
        count += 1
        need(count <= _MOST_CHUNKS, "too many chunks")
        yield kind, data[at + 8 : end]
        at = end + (size & 1)
    need(count > 0, "no chunk")


def _animation(chunks: list[tuple[bytes, bytes]], canvas: tuple[int, int]) -> bool:
    """Whether any frame has alpha."""
    need(len(chunks) > 1 and chunks[0][0] == b"ANIM", "a chunk that may not be there")
    need(len(chunks[0][1]) == 6 and chunks[0][1][:4] == bytes(4), "ANIM")
    alpha = False
    for kind, body in chunks[1:]:
        need(kind == b"ANMF" and len(body) > 16 and not body[15] & ~0x03, "a frame's header")
        left, top, width, height = (_number(body[at : at + 3]) for at in (0, 3, 6, 9))
        need(2 * left + width < canvas[0] and 2 * top + height < canvas[1], "a frame outside the canvas")
        inner = list(_chunks(body[16:]))
        need([kind for kind, _ in inner] in _PICTURES, "a chunk that may not be there in a frame")
        size, clear = _picture(inner)
        need(size == (width + 1, height + 1), "a frame's size")
        alpha = alpha or clear
    return alpha


def _picture(chunks: list[tuple[bytes, bytes]]) -> tuple[tuple[int, int], bool]:
    """Size in pixels, and whether there may be alpha, of bitstreams that hold nothing but what is seen."""
    kind, body = chunks[-1]
    packed = chunks[0][1] if len(chunks) == 2 else None
    size, clear = _lossless(body) if kind == b"VP8L" else (_lossy(body), packed is not None)
    if packed is not None:
        need(len(packed) > 1 and not packed[0] & 0xC0 and packed[0] & 3 < 2, "ALPH")
        need(packed[0] & 3 == 1 or len(packed) == 1 + size[0] * size[1], "alpha's length")
    image = _decoded(_file(size, packed, kind, body))
    need(image is not None and image.size == size, "decoded size")
    if image is not None and image.mode == "RGBA":
        _no_hidden(image, lossy=kind != b"VP8L")
    need(len(body) > _SPARE and _decoded(_file(size, packed, kind, body[:-_SPARE])) is None, "a bitstream's tail")
    if packed is not None and packed[0] & 3 == 1 and len(packed) > _SPARE:
        need(_decoded(_file(size, packed[:-_SPARE], kind, body)) is None, "alpha's tail")
    return size, clear


def _lossy(body: bytes) -> tuple[int, int]:
    """A key frame that is shown, not to be scaled (RFC 6386, 9.1)."""
    need(len(body) > 10 and not body[0] & 1 and bool(body[0] & 0x10) and body[3:6] == b"\x9d\x01\x2a", "VP8 header")
    need(10 + (_number(body[:3]) >> 5) <= len(body), "first partition")
    width, height = struct.unpack_from("<HH", body, 6)
    need(0 < width < 1 << 14 and 0 < height < 1 << 14, "scaling")
    return width, height


def _lossless(body: bytes) -> tuple[tuple[int, int], bool]:
    need(len(body) > 5 and body[0] == 0x2F, "VP8L")
    bits = _number(body[1:5])
    need(bits >> 29 == 0, "VP8L version")
    return ((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1), bool(bits >> 28 & 1)


def _no_hidden(image: Image.Image, *, lossy: bool) -> None:
    """Raises `Doubt` for colour under alpha 0; a lossy block bleeds, so only what lies well inside must be black."""
    hidden = image.getchannel("A").point([255] + [0] * 255)
    if lossy:
        hidden = _well_inside(hidden)
    for band in image.split()[:3]:
        _lowest, highest = ImageChops.multiply(band, hidden).getextrema()
        need(isinstance(highest, int) and highest <= (_LEVEL if lossy else 0), "colour under transparency")


def _well_inside(hidden: Image.Image) -> Image.Image:
    """Where nothing can be seen for `_REACH` pixels around; steps that double keep its cost small."""
    width, height = hidden.width + 2 * _REACH, hidden.height + 2 * _REACH
    framed = Image.new("L", (width, height), 255)
    framed.paste(hidden, (_REACH, _REACH))
    done = 1
    while done < 2 * _REACH + 1:
        step = min(done, 2 * _REACH + 1 - done)
        framed = ImageChops.darker(framed, ImageChops.offset(framed, -step, 0))
        framed = ImageChops.darker(framed, ImageChops.offset(framed, 0, -step))
        done += step
    # Each pixel now tells of the square to its right and below; the middle of that square is what is asked for.
    return framed.crop((0, 0, hidden.width, hidden.height))


def _decoded(whole: bytes) -> Image.Image | None:
    """A still file's only frame; None where it does not decode."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(whole), formats=("WEBP",)) as image:
                image.load()
                return image.copy()
    except MemoryError:
        raise Doubt("too large to be judged") from None
    except Exception:  # noqa: BLE001 - any refusal is the answer
        return None


def _file(size: tuple[int, int], alpha: bytes | None, kind: bytes, body: bytes) -> bytes:
    chunks = [(kind, body)]
    if alpha is not None:
        sides = b"".join((side - 1).to_bytes(3, "little") for side in size)
        chunks = [(b"VP8X", b"\x10\0\0\0" + sides), (b"ALPH", alpha), *chunks]
    inner = b"WEBP" + b"".join(
        kind + struct.pack("<I", len(part)) + part + bytes(len(part) & 1) for kind, part in chunks
    )
    return b"RIFF" + struct.pack("<I", len(inner)) + inner
