"""Jobs on one upload: process it, or end it when whoever took it in has died."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.seat import House
from tasks.task import job
from worker.model import Job, WorkClass

if TYPE_CHECKING:
    from worker.flows.guard import Guard


@job(kind="process", work_class=(WorkClass.IMAGE, WorkClass.VIDEO), awaited_by="erase")
def process(house: House, upload_id: str, claimed: Job, guard: Guard) -> None:
    """Decode, strip, prove, judge, publish; which queue carries it stands in its row."""
    house.process(upload_id, claimed, guard)


@job(kind="receive", work_class=WorkClass.LIFECYCLE)
def end_receiving(house: House, upload_id: str, claimed: Job, guard: Guard) -> None:
    """Only rung when the lease of a receiver ran out: the rest of its bytes will never come."""
    house.end_receiving(upload_id, claimed, guard)
