"""A jail with the video workshop in it, for tests: a clip in, renditions out; and what plain tools see of a film."""

from __future__ import annotations

import itertools
import json
import subprocess
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

from tests.processes import children_of, zygote
from worker.media.formats import Format, sniff
from worker.media.jail import Jail
from worker.media.limits import MediaLimits
from worker.media.rendered import Made, Rendered
from worker.media.studio import Studio

LIMITS = MediaLimits()


class Cinema:
    """Every render has a room of its own below `folder`; `jail` is one to share."""

    def __init__(self, folder: Path, jail: Jail | None = None) -> None:
        self.jail = jail or Jail()
        self.folder = folder
        self._numbers = itertools.count()

    def studio(self, limits: MediaLimits = LIMITS, *, threads: int = 2) -> Studio:
        return Studio(jail=self.jail, limits=limits, video_threads=threads)

    def room(self) -> Path:
        room = self.folder / f"room-{next(self._numbers)}"
        room.mkdir()
        return room

    def render(
        self,
        clip: Path,
        room: Path | None = None,
        *,
        limits: MediaLimits = LIMITS,
        threads: int = 2,
        on_progress: Callable[[int], None] = lambda _percent: None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Rendered:
        studio = self.studio(limits, threads=threads)
        return studio.render(clip, kind(clip), room or self.room(), on_progress, cancelled)

    def idle(self) -> bool:
        """Whether no child is left in the jail."""
        return not children_of(zygote(self.jail))


def kind(clip: Path) -> Format:
    with clip.open("rb") as stream:
        found = sniff(stream.read(4096))
    assert found is not None
    assert found.work_class == "video"
    return found


def rendition(rendered: Rendered, name: str) -> Made:
    return next(made for made in rendered.made if made.name == name)


def film(rendered: Rendered) -> Path:
    path = rendition(rendered, "video").path
    assert path is not None
    return path


def bytes_of(made: Made) -> bytes:
    return made.body if made.body is not None else (made.path or Path()).read_bytes()


def looked(path: Path, *options: str) -> dict[str, Any]:
    """A plain ffprobe's document."""
    argv = ["ffprobe", "-v", "error", "-of", "json", "-show_streams", "-show_format", *options, str(path)]
    said = subprocess.run(argv, capture_output=True, check=True)
    assert said.stderr == b""
    found = json.loads(said.stdout)
    assert isinstance(found, dict)
    return found


def stream(path: Path, codec_type: str) -> dict[str, Any]:
    """The one stream of its kind."""
    (found,) = [each for each in looked(path)["streams"] if each["codec_type"] == codec_type]
    assert isinstance(found, dict)
    return found


def rate(path: Path) -> Fraction:
    return Fraction(stream(path, "video")["avg_frame_rate"])


def colour(path: Path, x: int, y: int, *, frame: int = 0, options: tuple[str, ...] = ()) -> tuple[int, ...]:
    """A pixel of a frame as red, green, blue, read by a plain ffmpeg."""
    pick = f"select=eq(n\\,{frame}),format=rgb24,crop=1:1:{x}:{y}"
    argv = ["ffmpeg", "-v", "error", *options, "-i", str(path), "-vf", pick, "-frames:v", "1"]
    said = subprocess.run([*argv, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"], capture_output=True, check=True)
    return tuple(said.stdout[:3])
