"""The closed list of reasons for which a file is not taken or not published, each with its one public line.

A code outside this list never reaches a user; text that came out of a file or a decoder never does either (P7).
"""

from __future__ import annotations

from dataclasses import dataclass

from worker.errors import Unprocessable
from worker.model import UploadState


@dataclass(frozen=True, kw_only=True)
class Code:
    """`outcome` is REJECTED where a rule said no, FAILED where the file could not be processed."""

    code: str
    text: str
    outcome: UploadState


def _rejected(code: str, text: str) -> Code:
    return Code(code=code, text=text, outcome=UploadState.REJECTED)


def _failed(code: str, text: str) -> Code:
    return Code(code=code, text=text, outcome=UploadState.FAILED)


_LIST = (
    _rejected("empty", "the file is empty; send one with content"),
    _rejected(
        "unsupported_type",
        "this is no picture or video that is taken; send JPEG, PNG, GIF, WebP, AVIF, HEIC, MP4 or MOV",
    ),
    _rejected("format_off", "this format is turned off here; send JPEG, PNG or WebP"),
    _rejected("type_mismatch", "the file is not of the type it was declared to be; declare its real type"),
    _rejected("limits:bytes", "the file is too large; send a smaller one"),
    _rejected("limits:pixels", "the picture has too many pixels; send a smaller one"),
    _rejected("limits:side", "the picture is too wide or too high; send a smaller one"),
    _rejected("limits:aspect", "the picture is too narrow for its length; crop it"),
    _rejected("limits:frames", "the animation has too many frames; shorten it"),
    _rejected("limits:frame_pixels", "the animation has too many pixels over all frames; shorten or shrink it"),
    _rejected("limits:segments", "the JPEG has too many segments; save it anew"),
    _rejected("limits:scans", "the JPEG has too many scans; save it anew"),
    _rejected("limits:markers", "the JPEG's samples are full of markers; save it anew"),
    _rejected("limits:text", "the picture carries too much text, too large a profile or EXIF; save it without"),
    _rejected("limits:chunks", "the file has too many chunks; save it anew"),
    _rejected("limits:pages", "the TIFF has too many pages; send one page"),
    _rejected("limits:tags", "the TIFF has too many tags; save it anew"),
    _rejected("limits:boxes", "the file has too many or too deeply nested boxes; save it anew"),
    _rejected("limits:duration", "the video is too long; shorten it"),
    _rejected("limits:streams", "the video has too many streams; save it with one picture and one sound"),
    _rejected("limits:frame_rate", "the video has too many frames a second; film it slower"),
    _rejected("no_video", "there is no moving picture in this file; send one that has one"),
    _failed("aborted", "the upload broke off; send it again"),
    _failed("crashed", "processing died three times on this file; it was set aside"),
    _failed("original_missing", "the file that came in is no longer there; send it again"),
    _failed("truncated", "the file ends too early; send it whole"),
    _failed("corrupt", "the file is damaged and cannot be decoded; save it anew"),
    _failed("unsupported_codec", "the file is packed in a way that cannot be decoded here; save it in another format"),
    _failed("decoder_memory", "decoding took more memory than is allowed; send a smaller file"),
    _failed("decoder_timeout", "decoding took longer than is allowed; send a smaller file"),
    _failed("decoder_crash", "the decoder gave up on this file; save it anew"),
    _failed("decoder_protocol_error", "the decoder answered what it may not; the file was set aside"),
    _failed("not_proven", "a copy could not be proven clean, so nothing was published"),
)
CODES: dict[str, Code] = {entry.code: entry for entry in _LIST}

# Why an extra rendition was left out of an upload that is ready all the same: code -> its one public line.
LEFT_OUT: dict[str, str] = {
    "format": "files of this format are not rewritten",
    "colour_profile": "its colours need a profile that may not be kept",
    "orientation": "it cannot be turned upright without loss",
    "hidden_data": "it hides what cannot be taken out without loss",
    "unusual_coding": "it is coded in a way that is not rewritten",
    "too_large": "it is too large to be rewritten in time",
    "not_proven": "it could not be proven clean",
    "no_gain_map": "the file has no HDR gain map that can be kept",
}


def unprocessable(code: str) -> Unprocessable:
    """The error for a code of the list; an unknown code becomes `decoder_protocol_error`, never a text of its own."""
    entry = CODES.get(code, CODES["decoder_protocol_error"])
    return Unprocessable(entry.text, code=entry.code)
