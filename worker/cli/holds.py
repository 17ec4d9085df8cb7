"""`mayfly hold` and `mayfly restrict`: what keeps an upload past its day, and ending that."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.padding import Padding
from rich.table import Table

from worker.cli.house import opened
from worker.cli.terminal import DONE, Terminal, iso
from worker.errors import NotFound, UsageRefused
from worker.ledger import holds, restrictions
from worker.model import Hold, is_id
from worker.settings import parse_span

LISTED = 1_000
Upload = Annotated[str, typer.Option("--upload", metavar="ID", help="upl_ and 32 digits.")]
Case = Annotated[str, typer.Option("--case", metavar="C", help="The reference of the case.")]


def place(
    ctx: typer.Context,
    upload: Upload,
    case: Case,
    reason: Annotated[str, typer.Option(metavar="R", help="Why; child_safety makes the release a matter of two.")],
    authority: Annotated[str, typer.Option(metavar="A", help="Who demands it.")],
    review: Annotated[str | None, typer.Option(metavar="SPAN", help="Look again after this long, such as 90d.")] = None,
    two_person: Annotated[bool, typer.Option("--two-person", help="Two people must ask for the release.")] = False,
) -> int:
    """Hold an upload for a case: from now on nothing may erase it."""
    terminal: Terminal = ctx.obj
    _checked(upload)
    for name, text, most in (("--case", case, 128), ("--reason", reason, 500), ("--authority", authority, 200)):
        if not 0 < len(text.strip()) <= most:
            raise UsageRefused(f"{name} is 1 to {most} characters")
    with opened(gated=False) as house:
        hold = house.holding.place(
            upload_id=upload,
            case_ref=case,
            reason=reason,
            authority=authority,
            review_in=parse_span(review) if review else None,
            two_person=two_person,
        )
    return _said(terminal, {**hold_document(hold), "state": "held"}, f"held for case {hold.case_ref}")


def release(
    ctx: typer.Context,
    upload: Upload,
    case: Case,
    by: Annotated[str | None, typer.Option(metavar="NAME", help="Who asks, where two people must.")] = None,
) -> int:
    """End the hold of a case; with the last one the upload is due at once, if its day has passed."""
    terminal: Terminal = ctx.obj
    _checked(upload)
    with opened(gated=False) as house:
        hold = house.holding.release(upload_id=upload, case_ref=case, by=by)
    if hold.released_at is None:
        return _said(terminal, {**hold_document(hold), "state": "held"}, "asked for; a second person must ask too")
    return _said(terminal, {**hold_document(hold), "state": "released"}, f"released for case {hold.case_ref}")


def list_(ctx: typer.Context) -> int:
    """Every active hold, those to be looked at first in front."""
    terminal: Terminal = ctx.obj
    with opened(gated=False) as house, house.ledger.read() as tx:
        found = holds.all_active(tx, limit=LISTED)
    if terminal.json:
        terminal.document({"holds": [hold_document(hold) for hold in found]})
        return DONE
    if not found:
        terminal.out.print("no holds")
        return DONE
    table = Table(box=None, pad_edge=False)
    for heading in ("upload", "case", "since", "review"):
        table.add_column(heading, overflow="fold")
    for hold in found:
        review = iso(hold.review_at)[:10] if hold.review_at else "-"
        table.add_row(hold.upload_id, hold.case_ref, iso(hold.placed_at)[:10], review)
    terminal.out.print(Padding(table, (0, 0, 0, 2), expand=False))
    return DONE


def restrict(
    ctx: typer.Context,
    upload: Upload,
    reason: Annotated[str, typer.Option(metavar="R", help="Why it is kept unused (GDPR Art. 18).")],
) -> int:
    """Keep an upload, and neither show, process, send nor erase it."""
    terminal: Terminal = ctx.obj
    _checked(upload)
    if not 0 < len(reason.strip()) <= 200:
        raise UsageRefused("--reason is 1 to 200 characters")
    with opened(gated=False) as house, house.ledger.begin() as tx:
        found = restrictions.place(tx, upload_id=upload, reason=reason)
    return _said(terminal, _restriction(found), "restricted")


def lift(ctx: typer.Context, upload: Upload) -> int:
    """End a restriction; what has passed its day is due at once."""
    terminal: Terminal = ctx.obj
    _checked(upload)
    with opened(gated=False) as house, house.ledger.begin() as tx:
        found = restrictions.lift(tx, upload_id=upload, actor="operator")
    return _said(terminal, _restriction(found), "lifted")


def hold_document(hold: Hold) -> dict[str, Any]:
    """One hold, as `hold list --json` has it."""
    return {
        "hold_id": hold.id,
        "upload_id": hold.upload_id,
        "case": hold.case_ref,
        "reason": hold.reason,
        "authority": hold.authority,
        "placed_at": iso(hold.placed_at),
        "review_at": iso(hold.review_at) if hold.review_at else None,
        "released_at": iso(hold.released_at) if hold.released_at else None,
        "two_person": hold.two_person,
        "release_asked": hold.release_asked,
    }


def _restriction(found: restrictions.Restriction) -> dict[str, Any]:
    return {
        "restriction_id": found.id,
        "upload_id": found.upload_id,
        "reason": found.reason,
        "placed_at": iso(found.placed_at),
        "lifted_at": iso(found.lifted_at) if found.lifted_at else None,
    }


def _checked(upload: str) -> None:
    if not is_id(upload, "upl"):
        raise NotFound("an upload id is upl_ and 32 lower-case hexadecimal digits", code="bad_upload_id")


def _said(terminal: Terminal, document: dict[str, Any], words: str) -> int:
    if terminal.json:
        terminal.document(document)
    else:
        terminal.out.print(f"{document['upload_id']}: {words}", markup=False, soft_wrap=True)
    return DONE
