"""The first wall: judges a picture by its structure, with our own walkers, before a C decoder sees a byte of it.

Runs inside the jail's child, so that a mistake of ours meets the jail's limits and not the worker.
"""

from __future__ import annotations

from collections.abc import Callable

from worker.errors import Unprocessable
from worker.media.codes import unprocessable
from worker.media.formats import Format, sniff
from worker.media.limits import MediaLimits
from worker.media.walk import bmp, gif, heif, jpeg, png, tiff, webp
from worker.media.walk.found import Data, Walked

_WALKERS: dict[str, Callable[[Data, MediaLimits], Walked]] = {
    "jpeg": jpeg.walk,
    "png": png.walk,
    "gif": gif.walk,
    "webp": webp.walk,
    "avif": heif.walk,
    "heic": heif.walk,
    "heif": heif.walk,
    "tiff": tiff.walk,
    "bmp": bmp.walk,
}


def probe(data: Data, fmt: Format, limits: MediaLimits) -> Walked:
    """Size, frames and carriers of a picture within the limits.

    Raises `Unprocessable`: empty, type_mismatch, truncated, corrupt, unsupported_codec, limits:<name>.
    """
    if not data:
        raise unprocessable("empty")
    if len(data) > limits.image_bytes:
        raise unprocessable("limits:bytes")
    found = sniff(data[:4096])
    if found is None:
        raise unprocessable("unsupported_type")
    if found.decoder != fmt.decoder:
        raise unprocessable("type_mismatch")
    try:
        walked = _WALKERS[found.name](data, limits)
    except Unprocessable:
        raise
    except (LookupError, ValueError, ArithmeticError, TypeError):
        raise unprocessable("corrupt") from None
    judge(walked.width, walked.height, walked.frames, limits)
    return walked


def judge(width: int, height: int, frames: int, limits: MediaLimits) -> None:
    """Raises `Unprocessable` (`limits:<name>`) for a picture over a limit; sizes in pixels of the whole canvas."""
    if max(width, height) > limits.side:
        raise unprocessable("limits:side")
    if width * height > limits.pixels:
        raise unprocessable("limits:pixels")
    if max(width, height) > limits.aspect * min(width, height):
        raise unprocessable("limits:aspect")
    if frames > limits.frames:
        raise unprocessable("limits:frames")
    if frames * width * height > limits.frame_pixels:
        raise unprocessable("limits:frame_pixels")
