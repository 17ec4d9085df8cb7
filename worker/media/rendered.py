"""What comes out of the workshop: facts of the file, the copies made from it, and the second reader's proof of one."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from worker.model import ArtifactKind

# Inside `Made` the name `bytes` is a size.
_Body = bytes


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What an app may know of the file. Sizes after orientation, in pixels; `removed` counts by kind, never values.

    `placeholder` is a thumbhash in base64; `duration_ms` is of an animation or a video.
    """

    media_type: str
    width: int
    height: int
    frames: int
    duration_ms: int | None
    has_alpha: bool
    placeholder: str | None
    removed: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Made:
    """One copy: its bytes lie in `body` (pictures) or under `path` in scratch (video); `sha256` in hexadecimal."""

    name: str
    kind: ArtifactKind
    media_type: str
    width: int
    height: int
    bytes: int
    sha256: str
    body: _Body | None = field(default=None, repr=False)
    path: Path | None = None
    duration_ms: int | None = None


@dataclass(frozen=True, kw_only=True)
class Rendered:
    """All copies of one file, largest first; `cpu_s` and `peak_rss` (bytes) are of the jail's children.

    `left_out`: the extras that were asked for and that this file does not allow, name -> code of `codes.LEFT_OUT`.
    """

    facts: Facts
    made: tuple[Made, ...]
    cpu_s: float
    peak_rss: int
    left_out: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Proof:
    """The second reader found nothing outside its allow-list in exactly the bytes with this hash.

    Made only by `worker.media.proving.prove`.
    """

    sha256: str
    media_type: str
    reader: str
