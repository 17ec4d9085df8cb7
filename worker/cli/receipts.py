"""`mayfly verify`: check a receipt offline, with the public key alone."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Any

import typer

from worker.cli.terminal import DONE, Terminal, field
from worker.errors import Refused, UsageRefused
from worker.privacy import bodies
from worker.privacy.folder import ReceiptFolder, read_salts, text_of
from worker.privacy.receipt import signed_by
from worker.privacy.receipt import verify as check
from worker.settings import Settings


def verify(
    ctx: typer.Context,
    receipt: Annotated[Path, typer.Argument(metavar="RECEIPT", help="A receipt file.", readable=False)],
    public_key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="PEM file; by default the one of this home that signed it.")
    ] = None,
    salt: Annotated[Path | None, typer.Option(metavar="FILE", help="The receipt's salt file; with --original.")] = None,
    original: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also show that the receipt is about this file.")
    ] = None,
) -> int:
    """Say whether a receipt is as it was issued and signed by the key; with a salt, also which file it is about."""
    terminal: Terminal = ctx.obj
    if (salt is None) != (original is None):
        raise UsageRefused("--salt and --original go together")
    body = _checked(text_of(receipt, "the receipt"), public_key)
    document = {"valid": True, "receipt_id": body.get("receipt_id"), "completed_at": body.get("completed_at")}
    if salt is not None and original is not None:
        document["about"] = _about(body, salt, original)
    if terminal.json:
        terminal.document(document)
        return DONE
    terminal.out.print("[bold green]valid[/bold green]: whole, and signed by this key")
    for label, name in (("receipt", "receipt_id"), ("completed", "completed_at"), ("about", "about")):
        if document.get(name):
            field(terminal.out, label, str(document[name]))
    return DONE


def _checked(text: str, public_key: Path | None) -> dict[str, Any]:
    kid = signed_by(text)
    if public_key is not None:
        return check(text, text_of(public_key, "the public key").encode())
    return check(text, ReceiptFolder(root=Settings.load().receipts_root()).public_key(kid))


def _about(body: dict[str, Any], salt: Path, original: Path) -> str:
    """The id of the upload whose commitment these two open. Raises `Refused` (`not_this_file`, `bad_salt`)."""
    try:
        with original.open("rb") as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        raise Refused("the original cannot be read; check the path", code="file_not_readable") from None
    salts = read_salts(text_of(salt, "the salt file"))
    for entry in body.get("uploads", [body]):
        known = salts.get(entry["upload_id"])
        if known is not None and bodies.commit(known, sha256) == entry["commitment"]:
            return str(entry["upload_id"])
    raise Refused("the receipt is not about this file", code="not_this_file")
