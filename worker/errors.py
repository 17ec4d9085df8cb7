"""Every error that a user, an app or an operator can meet, in one tree.

    MayflyError
      Refused           the request is wrong; trying again changes nothing
        UsageRefused        the command line or a setting is wrong (exit status 2)
        Unprocessable       the file cannot be processed; `code` is of the closed list of `worker.media.codes`
        NotFound            no such row for this app
        HoldActive          a legal hold forbids it
          Restricted          a restriction (GDPR Art. 18) forbids it
        StateConflict       the row is in another state than the caller assumed
      Unavailable       something we need is away; trying again may help
      LeaseLost         another worker holds the job now; stop, discard, say nothing
      Defect            our own invariant is broken; alarm

The queue reads only `retryable`, the edge only `code` and the message. A message never holds a file name, a subject,
a key or text that came out of a file (P7).
"""

from __future__ import annotations

from datetime import timedelta


class MayflyError(Exception):
    """`code` is stable and machine-readable; the message is one line that says what to do. `retry_after`: before then,
    trying again cannot help."""

    code = "error"
    retryable = False

    def __init__(self, message: str, *, code: str | None = None, retry_after: timedelta | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code
        self.retry_after = retry_after


class Refused(MayflyError):
    code = "refused"


class UsageRefused(Refused):
    code = "usage"


class Unprocessable(Refused):
    code = "unprocessable"


class NotFound(Refused):
    code = "not_found"


class HoldActive(Refused):
    code = "hold_active"


class Restricted(HoldActive):
    code = "restricted"


class StateConflict(Refused):
    code = "state_conflict"


class Unavailable(MayflyError):
    code = "unavailable"
    retryable = True


class LeaseLost(MayflyError):
    code = "lease_lost"


class Defect(MayflyError):
    code = "defect"
