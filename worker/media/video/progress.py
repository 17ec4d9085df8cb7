"""Follows ffmpeg's progress lines, and frames as they are counted; tells a percentage over all steps of one clip."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction

_MOST_DIGITS = 15
# One picture, one sound.
_MOST_STREAMS = 2


@dataclass(kw_only=True)
class Progress:
    """`tell` hears whole percentages, each once, never a smaller one."""

    tell: Callable[[int], None] | None
    _last: int = -1

    def at(self, percent: float) -> None:
        whole = min(100, max(0, int(percent)))
        if self.tell is not None and whole > self._last:
            self._last = whole
            self.tell(whole)

    def step(self, begin: int, end: int, expected_s: float) -> Callable[[float], None]:
        """For one step that takes us from `begin` to `end` per cent over `expected_s` seconds of film."""

        def reached(seconds: float) -> None:
            self.at(begin + (end - begin) * min(1.0, max(0.0, seconds / max(expected_s, 0.001))))

        return reached


@dataclass(kw_only=True)
class Encoded:
    """What ffmpeg last said of an encoding: frames written, dropped by `-fpsmax`, repeated; microseconds of film."""

    reached: Callable[[float], None]
    frames: int = 0
    dropped: int = 0
    repeated: int = 0
    ended: bool = False

    @property
    def decoded(self) -> int:
        """Frames that were read from the original and shown or dropped."""
        return self.frames + self.dropped - self.repeated

    def line(self, line: str) -> None:
        """For the jail's `on_line`."""
        name, _, value = line.partition("=")
        if name == "progress":
            self.ended = value == "end"
        if not value.isascii() or not value.isdigit() or len(value) > _MOST_DIGITS:
            return
        if name == "frame":
            self.frames = int(value)
        elif name == "drop_frames":
            self.dropped = int(value)
        elif name == "dup_frames":
            self.repeated = int(value)
        elif name == "out_time_us":
            self.reached(int(value) / 1e6)


@dataclass(kw_only=True)
class Counted:
    """What a whole decode gave: per stream, frames and the end of the last one in seconds.

    `line` raises KeyError, ValueError or ArithmeticError for what framehash does not write.
    """

    reached: Callable[[float], None]
    frames: dict[int, int] = field(default_factory=dict)
    ends_s: dict[int, float] = field(default_factory=dict)
    _bases: dict[int, Fraction] = field(default_factory=dict)

    def line(self, line: str) -> None:
        """One line of ffmpeg's framehash: `#tb 0: 1/15360`, or stream, dts, pts, duration, size, hash."""
        if line.startswith("#tb "):
            stream, _, base = line[4:].partition(": ")
            if len(self._bases) == _MOST_STREAMS:
                raise ValueError("more streams than a film has")
            self._bases[int(stream)] = Fraction(base)
        elif line and not line.startswith("#"):
            stream, _dts, pts, duration, *_rest = (part.strip() for part in line.split(","))
            number = int(stream)
            end = float((int(pts) + int(duration)) * self._bases[number])
            self.frames[number] = self.frames.get(number, 0) + 1
            self.ends_s[number] = max(end, self.ends_s.get(number, 0.0))
            if number == 0:
                self.reached(end)
