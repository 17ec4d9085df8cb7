"""`mayfly show`: one upload's state, copies, deadlines and events."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Console

from worker.cli import pages, views
from worker.cli.house import opened
from worker.cli.terminal import DONE, Terminal, field, place
from worker.errors import NotFound
from worker.ledger import uploads
from worker.model import is_id


def show(
    ctx: typer.Context, upload_id: Annotated[str, typer.Argument(metavar="UPLOAD_ID", help="upl_ and 32 digits.")]
) -> int:
    """State, copies, last days and events of one upload."""
    terminal: Terminal = ctx.obj
    if not is_id(upload_id, "upl"):
        raise NotFound("an upload id is upl_ and 32 lower-case hexadecimal digits", code="bad_upload_id")
    with opened(gated=False) as house, house.ledger.read() as tx:
        document = views.show_document(house, tx, uploads.get(tx, upload_id))
    if terminal.json:
        terminal.document(document)
        return DONE
    _print(terminal.out, document)
    return DONE


def _print(out: Console, document: dict[str, Any]) -> None:
    pages.headline(out, document["app"], document["state"], document["upload_id"])
    for label, text in (
        ("code", document["code"]),
        ("type", document["media_type"]),
        ("verdict", document["verdict"]),
        ("purposes", ", ".join(document["purposes"])),
        ("removed", pages.words(document["removed"])),
        ("label it", pages.AI if document.get("ai_generated") else ""),
        ("taken in", document["created_at"]),
        ("until", document["delete_at"]),
        ("restricted", "kept, and neither shown nor processed" if document["restricted"] else ""),
        ("held by", ", ".join(str(hold["case"]) for hold in document["holds"])),
    ):
        if text:
            field(out, label, str(text))
    out.print("copies", style="bold")
    for copy in document["artifacts"]:
        pages.copy(out, copy)
        place(out, copy["path"])
    out.print("events", style="bold")
    names = {copy["artifact_id"]: pages.copy_name(copy) for copy in document["artifacts"]}
    for event in document["events"]:
        pages.event(out, event, names)
    if document["events_intact"]:
        out.print("  the chain of events is intact")
    else:
        out.print("  THE CHAIN OF EVENTS IS BROKEN: a row was changed past Mayfly", style="bold red")
