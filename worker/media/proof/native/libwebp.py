"""Decodes a still WebP by libwebp: whole, or in two pieces, which shows how much of the file it takes.

Interface: src/webp/decode.h, decoder ABI 2.9 (libwebp 0.6 and newer); the layouts are those of that header.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import mmap
from dataclasses import dataclass, field

from worker.media.libraries import PACKAGES
from worker.media.proof import native

_LIBRARY = "libwebp.so.7"
OK, SUSPENDED = 0, 5  # VP8StatusCode
_ABI = 0x0209
_RGBA, _YUV, _YUVA = 1, 11, 12  # WEBP_CSP_MODE
_OUT_OF_MEMORY = 1
# From here on samples lie in pages of two megabytes where the kernel has them: a decoder's first touch of each page
# costs more than what it writes there.
_LARGE = 1 << 20

Room = bytearray | mmap.mmap


def room(size: int) -> Room:
    """Zeroed bytes that a decoder may write."""
    if size < _LARGE:
        return bytearray(size)
    pages = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with contextlib.suppress(OSError):
        pages.madvise(mmap.MADV_HUGEPAGE)
    return pages


class _Planes(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("y", "u", "v", "a")),
        *((name, ctypes.c_int) for name in ("y_stride", "u_stride", "v_stride", "a_stride")),
        *((name, ctypes.c_size_t) for name in ("y_size", "u_size", "v_size", "a_size")),
    )


class _Samples(ctypes.Structure):
    _fields_ = (("rgba", ctypes.c_void_p), ("stride", ctypes.c_int), ("size", ctypes.c_size_t))


class _Either(ctypes.Union):
    _fields_ = (("samples", _Samples), ("planes", _Planes))


class _Output(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_int) for name in ("colorspace", "width", "height", "is_external_memory")),
        ("either", _Either),
        ("pad", ctypes.c_uint32 * 4),
        ("private_memory", ctypes.c_void_p),
    )


class _Options(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_int) for name in ("bypass_filtering", "no_fancy_upsampling")),
        *((name, ctypes.c_int) for name in ("use_cropping", "crop_left", "crop_top", "crop_width", "crop_height")),
        *((name, ctypes.c_int) for name in ("use_scaling", "scaled_width", "scaled_height")),
        *((name, ctypes.c_int) for name in ("use_threads", "dithering_strength", "flip", "alpha_dithering_strength")),
        ("pad", ctypes.c_uint32 * 5),
    )


class _Config(ctypes.Structure):
    _fields_ = (("features", ctypes.c_uint32 * 10), ("output", _Output), ("options", _Options))


@dataclass(frozen=True, kw_only=True)
class Planes:
    """Where a lossy picture's samples go: one byte each, colour at half the size rounded up, no padding; alpha last."""

    size: tuple[int, int]
    parts: tuple[Room, ...] = field(repr=False)

    @classmethod
    def of(cls, size: tuple[int, int], *, alpha: bool) -> Planes:
        whole, half = size[0] * size[1], ((size[0] + 1) // 2) * ((size[1] + 1) // 2)
        return cls(size=size, parts=tuple(room(each) for each in (whole, half, half, *([whole] if alpha else []))))


@functools.cache
def _interface() -> ctypes.CDLL:
    found = native.library(_LIBRARY)
    found.WebPInitDecoderConfigInternal.argtypes = [ctypes.c_void_p, ctypes.c_int]
    found.WebPDecode.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_void_p]
    found.WebPIDecode.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_void_p]
    found.WebPIDecode.restype = ctypes.c_void_p
    found.WebPIUpdate.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t]
    found.WebPIDelete.argtypes = [ctypes.c_void_p]
    found.WebPIDelete.restype = None
    found.WebPFreeDecBuffer.argtypes = [ctypes.c_void_p]
    found.WebPFreeDecBuffer.restype = None
    return found


def in_two(webp: bytes, cut: int, size: tuple[int, int], samples: Planes | Room | None = None) -> tuple[int, int]:
    """The status after the first `cut` bytes and after all of a still file of `size` pixels, in one decode.

    `samples` takes the picture: planes a lossy one, bytes the RGBA of a lossless one. The loop filter is left out: no
    symbol depends on it. Raises `Missing`.
    """
    library, config = _interface(), _config(size, _YUV)
    kept: list[object] = []
    if isinstance(samples, Planes):
        kept = _into_planes(config, samples)
    elif samples is not None:
        kept = _into_samples(config, samples, size)
    decoder = library.WebPIDecode(None, 0, ctypes.byref(config))
    if not decoder:
        raise MemoryError
    try:
        early = library.WebPIUpdate(decoder, webp, cut)
        late = library.WebPIUpdate(decoder, webp, len(webp)) if early == SUSPENDED else early
    finally:
        library.WebPIDelete(decoder)
        library.WebPFreeDecBuffer(ctypes.byref(config.output))
    del kept
    return _judged(early), _judged(late)


def whole(webp: bytes, size: tuple[int, int]) -> int:
    """The status of a still file, or of a bare stream, of `size` pixels decoded at once. Raises `Missing`."""
    library, config = _interface(), _config(size, _RGBA)
    status = library.WebPDecode(webp, len(webp), ctypes.byref(config))
    library.WebPFreeDecBuffer(ctypes.byref(config.output))
    return _judged(status)


def _judged(status: int) -> int:
    if status == _OUT_OF_MEMORY:
        raise MemoryError
    return status


def _config(size: tuple[int, int], colorspace: int) -> _Config:
    """Only the last corner comes out, unless the output is set anew: a decoder must still go through all before it."""
    config = _Config()
    if not _interface().WebPInitDecoderConfigInternal(ctypes.byref(config), _ABI):
        raise native.Missing(PACKAGES[_LIBRARY])
    config.output.colorspace = colorspace
    options = config.options
    options.bypass_filtering = options.no_fancy_upsampling = options.use_cropping = 1
    options.crop_left, options.crop_top = ((side - 1) & ~1 for side in size)
    options.crop_width, options.crop_height = size[0] - options.crop_left, size[1] - options.crop_top
    return config


def _address(samples: Room) -> tuple[ctypes.Array[ctypes.c_ubyte], int]:
    """The bytes as C sees them, to be held as long as C may write there, and where they lie."""
    view = (ctypes.c_ubyte * len(samples)).from_buffer(samples)
    return view, ctypes.addressof(view)


def _into_planes(config: _Config, planes: Planes) -> list[object]:
    """All of it comes out, not the last corner alone."""
    output, width = config.output, planes.size[0]
    half = (width + 1) // 2
    fields = output.either.planes
    kept: list[object] = []
    for name, stride, part in zip("yuva", (width, half, half, width), planes.parts, strict=False):
        view, address = _address(part)
        kept.append(view)
        setattr(fields, name, address)
        setattr(fields, f"{name}_stride", stride)
        setattr(fields, f"{name}_size", len(part))
    output.colorspace = _YUVA if len(kept) == 4 else _YUV
    output.is_external_memory, config.options.use_cropping = 1, 0
    return kept


def _into_samples(config: _Config, rgba: Room, size: tuple[int, int]) -> list[object]:
    output = config.output
    view, address = _address(rgba)
    output.either.samples.rgba, output.either.samples.stride = address, 4 * size[0]
    output.either.samples.size, output.is_external_memory, config.options.use_cropping = len(rgba), 1, 0
    output.colorspace = _RGBA
    return [view]
