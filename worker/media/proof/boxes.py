"""The second reader's own steps through boxes: sizes that add up exactly, no size 0, 64 bits for samples only."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from worker.media.proof.doubt import Doubt, need

MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)


@dataclass(frozen=True, kw_only=True)
class Top:
    """A box of the file: where its payload begins, and its length in bytes."""

    kind: bytes
    begin: int
    size: int


def top_level(stream: BinaryIO, end: int) -> Iterator[Top]:
    """The boxes of the file, which must fill it exactly; raises `Doubt`."""
    at, count = 0, 0
    while at < end:
        count += 1
        need(count <= 8, "too many boxes")
        stream.seek(at)
        head = stream.read(16)
        need(len(head) >= 8, "a box's header")
        size, kind = struct.unpack_from(">I4s", head)
        skip = 8
        if size == 1 and kind == b"mdat":
            need(len(head) == 16, "a box's header")
            size, skip = int(struct.unpack_from(">Q", head, 8)[0]), 16
        need(size >= skip and at + size <= end, "a box's length")
        yield Top(kind=kind, begin=at + skip, size=size - skip)
        at += size


def payload(stream: BinaryIO, box: Top, most: int) -> bytes:
    """The content of a box; raises `Doubt` when it is larger than `most` bytes."""
    need(box.size <= most, "a box larger than it may be")
    stream.seek(box.begin)
    body = stream.read(box.size)
    need(len(body) == box.size, "a box cut short")
    return body


def children(body: bytes) -> list[tuple[bytes, bytes]]:
    """Kind and payload of the boxes that fill `body` exactly; raises `Doubt`."""
    found: list[tuple[bytes, bytes]] = []
    at = 0
    while at < len(body):
        need(at + 8 <= len(body) and len(found) < 32, "a box's header")
        size, kind = struct.unpack_from(">I4s", body, at)
        need(8 <= size <= len(body) - at, "a box's length")
        found.append((kind, body[at + 8 : at + size]))
        at += size
    return found


def named(body: bytes, order: list[bytes], may: list[bytes] | None = None) -> dict[bytes, bytes]:
    """The boxes that fill `body`: all of `order` but for some of `may`, each once, as they follow; raises `Doubt`."""
    parts = children(body)
    found = dict(parts)
    if [kind for kind, _ in parts] != [kind for kind in order if kind in found or kind not in (may or [])]:
        raise Doubt("a box that may not be there, or one that is missing")
    return found


def u16(body: bytes, at: int) -> int:
    return int(struct.unpack_from(">H", body, at)[0])


def u32(body: bytes, at: int) -> int:
    return int(struct.unpack_from(">I", body, at)[0])


def numbers(body: bytes, head: int, width: int) -> tuple[int, ...]:
    """The table after `head` bytes, whose last four say how many entries of `width` bytes (4 or 8) there are."""
    need(len(body) >= head and not any(body[:4]), "a table's header")
    count = u32(body, head - 4)
    need(len(body) == head + count * width, "a table's length")
    return struct.unpack_from(f">{count * width // 4}I" if width != 8 else f">{count}Q", body, head)
