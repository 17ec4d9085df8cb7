"""`mayfly show`: one upload's state, copies, deadlines and events."""

from __future__ import annotations

from typing import Annotated

import typer

from worker.cli import views
from worker.cli.house import opened
from worker.cli.terminal import DONE, Terminal
from worker.errors import NotFound
from worker.ledger import uploads
from worker.model import is_id


def show(ctx: typer.Context, upload_id: Annotated[str, typer.Argument(help="upl_…")]) -> int:
    """State, copies, last days and events of one upload."""
    terminal: Terminal = ctx.obj
    if not is_id(upload_id, "upl"):
        raise NotFound("an upload id is upl_ and 32 lower-case hexadecimal digits", code="bad_upload_id")
    with opened() as house, house.ledger.read() as tx:
        document = views.show_document(house, tx, uploads.get(tx, upload_id))
    if terminal.json:
        terminal.document(document)
        return DONE
    out = terminal.out
    out.print(f"[bold]{document['state']}[/bold]  {upload_id}", soft_wrap=True)
    if document["code"]:
        out.print(f"  code: {document['code']}")
    out.print(f"  verdict: {document['verdict'] or 'none'}   dies: {document['delete_at']}")
    out.print(views.copies_table(document["artifacts"]))
    for event in document["events"]:
        out.print(f"  {event['at']}  {event['event']}  {event['from'] or ''} -> {event['to'] or ''}", soft_wrap=True)
    out.print("  the chain of events is intact" if document["events_intact"] else "  THE CHAIN OF EVENTS IS BROKEN")
    return DONE
