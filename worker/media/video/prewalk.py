"""The first wall: judges a clip by its container, with our own walkers, before ffprobe sees a byte of it.

Runs inside the jail's child, so that a mistake of ours meets the jail's limits and not the worker.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, BinaryIO

from worker.errors import Unprocessable
from worker.media.codes import unprocessable
from worker.media.formats import HEAD_BYTES, Format, format_named, sniff
from worker.media.limits import MediaLimits
from worker.media.video.tags import Found
from worker.media.walk.film import matroska, mp4
from worker.media.walk.film.found import Film
from worker.media.walk.film.window import Window

_WALKERS: dict[str, Callable[[Film], None]] = {"mov": mp4.walk, "matroska": matroska.walk}


def look(stream: BinaryIO | None, args: dict[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
    """`args`: format (a name of the table), limits. Returns {"removed": {kind: count}}.

    Raises `Unprocessable`: empty, type_mismatch, truncated, corrupt, no_video, unsupported_codec, limits:<name>.
    """
    limits, fmt = MediaLimits.from_args(args["limits"]), format_named(str(args["format"]))
    if stream is None:
        raise unprocessable("empty")
    return {"removed": walk(stream, fmt, limits)}, []


def walk(stream: BinaryIO, fmt: Format, limits: MediaLimits) -> dict[str, int]:
    """Kind -> count of what a clip carries. Raises as `look`."""
    window = Window(stream)
    if not window.size:
        raise unprocessable("empty")
    if window.size > limits.video_bytes:
        raise unprocessable("limits:bytes")
    said = sniff(window.at(0, HEAD_BYTES))
    if said is None or said.decoder != fmt.decoder:
        raise unprocessable("type_mismatch" if said else "unsupported_type")
    found = Found()
    try:
        _WALKERS[fmt.decoder](Film(window=window, limits=limits, tell=found.tell))
    except Unprocessable:
        raise
    except (LookupError, ValueError, ArithmeticError, TypeError):
        raise unprocessable("corrupt") from None
    return found.removed()
