"""The colour profiles that a rewritten original may carry, by the hash of their bytes: ours, never a camera's."""

from __future__ import annotations

import hashlib

# The most bytes that are looked at.
MOST = 4_096
# Display P3, 584 bytes.
_OURS = frozenset({"73191bcf4d109faaae3ac9115279c6b83b9759bd40e7875d5b328528108e89fa"})


def ours(profile: bytes) -> bool:
    return hashlib.sha256(profile).hexdigest() in _OURS
