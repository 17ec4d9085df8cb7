"""The proof before anything leaves (P2): a fresh jail child, the second reader, a whole decode. Doubt fails closed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from worker.errors import Unavailable, Unprocessable
from worker.media.codes import unprocessable
from worker.media.jail import Jail, Limits
from worker.media.libraries import PACKAGES
from worker.media.rendered import Proof
from worker.media.renditions import PUBLISHED

_MIB = 1 << 20
_READ = 1 << 20
# A rendition fits 2,048 px, so 1 GiB and some seconds are ample; 300 frames of an animation are the longest read.
_PICTURE = Limits(address_space=1024 * _MIB, cpu_s=30, wall_s=40.0)
# Only numbers are kept of a video: tables of sample sizes, never its samples. What a clip may take in all, the proof
# included, lies below the limit of its task.
VIDEO_PROOF_S = 90.0
_VIDEO = Limits(address_space=1024 * _MIB, cpu_s=60, wall_s=VIDEO_PROOF_S)


def prove(
    jail: Jail,
    source: Path | bytes,
    media_type: str,
    *,
    gain_map: bool = False,
    rewritten_within: Limits | None = None,
) -> Proof:
    """Let the second reader judge exactly these bytes: a picture with a gain map, or one without where it is not said.

    `rewritten_within`: it is a rewritten original (`worker.media.lossless`), as large as originals may be; its reader
    has an allow-list of its own and needs these limits. Raises `Unprocessable` (`not_proven`) for any doubt whatever,
    `Unavailable` (`reader_missing`) where the system lacks one of its libraries.
    """
    if media_type not in PUBLISHED:
        raise unprocessable("not_proven")
    limits = rewritten_within or _limits(media_type)
    args = {"media_type": media_type, "gain_map": gain_map, "rewritten": rewritten_within is not None}
    descriptor = _in_memory([source]) if isinstance(source, bytes) else _opened(source)
    try:
        sha256 = _hashed(descriptor)
        os.lseek(descriptor, 0, os.SEEK_SET)
        said = _asked(jail, descriptor, args, limits)
    finally:
        os.close(descriptor)
    proof = _proof(said, sha256, media_type)
    if proof is None:
        raise unprocessable("not_proven")
    return proof


@dataclass(frozen=True, kw_only=True)
class Picture:
    """What is to be proven: the bytes, their type, and whether there must be a gain map; their hash where it is known.

    A wrong hash proves nothing: the child says the hash of what it read, and whoever stores the bytes takes it again.
    """

    body: bytes = field(repr=False)
    media_type: str
    gain_map: bool = False
    sha256: str | None = None


def prove_pictures(jail: Jail, pictures: Sequence[Picture]) -> list[Proof | None]:
    """The same for all pictures of one upload by one child; None where the reader doubts one.

    They were made by one child as well: one that can deceive the reader of the first could deceive that of each.
    Raises as `prove` does, where the reader says nothing that can be believed.
    """
    if not pictures:
        return []
    if not {picture.media_type for picture in pictures} <= PUBLISHED:
        raise unprocessable("not_proven")
    descriptor = _in_memory([picture.body for picture in pictures])
    try:
        parts = [[picture.media_type, picture.gain_map, len(picture.body)] for picture in pictures]
        said = _asked(jail, descriptor, {"parts": parts}, _limits(*(each.media_type for each in pictures))).get("parts")
    finally:
        os.close(descriptor)
    if not isinstance(said, list) or len(said) != len(pictures):
        raise unprocessable("not_proven")
    return [
        _proof(each, picture.sha256 or hashlib.sha256(picture.body).hexdigest(), picture.media_type)
        for each, picture in zip(said, pictures, strict=True)
    ]


def _limits(*media_types: str) -> Limits:
    if any(media_type.startswith("video/") for media_type in media_types):
        return _VIDEO
    # The decoder of AVIF has threads of its own.
    return replace(_PICTURE, threads="image/avif" in media_types)


def _asked(jail: Jail, descriptor: int, args: dict[str, Any], limits: Limits) -> dict[str, Any]:
    try:
        header = jail.call("proof.read", descriptor, args, limits).header
    except (Unprocessable, OSError):
        raise unprocessable("not_proven") from None
    if header.get("missing") in PACKAGES.values():
        raise _lacking([header["missing"]])
    return header


def look(jail: Jail) -> str:
    """What the second reader decodes by. Raises `Unavailable` (`reader_missing`) where the system lacks some of it."""
    said = jail.call("proof.libraries", None, {}, _PICTURE).header.get("missing")
    if said:
        raise _lacking([package for package in PACKAGES.values() if package in said])
    return f"by the system's own {' and '.join(PACKAGES)}"


def _lacking(packages: list[str]) -> Unavailable:
    return Unavailable(
        f"the second reader lacks a library, so no picture is published; install the package {' '.join(packages)}",
        code="reader_missing",
    )


def _proof(said: object, sha256: str, media_type: str) -> Proof | None:
    """The child says which bytes it read; a proof is only for those."""
    if not isinstance(said, dict) or said.get("sha256") != sha256 or said.get("clean") is not True:
        return None
    return Proof(sha256=sha256, media_type=media_type, reader=str(said.get("reader", ""))[:32])


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        raise unprocessable("not_proven") from None


def _in_memory(bodies: Sequence[bytes]) -> int:
    """Bytes as a descriptor without a file: nothing is written to a disk (P1)."""
    descriptor = os.memfd_create("proof", os.MFD_CLOEXEC)
    try:
        for body in bodies:
            view = memoryview(body)
            while view:
                view = view[os.write(descriptor, view) :]
        # The jail takes descriptors that can only be read.
        return os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(descriptor)


def _hashed(descriptor: int) -> str:
    digest = hashlib.sha256()
    while chunk := os.read(descriptor, _READ):
        digest.update(chunk)
    return digest.hexdigest()
