"""`mayfly verify`: check a receipt offline, with the public key alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from worker.cli.terminal import DONE, Terminal, field
from worker.errors import Refused
from worker.privacy.receipt import verify as check
from worker.settings import Settings


def verify(
    ctx: typer.Context,
    receipt: Annotated[Path, typer.Argument(metavar="RECEIPT", help="A receipt file.", readable=False)],
    public_key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="PEM file; this home's own key by default.")
    ] = None,
) -> int:
    """Say whether a receipt is whole and signed by the key."""
    terminal: Terminal = ctx.obj
    key = public_key or Settings.load().home / "receipts" / "public_key.pem"
    body = check(_text(receipt, "the receipt"), _text(key, "the public key").encode())
    document = {"valid": True, "receipt_id": body.get("receipt_id"), "completed_at": body.get("completed_at")}
    if terminal.json:
        terminal.document(document)
    else:
        terminal.out.print("[bold green]valid[/bold green]: whole, and signed by this key")
        field(terminal.out, "receipt", str(document["receipt_id"]))
        field(terminal.out, "completed", str(document["completed_at"]))
    return DONE


def _text(path: Path, what: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise Refused(f"{what} cannot be read; check the path", code="file_not_readable") from None
