"""`mayfly status` and `mayfly dead`: what waits, what runs, what failed for good, and what is overdue."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Console
from rich.padding import Padding
from rich.table import Table

from worker.cli.house import opened, standing
from worker.cli.terminal import DONE, Terminal, counted, field, iso
from worker.errors import NotFound
from worker.flows.brake import waiting
from worker.ledger import artifacts, brakes, leases, outbox, uploads
from worker.ledger.database import Tx
from worker.model import WorkClass, is_id
from worker.wiring import House


def status(ctx: typer.Context) -> int:
    """Queues, leases, dead letters, and the one number that must be zero: oldest_overdue_seconds."""
    terminal: Terminal = ctx.obj
    with opened(gated=False) as house:
        trouble = standing(house)
        with house.ledger.read() as tx:
            document = {**status_document(house, tx), "journal": trouble.code if trouble else "ok"}
    if terminal.json:
        terminal.document(document)
        return DONE
    _print(terminal.out, document)
    return DONE


def _print(out: Console, document: dict[str, Any]) -> None:
    if document["jail"] != "required":
        out.print("the jail is degraded: set MAYFLY_JAIL=required", style="bold red")
    for brake in document["brakes"]["on"]:
        field(out, "brake", f"{brake['trigger']}: {brake['reason']}", style="bold red")
    if document["brakes"]["on"] or document["brakes"]["waiting"]:
        n = document["brakes"]["waiting"]
        said = f"{counted(n, 'upload')}: to let them go, mayfly sweep release --count {n}"
        field(out, "waiting", said, style="bold red")
    overdue, letters = document["oldest_overdue_seconds"], document["dead"]
    field(out, "overdue", f"{overdue} s" if overdue else "nothing", style="bold red" if overdue else "")
    field(out, "dead", f"{letters}: see mayfly dead list" if letters else "none", style="bold red" if letters else "")
    field(out, "uploads", ", ".join(f"{n} {state}" for state, n in document["uploads"].items()) or "none")
    field(out, "copies", ", ".join(f"{n} {state}" for state, n in document["artifacts"].items()) or "none")
    table = Table(box=None, pad_edge=False)
    table.add_column("queue")
    for heading in ("ready", "leased", "dead", "bells"):
        table.add_column(heading, justify="right")
    for name, row in document["queues"].items():
        table.add_row(name, *(str(row[heading]) for heading in ("ready", "leased", "dead", "bells")))
    out.print(Padding(table, (0, 0, 0, 2), expand=False))


def status_document(house: House, tx: Tx) -> dict[str, Any]:
    """Computed from the ledger alone: the broker is only a doorbell."""
    counts = leases.counts(tx)
    bells = outbox.waiting(tx)
    return {
        "oldest_overdue_seconds": artifacts.oldest_overdue_seconds(tx),
        "oldest_ready_seconds": counts.oldest_ready_seconds,
        "brakes": brakes_document(tx),
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


def brakes_document(tx: Tx) -> dict[str, Any]:
    """Which brakes are on and why, and the number that a release must say."""
    on = [
        {
            "trigger": brake.trigger,
            "reason": brake.reason,
            "amount": brake.amount,
            "permitted": brake.permitted,
            "tripped_at": iso(brake.tripped_at),
        }
        for brake in brakes.all_on(tx)
    ]
    return {"on": on, "waiting": waiting(tx)}


def dead_list(ctx: typer.Context) -> int:
    """What failed for good, with its code."""
    terminal: Terminal = ctx.obj
    with opened(gated=False) as house, house.ledger.read() as tx:
        letters = [
            {"job_id": d.job_id, "kind": d.kind, "target": d.target, "code": d.code, "detail": d.detail}
            for d in leases.dead(tx)
        ]
    if terminal.json:
        terminal.document({"dead": letters})
        return DONE
    for letter in letters:
        terminal.out.print(f"{letter['kind']}  {letter['code']}", style="bold", markup=False)
        terminal.out.print(f"  {letter['job_id']}", markup=False, soft_wrap=True)
        for text in (letter["target"], letter["detail"]):
            if text and text != letter["job_id"]:
                terminal.out.print(f"  {text}", markup=False, soft_wrap=True)
    if not letters:
        terminal.out.print("no dead letters")
    return DONE


def dead_requeue(
    ctx: typer.Context, job_id: Annotated[str, typer.Argument(metavar="JOB_ID", help="job_ and 32 digits.")]
) -> int:
    """Try a dead job again, from the start."""
    terminal: Terminal = ctx.obj
    if not is_id(job_id, "job"):
        raise NotFound("a job id is job_ and 32 lower-case hexadecimal digits", code="bad_job_id")
    with opened() as house:
        house.requeue(job_id)
    document = {"job_id": job_id, "state": "ready"}
    if terminal.json:
        terminal.document(document)
    else:
        terminal.out.print(
            f"{job_id} is ready again; it runs where workers are (mayfly up, mayfly worker)", soft_wrap=True
        )
    return DONE
