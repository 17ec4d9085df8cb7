"""What a walker hands back: size, frames, and the carriers of metadata that it met, in the order of the file."""

from __future__ import annotations

import mmap
from dataclasses import dataclass, field

# A file as it lies in memory, or mapped, so that only what is looked at is there.
Data = bytes | mmap.mmap

# The most bytes of one carrier, and of all of a file, that are looked into; the rest can only repeat a kind that was
# counted. Whoever fills a file with carriers has them counted by their form alone.
LOOK_BYTES = 4 << 20
LOOK_BYTES_ALL = 8 << 20


@dataclass(frozen=True, kw_only=True)
class Carrier:
    """One place where metadata can lie. `form` names its syntax, `data` is its payload (bounded)."""

    form: str
    data: bytes = b""


@dataclass(kw_only=True)
class Walked:
    """Filled while walking. `width` and `height` in pixels as stored, before orientation.

    `frames` counts those of an animation (1 for a still); `room` is how many bytes of carriers may still be kept.
    `colours` holds what stands in place of a profile, by the name of its chunk or box and as it stands there: `cICP`,
    `sRGB`, `gAMA`, `cHRM`, `nclx`.
    """

    width: int = 0
    height: int = 0
    frames: int = 1
    carriers: list[Carrier] = field(default_factory=list)
    room: int = LOOK_BYTES_ALL
    colours: dict[bytes, bytes] = field(default_factory=dict)

    def add(self, form: str, data: bytes | bytearray | memoryview = b"") -> None:
        kept = bytes(data[: min(LOOK_BYTES, self.room)])
        self.room -= len(kept)
        self.carriers.append(Carrier(form=form, data=kept))


def passed(data: Data, begin: int, end: int) -> None:
    """Give back the memory of a mapped file between two places that lie behind the walker."""
    if isinstance(data, mmap.mmap):
        first = -(-begin // mmap.PAGESIZE) * mmap.PAGESIZE
        if end > first:
            data.madvise(mmap.MADV_DONTNEED, first, end - first)
