"""`mayfly status` and `mayfly dead`: what waits, what runs, what failed for good, and what is overdue."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.table import Table

from worker.cli.house import opened
from worker.cli.terminal import DONE, Terminal
from worker.ledger import artifacts, leases, outbox, uploads
from worker.ledger.database import Tx
from worker.model import WorkClass
from worker.wiring import House


def status(ctx: typer.Context) -> int:
    """Queues, leases, dead letters, and the one number that must be zero: oldest_overdue_seconds."""
    terminal: Terminal = ctx.obj
    with opened() as house, house.ledger.read() as tx:
        document = status_document(house, tx)
    if terminal.json:
        terminal.document(document)
        return DONE
    out = terminal.out
    if document["jail"] != "required":
        out.print("[bold red]the jail is degraded: set MAYFLY_JAIL=required[/bold red]")
    out.print(f"oldest overdue: {document['oldest_overdue_seconds']} s   dead letters: {document['dead']}")
    table = Table(box=None, pad_edge=False)
    for heading in ("class", "ready", "running", "bells"):
        table.add_column(heading)
    for name, row in document["queues"].items():
        table.add_row(name, str(row["ready"]), str(row["leased"]), str(row["bells"]))
    out.print(table)
    out.print("uploads: " + (", ".join(f"{n} {state}" for state, n in document["uploads"].items()) or "none"))
    out.print("copies: " + (", ".join(f"{n} {state}" for state, n in document["artifacts"].items()) or "none"))
    return DONE


def status_document(house: House, tx: Tx) -> dict[str, Any]:
    """Computed from the ledger alone: the broker is only a doorbell."""
    counts = leases.counts(tx)
    bells = outbox.waiting(tx)
    return {
        "oldest_overdue_seconds": artifacts.oldest_overdue_seconds(tx),
        "oldest_ready_seconds": counts.oldest_ready_seconds,
        "dead": sum(counts.dead.values()),
        "queues": {
            str(name): {
                "ready": counts.ready.get(name, 0),
                "leased": counts.leased.get(name, 0),
                "dead": counts.dead.get(name, 0),
                "bells": bells.get(name, 0),
            }
            for name in WorkClass
        },
        "uploads": uploads.counts(tx),
        "artifacts": artifacts.counts(tx),
        "jail": house.settings.jail,
    }


def dead_list(ctx: typer.Context) -> int:
    """What failed for good, with its code."""
    terminal: Terminal = ctx.obj
    with opened() as house, house.ledger.read() as tx:
        letters = [
            {"job_id": d.job_id, "kind": d.kind, "target": d.target, "code": d.code, "detail": d.detail}
            for d in leases.dead(tx)
        ]
    if terminal.json:
        terminal.document({"dead": letters})
        return DONE
    for letter in letters:
        terminal.out.print(
            f"{letter['job_id']}  {letter['kind']}  {letter['code']}  {letter['detail'] or ''}", soft_wrap=True
        )
    if not letters:
        terminal.out.print("no dead letters")
    return DONE


def dead_requeue(ctx: typer.Context, job_id: Annotated[str, typer.Argument(help="job_…")]) -> int:
    """Try a dead job again, from the start."""
    terminal: Terminal = ctx.obj
    with opened() as house:
        house.requeue(job_id)
    document = {"job_id": job_id, "state": "ready"}
    if terminal.json:
        terminal.document(document)
    else:
        terminal.out.print(f"{job_id} is ready again")
    return DONE
