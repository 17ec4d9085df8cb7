"""What ffmpeg prints when something is wrong, as a code of the closed list. The text itself goes nowhere (P7)."""

from __future__ import annotations

import re

from worker.errors import Unavailable, Unprocessable
from worker.media.codes import unprocessable

# A stream that is not taken (subtitles, a cover, telemetry) may be of a codec that is not on the list: that is what
# the list is for. Where the picture's or the sound's own codec is meant, ffmpeg does not end with status 0.
# A cover that is no picture is none of the film: its decoders are asked by ffprobe alone, and never for a film.
_HARMLESS = re.compile(
    rb"\[\w+ @ 0x[0-9a-f]+\] Codec \(\w+\) not on whitelist '[\w,]+'|\[(?:mjpeg|png|bmp) @ 0x[0-9a-f]+\] .*"
)

# First match wins.
_CODES: tuple[tuple[bytes, str], ...] = (
    (b"exceeds max_streams", "limits:streams"),
    (b"exceeds specified max pixel count", "limits:pixels"),
    (b"moov atom not found", "truncated"),
    (b"partial file", "truncated"),
    # A packet is marked so when the file ended before it did.
    (b"corrupt input packet", "truncated"),
    (b"File ended prematurely", "truncated"),
    (b"End of file", "truncated"),
    (b"not on whitelist", "unsupported_codec"),
    (b"Decoder (codec", "unsupported_codec"),
    (b"no decoder", "unsupported_codec"),
    (b"Decoder not found", "unsupported_codec"),
    (b"not currently supported", "unsupported_codec"),
    (b"patches welcome", "unsupported_codec"),
    (b"No such filter", "unsupported_codec"),
    (b"Cannot allocate memory", "decoder_memory"),
)
_FULL = (b"No space left on device", b"Disk quota exceeded", b"Read-only file system")


def heard(stderr: bytes) -> bytes:
    """What is left of it when the harmless lines are taken away; empty is what success needs."""
    return b"\n".join(line for line in stderr.splitlines() if line.strip() and not _HARMLESS.fullmatch(line))


def refusal(stderr: bytes) -> Unprocessable:
    """The error for a run that failed. Raises `Unavailable` (`disk_full`) where the fault is our disk's."""
    if any(mark in stderr for mark in _FULL):
        raise Unavailable("the scratch disk is full or read-only; free space on it", code="disk_full")
    if not stderr.strip():
        # ffprobe is silent only about a stream that its decoder would not open.
        return unprocessable("unsupported_codec")
    return unprocessable(next((code for mark, code in _CODES if mark in stderr), "corrupt"))
