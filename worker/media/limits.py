"""One table of limits, read by the door, the pre-walk, the jail, and the parent that checks the answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

MIB = 1 << 20
# Before the limit of its task (60 s), however large the limits are set: it must be the first to end it, with a code.
IMAGE_DEADLINE_S = 50.0


@dataclass(frozen=True, kw_only=True)
class MediaLimits:
    """Pixels, bytes, seconds, counts. The defaults take what phones make: 64 megapixels and 50 MB, 10 minutes and 2 GB.

    Frame counts and the like were set above what 3,846 good public files showed.
    """

    pixels: int = 64_000_000
    side: int = 16_384
    aspect: int = 200
    image_bytes: int = 50_000_000
    frames: int = 300
    frame_pixels_total: int = 400_000_000
    segments: int = 5_000
    scans: int = 100
    chunks: int = 10_000
    strips: int = 40_000
    text_bytes: int = 8_000_000
    pages: int = 100
    tags: int = 10_000
    boxes: int = 10_000
    box_depth: int = 16
    video_bytes: int = 2_000_000_000
    duration_s: int = 600
    streams: int = 16
    video_pixels: int = 40_000_000

    def as_args(self) -> dict[str, int]:
        """As JSON, for the jail's child."""
        return asdict(self)

    @classmethod
    def from_args(cls, args: Mapping[str, object]) -> MediaLimits:
        """The inverse of `as_args`; raises TypeError or ValueError for a name or value that is not one of ours."""
        return cls(**{name: int(str(value)) for name, value in args.items()})

    @property
    def markers(self) -> int:
        """Stuffed bytes and restarts in a JPEG's scans: five times as many as samples have that look like noise."""
        return self.image_bytes // 50

    @property
    def sub_blocks(self) -> int:
        """Of a GIF, 255 bytes each where they are full."""
        return self.image_bytes // 200

    @property
    def frame_pixels(self) -> int:
        """Pixels over all frames: at least one frame of the largest size fits."""
        return max(self.frame_pixels_total, self.pixels)

    @property
    def image_address_space(self) -> int:
        """`RLIMIT_AS` of a picture's child, in bytes."""
        return 512 * MIB + 24 * self.pixels

    @property
    def image_cpu_s(self) -> int:
        """`RLIMIT_CPU` of a picture's child, in seconds: 64 megapixels take 4 s, 400 over all frames some 30 s."""
        return 8 + self.pixels // 4_000_000 + self.frame_pixels // 25_000_000

    @property
    def image_wall_s(self) -> float:
        """Deadline of a picture's child, in seconds."""
        return min(IMAGE_DEADLINE_S, 1.25 * self.image_cpu_s)
