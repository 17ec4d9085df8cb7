"""A person's id becomes a `subject_key` here, at the edge, and is forgotten (P7)."""

from __future__ import annotations

import hashlib
import hmac

from worker.errors import Refused
from worker.model import APP

LONGEST_SUBJECT = 256


def subject_key(secret: bytes, app: str, subject: str) -> str:
    """HMAC-SHA256(secret, app NUL subject) as 64 lower-case hexadecimal digits.

    The NUL keeps ("ab", "c") apart from ("a", "bc"). Raises `Refused` (`bad_app`, `bad_subject`).
    """
    if not APP.match(app):
        raise Refused("an app name is 1 to 32 lower-case letters, digits and hyphens", code="bad_app")
    if not 1 <= len(subject) <= LONGEST_SUBJECT or not subject.strip() or "\x00" in subject:
        raise Refused(f"a subject id has 1 to {LONGEST_SUBJECT} characters", code="bad_subject")
    return hmac.new(secret, f"{app}\x00{subject}".encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
