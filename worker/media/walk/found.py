"""What a walker hands back: size, frames, and the carriers of metadata that it met, in the order of the file."""

from __future__ import annotations

import mmap
from collections.abc import Iterable
from dataclasses import dataclass, field

# A file as it lies in memory, or mapped, so that only what is looked at is there.
Data = bytes | mmap.mmap

# The most bytes of one carrier, and of all of a file, that are looked into; the rest can only repeat a kind that was
# counted. Whoever fills a file with carriers has them counted by their form alone.
LOOK_BYTES = 4 << 20
LOOK_BYTES_ALL = 8 << 20
# Writers pad, and leave small holes where a value was rewritten; a hiding place among directories is larger.
GAP = 16
_WINDOW = 1 << 18
_ZEROS = bytes(_WINDOW)


@dataclass(frozen=True, kw_only=True)
class Carrier:
    """One place where metadata can lie. `form` names its syntax, or the kind of what it holds where that needs no look
    into `data`, its payload (bounded)."""

    form: str
    data: bytes = b""


@dataclass(kw_only=True)
class Walked:
    """Filled while walking. `width` and `height` in pixels as stored, before orientation.

    `frames` counts those of an animation (1 for a still); `adobe_rgb`: the file says so where no EXIF block stands;
    `room` is how many bytes of carriers may still be kept.
    `colours` holds what stands in place of a profile, by the name of its chunk or box and as it stands there: `cICP`,
    `sRGB`, `gAMA`, `cHRM`, `nclx`.
    `crop` is the part of a HEIF or AVIF that is shown, before it is turned: left, top, right, bottom, the last two just
    outside.
    """

    width: int = 0
    height: int = 0
    frames: int = 1
    adobe_rgb: bool = False
    carriers: list[Carrier] = field(default_factory=list)
    room: int = LOOK_BYTES_ALL
    colours: dict[bytes, bytes] = field(default_factory=dict)
    crop: tuple[int, int, int, int] | None = None

    def add(self, form: str, data: bytes | bytearray | memoryview = b"") -> None:
        kept = bytes(data[: min(LOOK_BYTES, self.room)])
        self.room -= len(kept)
        self.carriers.append(Carrier(form=form, data=kept))


def passed(data: Data | memoryview, begin: int, end: int) -> None:
    """Give back the memory of a mapped file between two places that lie behind the walker."""
    if isinstance(data, mmap.mmap):
        first = -(-begin // mmap.PAGESIZE) * mmap.PAGESIZE
        if end > first:
            data.madvise(mmap.MADV_DONTNEED, first, end - first)


def speaks(data: Data | memoryview, begin: int, end: int, *, least: int = 1) -> bool:
    """Whether there is anything but zeros between two places, `least` bytes of it near each other."""
    end = min(end, len(data))
    for at in range(begin, end, _WINDOW):
        after = min(end, at + _WINDOW)
        window = bytes(data[at:after])
        # Compared as a whole first: that is thirty times as fast as to look for the first byte that is none.
        if window != _ZEROS[: after - at] and len(window.strip(b"\0")) >= least:
            return True
        passed(data, at, after)
    return False


def uncovered(
    data: Data | memoryview, spans: Iterable[tuple[int, int]], *, begin: int = 0, end: int | None = None, least: int = 1
) -> bool:
    """Whether bytes other than zero lie where no span (from, to) does, `least` of them in one place."""
    at, end = begin, len(data) if end is None else end
    for since, until in sorted(spans):
        if since > at and speaks(data, at, min(since, end), least=least):
            return True
        at = max(at, until)
    return speaks(data, at, end, least=least)
