"""Second reader of a grey JPEG, which is what most gain maps are: one constant head, and a scan without a spare bit.

Every code of the scan is read (ITU-T T.81, F.2.2): it must hold exactly the blocks of the picture, end in the byte of
the last one, and be filled up with ones.
"""

from __future__ import annotations

import functools
import hashlib
import re
import struct

from worker.media.proof.doubt import Doubt, need

_APP0 = b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0"
# SHA-256 of the rest of the head but for the size: the quantisation table (Annex K.1 at quality 92), frame, Huffman
# tables (Annex K.3, luminance), scan header.
_HEAD = "6bb30df66f07dc25c5a950ac4e02fdbb469629753019e9da3bb69af5d6f8fafc"
_QUANTISATION = 69
_SIZE_AT = len(_APP0) + _QUANTISATION + 5
_TABLES_AT = _SIZE_AT + 8
_SCAN_AT = _TABLES_AT + 33 + 183 + 10
_MOST_SIDE = 1_024
_IN_SCAN = re.compile(rb"\xff[^\0]")
# Codes are at most 16 bits long, their values at most 15 more; a block takes less than this many bytes.
_CODE, _REFILL, _BEYOND = 16, 32, 256
_MASK = (1 << _CODE) - 1
# The code for sixteen samples of nothing.
_SIXTEEN = 0xF0


def check(data: bytes) -> None:
    """Raises `Doubt`."""
    need(data.startswith(_APP0) and data[-2:] == b"\xff\xd9" and len(data) > _SCAN_AT, "head or end")
    height, width = struct.unpack_from(">HH", data, _SIZE_AT)
    head = data[len(_APP0) : _SIZE_AT] + data[_SIZE_AT + 4 : _SCAN_AT]
    need(hashlib.sha256(head).hexdigest() == _HEAD, "head")
    need(0 < width <= _MOST_SIDE and 0 < height <= _MOST_SIDE, "size")
    found = _IN_SCAN.search(data, _SCAN_AT)
    need(found is not None and found.start() == len(data) - 2, "a marker in the scan, or bytes after the end")
    dc, ac = _table(data[_TABLES_AT + 4 :]), _table(data[_TABLES_AT + 37 :])
    scan = data[_SCAN_AT:-2].replace(b"\xff\0", b"\xff")
    spare = 8 * len(scan) - _bits(scan + b"\xff" * _BEYOND, -(-width // 8) * -(-height // 8), dc, ac)
    need(0 <= spare < 8, "bytes after the last sample, or samples that lack")
    need(not ~scan[-1] & ((1 << spare) - 1), "bits after the last sample")


Table = tuple[tuple[int, int], ...]


def _table(body: bytes) -> Table:
    """The next 16 bits of a scan -> length of the code that they begin with and its value; length 0: no code."""
    return _spread(bytes(body[1:17]), bytes(body[17 : 17 + sum(body[1:17])]))


@functools.cache
def _spread(counts: bytes, values: bytes) -> Table:
    table: list[tuple[int, int]] = []
    rest = iter(values)
    for length, count in enumerate(counts, 1):
        for _ in range(count):
            table += [(length, next(rest))] * (1 << (_CODE - length))
    return (*table, *[(0, 0)] * ((1 << _CODE) - len(table)))


def _bits(scan: bytes, blocks: int, dc: Table, ac: Table) -> int:
    """How many bits the blocks take: each code is stepped over, and the bits of its value."""
    held = bits = at = 0
    for _ in range(blocks):
        need(at < len(scan) - _BEYOND + 8, "samples that lack")
        if bits < _REFILL:
            held = (held & ((1 << bits) - 1)) << _REFILL | int.from_bytes(scan[at : at + 4], "big")
            at, bits = at + 4, bits + _REFILL
        length, size = dc[held >> bits - _CODE & _MASK]
        need(length > 0, "no code")
        bits -= length + size
        place, last = 1, 0
        while place < 64:
            if bits < _REFILL:
                held = (held & ((1 << bits) - 1)) << _REFILL | int.from_bytes(scan[at : at + 4], "big")
                at, bits = at + 4, bits + _REFILL
            length, value = ac[held >> bits - _CODE & _MASK]
            if not length or (not value and last == _SIXTEEN):
                raise Doubt("no code, or one that says nothing")
            bits -= length + (value & 15)
            if not value:
                break
            place, last = place + (value >> 4) + 1, value
        need(place <= 64, "more samples than a block has")
    return 8 * at - bits
