"""The second reader: says whether a finished file holds anything outside its allow-list. Runs in a fresh jail child.

It shares no code with the walkers, the stripper or the encoder, and knows only what our own encoders write: one byte
too many, one wrong length, one unknown marker, and the file is not proven.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

from worker.errors import Unprocessable
from worker.media.proof import gainmap, jpeg, mp4, png, rewritten, webp
from worker.media.proof.doubt import Doubt

READER = "proof-1"
_READ = 1 << 20
# The most bytes of a picture that is held in memory to be judged; renditions are far below it.
_MOST_PICTURE = 256 << 20

_PICTURES: dict[str, Callable[[bytes], None]] = {
    "image/jpeg": jpeg.check,
    "image/png": png.check,
    "image/webp": webp.check,
}
_WITH_GAIN_MAP: dict[str, Callable[[bytes], None]] = {"image/jpeg": gainmap.check}


def read(stream: BinaryIO | None, args: dict[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
    """`args`: media_type; gain_map where the file must have one and else may not; rewritten where it is an original of
    which only the container was made anew.

    Returns {"clean": true, "reader", "sha256", "bytes"}; else raises `Unprocessable` (`not_proven`): a type without a
    reader is not proven either.
    """
    try:
        readers = _WITH_GAIN_MAP if args.get("gain_map") is True else _PICTURES
        readers = rewritten.READERS if args.get("rewritten") is True else readers
        size, sha256 = _judge(stream, str(args.get("media_type")), readers)
    except Doubt:
        raise Unprocessable("not proven", code="not_proven") from None
    except Exception:  # noqa: BLE001 - whatever a reader stumbles over is a doubt, and doubt fails closed
        raise Unprocessable("not proven", code="not_proven") from None
    return {"clean": True, "reader": READER, "sha256": sha256, "bytes": size}, []


def _judge(stream: BinaryIO | None, media_type: str, readers: Mapping[str, Callable[[bytes], None]]) -> tuple[int, str]:
    if stream is None:
        raise Doubt("nothing to read")
    if media_type == "video/mp4" and readers is _PICTURES:
        size = mp4.check(stream)
        return size, _hash_of(stream, size)
    reader = readers.get(media_type)
    if reader is None:
        raise Doubt("no reader for this type")
    data = stream.read(_MOST_PICTURE + 1)
    if len(data) > _MOST_PICTURE:
        raise Doubt("too many bytes")
    reader(data)
    return len(data), hashlib.sha256(data).hexdigest()


def _hash_of(stream: BinaryIO, size: int) -> str:
    digest, left = hashlib.sha256(), size
    stream.seek(0)
    while chunk := stream.read(_READ):
        digest.update(chunk)
        left -= len(chunk)
    if left:
        raise Doubt("the file changed while it was read")
    return digest.hexdigest()
