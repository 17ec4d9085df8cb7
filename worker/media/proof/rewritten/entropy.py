"""Whether libturbojpeg has anything to complain of in a JPEG: every symbol is read, next to nothing is computed.

Interface: turbojpeg.h, version 2 of the API (libturbojpeg 2.x and 3.x). Loaded before a child is locked in (`load`).
"""

from __future__ import annotations

import ctypes
import functools

from worker.media.proof.doubt import Doubt

_LIBRARY = "libturbojpeg.so.0"
_GREY, _CMYK = 6, 11  # TJPF
_STOP_ON_WARNING = 8192  # TJFLAG_STOPONWARNING
_EIGHTH = 8


@functools.cache
def load() -> ctypes.CDLL | None:
    """The library, or None on a host without it: nothing is proven there."""
    try:
        found = ctypes.CDLL(_LIBRARY)
    except OSError:
        return None
    found.tjInitDecompress.restype = ctypes.c_void_p
    numbers = (ctypes.c_int,) * 5
    found.tjDecompress2.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_void_p, *numbers]
    found.tjDestroy.argtypes = [ctypes.c_void_p]
    return found


def silent(jpeg: bytes, size: tuple[int, int], components: int) -> bool:
    """Whether a JPEG of `size` pixels decodes without error or warning. Raises `Doubt` where that cannot be told."""
    library = load()
    width, height = (-(-side // _EIGHTH) for side in size)
    pixel, kind = (4, _CMYK) if components == 4 else (1, _GREY)
    samples = ctypes.create_string_buffer(width * height * pixel)
    handle = library.tjInitDecompress() if library else None
    if library is None or not handle:
        raise Doubt("no decoder")
    try:
        status = library.tjDecompress2(
            handle, jpeg, len(jpeg), samples, width, width * pixel, height, kind, _STOP_ON_WARNING
        )
    finally:
        library.tjDestroy(handle)
    return bool(status == 0)
