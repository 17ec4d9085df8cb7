"""The table of copies that are made, and the only media types that are ever published. A copy is never enlarged."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from worker.model import ArtifactKind

# GIF only as a rewritten original.
PUBLISHED: frozenset[str] = frozenset(
    {"image/jpeg", "image/png", "image/webp", "image/avif", "image/gif", "video/mp4"},
)

# No picture that is taken in has a longer side.
WHOLE = 16_384
LARGE = 2048
SMALL = 320


@dataclass(frozen=True, kw_only=True)
class Rendition:
    """One row. `fit` is the side of the square it fits into, pixels; `with_alpha` the type where there is any alpha.

    `animated` keeps an animation (otherwise its first frame); `of` says which work makes it. A row that is not `on`
    is an extra: made only where the operator asks for it, and left out with a reason where a file does not allow it.
    `gain_map`: an Ultra HDR JPEG, made only of a still with an HDR gain map and without alpha. `rewritten`: only the
    container made anew, samples untouched, the type that of the file, one of `types`.
    """

    name: str
    of: Literal["image", "video", "frame"]
    kind: ArtifactKind
    fit: int
    media_type: str
    with_alpha: str
    quality: int
    animated: bool = False
    on: bool = True
    gain_map: bool = False
    rewritten: bool = False
    types: frozenset[str] = frozenset()

    @property
    def permitted(self) -> frozenset[str]:
        """The media types that it may have."""
        return self.types or frozenset({self.media_type, self.with_alpha})


RENDITIONS: tuple[Rendition, ...] = (
    Rendition(
        name="original_clean",
        of="image",
        kind=ArtifactKind.RENDITION,
        fit=WHOLE,
        media_type="",
        with_alpha="",
        quality=0,
        animated=True,
        on=False,
        rewritten=True,
        types=frozenset({"image/jpeg", "image/png", "image/webp", "image/gif"}),
    ),
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
        name="share_hdr",
        of="image",
        kind=ArtifactKind.RENDITION,
        fit=LARGE,
        media_type="image/jpeg",
        with_alpha="image/jpeg",
        quality=85,
        on=False,
        gain_map=True,
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

# The rows that the second reader lets have a gain map, and wants one in.
GAIN_MAPS: frozenset[str] = frozenset(row.name for row in RENDITIONS if row.gain_map)
# The rows that keep the samples of their original, for which the second reader has other lists.
REWRITTEN: frozenset[str] = frozenset(row.name for row in RENDITIONS if row.rewritten)


def renditions_of(
    work: Literal["image", "video", "frame"], names: Collection[str] | None = None, on: Collection[str] = ()
) -> list[Rendition]:
    """The rows that `work` makes, largest first: those that are on and the extras in `on`, or only those in `names`.

    Raises KeyError for one of `names` that it does not make; extras of other works are no matter of this one.
    """
    rows = {row.name: row for row in RENDITIONS if row.of == work}
    asked = [name for name, row in rows.items() if row.on or name in on] if names is None else names
    return sorted((rows[name] for name in asked), key=lambda row: -row.fit)


def extras() -> frozenset[str]:
    """The names of the rows that are off unless the operator asks for them."""
    return frozenset(row.name for row in RENDITIONS if not row.on)
