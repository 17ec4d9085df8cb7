"""Second reader of WebP: pixels, alpha and our one profile, still or animated, each bitstream ending with its chunk."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from worker.media.proof import pixels, profile
from worker.media.proof.doubt import need

_MOST_CHUNKS = 4_000
# A coder may flush up to this many bytes more than its last symbol needs, measured on our own encoder's output;
# a bitstream that decodes without them had bytes to spare.
_SPARE = 8
# How far a lossy block's colour may reach under full transparency, in pixels, and how bright what is left there may be.
_BLEED, _LEVEL = 20, 8
_STILL = (["VP8 "], ["ALPH", "VP8 "], ["VP8L"])


def check(data: bytes) -> None:
    """Raises `Doubt`."""
    need(len(data) >= 20 and data[:4] == b"RIFF" and data[8:12] == b"WEBP", "signature")
    need(struct.unpack_from("<I", data, 4)[0] == len(data) - 8 and len(data) % 2 == 0, "size of the file")
    chunks = list(_chunks(data[12:]))
    kinds = [kind for kind, _ in chunks]
    if kinds[0] != "VP8X":
        need(kinds in (["VP8 "], ["VP8L"]), "a chunk that may not be there")
        size, frames = _still(chunks), 1
    else:
        size, frames = _extended(chunks, kinds)
    need(pixels.size_and_frames(data, "WEBP") == (size, frames), "decoded size")


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


def _extended(chunks: list[tuple[str, bytes]], kinds: list[str]) -> tuple[tuple[int, int], int]:
    head = chunks[0][1]
    need(len(head) == 10 and not head[0] & ~0x32 and head[1:4] == b"\0\0\0", "VP8X")
    canvas = int.from_bytes(head[4:7], "little") + 1, int.from_bytes(head[7:10], "little") + 1
    if head[0] & 0x20:
        need(kinds[1] == "ICCP", "a profile that lacks")
        profile.in_webp(chunks[1][1])
        chunks, kinds = [chunks[0], *chunks[2:]], [kinds[0], *kinds[2:]]
        need(len(chunks) > 1, "no picture")
    if not head[0] & 0x02:
        need(kinds[1:] in _STILL, "a chunk that may not be there")
        need(bool(head[0] & 0x10) == (kinds[1] in ("ALPH", "VP8L")), "alpha flag")
        need(_still(chunks[1:]) == canvas, "size")
        return canvas, 1
    need(kinds[1] == "ANIM" and len(kinds) > 2 and set(kinds[2:]) == {"ANMF"}, "a chunk that may not be there")
    need(len(chunks[1][1]) == 6 and chunks[1][1][:4] == bytes(4), "ANIM")
    for _kind, body in chunks[2:]:
        _frame(body, canvas, alpha=bool(head[0] & 0x10))
    return canvas, len(kinds) - 2


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
    """The size of one picture, after its bitstreams were judged and decoded."""
    kind, body = chunks[-1]
    size = _lossless(body) if kind == "VP8L" else _lossy(body)
    alpha = chunks[0][1] if chunks[0][0] == "ALPH" else None
    if alpha is not None:
        need(len(alpha) > 1 and not alpha[0] & 0xC0 and not alpha[0] & 0x20 and alpha[0] & 3 < 2, "ALPH")
        need(alpha[0] & 3 == 1 or len(alpha) == 1 + size[0] * size[1], "alpha's length")
    whole = _file(size, alpha, kind, body)
    image = pixels.decoded(whole, "WEBP")
    need(image.size == size, "decoded size")
    if kind == "VP8L":
        pixels.no_hidden_colour(image)
    else:
        # Lossy blocks bleed: only what lies well inside must be black, but for the loop filter's last level.
        pixels.no_hidden_colour(image, reach=_BLEED, tolerance=_LEVEL)
    need(
        len(body) > _SPARE and not pixels.decodes(_file(size, alpha, kind, body[:-_SPARE]), "WEBP"),
        "a bitstream's tail",
    )
    if alpha is not None and alpha[0] & 3 == 1 and len(alpha) > _SPARE:
        need(not pixels.decodes(_file(size, alpha[:-_SPARE], kind, body), "WEBP"), "alpha's tail")
    return size


def _lossy(body: bytes) -> tuple[int, int]:
    """Frame header of VP8 (RFC 6386, 9.1): a key frame that is shown, profile 0 to 3, no scaling."""
    need(len(body) > 10, "VP8")
    tag = int.from_bytes(body[:3], "little")
    need(not tag & 1 and bool(tag & 0x10) and body[3:6] == b"\x9d\x01\x2a", "VP8 header")
    need(10 + (tag >> 5) <= len(body), "first partition")
    width, height = struct.unpack_from("<HH", body, 6)
    need(width < 1 << 14 and height < 1 << 14 and width > 0 and height > 0, "scaling")
    return width, height


def _lossless(body: bytes) -> tuple[int, int]:
    need(len(body) > 5 and body[0] == 0x2F, "VP8L")
    (bits,) = struct.unpack_from("<I", body, 1)
    need(bits >> 29 == 0, "VP8L version")
    return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1


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
