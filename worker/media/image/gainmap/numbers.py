"""The seven numbers that say what a gain map's samples mean: read from three spellings, bounded, never copied as text.

hdrgm XMP: Ultra HDR Image Format v1.1 (developer.android.com/media/platform/hdr-image-format). Binary: ISO 21496-1,
annex C. Apple: "Applying Apple HDR effect to your photos" (developer.apple.com/documentation/appkit).
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

# All numbers are whole ten-thousandths: fine enough for any eye, too coarse to carry what does not belong there.
STEPS = 10_000
_MOST_STOPS = 16.0
_MOST_GAMMA, _MOST_OFFSET = 10.0, 1.0
_ISO = b"urn:iso:std:iso:ts:21496:-1\0"
_NUMBER = rb"\s*([-+]?\d{0,9}\.?\d{0,15}(?:[eE][-+]?\d{1,2})?)\s*"
_HEADROOM = re.compile(rb"HDRGainMap:HDRGainMapHeadroom(?:>|\s*=\s*[\"'])" + _NUMBER + rb"[<\"']")
_APPLE_MAP = re.compile(rb"HDRGainMap:HDRGainMapVersion(?:>|\s*=\s*[\"'])")
_MAKER = b"Apple iOS\0"
_MAKER_ENTRIES = 200


@dataclass(frozen=True, kw_only=True)
class Channel:
    """Of one channel: stops at sample 0 and 1, the exponent between, and what is added to light before the gain and
    taken off after."""

    low: float
    high: float
    gamma: float = 1.0
    offset_sdr: float = 1 / 64
    offset_hdr: float = 1 / 64

    def stops(self, sample: float) -> float:
        """The gain in stops for a sample of 0 to 1."""
        return float(self.low + (self.high - self.low) * sample ** (1 / self.gamma))


@dataclass(frozen=True, kw_only=True)
class Said:
    """What a file says: one channel or three; `capacity` is the stops of headroom where a display begins to use the
    map, and from where it uses all of it. `apple`: samples are of light, not of stops."""

    channels: tuple[Channel, ...]
    capacity: tuple[float, float]
    apple: bool = False


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """What we write, for all channels, in ten-thousandths."""

    low: int
    high: int
    gamma: int
    offset_sdr: int
    offset_hdr: int
    capacity_min: int
    capacity_max: int

    def channel(self) -> Channel:
        low, high, gamma, offset_sdr, offset_hdr = (
            value / STEPS for value in (self.low, self.high, self.gamma, self.offset_sdr, self.offset_hdr)
        )
        return Channel(low=low, high=high, gamma=gamma, offset_sdr=offset_sdr, offset_hdr=offset_hdr)


def settled(said: Said) -> Numbers | None:
    """The numbers to write, one set for all channels; None where any is out of its bounds or the map says nothing."""
    channels = said.channels
    if len({(each.offset_sdr, each.offset_hdr) for each in channels}) > 1 or not all(map(_bounded, channels)):
        return None
    first, (least, most) = channels[0], said.capacity
    if not (0 <= least < most <= _MOST_STOPS):
        return None
    numbers = Numbers(
        low=_whole(min(each.low for each in channels)),
        high=_whole(max(each.high for each in channels)),
        gamma=max(1, _whole(first.gamma)),
        offset_sdr=_whole(first.offset_sdr),
        offset_hdr=_whole(first.offset_hdr),
        capacity_min=_whole(least),
        capacity_max=_whole(most),
    )
    return numbers if numbers.low < numbers.high and numbers.capacity_min < numbers.capacity_max else None


def table(channel: Channel, numbers: Numbers, *, apple: bool) -> list[int]:
    """Sample of the file (0 to 255) -> sample to write, so that it stands for the same gain by our numbers."""
    ours = numbers.channel()
    return [_sample(ours, _apple_stops(channel, at / 255) if apple else channel.stops(at / 255)) for at in range(256)]


def from_xmp(packet: bytes) -> Said | None:
    """From the packet on an Ultra HDR gain map, numbers in attributes or elements, one a channel or one for all."""
    low, high = _listed(packet, b"GainMapMin", 0.0), _listed(packet, b"GainMapMax", None)
    gamma, sdr = _listed(packet, b"Gamma", 1.0), _listed(packet, b"OffsetSDR", 1 / 64)
    hdr, least = _listed(packet, b"OffsetHDR", 1 / 64), _listed(packet, b"HDRCapacityMin", 0.0)
    most = _listed(packet, b"HDRCapacityMax", None)
    if re.search(rb"hdrgm:BaseRenditionIsHDR(?:>|\s*=\s*[\"'])\s*True", packet):
        return None
    if not (low and high and gamma and sdr and hdr and least and most):
        return None
    rows = zip(*(three * (3 // len(three)) for three in (low, high, gamma, sdr, hdr)), strict=True)
    channels = tuple(
        Channel(low=row[0], high=row[1], gamma=row[2], offset_sdr=row[3], offset_hdr=row[4]) for row in rows
    )
    return Said(channels=_few(channels), capacity=(least[0], most[0]))


def from_iso(segment: bytes) -> Said | None:
    """From an APP2 segment's payload with the name of the standard in front."""
    return from_binary(segment[len(_ISO) :]) if segment.startswith(_ISO) else None


def from_binary(body: bytes) -> Said | None:
    """From the metadata of ISO 21496-1. Flag 8, one denominator for all, is what early writers used."""
    try:
        version, _writer, flags = struct.unpack_from(">HHB", body)
        if version:
            return None
        count = 3 if flags & 0x80 else 1
        values = list(_shared(body, 2 + 5 * count) if flags & 8 else _fractions(body, 2 + 5 * count))
    except (struct.error, ZeroDivisionError):
        return None
    channels = tuple(
        Channel(low=low, high=high, gamma=gamma, offset_sdr=base, offset_hdr=other)
        for low, high, gamma, base, other in zip(*(values[at + 2 :: 5] for at in range(5)), strict=True)
    )
    # A base with more headroom than its other rendition is the HDR one; ours is always SDR.
    return Said(channels=_few(channels), capacity=(values[0], values[1]))


def from_apple(packet: bytes, exif: bytes) -> Said | None:
    """From an Apple gain map's packet, and from the maker note of its picture where the packet says no headroom.

    Apple's samples are of light: hdr = sdr * (1 + (headroom - 1) * sample). In stops that is log2 of the bracket; from
    0 to log2 of the headroom, without offsets.
    """
    if not _APPLE_MAP.search(packet):
        return None
    said = _HEADROOM.search(packet)
    headroom = _float(said[1]) if said else _maker_headroom(exif)
    if headroom is None or not 1 < headroom <= 2**_MOST_STOPS:
        return None
    stops = math.log2(headroom)
    return Said(
        channels=(Channel(low=0.0, high=stops, offset_sdr=0.0, offset_hdr=0.0),), capacity=(0.0, stops), apple=True
    )


def _bounded(channel: Channel) -> bool:
    return (
        -_MOST_STOPS <= channel.low <= channel.high <= _MOST_STOPS
        and 1 / _MOST_GAMMA <= channel.gamma <= _MOST_GAMMA
        and 0 <= channel.offset_sdr <= _MOST_OFFSET
        and 0 <= channel.offset_hdr <= _MOST_OFFSET
    )


def _whole(value: float) -> int:
    return round(value * STEPS)


def _sample(ours: Channel, stops: float) -> int:
    part = min(max((stops - ours.low) / (ours.high - ours.low), 0.0), 1.0)
    return int(255 * part**ours.gamma + 0.5)


def _apple_stops(channel: Channel, sample: float) -> float:
    """The samples carry the curve of Rec. 709 (ITU-R BT.709-6, 1.2)."""
    light = sample / 4.5 if sample < 0.081 else ((sample + 0.099) / 1.099) ** (1 / 0.45)
    return math.log2(1 + (2**channel.high - 1) * light)


def _few(channels: tuple[Channel, ...]) -> tuple[Channel, ...]:
    return channels[:1] if len(set(channels)) == 1 else channels


def _listed(packet: bytes, name: bytes, otherwise: float | None) -> list[float] | None:
    """One number or three; `otherwise` where the name does not stand there, None where it makes no sense."""
    found = re.search(rb"hdrgm:" + name + rb"\s*=\s*([\"'])([^\"'<>]{1,40})\1", packet)
    texts: Sequence[bytes] = [found[2]] if found else []
    if not texts:
        element = re.search(rb"<hdrgm:" + name + rb">(.{1,400}?)</hdrgm:" + name + rb">", packet, re.DOTALL)
        if element is None:
            return None if otherwise is None else [otherwise]
        texts = re.findall(rb"<rdf:li>([^<]{1,40})</rdf:li>", element[1]) or [element[1]]
    numbers = [_float(text) for text in texts]
    kept = [number for number in numbers if number is not None]
    return kept if len(kept) == len(numbers) and len(kept) in (1, 3) else None


def _float(text: bytes) -> float | None:
    match = re.fullmatch(_NUMBER, text)
    try:
        return float(match[1]) if match else None
    except ValueError:
        return None


def _fractions(body: bytes, count: int) -> Iterator[float]:
    for at in range(count):
        over, under = struct.unpack_from(">iI", body, 5 + 8 * at)
        yield over / under


def _shared(body: bytes, count: int) -> Iterator[float]:
    under, *overs = struct.unpack_from(f">I{count}i", body, 5)
    return (over / under for over in overs)


def _maker_headroom(exif: bytes) -> float | None:
    """Tags 33 and 48 of Apple's maker note, as its article turns them into a ratio."""
    tags = dict(_maker_tags(exif))
    first, second = tags.get(33), tags.get(48)
    if first is None or second is None:
        return None
    if first < 1:
        stops = -20.0 * second + 1.8 if second <= 0.01 else -0.101 * second + 1.601
    else:
        stops = -70.0 * second + 3.0 if second <= 0.01 else -0.303 * second + 2.303
    return float(2 ** min(max(stops, 0.0), _MOST_STOPS))


def _maker_tags(exif: bytes) -> Iterator[tuple[int, float]]:
    """Signed rationals of the note; offsets count from its beginning."""
    begin = exif.find(_MAKER)
    note = exif[begin:] if begin >= 0 else b""
    if len(note) < 16 or note[12:14] not in (b"MM", b"II"):
        return
    order = ">" if note[12:14] == b"MM" else "<"
    count = min(int(struct.unpack_from(order + "H", note, 14)[0]), _MAKER_ENTRIES)
    for at in range(16, min(16 + 12 * count, len(note) - 11), 12):
        tag, kind, amount, where = struct.unpack_from(order + "HHII", note, at)
        if kind == 10 and amount == 1 and where + 8 <= len(note):
            over, under = struct.unpack_from(order + "ii", note, where)
            if under:
                yield tag, over / under
