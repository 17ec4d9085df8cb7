"""`mayfly reconcile`: what lies somewhere without a row, what a row names and is not there, what was never finished."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

import typer

from worker.cli.house import opened
from worker.cli.terminal import DONE, Terminal, counted, field, iso

_SHOWN = 20


class Unguarded:
    """An operator's own run: no lease can be lost, and Ctrl-C ends it."""

    def step(self, name: str) -> None:
        """Nobody watches the steps of a command."""

    def check(self) -> None:
        """Nobody can take it away."""

    def cancelled(self) -> bool:
        return False


def reconcile(
    ctx: typer.Context,
    apply: Annotated[
        bool, typer.Option("--apply", help="Erase what no row names: seen twice a day apart, two days old.")
    ] = False,
) -> int:
    """Compare the ledger with every location. Without --apply nothing is erased."""
    terminal: Terminal = ctx.obj
    with opened() as house:
        report = house.reconciling.run(Unguarded(), apply=apply)
    document = {**asdict(report), "applied": apply}
    document["items"] = [{name: _plain(value) for name, value in item.items()} for item in report.items]
    if terminal.json:
        terminal.document(document)
    else:
        _print(terminal, document)
    return DONE


def _print(terminal: Terminal, document: dict[str, Any]) -> None:
    out = terminal.out
    field(out, "looked at", f"{counted(document['looked_at'], 'object')}, {counted(document['rows'], 'row')}")
    field(out, "bytes", f"{document['bytes_stored']} stored, {document['bytes_of_rows']} by the ledger")
    erased = f", {document['erased']} erased" if document["applied"] else ""
    field(out, "no row", f"{document['strangers']}{erased}")
    field(out, "no bytes", str(document["missing"]), style="bold red" if document["missing"] else "")
    if document["net_fired"]:
        said = f"{document['net_fired']} taken by the location's own rule before the sweep came"
        field(out, "net", said, style="bold red")
    field(out, "unfinished", str(document["unfinished"]))
    for item in document["items"][:_SHOWN]:
        out.print(f"  {item['what']}: {item['location']} {item['key']}", markup=False, soft_wrap=True)
    if len(document["items"]) > _SHOWN:
        out.print(f"  and {len(document['items']) - _SHOWN} more; see --json", markup=False)


def _plain(value: object) -> object:
    return iso(value) if isinstance(value, datetime) else value
