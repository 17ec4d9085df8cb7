"""The system's own decoders, by their C interfaces: other builds than those that came with the encoders.

They are loaded in the zygote (`worker.media.jail.warmth`): a locked child can open nothing.
"""

from __future__ import annotations

import ctypes
import functools

from worker.media.libraries import PACKAGES


class Missing(Exception):
    """A library of `PACKAGES` cannot be loaded; `package` has it."""

    def __init__(self, package: str) -> None:
        super().__init__(package)
        self.package = package


@functools.cache
def library(name: str) -> ctypes.CDLL:
    """Raises `Missing`."""
    try:
        return ctypes.CDLL(name)
    except OSError:
        raise Missing(PACKAGES[name]) from None


def missing() -> list[str]:
    """The packages of the libraries that cannot be loaded."""
    found = []
    for name in PACKAGES:
        try:
            library(name)
        except Missing as lack:
            found.append(lack.package)
    return found
