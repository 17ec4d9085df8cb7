"""The second reader: says whether a finished file holds anything outside its allow-list. Runs in a fresh jail child.

It shares no code with the walkers, the stripper or the encoder, and knows only what our own encoders write: one byte
too many, one wrong length, one unknown marker, and the file is not proven.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

from worker.errors import Unprocessable
from worker.media.proof import avif, gainmap, jpeg, mp4, native, png, rewritten, webp
from worker.media.proof.doubt import Doubt, need
from worker.media.proof.rehearsal import rehearse

READER = "proof-2"
_READ = 1 << 20
# The most bytes of a picture that is held in memory to be judged; renditions are far below it.
_MOST_PICTURE = 256 << 20

_PICTURES: dict[str, Callable[[bytes], None]] = {
    "image/jpeg": jpeg.check,
    "image/png": png.check,
    "image/webp": webp.check,
    "image/avif": avif.check,
}
_WITH_GAIN_MAP: dict[str, Callable[[bytes], None]] = {"image/jpeg": gainmap.check}


def read(stream: BinaryIO | None, args: dict[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
    """`args`: media_type; gain_map where the file must have one and else may not; rewritten where it is an original of
    which only the container was made anew. Or parts, [media_type, gain_map, bytes] of pictures that lie one behind the
    other.

    Returns {"clean": true, "reader", "sha256", "bytes"}, or {"parts": [the same of each, or {"clean": false}]}; or
    {"missing": a package} where a library is not there. Else raises `Unprocessable` (`not_proven`): a type without a
    reader is not proven either.
    """
    try:
        if stream is None:
            raise Doubt("nothing to read")
        if "parts" in args:
            return {"parts": [_part(stream, *part) for part in args["parts"]]}, []
        readers = _WITH_GAIN_MAP if args.get("gain_map") is True else _PICTURES
        readers = rewritten.READERS if args.get("rewritten") is True else readers
        return _whole(stream, str(args.get("media_type")), readers), []
    except native.Missing as missing:
        return {"missing": missing.package}, []
    except Doubt:
        raise Unprocessable("not proven", code="not_proven") from None
    except Exception:  # noqa: BLE001 - whatever a reader stumbles over is a doubt, and doubt fails closed
        raise Unprocessable("not proven", code="not_proven") from None


def libraries(_stream: BinaryIO | None, _args: dict[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
    """Returns {"missing": the packages of those that were not loaded before the lock}."""
    return {"missing": native.missing()}, []


def warm() -> None:
    """What a locked child could not load: for the zygote, before its first fork."""
    rehearse(_PICTURES)


Readers = Mapping[str, Callable[[bytes], None]]


def _whole(stream: BinaryIO, media_type: str, readers: Readers) -> dict[str, Any]:
    if media_type == "video/mp4" and readers is _PICTURES:
        size = mp4.check(stream)
        return _clean(_hash_of(stream, size), size)
    return _picture(stream.read(_MOST_PICTURE + 1), media_type, readers)


def _part(stream: BinaryIO, media_type: str, gain_map: bool, size: int) -> dict[str, Any]:
    data = stream.read(size)
    try:
        need(len(data) == size > 0, "fewer bytes than were said")
        return _picture(data, media_type, _WITH_GAIN_MAP if gain_map else _PICTURES)
    except (native.Missing, MemoryError):
        raise
    except Exception:  # noqa: BLE001 - one doubt is not one of the others
        return {"clean": False}


def _picture(data: bytes, media_type: str, readers: Readers) -> dict[str, Any]:
    reader = readers.get(media_type)
    if reader is None:
        raise Doubt("no reader for this type")
    need(len(data) <= _MOST_PICTURE, "too many bytes")
    reader(data)
    return _clean(hashlib.sha256(data).hexdigest(), len(data))


def _clean(sha256: str, size: int) -> dict[str, Any]:
    return {"clean": True, "reader": READER, "sha256": sha256, "bytes": size}


def _hash_of(stream: BinaryIO, size: int) -> str:
    digest, left = hashlib.sha256(), size
    stream.seek(0)
    while chunk := stream.read(_READ):
        digest.update(chunk)
        left -= len(chunk)
    if left:
        raise Doubt("the file changed while it was read")
    return digest.hexdigest()
