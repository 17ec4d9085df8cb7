"""The parent side of the media room: which workshop takes a file, and the proof of what it made."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from worker.errors import Unprocessable
from worker.media.formats import Format, format_named
from worker.media.image.client import jail_limits, render_image
from worker.media.jail import Jail
from worker.media.limits import MediaLimits
from worker.media.proving import Picture, prove, prove_pictures
from worker.media.rendered import Made, Proof, Rendered
from worker.media.renditions import GAIN_MAPS, REWRITTEN
from worker.media.video.render import render_video


@dataclass(frozen=True, kw_only=True)
class Studio:
    """`renditions_on`: the extras of the table that the operator asks for; `wide_gamut`: keep colours beyond sRGB."""

    jail: Jail
    limits: MediaLimits
    video_threads: int
    renditions_on: tuple[str, ...] = ()
    wide_gamut: bool = False

    def render(
        self,
        source: Path,
        fmt: Format,
        room: Path,
        on_progress: Callable[[int], None],
        cancelled: Callable[[], bool],
    ) -> Rendered:
        """All renditions of one file, unproven. Raises `Unprocessable` with a code of `worker.media.codes`."""
        if fmt.work_class == "image":
            return render_image(self.jail, source, fmt, self.limits, on=self.renditions_on, wide=self.wide_gamut)
        return render_video(
            self.jail,
            source,
            room,
            fmt,
            self.limits,
            threads=self.video_threads,
            on_progress=on_progress,
            cancelled=cancelled,
        )

    def prove(self, made: Made) -> Proof:
        """The second reader's word for one rendition. Raises `Unprocessable` (`not_proven`), `Unavailable`."""
        source = made.body if made.body is not None else _written(made)
        return prove(
            self.jail,
            source,
            made.media_type,
            gain_map=made.name in GAIN_MAPS,
            rewritten_within=jail_limits(self.limits, threads=False) if made.name in REWRITTEN else None,
        )

    def prove_all(self, made: Sequence[Made]) -> dict[str, Proof]:
        """The same for the renditions of one upload, by name; one that is doubted lacks.

        One child judges all pictures but a rewritten original, which needs more room and another reader.
        """
        pictures = {
            each.name: Picture(
                body=each.body, media_type=each.media_type, gain_map=each.name in GAIN_MAPS, sha256=each.sha256
            )
            for each in made
            if each.body is not None and each.name not in REWRITTEN
        }
        judged = dict(zip(pictures, prove_pictures(self.jail, list(pictures.values())), strict=True))
        proofs = {name: proof for name, proof in judged.items() if proof is not None}
        for each in made:
            if each.name not in pictures:
                with contextlib.suppress(Unprocessable):
                    proofs[each.name] = self.prove(each)
        return proofs

    def most_bytes(self, media_type: str) -> int:
        """The most bytes an original of this type may have."""
        fmt = format_named(media_type)
        return self.limits.image_bytes if fmt.work_class == "image" else self.limits.video_bytes


def _written(made: Made) -> Path:
    if made.path is None:
        raise ValueError("a rendition without bytes")
    return made.path
