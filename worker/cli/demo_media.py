"""Makes the demo's own photo and video: real files with real metadata, drawn and encoded on the spot."""

from __future__ import annotations

import io
import struct
from pathlib import Path

from worker.media.jail import Jail, Limits

# The Eiffel tower: a public place, so that the demo shows a position that is nobody's.
_LATITUDE, _LONGITUDE = (48, 51, 29), (2, 17, 40)
_ASCII, _SHORT, _LONG, _RATIONAL = 2, 3, 4, 5
Entry = tuple[int, int, int, bytes]


def photo() -> bytes:
    """A 1600x1200 JPEG whose EXIF holds a position, a serial number, an owner, a date and a thumbnail."""
    from PIL import Image, ImageDraw

    picture = Image.linear_gradient("L").resize((1600, 1200))
    picture = Image.merge(
        "RGB", (picture, picture.rotate(180), picture.transpose(Image.Transpose.ROTATE_90).resize((1600, 1200)))
    )
    pen = ImageDraw.Draw(picture)
    pen.ellipse((200, 150, 900, 850), fill=(250, 210, 90))
    pen.polygon([(300, 1150), (900, 400), (1500, 1150)], fill=(40, 90, 60))
    small = io.BytesIO()
    picture.resize((160, 120)).save(small, "JPEG", quality=70)
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=92, exif=_exif(small.getvalue()))
    return out.getvalue()


def video(jail: Jail, folder: Path) -> Path:
    """A three-second MP4 with a tone, a location and a make in its metadata, encoded by ffmpeg in the jail."""
    target = folder / "demo.mp4"
    argv = [
        "ffmpeg", "-nostdin", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25:duration=3",
        "-f", "lavfi", "-i", "sine=frequency=440:duration=3", "-c:v", "libx264", "-preset", "veryfast",
        "-pix_fmt", "yuv420p", "-c:a", "aac", "-metadata", "location=+48.8580+002.2945/", "-metadata", "make=Mayfly",
        "-metadata", "title=demo", "-metadata", "creation_time=2026-05-01T12:00:00Z", f"file:{target}",
    ]  # fmt: skip
    limits = Limits(address_space=2 << 30, cpu_s=60, wall_s=60.0, file_size=50_000_000, open_files=64, threads=True)
    done = jail.run(argv, read=[], write=folder, limits=limits)
    if done.status != 0:
        raise OSError(f"ffmpeg could not make the demo video (status {done.status})")
    return target


def _exif(thumbnail: bytes) -> bytes:
    """A big-endian TIFF with IFD0, Exif, GPS and a thumbnail in IFD1 (CIPA DC-008)."""
    exif = [_text(0x9003, "2026:05:01 12:00:00"), _text(0xA430, "Demo Owner"), _text(0xA431, "SN-0123456789")]
    gps = [_text(1, "N"), _angle(2, _LATITUDE), _text(3, "E"), _angle(4, _LONGITUDE)]
    first = [_text(0x010F, "Mayfly"), _text(0x0110, "Demo Camera"), _text(0x0131, "Demo 1.0")]
    at_exif = 8 + _size([*first, _long(0x8769, 0), _long(0x8825, 0)])
    at_gps = at_exif + _size(exif)
    at_second = at_gps + _size(gps)
    second = [_long(0x0201, 0), _long(0x0202, len(thumbnail))]
    at_thumbnail = at_second + _size(second)
    second[0] = _long(0x0201, at_thumbnail)
    body = _directory(8, [*first, _long(0x8769, at_exif), _long(0x8825, at_gps)], following=at_second)
    body += _directory(at_exif, exif) + _directory(at_gps, gps) + _directory(at_second, second)
    return b"Exif\0\0MM\0*\0\0\0\x08" + body + thumbnail


def _text(tag: int, value: str) -> Entry:
    raw = value.encode() + b"\0"
    return tag, _ASCII, len(raw), raw


def _long(tag: int, value: int) -> Entry:
    return tag, _LONG, 1, struct.pack(">I", value)


def _angle(tag: int, parts: tuple[int, int, int]) -> Entry:
    return tag, _RATIONAL, 3, b"".join(struct.pack(">II", part, 1) for part in parts)


def _size(entries: list[Entry]) -> int:
    return 6 + 12 * len(entries) + sum(len(raw) for _, _, _, raw in entries if len(raw) > 4)


def _directory(offset: int, entries: list[Entry], *, following: int = 0) -> bytes:
    values_at = offset + 6 + 12 * len(entries)
    head, values = struct.pack(">H", len(entries)), b""
    for tag, kind, count, raw in entries:
        field = raw.ljust(4, b"\0") if len(raw) <= 4 else struct.pack(">I", values_at + len(values))
        values += raw if len(raw) > 4 else b""
        head += struct.pack(">HHI", tag, kind, count) + field
    return head + struct.pack(">I", following) + values
