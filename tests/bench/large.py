"""The largest pictures that the default limits take: 64 megapixels and 50 MB, of each format that phones send."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import cache
from typing import Any

import pillow_heif
from PIL import Image

from tests import bombs, pieces, samples

SIDE = 8_000


@cache
def _scene() -> Image.Image:
    return samples.scene(SIDE, SIDE)


def _saved(name: str, **more: Any) -> bytes:
    body = io.BytesIO()
    _scene().save(body, name, **more)
    return body.getvalue()


def _rgba() -> bytes:
    body = io.BytesIO()
    picture = samples.scene(SIDE, SIDE, grain=False).convert("RGBA")
    picture.putalpha(Image.linear_gradient("L").resize((SIDE, SIDE)))
    picture.save(body, "PNG", compress_level=1)
    return body.getvalue()


def _heic() -> bytes:
    body = io.BytesIO()
    pillow_heif.from_pillow(samples.scene(SIDE, SIDE, grain=False)).save(
        body, quality=30, enc_params={"preset": "ultrafast"}
    )
    return body.getvalue()


def _animated(frames: int = 300, side: int = 1_154) -> bytes:
    """Two scenes in turn, so that every frame is another than the one before: 400 megapixels over all frames."""
    shown = []
    for scene in (samples.scene(side, side), samples.scene(side, side).rotate(180)):
        body = io.BytesIO()
        scene.save(body, "WEBP", quality=70)
        places = bytes(6) + (side - 1).to_bytes(3, "little") * 2 + (40).to_bytes(3, "little") + b"\2"
        pixels = b"".join(pieces.riff(*part) for part in pieces.riff_chunks(body.getvalue()))
        shown.append(pieces.riff(b"ANMF", places + pixels))
    head = pieces.riff(b"VP8X", b"\2\0\0\0" + (side - 1).to_bytes(3, "little") * 2)
    return pieces.webp_of(head, pieces.riff(b"ANIM", bytes(6)), *(shown * (frames // 2)))


KINDS: dict[str, Callable[[], bytes]] = {
    "jpeg": lambda: _saved("JPEG", quality=90),
    "jpeg progressive": lambda: _saved("JPEG", quality=90, progressive=True),
    "png": lambda: bombs.png_of_zeros(SIDE, SIDE, colour=2),
    "png RGBA": _rgba,
    "webp": lambda: _saved("WEBP", quality=70, method=0),
    "webp lossless": lambda: bombs.webp_claiming(SIDE, SIDE),
    "webp animated, 300 frames": _animated,
    "heic": _heic,
    "avif": lambda: _saved("AVIF", quality=50, speed=10),
}


def padded(data: bytes, size: int) -> bytes:
    """The file with bytes behind its end (in a box of its own where the format is made of boxes), `size` in all."""
    left = size - len(data)
    if left < 8:
        return data
    return data + (pieces.box(b"free", bytes(left - 8)) if data[4:8] == b"ftyp" else bytes(left))
