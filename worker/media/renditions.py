"""The table of copies that are made, and the only media types that are ever published. A copy is never enlarged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from worker.model import ArtifactKind

PUBLISHED: frozenset[str] = frozenset({"image/jpeg", "image/png", "image/webp", "image/avif", "video/mp4"})

LARGE = 2048
SMALL = 320


@dataclass(frozen=True, kw_only=True)
class Rendition:
    """One row. `fit` is the side of the square it fits into, pixels; `with_alpha` the type where there is any alpha.

    `animated` keeps an animation (otherwise its first frame); `of` says which work makes it.
    """

    name: str
    of: Literal["image", "video", "frame"]
    kind: ArtifactKind
    fit: int
    media_type: str
    with_alpha: str
    quality: int
    animated: bool = False


RENDITIONS: tuple[Rendition, ...] = (
    Rendition(
        name="display",
        of="image",
        kind=ArtifactKind.RENDITION,
        fit=LARGE,
        media_type="image/webp",
        with_alpha="image/webp",
        quality=80,
        animated=True,
    ),
    Rendition(
        name="share",
        of="image",
        kind=ArtifactKind.RENDITION,
        fit=LARGE,
        media_type="image/jpeg",
        with_alpha="image/png",
        quality=85,
    ),
    Rendition(
        name="thumb",
        of="image",
        kind=ArtifactKind.RENDITION,
        fit=SMALL,
        media_type="image/webp",
        with_alpha="image/webp",
        quality=75,
        animated=True,
    ),
    # Its size and frame rate are the video workshop's; the row says what is published under this name.
    Rendition(
        name="video",
        of="video",
        kind=ArtifactKind.RENDITION,
        fit=1920,
        media_type="video/mp4",
        with_alpha="video/mp4",
        quality=0,
        animated=True,
    ),
    Rendition(
        name="poster",
        of="frame",
        kind=ArtifactKind.POSTER,
        fit=LARGE,
        media_type="image/webp",
        with_alpha="image/webp",
        quality=80,
    ),
    Rendition(
        name="thumb",
        of="frame",
        kind=ArtifactKind.RENDITION,
        fit=SMALL,
        media_type="image/webp",
        with_alpha="image/webp",
        quality=75,
    ),
)


def renditions_of(work: Literal["image", "video", "frame"], names: tuple[str, ...] | None = None) -> list[Rendition]:
    """The rows that `work` makes, largest first, or only those named; raises KeyError for a name it does not make."""
    rows = {row.name: row for row in RENDITIONS if row.of == work}
    chosen = list(rows.values()) if names is None else [rows[name] for name in names]
    return sorted(chosen, key=lambda row: -row.fit)
