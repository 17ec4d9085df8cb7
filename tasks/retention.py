"""Jobs that end the life of copies, or keep them: sweep what is due, erase one upload, preserve what is held."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.seat import House
from tasks.task import job
from worker.model import Job, WorkClass

if TYPE_CHECKING:
    from worker.flows.guard import Guard


@job(kind="sweep", work_class=WorkClass.LIFECYCLE)
def sweep(house: House, target: str, claimed: Job, guard: Guard) -> None:
    """Find what is due and destroy it; comes again for ever."""
    house.sweep(target, claimed, guard)


@job(kind="erase", work_class=WorkClass.LIFECYCLE)
def erase(house: House, upload_id: str, claimed: Job, guard: Guard) -> None:
    """Destroy every copy of one upload and look again."""
    house.erase(upload_id, claimed, guard)


@job(kind="preserve", work_class=WorkClass.LIFECYCLE, awaited_by="erase")
def preserve(house: House, upload_id: str, claimed: Job, guard: Guard) -> None:
    """Copy what a hold keeps out of reach of the location's own rules."""
    house.preserve(upload_id, claimed, guard)


@job(kind="reconcile", work_class=WorkClass.LIFECYCLE)
def reconcile(house: House, target: str, claimed: Job, guard: Guard) -> None:
    """Compare the ledger with every location; comes again every day."""
    house.reconcile(target, claimed, guard)
