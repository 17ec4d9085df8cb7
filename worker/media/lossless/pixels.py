"""A PNG's samples where they must be looked at, by Pillow and in the jail only: what nobody has seen is made black.

That is unused entries of a palette, and colour under full transparency. Samples are coded anew, without loss, only
where something was hidden, or where the picture must be turned.
"""

from __future__ import annotations

import io
import struct
from dataclasses import replace

from PIL import Image, ImageChops

from worker.media.image.orientation import turned as upright
from worker.media.lossless.chunks import SIGNATURE, Header, chunk, samples_of
from worker.media.lossless.declined import Declined

Streams = list[tuple[bytes | None, bytes]]
_PALETTE, _WITH_ALPHA = 3, (4, 6)
# The most pixels of a picture that is coded anew, which takes some seconds.
MOST_CODED = 24_000_000


def without_hidden(header: Header, streams: Streams) -> tuple[Header, Streams]:
    """The header with a palette of used entries, and streams without colour under alpha 0. Raises `Declined`."""
    if header.colour == _PALETTE:
        return _used_only(header, streams), streams
    if header.colour in _WITH_ALPHA:
        return _uncovered(header, streams)
    return header, streams


def turned(header: Header, streams: Streams, orientation: int) -> tuple[Header, Streams]:
    """A still of eight-bit samples, upright. Raises `Declined` (`orientation`) for any other."""
    if orientation == 1:
        return header, streams
    if header.depth != 8 or len(streams) != 1 or streams[0][0] is not None:
        raise Declined("orientation")
    image = upright(_decoded(header, *streams[0]), orientation)
    return replace(header, width=image.width, height=image.height, interlaced=False), [(None, _encoded(image))]


def _used_only(header: Header, streams: Streams) -> Header:
    counts = [0] * 256
    for control, packed in streams:
        image = _decoded(header, control, packed)
        counts = [a + b for a, b in zip(counts, image.histogram()[:256], strict=True)]
    used = [number for number, count in enumerate(counts) if count]
    if 3 * used[-1] >= len(header.palette):
        raise Declined("unusual_coding")
    palette, clear = bytearray(3 * (used[-1] + 1)), bytearray(b"\xff" * (used[-1] + 1))
    for number in used:
        palette[3 * number : 3 * number + 3] = header.palette[3 * number : 3 * number + 3]
        clear[number : number + 1] = header.clear[number : number + 1] or b"\xff"
    return replace(header, palette=bytes(palette), clear=bytes(clear.rstrip(b"\xff")))


def _uncovered(header: Header, streams: Streams) -> tuple[Header, Streams]:
    made, anew = [], False
    for control, packed in streams:
        image = _decoded(header, control, packed)
        if header.depth != 8:
            if image.getchannel("A").getextrema()[0] == 0:
                # Only the high bytes can be seen here; what the low ones hide cannot be told.
                raise Declined("hidden_data")
            made.append((control, packed))
            continue
        bare = _black_where_clear(image)
        changed = bare is not None
        anew = anew or changed
        made.append((control, _encoded(bare) if bare is not None else packed))
    if anew and header.interlaced:
        if len(streams) > 1:
            raise Declined("hidden_data")
        return replace(header, interlaced=False), made
    return header, made


def _black_where_clear(image: Image.Image) -> Image.Image | None:
    """None where nothing was hidden."""
    alpha = image.getchannel("A")
    if alpha.getextrema()[0] != 0:
        return None
    seen = alpha.point([0] + [255] * 255)
    bands = list(image.split()[:-1])
    bare = [ImageChops.multiply(band, seen) for band in bands]
    if all(one.tobytes() == other.tobytes() for one, other in zip(bands, bare, strict=True)):
        return None
    return Image.merge(image.mode, [*bare, alpha])


def _decoded(header: Header, control: bytes | None, packed: bytes) -> Image.Image:
    own = header if control is None else header.of_frame(*struct.unpack_from(">II", control))
    pieces = [SIGNATURE, own.chunk()]
    if own.palette:
        pieces.append(chunk(b"PLTE", own.palette))
    body = b"".join([*pieces, chunk(b"IDAT", packed), chunk(b"IEND", b"")])
    with Image.open(io.BytesIO(body), formats=("PNG",)) as image:
        image.load()
        return image.copy()


def _encoded(image: Image.Image) -> bytes:
    if image.width * image.height > MOST_CODED:
        raise Declined("too_large")
    body = io.BytesIO()
    Image.frombytes(image.mode, image.size, image.tobytes()).save(body, "PNG", compress_level=4, bits=8)
    return samples_of(body.getvalue())
