"""`mayfly policy`: what is promised, what a change of it would move, and the net below it in a bucket."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import timedelta
from typing import Annotated, Any

import typer
from rich.padding import Padding
from rich.table import Table

from worker.cli.house import opened
from worker.cli.reconcile import Unguarded
from worker.cli.terminal import DONE, Terminal, counted, field
from worker.errors import Refused
from worker.ledger import uploads
from worker.model import UploadState
from worker.retention.lifecycle import days_by_class
from worker.retention.rules import KEEP_FOR_MOST, Rule
from worker.settings import Settings
from worker.wiring import House

# A change that ends more than this share of what lives at once wants its number typed.
_SHARE = 0.005


def show(ctx: typer.Context) -> int:
    """The public statement: how long each kind of copy is kept, and why."""
    terminal: Terminal = ctx.obj
    book = Settings.load().book()
    if terminal.json:
        rules = [_rule(rule) for rule in book.rules]
        terminal.document({"version": book.version, "rules": rules, "brakes": asdict(book.brakes)})
        return DONE
    table = Table(box=None, pad_edge=False)
    for heading in ("copy", "at most", "counted from", "because"):
        table.add_column(heading, overflow="fold")
    for rule in book.rules:
        most = f"as the app asks, {_span(rule.most)}" if rule.keep_for else _span(rule.most)
        table.add_row(rule.name.replace(".", ", "), most, rule.anchor.value.replace("_", " "), rule.ground)
    terminal.out.print(Padding(table, (0, 0, 0, 2), expand=False))
    field(terminal.out, "policy", book.version)
    return DONE


def check(ctx: typer.Context) -> int:
    """What the policy as it is now would move, and nothing is moved."""
    with opened(gated=False) as house:
        return _told(ctx.obj, _shift(house, apply=False, later=False))


def apply(
    ctx: typer.Context,
    later: Annotated[bool, typer.Option("--later", help="Days that move later are written as well.")] = False,
    confirm: Annotated[
        int, typer.Option(metavar="N", help="The number of uploads that are due at once, where they are many.")
    ] = 0,
) -> int:
    """Write the last day of every living copy anew; earlier days at once, later ones only with --later."""
    with opened() as house:
        dry = _shift(house, apply=False, later=later)
        ended = int(dry["uploads_due_at_once"])
        if ended > max(1.0, _SHARE * _living(house)) and confirm != ended:
            raise Refused(
                f"this makes {counted(ended, 'upload')} due at once; if that is meant, say --confirm {ended}",
                code="confirm_needed",
            )
        return _told(ctx.obj, _shift(house, apply=True, later=later))


def lifecycle(
    ctx: typer.Context,
    apply: Annotated[bool, typer.Option("--apply", help="Set the rules on the bucket; rules of others stay.")] = False,
) -> int:
    """The bucket's own expiry rules: a net that would erase everything if Mayfly were gone. Never evidence."""
    terminal: Terminal = ctx.obj
    with opened() as house:
        rules, present = house.shelf.net(days_by_class(house.settings.book().rules), apply=apply)
    if terminal.json:
        terminal.document({"rules": rules, "set": present, "applied": apply})
        return DONE
    terminal.out.print(json.dumps({"Rules": rules}, indent=2), markup=False, highlight=False, soft_wrap=True)
    missing = [rule["ID"] for rule in rules if rule["ID"] not in {each.get("ID") for each in present}]
    field(terminal.out, "set", "all of them" if not missing else f"{len(missing)} of {len(rules)} are not: say --apply")
    return DONE


def _shift(house: House, *, apply: bool, later: bool) -> dict[str, Any]:
    return {**asdict(house.repolicing.run(Unguarded(), apply=apply, later=later)), "applied": apply}


def _living(house: House) -> int:
    with house.ledger.read() as tx:
        counts = uploads.counts(tx)
    return sum(n for state, n in counts.items() if state not in (UploadState.ERASING, UploadState.ERASED))


def _told(terminal: Terminal, document: dict[str, Any]) -> int:
    if terminal.json:
        terminal.document(document)
        return DONE
    out = terminal.out
    verb = "moved" if document["applied"] else "would move"
    field(out, verb, f"{document['earlier']} earlier, {document['later']} later, of {document['copies']}")
    field(out, "due", f"{counted(document['uploads_due_at_once'], 'upload')} at once")
    for name, row in document["by_rule"].items():
        out.print(f"  {name}: {row['earlier']} earlier, {row['later']} later", markup=False)
    return DONE


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "name": rule.name,
        "kind": rule.kind.value,
        "states": sorted(rule.states),
        "most_s": int(rule.most.total_seconds()),
        "counted_from": rule.anchor.value,
        "as_the_app_asks": rule.keep_for,
        "because": rule.ground,
    }


def _span(most: timedelta) -> str:
    if most == timedelta(0):
        return "at once"
    if most == KEEP_FOR_MOST:
        return "730 days"
    return f"{most.days} d" if most >= timedelta(days=1) else f"{int(most.total_seconds() // 3600)} h"
