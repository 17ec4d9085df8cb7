"""The second reader's view of sample entries: `avc1` with its `avcC`, `mp4a` with its `esds`, byte for byte."""

from __future__ import annotations

from worker.media.proof.boxes import named, u16, u32
from worker.media.proof.doubt import need
from worker.media.proof.sps import picture_parameters, shown_size

_AUDIO_RATES = (96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350)
_HIGH = frozenset({100, 110, 122, 244})
# A single frame may weigh megabytes and last a hundredth of a second.
_MOST_BITS = 1 << 31


def entry(body: bytes, handler: bytes, track_header: bytes) -> frozenset[bytes]:
    """Judges `stsd`; returns the parameter sets it holds. Raises `Doubt`."""
    need(body[:8] == b"\0\0\0\0\0\0\0\1", "stsd")
    kind = b"avc1" if handler == b"vide" else b"mp4a"
    inner = named(body[8:], [kind])[kind]
    need(inner[:8] == b"\0\0\0\0\0\0\0\1", "sample entry")
    if handler == b"soun":
        _sound(inner)
        return frozenset()
    return _video(inner, track_header)


def _video(body: bytes, track_header: bytes) -> frozenset[bytes]:
    need(len(body) > 78 and body[8:24] == bytes(16), "vendor of a sample entry")
    size = u16(body, 24), u16(body, 26)
    need(body[28:42] == b"\0\x48\0\0\0\x48\0\0\0\0\0\0\0\1", "resolution of a sample entry")
    need(body[42:74] == bytes(32) and body[74:78] == b"\0\x18\xff\xff", "compressor of a sample entry")
    parts = named(body[78:], [b"avcC", b"colr", b"pasp", b"btrt"], [b"colr", b"pasp", b"btrt"])
    need(parts.get(b"colr", _BT709) == _BT709, "colr")
    need(parts.get(b"pasp", _SQUARE) == _SQUARE, "pasp")
    _rates(parts.get(b"btrt", bytes(12)))
    sets = _avc(parts[b"avcC"])
    need(shown_size(sets[0]) == size, "size of the stream")
    picture_parameters(sets[1])
    need((u32(track_header, 76), u32(track_header, 80)) == (size[0] << 16, size[1] << 16), "tkhd size")
    return frozenset(sets)


_BT709 = b"nclx\0\1\0\1\0\1\0"
_SQUARE = b"\0\0\0\1\0\0\0\1"


def _rates(body: bytes) -> None:
    """Of a stream: no buffer, the most and the mean bits a second."""
    need(len(body) == 12 and not any(body[:4]) and u32(body, 8) <= u32(body, 4) <= _MOST_BITS, "btrt")


def _avc(body: bytes) -> tuple[bytes, bytes]:
    """One SPS and one PPS, and for the high profiles the four bytes that say 4:2:0 in eight bit; nothing after."""
    need(len(body) > 11 and body[0] == 1 and body[4] == 0xFF and body[5] == 0xE1, "avcC")
    length = u16(body, 6)
    sps, rest = body[8 : 8 + length], body[8 + length :]
    need(len(sps) == length and length >= 4 and sps[0] & 0x9F == 7 and sps[1:4] == body[1:4], "SPS")
    need(len(rest) > 3 and rest[0] == 1, "avcC")
    length = u16(rest, 1)
    pps, tail = rest[3 : 3 + length], rest[3 + length :]
    need(len(pps) == length and 2 <= length <= 64 and pps[0] & 0x9F == 8, "PPS")
    need(tail == (b"\xfd\xf8\xf8\0" if sps[1] in _HIGH else b""), "bytes after the parameter sets")
    return sps, pps


def _sound(body: bytes) -> None:
    need(len(body) > 28 and body[8:16] == bytes(8), "vendor of a sample entry")
    channels, rate = u16(body, 16), u32(body, 24)
    need(1 <= channels <= 8 and body[18:24] == b"\0\x10\0\0\0\0", "mp4a")
    parts = named(body[28:], [b"esds", b"btrt"], [b"btrt"])
    _rates(parts.get(b"btrt", bytes(12)))
    esds = parts[b"esds"]
    # Descriptors with lengths of four bytes, as the muxer writes them: stream, decoder, its configuration, sync layer.
    need(len(esds) >= 39 and esds[:5] == b"\0\0\0\0\3" and esds[9:10] == b"\0" and esds[11:13] == b"\0\4", "esds")
    need(esds[17:19] == b"\x40\x15" and esds[30:31] == b"\5", "codec of the sound")
    _rates(b"\0" + esds[19:30])
    config = esds[35:-6]
    need(esds[5:9] == _length(len(esds) - 9) and esds[13:17] == _length(18 + len(config)), "lengths in esds")
    need(esds[31:35] == _length(len(config)) and esds[-6:] == b"\6\x80\x80\x80\1\2", "lengths in esds")
    _configuration(config, rate >> 16)


def _length(size: int) -> bytes:
    return b"\x80\x80\x80" + bytes((size,)) if size < 128 else b""


def _configuration(config: bytes, rate: int) -> None:
    """AAC LC, a rate of the table, plain channels, frames of 1,024; perhaps the note that there is no SBR."""
    need(len(config) in (2, 5) and config[2:] in (b"", b"\x56\xe5\0"), "AAC configuration")
    bits = u16(config, 0)
    index = bits >> 7 & 15
    need(bits >> 11 == 2 and index < len(_AUDIO_RATES) and not bits & 7, "AAC configuration")
    need(rate in (0, _AUDIO_RATES[index]) and 1 <= bits >> 3 & 15 <= 7, "AAC configuration")
