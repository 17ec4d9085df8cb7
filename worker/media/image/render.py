"""The picture workshop, run in the jail's child: one decode, then every copy from the same frame, largest first.

The pre-walk comes first (`probe`), the metadata is counted from the same walk, and nothing but raw samples goes on.
"""

from __future__ import annotations

import io
import mmap
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, Literal

import pillow_heif
from PIL import Image, ImageFile, PngImagePlugin, UnidentifiedImageError

from worker.errors import Unprocessable
from worker.media.codes import unprocessable
from worker.media.colours import declared
from worker.media.colours.convert import Converter
from worker.media.formats import Format, format_named
from worker.media.image import colour, hidden, metadata
from worker.media.image.encode import Reel, encoded
from worker.media.image.fingerprint import placeholder
from worker.media.image.gainmap import sources
from worker.media.image.gainmap.sources import GainMap
from worker.media.image.gainmap.write import ultra_hdr
from worker.media.image.orientation import orientation, turned
from worker.media.image.probe import judge, probe
from worker.media.image.scale import fitted, shrink, smaller
from worker.media.limits import MediaLimits
from worker.media.lossless import Stored, rewritten
from worker.media.renditions import SMALL, Rendition, renditions_of
from worker.media.walk.found import Walked

# Formats that keep every sample as it was, what lies under alpha 0 as well.
_AS_STORED = frozenset({"PNG", "TIFF"})
_ANIMATED = frozenset({"GIF", "PNG", "WEBP", "AVIF"})


@dataclass(frozen=True, kw_only=True)
class _Source:
    """A picture opened but not decoded: its canvas, how it must be turned, its colours, what is asked of it.

    `canvas` is said once, before the first frame: a GIF whose later frames reach over it is cut there, as browsers do.
    `crop` is what an AVIF shows of its pixels, which its decoder leaves to us.
    """

    image: Image.Image
    canvas: tuple[int, int]
    crop: tuple[int, int, int, int] | None
    fmt: Format
    orientation: int
    convert: Converter
    rows: list[Rendition]
    limits: MediaLimits

    def frame(self) -> Image.Image:
        """The current frame, decoded, at the largest size asked for: colours brought over, upright, RGB or RGBA."""
        size = fitted(self.canvas, max((row.fit for row in self.rows), default=SMALL))
        with _decoding():
            if self.image.format in ("JPEG", "MPO"):
                self.image.draft(None, size)
            self.image.load()
            grown = self.image.format == "GIF" and self.image.size != self.canvas
            box = (0, 0, *self.canvas) if grown else self.crop
            small = shrink(self.image.crop(box) if box else self.image, size)
        return colour.without_hidden(turned(self.convert(small), self.orientation))

    @property
    def upright(self) -> tuple[int, int]:
        width, height = self.canvas
        return (height, width) if self.orientation >= 5 else (width, height)


def render(stream: BinaryIO | mmap.mmap | None, args: dict[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
    """`args`: format (a name of the table), limits, work (image or frame), names (rows wanted, or None for all), wide
    (keep the colours that sRGB has not).

    Returns {"facts": …, "renditions": [{name, media_type, width, height, bytes, duration_ms}, …], "left_out":
    {name: code}} and the bodies in that order: each row wanted is either made or, where it is an extra, left out.
    Raises `Unprocessable` with a code of the list.
    """
    limits, fmt = MediaLimits.from_args(args["limits"]), format_named(str(args["format"]))
    work: Literal["image", "frame"] = "frame" if args.get("work") == "frame" else "image"
    names = tuple(args["names"]) if args.get("names") is not None else None
    wanted = renditions_of(work, names)
    if stream is None:
        raise unprocessable("empty")
    data = stream if isinstance(stream, mmap.mmap) else stream.read(limits.image_bytes + 1)
    walked = probe(data, fmt, limits)
    whole = data[:]
    # A film's frame comes from our own ffmpeg, in the colours of plain displays: what it writes beside them is the
    # camera curve of television, by which no player goes.
    rows = [row for row in wanted if not row.rewritten]
    source = _opened(whole, fmt, walked, rows, limits, plain=work == "frame", wide=args.get("wide") is True)
    upright, stored = source.upright, Stored(mode=source.image.mode, profile=source.image.info.get("icc_profile"))
    judge(*upright, walked.frames, limits)
    # A default image that is no frame is never shown, so one frame behind it is an animation all the same.
    several = walked.frames > 1 or bool(source.image.info.get("default_image"))
    animated = fmt.decoder in _ANIMATED and several
    bright = None
    if not animated and any(row.gain_map for row in rows):
        found = sources.Found(data=whole, walked=walked, size=source.image.size, limits=limits)
        bright = sources.find(found, fmt)
    made, facts = _animation(source, walked) if animated else _still(source, bright, walked)
    if fmt.decoder == "PNG" and hidden.behind_samples(data):
        walked.add("hidden_data")
    facts |= {
        "media_type": fmt.media_type,
        "width": upright[0],
        "height": upright[1],
        "removed": metadata.removed(walked.carriers),
    }
    by_name = {entry["name"]: (entry, body) for entry, body in made}
    left_out = {row.name: "no_gain_map" for row in rows if row.gain_map and row.name not in by_name}
    for row in (row for row in wanted if row.rewritten):
        copy = rewritten(whole, fmt, walked, source.orientation, stored)
        if copy.body is None:
            left_out[row.name] = copy.code
        else:
            by_name[row.name] = _entry(row, fmt.media_type, upright, copy.body, facts["duration_ms"])
    made = [by_name[row.name] for row in wanted if row.name in by_name]
    header = {"facts": facts, "renditions": [entry for entry, _ in made], "left_out": left_out}
    return header, [body for _, body in made]


def _opened(
    data: bytes, fmt: Format, walked: Walked, rows: list[Rendition], limits: MediaLimits, *, plain: bool, wide: bool
) -> _Source:
    _guard(limits)
    with _decoding():
        image = Image.open(io.BytesIO(data), formats=(fmt.decoder,))
        if image.format != fmt.decoder and (image.format, fmt.decoder) != ("MPO", "JPEG"):
            raise unprocessable("type_mismatch")
        said = () if plain else declared.profiles(image.info.get("icc_profile"), walked)
        whole = image.size == (walked.width, walked.height)
        crop = walked.crop if fmt.decoder == "AVIF" and whole else None
        return _Source(
            image=image,
            canvas=(crop[2] - crop[0], crop[3] - crop[1]) if crop else image.size,
            crop=crop,
            fmt=fmt,
            orientation=orientation(image, fmt, walked),
            convert=Converter(said, wide=wide),
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


def _still(
    source: _Source, bright: GainMap | None, walked: Walked
) -> tuple[list[tuple[dict[str, Any], bytes]], dict[str, Any]]:
    frame = source.frame()
    if source.fmt.decoder in _AS_STORED and hidden.under_alpha(source.image):
        walked.add("hidden_data")
    source.image.close()
    made = [_copy(frame, source, row) for row in source.rows if not row.gain_map]
    if bright is not None and frame.mode == "RGB":
        made += [_hdr_copy(frame, bright, source, row) for row in source.rows if row.gain_map]
    return made, _facts(frame, frames=1, duration_ms=None, alpha=frame.mode == "RGBA")


def _copy(frame: Image.Image, source: _Source, row: Rendition) -> tuple[dict[str, Any], bytes]:
    small = colour.without_hidden(smaller(frame, fitted(source.upright, row.fit)))
    media_type = row.with_alpha if small.mode == "RGBA" else row.media_type
    body = encoded(small, media_type, row.quality, profile=source.convert.embedded)
    return _entry(row, media_type, small.size, body, None)


def _hdr_copy(frame: Image.Image, bright: GainMap, source: _Source, row: Rendition) -> tuple[dict[str, Any], bytes]:
    base = smaller(frame, fitted(source.upright, row.fit))
    above = turned(bright.image, source.orientation)
    body = ultra_hdr(base, above, bright.numbers, row.quality, profile=source.convert.embedded)
    return _entry(row, row.media_type, base.size, body, None)


def _animation(source: _Source, walked: Walked) -> tuple[list[tuple[dict[str, Any], bytes]], dict[str, Any]]:
    """Frame by frame: each is decoded once and goes into every reel before the next."""
    loop, rows = _loop(source.image), [row for row in source.rows if not row.gain_map]
    profile = source.convert.embedded
    reels = {
        row.name: Reel(fitted(source.upright, row.fit), loop, row.quality, profile) for row in rows if row.animated
    }
    stills: dict[str, tuple[dict[str, Any], bytes]] = {}
    first, count, alpha, total = None, 0, False, 0
    for frame, duration in _frames(source, walked):
        count += 1
        total += duration
        alpha = alpha or frame.mode == "RGBA"
        if first is None:
            first = frame
            stills = {row.name: _copy(frame, source, row) for row in rows if not row.animated}
        for row in rows:
            if row.animated:
                size = fitted(source.upright, row.fit)
                reels[row.name].add(colour.without_hidden(smaller(frame, size)), duration)
    if first is None:
        raise unprocessable("corrupt")
    if count == 1:
        return [_copy(first, source, row) for row in rows], _facts(first, 1, None, alpha)
    made = []
    for row in rows:
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
