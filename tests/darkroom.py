"""A jail with the picture workshop in it, for tests: bytes in, renditions out, proofs, and how often it decoded."""

from __future__ import annotations

import io
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import pillow_heif
from PIL import Image

from worker.errors import Unprocessable
from worker.media import proof
from worker.media.formats import Format, format_named, sniff
from worker.media.image import render as workshop
from worker.media.image.client import jail_limits, render_frame, render_image
from worker.media.jail import Jail
from worker.media.limits import MediaLimits
from worker.media.proving import prove
from worker.media.rendered import Made, Proof, Rendered

LIMITS = MediaLimits()


class Darkroom:
    """`jail` is one to share; else it has its own, where `verbs` go beside, or instead of, the usual ones."""

    def __init__(self, folder: Path, verbs: Mapping[str, str] | None = None, *, jail: Jail | None = None) -> None:
        self.jail = jail or Jail(extra_verbs=verbs)
        self.folder = folder
        self._numbers = itertools.count()

    def write(self, data: bytes) -> Path:
        path = self.folder / f"in-{next(self._numbers)}"
        path.write_bytes(data)
        return path

    def render(
        self,
        data: bytes,
        kind: str | None = None,
        *,
        limits: MediaLimits = LIMITS,
        names: Sequence[str] | None = None,
        frame: bool = False,
        wide: bool = False,
    ) -> Rendered:
        """All renditions of one file; its format by its own sniff unless `kind` names one."""
        fmt = _format(data, kind)
        path = self.write(data)
        try:
            if frame:
                return render_frame(self.jail, path, limits, names, fmt)
            return render_image(self.jail, path, fmt, limits, names, wide=wide)
        finally:
            path.unlink()

    def prove(self, body: bytes, media_type: str, *, rewritten: bool = False) -> Proof:
        limits = jail_limits(LIMITS, threads=False) if rewritten else None
        return prove(self.jail, body, media_type, rewritten_within=limits)

    def calls(self) -> int:
        """How many children the zygote has begun."""
        host = self.jail._host
        return 0 if host is None else host.started


def _format(data: bytes, kind: str | None) -> Format:
    found = format_named(kind) if kind else sniff(data)
    assert found is not None
    return found


def rendition(rendered: Rendered, name: str) -> Made:
    return next(made for made in rendered.made if made.name == name)


def opened(made: Made) -> Image.Image:
    """A rendition decoded, its first frame."""
    assert made.body is not None
    return picture(made.body)


def picture(body: bytes) -> Image.Image:
    pillow_heif.register_heif_opener()
    image = Image.open(io.BytesIO(body))
    image.load()
    return image


def near(one: Any, other: Any, by: int = 12) -> bool:
    """Whether two colours differ by no more than `by` in any channel."""
    return all(abs(a - b) <= by for a, b in zip(one, other, strict=True))


def clean(body: bytes, media_type: str, *, gain_map: bool = False, rewritten: bool = False) -> bool:
    """The second reader's word, in this process: for bytes that only our own encoders and tests have made."""
    args = {"media_type": media_type, "gain_map": gain_map, "rewritten": rewritten}
    try:
        answer, _blobs = proof.read(io.BytesIO(body), args)
    except Unprocessable as refusal:
        if refusal.code != "not_proven":
            raise
        return False
    assert "missing" not in answer, answer
    return answer["clean"] is True


def counted(source: BinaryIO | None, args: dict[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
    """A verb: the workshop's own `render`, with every opening and every decoder it asks for counted on the way."""
    counts = {"open": 0, "decoder": 0}
    real_open, real_decoder = Image.open, Image._getdecoder

    def count_open(*given: Any, **named: Any) -> Any:
        counts["open"] += 1
        return real_open(*given, **named)

    def count_decoder(mode: str, name: str, *given: Any, **named: Any) -> Any:
        counts["decoder"] += name != "raw"  # the encoder's new picture is made from raw samples
        return real_decoder(mode, name, *given, **named)

    Image.open, Image._getdecoder = count_open, count_decoder  # the child dies after this call
    header, bodies = workshop.render(source, args)
    return {**header, "counts": counts}, bodies


def plain(source: BinaryIO | None, args: dict[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
    """A verb: whether Pillow alone makes a whole picture of the file."""
    assert source is not None
    try:
        with Image.open(io.BytesIO(source.read()), formats=(args["format"],)) as image:
            image.load()
    except Exception:
        return {"decoded": False}, []
    return {"decoded": True}, []


VERBS = {
    "test.counted": "tests.darkroom:counted",
    "test.plain": "tests.darkroom:plain",
    "test.walked": "tests.unit.test_floods:walked",
}
