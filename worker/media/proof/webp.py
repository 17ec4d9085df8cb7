"""Second reader of WebP: pixels, alpha and our one profile, still or animated, each bitstream ending with its chunk."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from PIL import Image

from worker.media.proof import hidden, profile, vp8
from worker.media.proof.doubt import need
from worker.media.proof.native import libwebp
from worker.media.proof.native.libwebp import Planes

_MOST_CHUNKS = 4_000
_MOST_SIDE = 16_384
_MOST_PIXELS = 40_000_000
_STILL = (["VP8 "], ["ALPH", "VP8 "], ["VP8L"])


def check(data: bytes) -> None:
    """Raises `Doubt`."""
    need(len(data) >= 20 and data[:4] == b"RIFF" and data[8:12] == b"WEBP", "signature")
    need(struct.unpack_from("<I", data, 4)[0] == len(data) - 8 and len(data) % 2 == 0, "size of the file")
    chunks = list(_chunks(data[12:]))
    kinds = [kind for kind, _ in chunks]
    if kinds[0] != "VP8X":
        need(kinds in (["VP8 "], ["VP8L"]), "a chunk that may not be there")
        _still(chunks)
    else:
        _extended(chunks, kinds)


def _chunks(data: bytes) -> Iterator[tuple[str, bytes]]:
    at, count = 0, 0
    while at < len(data):
        need(at + 8 <= len(data), "a chunk's header")
        kind, size = struct.unpack_from("<4sI", data, at)
        end = at + 8 + size
        need(end + (size & 1) <= len(data), "a chunk's length")
        need(not size & 1 or data[end] == 0, "a pad byte")
        count += 1
        need(count <= _MOST_CHUNKS, "too many chunks")
        yield kind.decode("latin-1"), data[at + 8 : end]
        at = end + (size & 1)
    need(count > 0, "no chunk")


def _extended(chunks: list[tuple[str, bytes]], kinds: list[str]) -> None:
    head = chunks[0][1]
    need(len(head) == 10 and not head[0] & ~0x32 and head[1:4] == b"\0\0\0", "VP8X")
    canvas = int.from_bytes(head[4:7], "little") + 1, int.from_bytes(head[7:10], "little") + 1
    _in_bounds(canvas)
    if head[0] & 0x20:
        need(kinds[1] == "ICCP", "a profile that lacks")
        profile.in_webp(chunks[1][1])
        chunks, kinds = [chunks[0], *chunks[2:]], [kinds[0], *kinds[2:]]
        need(len(chunks) > 1, "no picture")
    if not head[0] & 0x02:
        need(kinds[1:] in _STILL, "a chunk that may not be there")
        need(bool(head[0] & 0x10) == (kinds[1] in ("ALPH", "VP8L")), "alpha flag")
        need(_still(chunks[1:]) == canvas, "size")
        return
    need(kinds[1] == "ANIM" and len(kinds) > 2 and set(kinds[2:]) == {"ANMF"}, "a chunk that may not be there")
    need(len(chunks[1][1]) == 6 and chunks[1][1][:4] == bytes(4), "ANIM")
    for _kind, body in chunks[2:]:
        _frame(body, canvas, alpha=bool(head[0] & 0x10))


def _frame(body: bytes, canvas: tuple[int, int], *, alpha: bool) -> None:
    need(len(body) > 16, "a frame's header")
    left, top, width, height = (int.from_bytes(body[at : at + 3], "little") for at in (0, 3, 6, 9))
    need(2 * left + width + 1 <= canvas[0] and 2 * top + height + 1 <= canvas[1], "a frame outside the canvas")
    need(not body[15] & ~0x03, "a frame's flags")
    inner = list(_chunks(body[16:]))
    kinds = [kind for kind, _ in inner]
    need(kinds in _STILL and (alpha or kinds != ["ALPH", "VP8 "]), "a chunk that may not be there in a frame")
    need(_still(inner) == (width + 1, height + 1), "a frame's size")


def _still(chunks: list[tuple[str, bytes]]) -> tuple[int, int]:
    """The size of one picture in pixels, after its bitstreams were judged and decoded."""
    kind, body = chunks[-1]
    alpha = chunks[0][1] if chunks[0][0] == "ALPH" else None
    if kind == "VP8L":
        return _lossless(body)
    size = vp8.size_of(body)
    _in_bounds(size)
    if alpha is None:
        _lossy(size, None, body, None)
    else:
        _with_alpha(size, alpha, body)
    return size


def _with_alpha(size: tuple[int, int], alpha: bytes, body: bytes) -> None:
    plane = _alpha(alpha, size)
    if plane is None:
        planes = Planes.of(size, alpha=True)
        _lossy(size, alpha, body, planes)
        hidden.lossy(planes, hidden.well_inside(hidden.alpha_of(planes)))
    elif (clear := hidden.well_inside(plane)) is None:
        _lossy(size, None, body, None)
    else:
        planes = Planes.of(size, alpha=False)
        _lossy(size, None, body, planes)
        hidden.lossy(planes, clear)


def _lossy(size: tuple[int, int], alpha: bytes | None, body: bytes, planes: Planes | None) -> None:
    status = libwebp.in_two(*_all_but(vp8.samples_end(body), size, alpha, "VP8 ", body), planes)
    need(status == (libwebp.SUSPENDED, libwebp.OK), "a picture's tail, or its lack")
    need(libwebp.whole(vp8.modes_end(body, size), size) != libwebp.OK, "the first partition's tail")


def _alpha(alpha: bytes, size: tuple[int, int]) -> Image.Image | None:
    """The samples of ALPH: as many as there are pixels, or a lossless stream without its header, ending exactly.

    None where they are filtered, which a decoder of the whole picture can undo.
    """
    need(len(alpha) > 1 and not alpha[0] & 0xE0 and alpha[0] & 3 < 2, "ALPH")
    filtered = bool(alpha[0] >> 2 & 3)
    if not alpha[0] & 3:
        need(len(alpha) == 1 + size[0] * size[1], "alpha's length")
        return None if filtered else Image.frombuffer("L", size, alpha[1:], "raw", "L", 0, 1)
    stream = b"\x2f" + (size[0] - 1 | size[1] - 1 << 14).to_bytes(4, "little") + alpha[1:]
    if filtered:
        _packed(stream, size, None)
        return None
    return _rgba(stream, size).getchannel("G")  # that is where alpha is kept


def _in_bounds(size: tuple[int, int]) -> None:
    need(max(size) <= _MOST_SIDE and size[0] * size[1] <= _MOST_PIXELS, "size")


def _lossless(body: bytes) -> tuple[int, int]:
    need(len(body) > 5 and body[0] == 0x2F, "VP8L")
    (bits,) = struct.unpack_from("<I", body, 1)
    need(bits >> 29 == 0, "VP8L version")
    size = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    _in_bounds(size)
    hidden.exactly(_rgba(body, size))
    return size


def _rgba(stream: bytes, size: tuple[int, int]) -> Image.Image:
    rgba = libwebp.room(4 * size[0] * size[1])
    _packed(stream, size, rgba)
    return Image.frombuffer("RGBA", size, rgba, "raw", "RGBA", 0, 1)  # type: ignore[arg-type]  # any buffer will do


def _packed(stream: bytes, size: tuple[int, int], rgba: libwebp.Room | None) -> None:
    """A lossless stream is packed to the byte: it decodes, and without its last byte it does not."""
    early, late = libwebp.in_two(*_all_but(1, size, None, "VP8L", stream), rgba)
    need(early == libwebp.SUSPENDED, "a lossless stream's tail")
    need(late == libwebp.OK, "a lossless stream")


def _all_but(
    last: int, size: tuple[int, int], alpha: bytes | None, kind: str, body: bytes
) -> tuple[bytes, int, tuple[int, int]]:
    """A file of one picture, where to cut it for all but the `last` bytes of `body`, and its size in pixels."""
    whole = _file(size, alpha, kind, body)
    if len(body) & 1:
        whole = whole[:-1]  # a decoder would take the pad byte for one of the picture's
    return whole, len(whole) - last, size


def _file(size: tuple[int, int], alpha: bytes | None, kind: str, body: bytes) -> bytes:
    """A still file of our own making around the bitstreams of one picture."""
    parts = []
    if alpha is not None:
        sides = b"".join((side - 1).to_bytes(3, "little") for side in size)
        parts = [_chunk(b"VP8X", b"\x10\0\0\0" + sides), _chunk(b"ALPH", alpha)]
    parts.append(_chunk(kind.encode("latin-1"), body))
    inner = b"WEBP" + b"".join(parts)
    return b"RIFF" + struct.pack("<I", len(inner)) + inner


def _chunk(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("<I", len(body)) + body + bytes(len(body) & 1)
