"""Tells what lies behind a picture's end: films, second pictures, phone makers' and editors' blocks, or mere bytes."""

from __future__ import annotations

import re
from collections.abc import Iterator

from worker.media.kinds import iptc

# A mark -> the kinds that its block stands for. Names inside Samsung's block (SEFH … SEFT) say what each part is.
_MARKS: tuple[tuple[re.Pattern[bytes], tuple[str, ...]], ...] = tuple(
    (re.compile(mark, re.DOTALL), kinds)
    for mark, kinds in (
        (rb"ftyp", ("embedded_video",)),
        (rb"\xff\xd8\xff", ("second_picture",)),
        (rb"\x89PNG\r\n", ("second_picture",)),
        (rb"SEF[HT]|QDIOBS", ("maker_notes",)),
        (rb"MotionPhoto_Data", ("maker_notes", "embedded_video")),
        (rb"Image_UTC_Data", ("timestamps",)),
        (rb"(?:Single|Dual)_?Shot_(?:Depth|Extra)", ("depth_map",)),
        (rb"SoundShot|Sound_?Clip|Audio_", ("attachments",)),
        (rb"vivo\{|streamdata|jxrs", ("maker_notes",)),
        (rb"8db42d694ccc418790edff439fe026bf", ("maker_notes", "telemetry")),  # Insta360
        (rb"AXS[!*]", ("caption",)),
        (rb"cbipcbbl", ("edit_history",)),  # Photo Mechanic
        (rb"~[\x10\x18].\xfe0MIE|~[\x10\x18]..0MIE", ("unknown_block",)),
        (rb"\xa1\xb2\xc3\xd4", ("caption",)),  # FotoStation
        (rb"CANON OPTIONAL DATA\0", ("edit_history",)),
        (rb"NikonApp", ("edit_history",)),
        (rb"\x1aQualcomm|EdofData|DepthMap", ("depth_map",)),
        (rb"\xa9xyz|loci\0\0\0\0|location\.ISO6709", ("location",)),
    )
)
_AFCP = re.compile(rb"AXS[!*]|\xa1\xb2\xc3\xd4")
_IPTC = re.compile(rb"IPTC|\x1c\x02[\0-\xff]\0")


def kinds_in(data: bytes) -> Iterator[str]:
    """What its marks stand for; the bytes of second pictures are the business of whoever can walk them."""
    for mark, kinds in _MARKS:
        if mark.search(data):
            yield from kinds
    if _AFCP.search(data) and _IPTC.search(data):
        yield from iptc.kinds_in(data)
