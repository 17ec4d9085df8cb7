"""`mayfly sweep`: erase now what is due; and let go what a brake holds back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from worker.cli.house import opened, wait_until, working
from worker.cli.reconcile import Unguarded
from worker.cli.terminal import DONE, REFUSED, Terminal, counted, iso
from worker.errors import UsageRefused
from worker.flows.brake import waiting
from worker.ledger import artifacts, brakes, leases, uploads
from worker.ledger.database import ShiftedClock
from worker.model import WorkClass
from worker.settings import Settings
from worker.wiring import House

LONGEST_S = 3600.0


def sweep(
    ctx: typer.Context,
    as_of: Annotated[
        str | None, typer.Option(metavar="TIME", help="As if it were this time (ISO 8601); embedded mode only.")
    ] = None,
) -> int:
    """Erase what is due, look that it is gone, and say what is left."""
    if ctx.invoked_subcommand is not None:
        return DONE
    terminal: Terminal = ctx.obj
    clock = ShiftedClock(by=_moment(as_of) - datetime.now(UTC)) if as_of else None
    if as_of and not Settings.load().embedded:
        raise UsageRefused("--as-of works in the embedded mode only", code="as_of_not_embedded")
    with opened(clock=clock) as house:
        # Counted before anybody is at work: the embedded worker begins to sweep as soon as it runs.
        before = _counts(house)
        document = _swept(house, before)
    return _told(terminal, document)


def release(
    ctx: typer.Context,
    count: Annotated[
        int, typer.Option(metavar="N", min=0, help="How many uploads wait, as `mayfly status` says: exactly.")
    ],
) -> int:
    """Let go what waits behind a brake, and nothing that falls due later. Counts for one hour."""
    terminal: Terminal = ctx.obj
    with opened() as house:
        before = _counts(house)
        house.braking.release(count, Unguarded())
        document = {**_swept(house, before), "released": count}
    return _told(terminal, document)


def _swept(house: House, before: dict[str, int]) -> dict[str, Any]:
    """A sweep, and the erasures that are due now, to their end; what became of them."""
    with house.ledger.begin() as tx:
        leases.create(tx, kind="sweep", target="all", work_class=WorkClass.LIFECYCLE)
        leases.hurry(tx, "sweep", "all")
    with working(house, jailed=False):
        wait_until(lambda: _settled(house), seconds=LONGEST_S)
    after = _counts(house)
    with house.ledger.read() as tx:
        return {
            "as_of": iso(tx.now),
            "uploads_erased": after["uploads"] - before["uploads"],
            "artifacts_gone": after["artifacts"] - before["artifacts"],
            "oldest_overdue_seconds": artifacts.oldest_overdue_seconds(tx),
            "braked": waiting(tx),
        }


def _told(terminal: Terminal, document: dict[str, Any]) -> int:
    overdue = document["oldest_overdue_seconds"]
    if terminal.json:
        terminal.document(document)
    else:
        terminal.out.print(
            f"{counted(document['uploads_erased'], 'upload')} erased, "
            f"{counted(document['artifacts_gone'], 'copy', 'copies')} looked for and gone; "
            f"oldest overdue: {overdue} s"
        )
    if document["braked"]:
        said = f"a brake holds back {counted(document['braked'], 'upload')}; see mayfly status"
        terminal.complain(said, "braked")
        return REFUSED
    if overdue:
        terminal.complain("something due is not gone: blocked or out of reach; see mayfly status", "overdue")
        return REFUSED
    return DONE


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageRefused("--as-of takes an ISO 8601 time, such as 2027-01-31T00:00:00Z", code="bad_time") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _counts(house: House) -> dict[str, int]:
    with house.ledger.read() as tx:
        return {
            "uploads": uploads.counts(tx).get("erased", 0),
            "artifacts": artifacts.counts(tx).get("gone", 0),
        }


def _settled(house: House) -> bool:
    """Nothing due that can be erased now, and no erasure under way. What is held, blocked or behind a brake does not
    keep us waiting."""
    with house.ledger.read() as tx:
        if leases.pending(tx, kinds=("sweep", "erase"), due_only=True):
            return False
        if not uploads.due(tx, 1) and not artifacts.any_due(tx, house.shelf.reachable(), of_erasing=False):
            return True
        # A sweep that does not believe its clocks has been here, and leaves everything as it is.
        halted = any(brake.trigger == brakes.CLOCK for brake in brakes.all_on(tx))
        return halted and not leases.pending(tx, kinds=("sweep",), due_only=True)
