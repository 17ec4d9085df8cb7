"""Lossless mode: a picture rewritten at the level of its container, by allow-list, in the jail's child.

What a decoder needs to show the same samples is taken over; everything else is left behind. Where colours, orientation
or hidden bytes would need more than that, the picture is declined with a reason, and its other copies are made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from worker.media.formats import Format
from worker.media.lossless import gif, jpeg, png, webp
from worker.media.lossless.declined import Declined
from worker.media.lossless.profiles import Stored, kept
from worker.media.walk.found import Walked

__all__ = ["Rewritten", "Stored", "rewritten"]

# Original bytes, orientation 1 to 8, one of our profiles or None -> the file. Raises `Declined`.
_REWRITERS: dict[str, Callable[[bytes, int, bytes | None], bytes]] = {
    "jpeg": jpeg.rewrite,
    "png": png.rewrite,
    "gif": gif.rewrite,
    "webp": webp.rewrite,
}


@dataclass(frozen=True, kw_only=True)
class Rewritten:
    """`body` is a whole file of the same format, or None and `code` says why there is none (`codes.LEFT_OUT`)."""

    body: bytes | None = None
    code: str = ""


def rewritten(data: bytes, fmt: Format, walked: Walked, orientation: int, stored: Stored) -> Rewritten:
    """`data` was walked already. Never raises for what the file holds."""
    rewrite = _REWRITERS.get(fmt.name)
    if rewrite is None:
        return Rewritten(code="format")
    try:
        return Rewritten(body=rewrite(data, orientation, kept(walked, stored)))
    except Declined as reason:
        return Rewritten(code=reason.code)
    except Exception:  # noqa: BLE001 - an extra copy must not cost the others; the second reader judges what is made
        return Rewritten(code="unusual_coding")
