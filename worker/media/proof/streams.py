"""Steps through the samples of a track: NAL units of the permitted types only, AAC frames that begin with sound."""

from __future__ import annotations

from typing import BinaryIO

from worker.media.proof.doubt import need
from worker.media.proof.tracks import Track

# Slices, their partitions and key frames; 7 and 8 only where they repeat the sample entry's own.
_SLICES = frozenset({1, 2, 3, 4, 5})
_PARAMETERS = frozenset({7, 8})
_MOST_UNITS = 256


def check(stream: BinaryIO, track: Track) -> None:
    """Raises `Doubt`."""
    step = _video if track.handler == b"vide" else _sound
    at = 0
    for (begin, _size), count in zip(track.chunks, track.per_chunk, strict=True):
        offset = begin
        for size in track.sizes[at : at + count]:
            step(stream, offset, size, track.parameters)
            offset += size
        at += count


def _video(stream: BinaryIO, at: int, size: int, parameters: frozenset[bytes]) -> None:
    end, units = at + size, 0
    while at < end:
        units += 1
        need(units <= _MOST_UNITS and at + 5 <= end, "units of a sample")
        stream.seek(at)
        head = stream.read(5)
        need(len(head) == 5, "a sample cut short")
        length = int.from_bytes(head[:4], "big")
        need(1 <= length <= end - at - 4 and not head[4] & 0x80, "length of a unit")
        kind = head[4] & 0x1F
        if kind in _PARAMETERS:
            need(length <= 128 and head[4:] + stream.read(length - 1) in parameters, "a parameter set in a sample")
        else:
            need(kind in _SLICES, "a unit that may not be there")
        at += 4 + length
    need(units > 0, "an empty sample")


def _sound(stream: BinaryIO, at: int, size: int, _parameters: frozenset[bytes]) -> None:
    """The first element is a channel or a pair, never data or fill; the frame ends with the end mark and zero bits."""
    need(0 < size <= 8_192, "size of a sound frame")
    stream.seek(at)
    body = stream.read(size)
    need(len(body) == size and body[0] >> 5 in (0, 1), "an element that may not be there")
    tail = int.from_bytes(body[-2:], "big")
    zeros = (tail & -tail).bit_length() - 1
    need(tail > 0 and zeros < 8 and tail >> zeros & 7 == 7, "end of a sound frame")
