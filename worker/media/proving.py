"""The proof before anything leaves (P2): a fresh jail child, the second reader, a whole decode. Doubt fails closed."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from worker.errors import Unprocessable
from worker.media.codes import unprocessable
from worker.media.jail import Jail, Limits
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
    has an allow-list of its own and needs these limits. Raises `Unprocessable` (`not_proven`) for any doubt whatever.
    """
    if media_type not in PUBLISHED:
        raise unprocessable("not_proven")
    limits = rewritten_within or (_VIDEO if media_type.startswith("video/") else _PICTURE)
    args = {"media_type": media_type, "gain_map": gain_map, "rewritten": rewritten_within is not None}
    descriptor = _in_memory(source) if isinstance(source, bytes) else _opened(source)
    try:
        sha256 = _hashed(descriptor)
        os.lseek(descriptor, 0, os.SEEK_SET)
        answer = jail.call("proof.read", descriptor, args, limits)
    except (Unprocessable, OSError):
        raise unprocessable("not_proven") from None
    finally:
        os.close(descriptor)
    # The child says which bytes it read; a proof is only for those.
    if answer.header.get("sha256") != sha256 or answer.header.get("clean") is not True:
        raise unprocessable("not_proven")
    return Proof(sha256=sha256, media_type=media_type, reader=str(answer.header.get("reader", ""))[:32])


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        raise unprocessable("not_proven") from None


def _in_memory(body: bytes) -> int:
    """Bytes as a descriptor without a file: nothing is written to a disk (P1)."""
    descriptor = os.memfd_create("proof", os.MFD_CLOEXEC)
    view = memoryview(body)
    while view:
        view = view[os.write(descriptor, view) :]
    try:
        # The jail takes descriptors that can only be read.
        return os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(descriptor)


def _hashed(descriptor: int) -> str:
    digest = hashlib.sha256()
    while chunk := os.read(descriptor, _READ):
        digest.update(chunk)
    return digest.hexdigest()
