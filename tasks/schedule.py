"""Duties: work that comes again for ever. A duty is a row with a due time; there is no beat and no timer.

One row here is all it takes to add one; the relay makes sure that its row exists.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from worker.model import WorkClass


@dataclass(frozen=True, kw_only=True)
class Duty:
    kind: str
    target: str
    work_class: WorkClass
    every: timedelta


DUTIES: tuple[Duty, ...] = (
    # Asks every hour whether a day is over that has no statement yet; once a day the answer is yes.
    Duty(kind="attest", target="all", work_class=WorkClass.LIFECYCLE, every=timedelta(hours=1)),
    Duty(kind="reconcile", target="all", work_class=WorkClass.LIFECYCLE, every=timedelta(days=1)),
    # A minute: deletion dates are promises in hours and days, so a minute late is still on time.
    Duty(kind="sweep", target="all", work_class=WorkClass.LIFECYCLE, every=timedelta(seconds=60)),
)
