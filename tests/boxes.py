"""A film's boxes as a tree that tests may change: what moves behind a change is pointed at anew.

It shares no code with the second reader: what that one would misread, this one does not.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

_HOLDERS = frozenset({b"moov", b"trak", b"mdia", b"minf", b"dinf", b"stbl", b"edts"})
Change = Callable[[bytes], bytes]


class Box:
    """A box with either a payload or boxes inside."""

    def __init__(self, kind: bytes, payload: bytes) -> None:
        self.kind = kind
        self.inside = parse(payload) if kind in _HOLDERS else None
        self.payload = b"" if kind in _HOLDERS else payload

    def __bytes__(self) -> bytes:
        body = self.payload if self.inside is None else b"".join(map(bytes, self.inside))
        return struct.pack(">I4s", len(body) + 8, self.kind) + body


def parse(body: bytes) -> list[Box]:
    found, at = [], 0
    while at < len(body):
        size, kind = struct.unpack_from(">I4s", body, at)
        assert 8 <= size <= len(body) - at, kind
        found.append(Box(kind, body[at + 8 : at + size]))
        at += size
    return found


def kinds(film: bytes) -> list[bytes]:
    """The boxes at the top."""
    return [box.kind for box in parse(film)]


def payload(film: bytes, path: str) -> bytes:
    """What is in the box: `moov/trak.1/mdia/hdlr` is that of the second track."""
    return _found(parse(film), path).payload


def changed(film: bytes, path: str, change: Change) -> bytes:
    """The film with another payload in one box."""
    tree = parse(film)
    box = _found(tree, path)
    box.payload = change(box.payload)
    return _settled(film, tree)


def put(film: bytes, path: str, box: bytes, *, at: int | None = None) -> bytes:
    """The film with one box more in another, or at the top (path ""): last, or at an index."""
    tree = parse(film)
    row = tree if not path else _found(tree, path).inside
    assert row is not None
    (new,) = parse(box)
    row.insert(len(row) if at is None else at, new)
    return _settled(film, tree)


def box(kind: str, body: bytes) -> bytes:
    return struct.pack(">I4s", len(body) + 8, kind.encode("latin-1")) + body


def patched(at: int, value: bytes) -> Change:
    """Other bytes at a place; the length stays."""

    def change(body: bytes) -> bytes:
        assert at + len(value) <= len(body)
        return body[:at] + value + body[at + len(value) :]

    return change


def samples(film: bytes, track: int) -> list[tuple[int, int]]:
    """Where each sample lies in the file, and its length."""
    base = f"moov/trak.{track}/mdia/minf/stbl/"
    sizes = _numbers(payload(film, base + "stsz")[12:])
    offsets = _numbers(payload(film, base + "stco")[8:])
    runs = _numbers(payload(film, base + "stsc")[8:])
    found, at = [], 0
    for index, offset in enumerate(offsets, start=1):
        begin, count = 0, next(runs[row + 1] for row in range(len(runs) - 3, -1, -3) if runs[row] <= index)
        for size in sizes[at : at + count]:
            found.append((offset + begin, size))
            begin += size
        at += count
    return found


def resampled(film: bytes, track: int, change: Callable[[int, bytes], bytes]) -> bytes:
    """The film with other samples in one track, of any length: `change` gets each one's number and bytes. The samples'
    box is written anew, chunk by chunk in the order they lay in."""
    tree = parse(film)
    base = "moov/trak.{}/mdia/minf/stbl/"
    tracks = [each for each in _found(tree, "moov").inside or [] if each.kind == b"trak"]
    chunks: list[tuple[int, int, list[bytes]]] = []
    for number in range(len(tracks)):
        sizes = []
        for index, (begin, size) in enumerate(samples(film, number)):
            body = film[begin : begin + size]
            new = change(index, body) if number == track else body
            sizes.append(len(new))
            chunks.append((begin, number, [new]))
        stsz = _found(tree, base.format(number) + "stsz")
        stsz.payload = stsz.payload[:4] + struct.pack(f">2I{len(sizes)}I", 0, len(sizes), *sizes)
    offsets: dict[int, list[int]] = {}
    places = {number: set(_numbers(payload(film, base.format(number) + "stco")[8:])) for number in range(len(tracks))}
    media, body = _found(tree, "mdat"), b""
    media.payload = b""
    begin_of = _begin(b"".join(map(bytes, tree))) + 8
    for begin, number, (new,) in sorted(chunks):
        if begin in places[number]:
            offsets.setdefault(number, []).append(begin_of + len(body))
        body += new
    media.payload = body
    for number, each in offsets.items():
        stco = _found(tree, base.format(number) + "stco")
        stco.payload = stco.payload[:8] + struct.pack(f">{len(each)}I", *each)
    return b"".join(map(bytes, tree))


def at_sample(film: bytes, track: int, number: int, change: Change) -> bytes:
    """The film with other bytes, as many, in one sample."""
    begin, size = samples(film, track)[number]
    new = change(film[begin : begin + size])
    assert len(new) == size
    return film[:begin] + new + film[begin + size :]


def _found(tree: list[Box], path: str) -> Box:
    box = None
    row: list[Box] | None = tree
    for part in path.split("/"):
        kind, _, number = part.partition(".")
        assert row is not None
        box = [each for each in row if each.kind == kind.encode("latin-1")][int(number or 0)]
        row = box.inside
    assert box is not None
    return box


def _settled(film: bytes, tree: list[Box]) -> bytes:
    """Chunk offsets follow when the samples' box has moved."""
    moved = _begin(b"".join(map(bytes, tree))) - _begin(film)
    if moved:
        for track in (each for each in _found(tree, "moov").inside or [] if each.kind == b"trak"):
            table = _found([track], "trak/mdia/minf/stbl/stco")
            offsets = [offset + moved for offset in _numbers(table.payload[8:])]
            table.payload = table.payload[:8] + struct.pack(f">{len(offsets)}I", *offsets)
    return b"".join(map(bytes, tree))


def _begin(film: bytes) -> int:
    at = 0
    for each in parse(film):
        if each.kind == b"mdat":
            return at
        at += len(bytes(each))
    raise AssertionError("a film without samples")


def _numbers(body: bytes) -> tuple[int, ...]:
    return struct.unpack(f">{len(body) // 4}I", body)
