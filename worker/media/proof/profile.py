"""The only colour profile that may stand in a picture, known here by its digest alone: one byte else and it is refused.

Ours for Display P3. Nothing of the code that makes it is shared.
"""

from __future__ import annotations

import hashlib

from worker.media.proof.doubt import need

_SIZE = 584
# SHA-256 of the profile, and of PNG's chunk around it: its usual name, then one stored block of zlib (RFC 1950).
_PROFILE = "73191bcf4d109faaae3ac9115279c6b83b9759bd40e7875d5b328528108e89fa"
_CHUNK = "3992f34d13d07e6c3dea11e3adcc6c094109164e891b76a9e250e7e4a19dc2a6"
# One part of one (ICC.1, annex B.4).
_IN_JPEG = b"ICC_PROFILE\0\1\1"


def in_webp(body: bytes) -> None:
    """Raises `Doubt` unless an ICCP chunk is exactly ours."""
    need(len(body) == _SIZE and hashlib.sha256(body).hexdigest() == _PROFILE, "a profile that is not ours")


def in_jpeg(body: bytes) -> None:
    """Raises `Doubt` unless an APP2 segment is exactly ours."""
    need(body.startswith(_IN_JPEG), "an APP2 that is no profile")
    in_webp(body[len(_IN_JPEG) :])


def in_png(body: bytes) -> None:
    """Raises `Doubt` unless an iCCP chunk is exactly ours, name and packing too."""
    need(hashlib.sha256(body).hexdigest() == _CHUNK, "a profile that is not ours")
