"""The parent side of the picture workshop: one jail call a file, and a check of all that the child answers."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

from worker.media.codes import LEFT_OUT, unprocessable
from worker.media.formats import Format, format_named
from worker.media.image.metadata import KINDS
from worker.media.jail import Answer, Jail, Limits
from worker.media.limits import MediaLimits
from worker.media.rendered import Facts, Made, Rendered
from worker.media.renditions import PUBLISHED, Rendition, renditions_of

# Decoders with threads of their own, even when one is asked for.
_THREADED = frozenset({"AVIF", "HEIF"})


def render_image(
    jail: Jail,
    path: Path,
    fmt: Format,
    limits: MediaLimits,
    names: Collection[str] | None = None,
    *,
    on: Collection[str] = (),
    wide: bool = False,
) -> Rendered:
    """Every rendition of a picture that is on, and the extras in `on` (or only those in `names`), from one decode.

    `wide` keeps colours that sRGB has not, under a profile of our own.
    Raises `Unprocessable` (a code of the list); an extra that cannot be made is in `left_out` instead.
    """
    return _render(jail, path, fmt, limits, "image", renditions_of("image", names, on), wide=wide)


def render_frame(
    jail: Jail, path: Path, limits: MediaLimits, names: Collection[str] | None = None, fmt: Format | None = None
) -> Rendered:
    """`poster` and `thumb` of a video, from one frame of it (PNG unless `fmt` says otherwise)."""
    return _render(jail, path, fmt or format_named("png"), limits, "frame", renditions_of("frame", names))


def jail_limits(limits: MediaLimits, *, threads: bool) -> Limits:
    """What a picture's child may use."""
    return Limits(
        address_space=limits.image_address_space,
        cpu_s=limits.image_cpu_s,
        wall_s=limits.image_wall_s,
        threads=threads,
        mapped=True,
    )


def _render(
    jail: Jail, path: Path, fmt: Format, limits: MediaLimits, work: Any, wanted: list[Rendition], *, wide: bool = False
) -> Rendered:
    args = {
        "format": fmt.name,
        "limits": limits.as_args(),
        "work": work,
        "names": [row.name for row in wanted],
        "wide": wide,
    }
    source = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        answer = jail.call("image.render", source, args, jail_limits(limits, threads=fmt.decoder in _THREADED))
    finally:
        os.close(source)
    try:
        return _checked(answer, fmt, limits, wanted)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise unprocessable("decoder_protocol_error") from None


def _checked(answer: Answer, fmt: Format, limits: MediaLimits, wanted: list[Rendition]) -> Rendered:
    """The answer as values, each judged: a decoder that was taken over may say anything."""
    entries, left_out = answer.header["renditions"], answer.header["left_out"]
    if not all(code in LEFT_OUT for code in left_out.values()):
        raise ValueError("not a reason of the list")
    rows = [row for row in wanted if row.on or row.name not in left_out]
    if [entry["name"] for entry in entries] != [row.name for row in rows] or len(entries) != len(answer.blobs):
        raise ValueError("not the renditions that were asked for")
    facts = _facts(answer.header["facts"], fmt, limits)
    made = tuple(_made(*each, facts) for each in zip(rows, entries, answer.blobs, strict=True))
    missing = {row.name: left_out[row.name] for row in wanted if row not in rows}
    return Rendered(facts=facts, made=made, cpu_s=answer.cpu_s, peak_rss=answer.peak_rss, left_out=missing)


def _facts(said: dict[str, Any], fmt: Format, limits: MediaLimits) -> Facts:
    width, height, frames = (_whole(said[name], most=limits.side) for name in ("width", "height", "frames"))
    if not width or not height or not frames or width * height > limits.pixels or frames > limits.frames:
        raise ValueError("a size over the limit")
    placeholder = said["placeholder"]
    if placeholder is not None and not (isinstance(placeholder, str) and len(placeholder) <= 64):
        raise ValueError("no placeholder")
    return Facts(
        media_type=fmt.media_type,
        width=width,
        height=height,
        frames=frames,
        duration_ms=None if said["duration_ms"] is None else _whole(said["duration_ms"], most=1 << 40),
        has_alpha=said["has_alpha"] is True,
        placeholder=placeholder,
        removed={kind: _whole(count, most=1 << 31) for kind, count in said["removed"].items() if kind in KINDS},
    )


def _made(row: Rendition, entry: dict[str, Any], body: bytes, facts: Facts) -> Made:
    media_type = entry["media_type"]
    if media_type not in PUBLISHED or media_type not in row.permitted:
        raise ValueError("not a type of this rendition")
    width, height = _whole(entry["width"], most=row.fit), _whole(entry["height"], most=row.fit)
    if not 0 < width <= facts.width or not 0 < height <= facts.height or not body:
        raise ValueError("not a size of this rendition")
    duration_ms = facts.duration_ms if entry["duration_ms"] is not None else None
    return Made(
        name=row.name,
        kind=row.kind,
        media_type=media_type,
        width=width,
        height=height,
        bytes=len(body),
        sha256=hashlib.sha256(body).hexdigest(),
        body=body,
        duration_ms=duration_ms,
    )


def _whole(value: object, *, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise ValueError("not a number within its bounds")
    return value
