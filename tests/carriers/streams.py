"""Carriers inside the streams of an MP4: SEI messages, units of no picture, data elements of AAC, records of codecs."""

from __future__ import annotations

import struct
from collections.abc import Callable

from tests.boxes import changed, resampled
from tests.carriers.mp4 import TABLE, Carrier, Plant, carrier

MDPM = bytes.fromhex("17ee8c60f84d11d98cd60800200c9a66") + b"MDPM"
_ANYONE = bytes.fromhex("086f3693b7b34f2c965321492feee5b8")
_CAPTIONS = b"\xb5\x00\x31GA94\x03"


def _unit(header: bytes, body: bytes) -> bytes:
    """With emulation prevention, behind its length."""
    safe, zeros = bytearray(), 0
    for byte in body:
        if zeros >= 2 and byte <= 3:
            safe.append(3)
            zeros = 0
        safe.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    unit = header + bytes(safe)
    return struct.pack(">I", len(unit)) + unit


def _message(kind: int, body: bytes) -> bytes:
    size = b"\xff" * (len(body) // 255) + bytes((len(body) % 255,))
    return bytes((kind,)) + size + body


def _camera(word: bytes) -> bytes:
    """AVCHD's: tags of four bytes each: date, time, place; the word lies in those of the maker."""
    tags = [(0x18, b"\x02\x20\x24\x05"), (0x19, b"\x06\x07\x08\x09"), (0xB2, b"\x00\x30\x00\x01")]
    tags += [(0xE4 + at // 4, word[at : at + 4].ljust(4, b"\0")) for at in range(0, len(word), 4)]
    return MDPM + bytes((len(tags),)) + b"".join(bytes((tag,)) + value for tag, value in tags) + word


def before_slices(header: bytes, body: Callable[[bytes], bytes]) -> Plant:
    """A unit before the first of every third sample."""

    def plant(film: bytes, word: bytes) -> bytes:
        unit = _unit(header, body(word))
        return resampled(film, 0, lambda number, sample: sample if number % 3 else unit + sample)

    return plant


def _sei(kind: int, body: Callable[[bytes], bytes], *, header: bytes = b"\x06", first: bytes = b"") -> Plant:
    return before_slices(header, lambda word: first + _message(kind, body(word)) + b"\x80")


def _behind(film: bytes, word: bytes) -> bytes:
    return resampled(film, 0, lambda _number, sample: sample + _unit(b"\x0c", word + b"\x80"))


def _data_element(film: bytes, word: bytes) -> bytes:
    """Element 4, aligned to bytes, before each frame of sound."""
    return resampled(film, 1, lambda _number, frame: bytes((0b10000001, len(word))) + word + frame)


def _same(word: bytes) -> bytes:
    return word


def grown(kind: bytes, more: Callable[[bytes], bytes]) -> Plant:
    """Bytes more at the end of a box in the picture's sample entry."""

    def plant(film: bytes, word: bytes) -> bytes:
        def change(stsd: bytes) -> bytes:
            at, new = stsd.index(kind) - 4, more(word)
            end = at + struct.unpack_from(">I", stsd, at)[0]
            stsd = stsd[:end] + new + stsd[end:]
            for start in (at, 8):
                size = struct.unpack_from(">I", stsd, start)[0] + len(new)
                stsd = stsd[:start] + struct.pack(">I", size) + stsd[start + 4 :]
            return stsd

        return changed(film, TABLE + "stsd", change)

    return plant


H264: tuple[Carrier, ...] = (
    carrier("sei-unreg", "unknown_block", _sei(5, lambda word: _ANYONE + word)),
    carrier("sei-mdpm", "camera", _sei(5, _camera)),
    carrier("sei-mdpm-date", "timestamps", _sei(5, _camera)),
    carrier("sei-mdpm-place", "location", _sei(5, _camera)),
    carrier("sei-t35", "subtitles", _sei(4, lambda word: _CAPTIONS + word)),
    carrier("sei-t35-maker", "unknown_block", _sei(4, lambda word: b"\xb5\x00\x99" + word)),
    carrier("sei-reserved", "unknown_block", _sei(200, _same)),
    carrier("sei-deep", "unknown_block", _sei(5, lambda word: _ANYONE + word, first=_message(3, b"\xff" * 4_500))),
    carrier("sei-filler", "hidden_data", _sei(3, _same)),
    carrier("nal-filler", "hidden_data", before_slices(b"\x0c", lambda word: word + b"\x80")),
    carrier("nal-filler-behind", "hidden_data", _behind),
    carrier("nal-30", "hidden_data", before_slices(b"\x1e", _same)),
    carrier("avc-avcc", "hidden_data", grown(b"avcC", _same)),
    carrier("aac-dse", "hidden_data", _data_element),
)
HEVC: tuple[Carrier, ...] = (
    carrier("hevc-sei", "unknown_block", _sei(5, lambda word: _ANYONE + word, header=b"\x4e\x01")),
    carrier("hevc-sei-suffix", "unknown_block", _sei(4, lambda word: b"\xb5\x00\x99" + word, header=b"\x50\x01")),
    carrier("hevc-time", "timestamps", _sei(136, _same, header=b"\x4e\x01")),
    carrier("hevc-nal62", "hidden_data", before_slices(b"\x7c\x01", _same)),
    carrier("hevc-hvcc", "hidden_data", grown(b"hvcC", _same)),
)


def _obu(kind: int, body: bytes) -> bytes:
    assert len(body) < 128
    return bytes((kind << 3 | 2, len(body))) + body


def _metadata(word: bytes) -> bytes:
    """ITU-T T.35, of a country and nobody's code."""
    return _obu(5, b"\4\xb5\x00\x99" + word + b"\x80")


def _in_samples(unit: Callable[[bytes], bytes]) -> Plant:
    """Behind the temporal delimiter, or first."""
    return lambda film, word: resampled(film, 0, lambda number, sample: sample if number else unit(word) + sample)


AV1: tuple[Carrier, ...] = (
    carrier("av1-metadata", "unknown_block", _in_samples(_metadata)),
    carrier("av1-padding", "hidden_data", _in_samples(lambda word: _obu(15, word + b"\x80"))),
    carrier("av1-av1c", "unknown_block", grown(b"av1C", _metadata)),
)


def all_in(film: bytes, carriers: tuple[Carrier, ...]) -> bytes:
    for each in carriers:
        film = each.into(film)
    return film
