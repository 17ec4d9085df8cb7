"""The parent side of the pre-walk: one jail call a clip, and a check of all that the child answers."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from worker.media.codes import unprocessable
from worker.media.formats import Format
from worker.media.image.metadata import KINDS
from worker.media.jail import Answer, Jail, Limits
from worker.media.limits import MediaLimits

# Headers of the longest film take a tenth of a second; the address space is the zygote's own libraries.
_LIMITS = Limits(address_space=1 << 30, cpu_s=5, wall_s=10.0)


@dataclass(frozen=True, kw_only=True)
class Walked:
    """`removed` counts by kind; `cpu_s` and `peak_rss` (bytes) are the child's."""

    removed: dict[str, int]
    cpu_s: float
    peak_rss: int


def looked(jail: Jail, path: Path, fmt: Format, limits: MediaLimits) -> Walked:
    """The walk in a child of its own. Raises `Unprocessable` with a code of the list."""
    source = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        answer = jail.call("video.look", source, {"format": fmt.name, "limits": limits.as_args()}, _LIMITS)
    finally:
        os.close(source)
    return Walked(removed=_checked(answer), cpu_s=answer.cpu_s, peak_rss=answer.peak_rss)


def _checked(answer: Answer) -> dict[str, int]:
    said = answer.header.get("removed")
    if not isinstance(said, dict) or answer.blobs:
        raise unprocessable("decoder_protocol_error")
    for kind, count in said.items():
        if kind not in KINDS or not isinstance(count, int) or isinstance(count, bool) or not 0 < count < 1 << 31:
            raise unprocessable("decoder_protocol_error")
    return said
