"""`mayfly restore`: replay the journal of erasures into a ledger that was restored from a backup."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, Any

import typer

from worker.cli.house import opened
from worker.cli.terminal import DONE, Terminal, counted, field
from worker.errors import UsageRefused
from worker.ledger import leases, outbox
from worker.wiring import House

_SHOWN = 20


def restore(
    ctx: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count, and change nothing.")] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Every line of the journal: media were restored, with the ledger or alone.")
    ] = False,
    begin_anew: Annotated[
        bool,
        typer.Option("--begin-anew", help="Where no true copy of the journal can be had: write one from the ledger."),
    ] = False,
) -> int:
    """Erase again, and observe gone, everything that was erased since the backup; then Mayfly serves again."""
    terminal: Terminal = ctx.obj
    if begin_anew and (dry_run or everything):
        raise UsageRefused("--begin-anew stands alone")
    with opened(gated=False) as house:
        if begin_anew:
            return _anew(terminal, house.restoring.begin_anew())
        report = house.restoring.run(_eraser(house), everything=everything, dry_run=dry_run)
        if not dry_run:
            house.gate.check()
    document = {**asdict(report), "dry_run": dry_run}
    if terminal.json:
        terminal.document(document)
    else:
        _print(terminal, document)
    return DONE


def _eraser(house: House) -> Callable[[str], None]:
    """Does an upload's erasure as a worker would, in this process: the workers themselves refuse meanwhile."""
    from tasks import retention
    from tasks.seat import Seat
    from tasks.task import perform

    seat = Seat(house.settings, lambda _settings: house)

    def again(upload_id: str) -> None:
        with house.ledger.begin() as tx:
            leases.hurry(tx, "erase", upload_id)
            bell = outbox.bell_of(tx, "erase", upload_id)
        if bell is not None:
            perform(seat, retention.erase, bell.job_id, bell.fence)

    return again


def _anew(terminal: Terminal, lines: int) -> int:
    if terminal.json:
        terminal.document({"lines": lines})
    else:
        terminal.out.print(f"a new journal of {counted(lines, 'erasure')}; what was left of the old one lies beside it")
    return DONE


def _print(terminal: Terminal, document: dict[str, Any]) -> None:
    out = terminal.out
    would = "would be " if document["dry_run"] else ""
    field(out, "journal", f"{counted(document['lines'], 'erasure')} {would}replayed")
    field(out, "alive", f"{counted(document['erased_again'], 'upload')} {would}erased again")
    field(out, "others", f"{document['erased_already']} erased already, {document['unknown']} not in this ledger")
    if not document["dry_run"]:
        places = counted(document["looked_for"], "place")
        field(out, "bytes", f"looked for at {places}, {document['removed']} found without a row and removed")
    for name, said in (("held", "kept by a hold or a restriction"), ("locked", "hidden; a lock keeps a copy")):
        if document[name]:
            field(out, name, f"{document[name]} {said}", style="bold red")
    if document["unfinished_line"]:
        field(out, "journal", "its last line has no end; what it would have said is lost", style="bold red")
    for upload_id in document["kept"][:_SHOWN]:
        out.print(f"  {upload_id}", markup=False)
