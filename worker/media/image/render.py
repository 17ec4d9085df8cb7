"""The picture workshop, run in the jail's child: one decode, then every copy from the same frame, largest first.

The pre-walk comes first (`probe`), the metadata is counted from the same walk, and nothing but raw samples goes on.
"""

from __future__ import annotations

import hashlib
import io
import mmap
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

import pillow_heif
from PIL import Image, ImageFile, PngImagePlugin, UnidentifiedImageError

from worker.errors import Unprocessable
from worker.media.codes import unprocessable
from worker.media.formats import Format, format_named
from worker.media.image import colour, metadata
from worker.media.image.encode import Reel, encoded
from worker.media.image.fingerprint import placeholder
from worker.media.image.icc import adobe_rgb
from worker.media.image.probe import judge, probe
from worker.media.image.scale import fitted, shrink, smaller
from worker.media.limits import MediaLimits
from worker.media.renditions import Rendition, renditions_of
from worker.media.walk import exif
from worker.media.walk.found import Walked

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Decoders that turn the picture themselves (HEIF; TIFF since Pillow 9.4), or whose formats know no orientation.
_TURNED = frozenset({"HEIF", "TIFF", "GIF", "BMP"})
_ANIMATED = frozenset({"GIF", "PNG", "WEBP", "AVIF"})


@dataclass(frozen=True, kw_only=True)
class _Source:
    """A picture opened but not decoded: its canvas, how it must be turned, its profile, what is asked of it.

    `canvas` is said once, before the first frame: a GIF whose later frames reach over it is cut there, as browsers do.
    """

    image: Image.Image
    canvas: tuple[int, int]
    fmt: Format
    orientation: int
    profile: bytes | None
    rows: list[Rendition]
    limits: MediaLimits

    def frame(self) -> Image.Image:
        """The current frame, decoded, at the largest size asked for: sRGB, upright, RGB or RGBA."""
        size = fitted(self.canvas, self.rows[0].fit)
        with _decoding():
            if self.image.format in ("JPEG", "MPO"):
                self.image.draft(None, size)
            self.image.load()
            grown = self.image.format == "GIF" and self.image.size != self.canvas
            small = shrink(self.image.crop((0, 0, *self.canvas)) if grown else self.image, size)
        small = colour.to_srgb(small, self.profile)
        if self.orientation in _TURNS:
            small = small.transpose(_TURNS[self.orientation])
        return colour.without_hidden(small)

    @property
    def upright(self) -> tuple[int, int]:
        width, height = self.canvas
        return (height, width) if self.orientation >= 5 else (width, height)


def render(stream: BinaryIO | mmap.mmap | None, args: dict[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
    """`args`: format (a name of the table), limits, work (image or frame), names (rows wanted, or None for all).

    Returns {"facts": …, "renditions": [{name, media_type, width, height, bytes, sha256, duration_ms}, …], "left_out":
    {name: code}} and the bodies in that order: each row wanted is either made or, where it is an extra, left out.
    Raises `Unprocessable` with a code of the list.
    """
    limits, fmt = MediaLimits.from_args(args["limits"]), format_named(str(args["format"]))
    names = tuple(args["names"]) if args.get("names") is not None else None
    rows = renditions_of(args.get("work", "image"), names)
    if stream is None:
        raise unprocessable("empty")
    data = stream if isinstance(stream, mmap.mmap) else stream.read(limits.image_bytes + 1)
    walked = probe(data, fmt, limits)
    source = _opened(data[:], fmt, walked, rows, limits)
    upright = source.upright
    judge(*upright, walked.frames, limits)
    animated = fmt.decoder in _ANIMATED and walked.frames > 1
    made, facts = _animation(source, walked) if animated else _still(source)
    facts |= {
        "media_type": fmt.media_type,
        "width": upright[0],
        "height": upright[1],
        "removed": metadata.removed(walked.carriers),
    }
    header = {"facts": facts, "renditions": [entry for entry, _ in made], "left_out": {}}
    return header, [body for _, body in made]


def _opened(data: bytes, fmt: Format, walked: Walked, rows: list[Rendition], limits: MediaLimits) -> _Source:
    _guard(limits)
    with _decoding():
        image = Image.open(io.BytesIO(data), formats=(fmt.decoder,))
        if image.format != fmt.decoder and (image.format, fmt.decoder) != ("MPO", "JPEG"):
            raise unprocessable("type_mismatch")
        return _Source(
            image=image,
            canvas=image.size,
            fmt=fmt,
            orientation=_orientation(image, fmt, walked),
            profile=image.info.get("icc_profile") or _named_profile(walked),
            rows=rows,
            limits=limits,
        )


def _guard(limits: MediaLimits) -> None:
    """The second net: Pillow's own limits, set to ours; its bomb warning is an error, other warnings stay warnings."""
    Image.MAX_IMAGE_PIXELS = limits.pixels
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    # A text or profile over Pillow's own megabyte is odd, yet no reason to refuse the picture; a bomb of text is.
    PngImagePlugin.MAX_TEXT_CHUNK, PngImagePlugin.MAX_TEXT_MEMORY = limits.text_bytes, 2 * limits.text_bytes
    pillow_heif.options.THUMBNAILS = False
    pillow_heif.options.DEPTH_IMAGES = False
    pillow_heif.options.AUX_IMAGES = False


def _orientation(image: Image.Image, fmt: Format, walked: Walked) -> int:
    """By our own walk. AVIF says it by its boxes, which Pillow puts into its EXIF; bad EXIF is no bad picture."""
    if fmt.decoder in _TURNED:
        return 1
    if fmt.decoder == "AVIF":
        return exif.orientation(image.info.get("exif", b"").removeprefix(b"Exif\0\0"))
    blocks = [carrier.data for carrier in walked.carriers if carrier.form == "exif"]
    return exif.orientation(blocks[0]) if blocks else 1


def _named_profile(walked: Walked) -> bytes | None:
    """Adobe RGB, where EXIF says it and no profile is there."""
    blocks = (carrier.data for carrier in walked.carriers if carrier.form == "exif")
    return adobe_rgb() if any(exif.is_adobe_rgb(block) for block in blocks) else None


def _still(source: _Source) -> tuple[list[tuple[dict[str, Any], bytes]], dict[str, Any]]:
    upright = source.upright
    frame = source.frame()
    source.image.close()
    made = [_copy(frame, upright, row) for row in source.rows]
    return made, _facts(frame, frames=1, duration_ms=None, alpha=frame.mode == "RGBA")


def _copy(frame: Image.Image, upright: tuple[int, int], row: Rendition) -> tuple[dict[str, Any], bytes]:
    small = colour.without_hidden(smaller(frame, fitted(upright, row.fit)))
    media_type = row.with_alpha if small.mode == "RGBA" else row.media_type
    return _entry(row, media_type, small.size, encoded(small, media_type, row.quality), None)


def _animation(source: _Source, walked: Walked) -> tuple[list[tuple[dict[str, Any], bytes]], dict[str, Any]]:
    """Frame by frame: each is decoded once and goes into every reel before the next."""
    loop = _loop(source.image)
    reels = {row.name: Reel(fitted(source.upright, row.fit), loop, row.quality) for row in source.rows if row.animated}
    stills: dict[str, tuple[dict[str, Any], bytes]] = {}
    first, count, alpha, total = None, 0, False, 0
    for frame, duration in _frames(source, walked):
        count += 1
        total += duration
        alpha = alpha or frame.mode == "RGBA"
        if first is None:
            first = frame
            stills = {row.name: _copy(frame, source.upright, row) for row in source.rows if not row.animated}
        for row in source.rows:
            if row.animated:
                size = fitted(source.upright, row.fit)
                reels[row.name].add(colour.without_hidden(smaller(frame, size)), duration)
    if first is None:
        raise unprocessable("corrupt")
    if count == 1:
        return [_copy(first, source.upright, row) for row in source.rows], _facts(first, 1, None, alpha)
    made = []
    for row in source.rows:
        if row.animated:
            reel = reels[row.name]
            size = fitted(source.upright, row.fit)
            made.append(_entry(row, "image/webp", size, reel.body(), reel.duration_ms))
        else:
            made.append(stills[row.name])
    return made, _facts(first, count, total, alpha)


def _frames(source: _Source, walked: Walked) -> Iterator[tuple[Image.Image, int]]:
    """The frames of an animation and how long each is shown; an APNG's default image that is no frame is left out."""
    image = source.image
    begin = 1 if image.info.get("default_image") else 0
    spent = 0
    for number in range(begin, begin + walked.frames):
        with _decoding():
            try:
                image.seek(number)
            except EOFError:
                # A GIF tells its number of frames only by ending; the others said it in their headers.
                if source.fmt.decoder == "GIF" and number > begin:
                    return
                raise
        spent += image.width * image.height
        judge(*image.size, 1, source.limits)
        if spent > source.limits.frame_pixels:
            raise unprocessable("limits:frame_pixels")
        frame = source.frame()
        yield frame, max(0, round(image.info.get("duration", 0) or 0))


def _loop(image: Image.Image) -> int:
    """Times a WebP is played, 0 for ever. A GIF counts repeats after the first showing, and none stands for one."""
    said = image.info.get("loop")
    if image.format == "GIF":
        said = 1 if said is None else said + 1 if said else 0
    return min(max(int(said or 0), 0), 65_535)


def _facts(frame: Image.Image, frames: int, duration_ms: int | None, alpha: bool) -> dict[str, Any]:
    return {
        "frames": frames,
        "duration_ms": duration_ms,
        "has_alpha": alpha,
        "placeholder": placeholder(frame),
    }


def _entry(
    row: Rendition, media_type: str, size: tuple[int, int], body: bytes, duration_ms: int | None
) -> tuple[dict[str, Any], bytes]:
    return {
        "name": row.name,
        "media_type": media_type,
        "width": size[0],
        "height": size[1],
        "bytes": len(body),
        "sha256": hashlib.sha256(body).hexdigest(),
        "duration_ms": duration_ms,
    }, body


@contextmanager
def _decoding() -> Iterator[None]:
    """What a decoder raises, as a code of the list. Its text stays here: it may quote the file (P7)."""
    try:
        yield
    except Unprocessable:
        raise
    except MemoryError:
        raise unprocessable("decoder_memory") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise unprocessable("limits:pixels") from None
    except UnidentifiedImageError:
        raise unprocessable("corrupt") from None
    except Exception as error:  # noqa: BLE001 - over odd files Pillow raises some fifteen types (security.md, surprise 8)
        raise unprocessable(_code_of(str(error).lower())) from None


def _code_of(text: str) -> str:
    if "truncated" in text or "unexpected end of file" in text or "premature end" in text:
        return "truncated"
    if "unsupported" in text or "not supported" in text or "codec" in text:
        return "unsupported_codec"
    return "decoder_memory" if "memory" in text or "security limit" in text else "corrupt"
