"""Encodes pixels with our own settings and nothing else: each picture is built anew from its raw samples first.

Output is the same byte for byte between runs. Baseline JPEG with the standard tables is a choice for the second
reader: it leaves no table in which anything could hide.
"""

from __future__ import annotations

import io
import struct
import zlib

from PIL import Image, ImageChops

_MOST_MS = (1 << 24) - 1


# How hard WebP tries, 0 to 6. A frame of an animation is one of hundreds: at 2 it takes half the time of 4 and some 5 %
# more bytes.
_STILL, _FRAME = 4, 2


def encoded(
    image: Image.Image, media_type: str, quality: int, *, effort: int = _STILL, profile: bytes | None = None
) -> bytes:
    """An RGB or RGBA picture as JPEG, PNG or WebP, a grey one as JPEG; `profile` where its colours are not sRGB."""
    body = io.BytesIO()
    fresh = Image.frombytes(image.mode, image.size, image.tobytes())
    named = {"icc_profile": profile} if profile else {}
    if media_type == "image/jpeg":
        sampling = "4:4:4" if image.mode == "L" else "4:2:0"
        fresh.save(body, "JPEG", quality=quality, subsampling=sampling, optimize=False, progressive=False, **named)
    elif media_type == "image/png":
        fresh.save(body, "PNG", compress_level=6)
        return _with_profile(body.getvalue(), profile) if profile else body.getvalue()
    else:
        # `exact`: what lies under alpha 0 is black already and stays so.
        fresh.save(body, "WEBP", quality=quality, method=effort, alpha_quality=100, exact=True, **named)
    return body.getvalue()


def _with_profile(png: bytes, profile: bytes) -> bytes:
    """A PNG with iCCP right after IHDR, as one stored block (RFC 1951, 3.2.4): the same bytes with any zlib."""
    stored = b"\x78\x01\x01" + struct.pack("<HH", len(profile), 65_535 - len(profile)) + profile
    chunk = b"iCCP" + b"ICC Profile\0\0" + stored + struct.pack(">I", zlib.adler32(profile))
    return png[:33] + struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) + png[33:]


class Reel:
    """An animated WebP, frame by frame: only the frame before is held. Unchanged borders are not stored again."""

    def __init__(self, size: tuple[int, int], loop: int, quality: int, profile: bytes | None = None) -> None:
        self._size = size
        self._profile = profile
        self._loop = loop
        self._quality = quality
        self._frames: list[bytearray] = []
        self._last: Image.Image | None = None
        self._alpha = False
        self.duration_ms = 0

    def add(self, image: Image.Image, duration_ms: int) -> None:
        """One more frame of the whole canvas, RGB or RGBA, shown for `duration_ms`."""
        self.duration_ms += duration_ms
        box = self._changed(image)
        self._last = image
        if box is None:
            shown = int.from_bytes(self._frames[-1][12:15], "little") + duration_ms
            if shown <= _MOST_MS:
                self._frames[-1][12:15] = shown.to_bytes(3, "little")
                return
            box = (0, 0, 2, 2)
        part = image.crop((box[0], box[1], min(box[2], image.width), min(box[3], image.height)))
        chunks = _pixels(encoded(part, "image/webp", self._quality, effort=_FRAME))
        self._alpha = self._alpha or chunks.startswith(b"ALPH")
        numbers = (box[0] // 2, box[1] // 2, part.width - 1, part.height - 1, min(duration_ms, _MOST_MS))
        # Flag 2: the rectangle replaces what was there, alpha and all; nothing is disposed of.
        head = b"".join(number.to_bytes(3, "little") for number in numbers) + b"\x02"
        self._frames.append(bytearray(head + chunks))

    def body(self) -> bytes:
        """The file: VP8X, ICCP where the colours are not sRGB, ANIM, then one ANMF a frame."""
        flags = 0x02 | (0x10 if self._alpha else 0) | (0x20 if self._profile else 0)
        canvas = b"".join((side - 1).to_bytes(3, "little") for side in self._size)
        chunks = [
            _chunk(b"VP8X", bytes((flags, 0, 0, 0)) + canvas),
            *([_chunk(b"ICCP", self._profile)] if self._profile else []),
            _chunk(b"ANIM", bytes(4) + self._loop.to_bytes(2, "little")),
            *(_chunk(b"ANMF", bytes(frame)) for frame in self._frames),
        ]
        return b"RIFF" + struct.pack("<I", 4 + sum(map(len, chunks))) + b"WEBP" + b"".join(chunks)

    def _changed(self, image: Image.Image) -> tuple[int, int, int, int] | None:
        """The rectangle that differs from the frame before, its corner on even pixels as the format wants it."""
        if self._last is None:
            return 0, 0, image.width, image.height
        last, now = self._last, image
        if last.mode != now.mode:
            last, now = last.convert("RGBA"), now.convert("RGBA")
        # Not `alpha_only`: a change of alpha alone is a change too.
        box = ImageChops.difference(last, now).getbbox(alpha_only=False)
        return None if box is None else (box[0] & ~1, box[1] & ~1, box[2], box[3])


def _pixels(webp: bytes) -> bytes:
    """The chunks of a still WebP that hold its pixels."""
    at, kept = 12, []
    while at + 8 <= len(webp):
        kind, size = struct.unpack_from("<4sI", webp, at)
        end = at + 8 + size + (size & 1)
        if kind in (b"ALPH", b"VP8 ", b"VP8L"):
            kept.append(webp[at:end])
        at = end
    return b"".join(kept)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("<I", len(body)) + body + bytes(len(body) & 1)
