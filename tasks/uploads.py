"""Jobs on one upload: process it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.seat import House
from tasks.task import job
from worker.model import Job, WorkClass

if TYPE_CHECKING:
    from worker.flows.guard import Guard


@job(kind="process", work_class=(WorkClass.IMAGE, WorkClass.VIDEO))
def process(house: House, upload_id: str, claimed: Job, guard: Guard) -> None:
    """Decode, strip, prove, judge, publish; which queue carries it stands in its row."""
    house.process(upload_id, claimed, guard)
