"""Lossless JPEG work on coefficients, by libturbojpeg: turning, and telling whether a scan ends with its last block.

Interface: turbojpeg.h, version 2 of the API, which libturbojpeg 3 has too. The library is loaded before a child is
locked in (`load`): a locked child can open nothing.
"""

from __future__ import annotations

import ctypes
import functools

_LIBRARY = "libturbojpeg.so.0"
# TJXOP_*, by the value of the EXIF tag (CIPA DC-008, 4.6.5) that it brings upright.
_UPRIGHT = {1: 0, 2: 1, 3: 6, 4: 2, 5: 3, 6: 5, 7: 4, 8: 7}
_PERFECT, _NO_OUTPUT, _PROGRESSIVE, _COPY_NONE = 1, 16, 32, 64  # TJXOPT_*
_STOP_ON_WARNING = 8192  # TJFLAG_STOPONWARNING
_FATAL = 1  # TJERR_FATAL
_MISSING_DATA = b"premature end of data segment"  # JWRN_HIT_MARKER of jerror.h


class _Transform(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_int) for name in ("x", "y", "w", "h", "op", "options")),
        ("data", ctypes.c_void_p),
        ("filter", ctypes.c_void_p),
    )


class CannotTransform(Exception):
    """The library is missing, or does not take this picture."""


@functools.cache
def load() -> ctypes.CDLL | None:
    """The library, or None on a host without it (Debian's package is libturbojpeg0)."""
    try:
        found = ctypes.CDLL(_LIBRARY)
    except OSError:
        return None
    pointer, number = ctypes.c_void_p, ctypes.c_int
    found.tjInitTransform.restype = pointer
    found.tjTransform.argtypes = [
        *(pointer, ctypes.c_char_p, ctypes.c_ulong, number),
        *(ctypes.POINTER(pointer), ctypes.POINTER(ctypes.c_ulong), ctypes.POINTER(_Transform), number),
    ]
    found.tjDestroy.argtypes = found.tjFree.argtypes = found.tjGetErrorCode.argtypes = [pointer]
    found.tjFree.restype = None
    found.tjGetErrorStr2.argtypes = [pointer]
    found.tjGetErrorStr2.restype = ctypes.c_char_p
    return found


def upright(jpeg: bytes, orientation: int, *, progressive: bool) -> bytes:
    """The same coefficients, moved so that EXIF orientation `orientation` (1 to 8) becomes 1, coded anew.

    Nothing but tables, frame and scans is taken over. Raises `CannotTransform`: also where a side is not a whole
    number of blocks, so that an edge would be lost.
    """
    options = _PERFECT | _COPY_NONE | (_PROGRESSIVE if progressive else 0)
    code, _said, body = _run(jpeg, _UPRIGHT[orientation], options, 0)
    if code == _FATAL or not body:
        raise CannotTransform
    return body


def complaint(jpeg: bytes) -> bytes | None:
    """The decoder's first warning over the entropy-coded data, which is read to its end; None where it has none."""
    code, said, _body = _run(jpeg, 0, _NO_OUTPUT | _COPY_NONE, _STOP_ON_WARNING)
    return None if code is None else said


def lacks_data(said: bytes | None) -> bool:
    """Whether that complaint says that a block was wanted and its bits were not there."""
    return said is not None and _MISSING_DATA in said


def _run(jpeg: bytes, op: int, options: int, flags: int) -> tuple[int | None, bytes, bytes]:
    """(TJERR_* or None, what the library said, the new file)."""
    library = load()
    handle = library.tjInitTransform() if library else None
    if library is None or not handle:
        raise CannotTransform
    body, size = ctypes.c_void_p(), ctypes.c_ulong()
    wish = _Transform(op=op, options=options)
    try:
        status = library.tjTransform(
            handle, jpeg, len(jpeg), 1, ctypes.byref(body), ctypes.byref(size), ctypes.byref(wish), flags
        )
        code = library.tjGetErrorCode(handle) if status else None
        said = bytes(library.tjGetErrorStr2(handle) or b"") if status else b""
        return code, said, ctypes.string_at(body.value, size.value) if body.value else b""
    finally:
        if body.value:
            library.tjFree(body)
        library.tjDestroy(handle)
