"""What a planted carrier of a picture is: where its mark goes, how it is seen there, what is told of it, and the clean
files it is planted into."""

from __future__ import annotations

import functools
import io
import re
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pillow_heif
from PIL import Image

from tests import canaries, pieces, samples

SIZE = (48, 32)
Plant = Callable[[bytes, bytes], bytes]
_STREAM = re.compile(rb"\x78[\x01\x5e\x9c\xda]")


@dataclass(frozen=True, kw_only=True)
class Carrier:
    """One place. `name` is the reference's, `base` a clean input, `plant` puts `mark` into a file of that format.

    `kinds` must be told of it; where there are none, `why` says why not. `tag` is the name under which ExifTool shows
    it. `code` is that of the refusal where such a file is not even decoded. `into` is a finished file of ours in which
    the same is planted (none where the format is never published), by `finish` where that takes another hand. `there`
    tells whether it is in a file, where a search for the mark is not enough.
    """

    name: str
    base: str
    plant: Plant
    mark: bytes
    kinds: frozenset[str]
    why: str = ""
    tag: str = ""
    code: str = ""
    into: str = ""
    finish: Plant | None = None
    there: Callable[[bytes], bool] | None = None

    def planted(self) -> bytes:
        return self.plant(base(self.base), self.mark)

    def in_finished(self, finished: bytes) -> bytes:
        return (self.finish or self.plant)(finished, self.mark)

    def seen(self, body: bytes) -> bool:
        """Whether it is in a file: as it is, in UTF-16, base64 or hexadecimal, or once inflated."""
        if self.there is not None:
            return self.there(body)
        return any(_dressed(self.mark, layer) for layer in (body, *inflated(body)))


def word(name: str) -> bytes:
    return b"CANARY_" + name.replace("-", "_").upper().encode()


def made(name: str, base: str, kinds: str, plant: Plant, **more: object) -> Carrier:
    """`kinds` by blanks; the mark is a word made of the name unless given."""
    values: dict[str, object] = {"mark": word(name), "kinds": frozenset(kinds.split()), **more}
    return Carrier(name=name, base=base, plant=plant, **values)  # type: ignore[arg-type]


def _dressed(mark: bytes, body: bytes) -> bool:
    if mark in body or mark.hex().encode() in body.lower():
        return True
    return mark.isascii() and bool(canaries.found([mark.decode()], body))


def inflated(body: bytes) -> Iterator[bytes]:
    """Everything in a file that inflates."""
    for match in _STREAM.finditer(body):
        unpacker = zlib.decompressobj()
        try:
            out = unpacker.decompress(body[match.start() :], 1 << 20)
        except zlib.error:
            continue
        if len(out) > 8:
            yield out
    idat = b"".join(data for kind, data in _chunks(body) if kind == b"IDAT")
    if idat:
        yield zlib.decompressobj().decompress(idat)


def _chunks(body: bytes) -> list[tuple[bytes, bytes]]:
    return pieces.chunks_of(body) if body.startswith(pieces.PNG) and body.endswith(b"IEND\xaeB`\x82") else []


def decoded(body: bytes) -> Image.Image:
    """The picture, by a plain decoder; warnings of odd files are no matter here."""
    pillow_heif.register_heif_opener()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = Image.open(io.BytesIO(body))
        image.load()
    return image


def saved(image: Image.Image, name: str, **more: object) -> bytes:
    body = io.BytesIO()
    image.save(body, name, **more)
    return body.getvalue()


def other() -> Image.Image:
    """Another scene: what was there before the edit."""
    return Image.radial_gradient("L").resize(SIZE).convert("RGB")


def see_through() -> Image.Image:
    """Half clear, and black there."""
    picture = samples.scene(*SIZE).convert("RGBA")
    picture.paste((0, 0, 0, 0), (0, 0, SIZE[0] // 2, SIZE[1]))
    return picture


@functools.cache
def base(name: str) -> bytes:
    """A clean input."""
    return _BASES[name]()


def _heic() -> bytes:
    body = io.BytesIO()
    pillow_heif.from_pillow(samples.scene(*SIZE)).save(body, quality=60)
    return body.getvalue()


def _moving() -> list[Image.Image]:
    return [Image.new("RGB", SIZE, (40 + 90 * number, 90, 200 - 70 * number)) for number in range(2)]


def _gif() -> bytes:
    frames = [frame.quantize(4) for frame in _moving()]
    return saved(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=80, loop=0)


def _tiff() -> bytes:
    return tiff([{}])


_BASES: dict[str, Callable[[], bytes]] = {
    "jpeg": lambda: saved(samples.scene(*SIZE), "JPEG", quality=80),
    "jpeg-progressive": lambda: saved(samples.scene(*SIZE), "JPEG", quality=80, progressive=True),
    "png": lambda: saved(samples.scene(*SIZE), "PNG"),
    "png-alpha": lambda: saved(see_through(), "PNG"),
    "png-palette": lambda: saved(samples.scene(*SIZE, grain=False).quantize(16), "PNG"),
    "apng": lambda: saved(_moving()[0], "PNG", save_all=True, append_images=_moving()[1:], duration=80),
    "gif": _gif,
    "webp": lambda: saved(samples.scene(*SIZE), "WEBP", quality=80),
    "webp-animated": lambda: saved(
        _moving()[0], "WEBP", save_all=True, append_images=[samples.scene(*SIZE)], duration=80, quality=80
    ),
    "avif": lambda: saved(samples.scene(*SIZE), "AVIF", quality=60, speed=10),
    "avif-alpha": lambda: saved(see_through(), "AVIF", quality=60, speed=10),
    "heic": _heic,
    "tiff": _tiff,
    "bmp": lambda: saved(samples.scene(*SIZE), "BMP"),
}

Tag = tuple[int, bytes]
_SHORT, _LONG = 3, 4


def tiff(pages: list[dict[int, Tag]], *, inner: dict[int, dict[int, Tag]] | None = None) -> bytes:
    """A TIFF of RGB pages, one strip each; `pages` hold tags beside those of the pixels as (type, value), `inner`
    directories that a tag of the first page points to."""
    width, height = SIZE
    body = bytearray(b"II*\0\0\0\0\0")
    link = 4
    for number, more in enumerate(pages):
        strip = len(body)
        body += (samples.scene(*SIZE) if number == 0 else other()).tobytes()
        tags: dict[int, Tag] = {
            256: (_SHORT, struct.pack("<H", width)),
            257: (_SHORT, struct.pack("<H", height)),
            258: (_SHORT, struct.pack("<3H", 8, 8, 8)),
            259: (_SHORT, struct.pack("<H", 1)),
            262: (_SHORT, struct.pack("<H", 2)),
            273: (_LONG, struct.pack("<I", strip)),
            277: (_SHORT, struct.pack("<H", 3)),
            278: (_SHORT, struct.pack("<H", height)),
            279: (_LONG, struct.pack("<I", 3 * width * height)),
        }
        for pointer, directory in (inner or {}).items() if number == 0 else ():
            tags[pointer] = (_LONG, struct.pack("<I", _directory(body, directory)[0]))
        at, following = _directory(body, tags | more)
        struct.pack_into("<I", body, link, at)
        link = following
    return bytes(body)


def _directory(body: bytearray, tags: dict[int, Tag]) -> tuple[int, int]:
    """Put its values and then it at the end; where it is, and where it says what follows it."""
    sizes = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1}
    entries = b""
    for tag, (kind, value) in sorted(tags.items()):
        field = value.ljust(4, b"\0")
        if len(value) > 4:
            body += bytes(len(body) & 1)
            field = struct.pack("<I", len(body))
            body += value
        entries += struct.pack("<HHI", tag, kind, len(value) // sizes[kind]) + field
    body += bytes(len(body) & 1)
    at = len(body)
    body += struct.pack("<H", len(tags)) + entries + bytes(4)
    return at, len(body) - 4
