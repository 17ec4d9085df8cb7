"""Decodes a JPEG at an eighth of its size by libturbojpeg: every symbol is read, next to nothing is computed.

Interface: turbojpeg.h, version 2 of the API (libturbojpeg 2.x and 3.x).
"""

from __future__ import annotations

import ctypes
import functools

from worker.media.proof import native

_GREY, _CMYK = 6, 11  # TJPF_GRAY, TJPF_CMYK
_EIGHTH = 8
_STOP_ON_WARNING = 8192  # TJFLAG_STOPONWARNING


@functools.cache
def _interface() -> ctypes.CDLL:
    found = native.library("libturbojpeg.so.0")
    found.tjInitDecompress.argtypes = []
    found.tjInitDecompress.restype = ctypes.c_void_p
    numbers = (ctypes.c_int,) * 5
    found.tjDecompress2.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_void_p, *numbers]
    found.tjDestroy.argtypes = [ctypes.c_void_p]
    return found


def without_complaint(jpeg: bytes, size: tuple[int, int], components: int = 3) -> bool:
    """Whether a JPEG of this size in pixels decodes without a single error or warning. Raises `Missing`.

    Of colours only the luma comes out, unless there are four `components`, which cannot be taken apart.
    """
    library = _interface()
    width, height = (-(-side // _EIGHTH) for side in size)
    pixel, kind = (4, _CMYK) if components == 4 else (1, _GREY)
    samples = (ctypes.c_ubyte * (width * height * pixel))()
    handle = library.tjInitDecompress()
    if not handle:
        raise MemoryError
    try:
        status = library.tjDecompress2(
            handle, jpeg, len(jpeg), samples, width, width * pixel, height, kind, _STOP_ON_WARNING
        )
    finally:
        library.tjDestroy(handle)
    return bool(status == 0)
