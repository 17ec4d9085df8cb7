"""ffmpeg's words become a code of the closed list; what it says of streams that nobody takes is no complaint."""

from __future__ import annotations

import pytest

from worker.errors import Unavailable
from worker.media.codes import CODES
from worker.media.video import complaints

HARMLESS = b"[eia_608 @ 0x5586e0c3b2c0] Codec (eia_608) not on whitelist 'h264,hevc,aac'"


def test_a_stream_that_is_not_taken_is_no_complaint() -> None:
    assert complaints.heard(HARMLESS + b"\n\n" + HARMLESS.replace(b"eia_608", b"mov_text") + b"\n") == b""


def test_a_cover_that_is_no_picture_is_no_complaint() -> None:
    said = b"[mjpeg @ 0x5586e0] No JPEG data found in image\n[png @ 0x5586e0] Invalid PNG signature 0x52494646.\n"

    assert complaints.heard(said) == b""


@pytest.mark.parametrize(
    "line",
    [
        b"[h264 @ 0x55] error while decoding MB 4 0, bytestream 4289",
        b"x" + HARMLESS,
        HARMLESS + b" and more",
        b"[h264 @ 0x55] Codec (h264) not on whitelist 'hevc'; see [also]",
        b"[mjpeg2 @ 0x55] No JPEG data found in image",
        b"x[mjpeg @ 0x55] No JPEG data found in image",
    ],
)
def test_everything_else_is_heard(line: bytes) -> None:
    assert complaints.heard(HARMLESS + b"\n" + line + b"\n") == line


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"max_streams: 17 exceeds max_streams 16", "limits:streams"),
        (b"[IMGUTILS @ 0x7f] Picture size 16000x16000 exceeds specified max pixel count 40000000", "limits:pixels"),
        (b"file:x: corrupt input packet in stream 0", "truncated"),
        (b"[mov @ 0x1] moov atom not found", "truncated"),
        (b"[mov @ 0x1] stream 0, offset 0x2110a: partial file", "truncated"),
        (b"[matroska,webm @ 0x1] File ended prematurely at pos. 507 (0x1fb)", "truncated"),
        (b"Decoder (codec dts) not found for input stream #0:1", "unsupported_codec"),
        (b"[h264 @ 0x1] Not yet implemented, patches welcome", "unsupported_codec"),
        (b"x: Cannot allocate memory", "decoder_memory"),
        (b"[h264 @ 0x1] error while decoding MB 4 0", "corrupt"),
        (b"words that nobody knows", "corrupt"),
        # ffprobe says nothing when a decoder would not open.
        (b"", "unsupported_codec"),
    ],
)
def test_each_line_has_its_code(line: bytes, code: str) -> None:
    error = complaints.refusal(line)

    assert error.code == code
    assert str(error) == CODES[code].text


@pytest.mark.parametrize("mark", [b"No space left on device", b"Read-only file system", b"Disk quota exceeded"])
def test_a_full_disk_is_no_fault_of_the_file(mark: bytes) -> None:
    with pytest.raises(Unavailable) as caught:
        complaints.refusal(b"av_interleaved_write_frame(): " + mark + b"\n")

    assert caught.value.code == "disk_full"
    assert caught.value.retryable


def test_no_word_of_a_file_gets_out() -> None:
    error = complaints.refusal(b"canary-4711: partial file")

    assert "canary" not in str(error)
