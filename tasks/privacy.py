"""Jobs of data-subject requests and their proofs: erase everything of one subject, state the receipts of a day."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.seat import House
from tasks.task import job
from worker.model import Job, WorkClass

if TYPE_CHECKING:
    from worker.flows.guard import Guard


@job(kind="erase_subject", work_class=WorkClass.LIFECYCLE)
def erase_subject(house: House, request_id: str, claimed: Job, guard: Guard) -> None:
    """Find all uploads behind an erasure request, also those in flight, and see each to its end."""
    house.erase_subject(request_id, claimed, guard)


@job(kind="attest", work_class=WorkClass.LIFECYCLE)
def attest(house: House, target: str, claimed: Job, guard: Guard) -> None:
    """State which receipts a day had, once it is over."""
    house.attest(target, claimed, guard)
