"""`mayfly verify` checks a receipt offline, with the public key alone; `mayfly receipt` shows, recounts, rotates."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from worker import home
from worker.cli.house import opened
from worker.cli.terminal import DONE, REFUSED, Terminal, field, place
from worker.errors import Refused, UsageRefused
from worker.privacy import bodies
from worker.privacy.folder import ReceiptFolder, read_salts, text_of
from worker.privacy.receipt import signed_by
from worker.privacy.receipt import verify as check
from worker.privacy.statement import included
from worker.settings import Settings


def verify(
    ctx: typer.Context,
    receipt: Annotated[Path, typer.Argument(metavar="RECEIPT", help="A receipt file.", readable=False)],
    public_key: Annotated[
        Path | None, typer.Option(metavar="PEM", help="File or folder of keys; by default those of this home.")
    ] = None,
    salt: Annotated[Path | None, typer.Option(metavar="FILE", help="The receipt's salt file; with --original.")] = None,
    original: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also show that the receipt is about this file.")
    ] = None,
    day: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Its proof of the day: the statement covers this receipt.")
    ] = None,
) -> int:
    """Say whether a receipt is as it was issued and signed by the key; with a salt, also which file it is about."""
    terminal: Terminal = ctx.obj
    if (salt is None) != (original is None):
        raise UsageRefused("--salt and --original go together")
    text, key_of = text_of(receipt, "the receipt"), _keys(public_key)
    body = check(text, key_of(signed_by(text)))
    document = {"valid": True, "receipt_id": body.get("receipt_id"), "completed_at": body.get("completed_at")}
    if salt is not None and original is not None:
        document["about"] = _about(body, salt, original)
    if day is not None:
        document["day"] = included(text, text_of(day, "the proof of the day"), key_of)
    if terminal.json:
        terminal.document(document)
        return DONE
    terminal.out.print("[bold green]valid[/bold green]: whole, and signed by this key")
    for label, name in (("receipt", "receipt_id"), ("completed", "completed_at"), ("about", "about"), ("day", "day")):
        if document.get(name):
            field(terminal.out, label, str(document[name]))
    return DONE


def _keys(public_key: Path | None) -> Callable[[str], bytes]:
    """The PEM for the id of a key: the one that was named, or whichever it is of a folder's, or of this home's."""
    if public_key is None:
        return ReceiptFolder(root=Settings.load().receipts_root()).public_key
    if public_key.is_dir():
        return lambda kid: text_of(public_key / f"{kid}.pem", "the public key").encode()
    pem = text_of(public_key, "the public key").encode()
    return lambda _kid: pem


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


def show(
    ctx: typer.Context,
    receipt_id: Annotated[str, typer.Argument(metavar="ID", help="Of a receipt: rcp_ and 32 digits.")],
) -> int:
    """Write a receipt into the home again and, once its day is over, the proof that it is in that day's statement."""
    terminal: Terminal = ctx.obj
    with opened() as house:
        kept, proof = house.attesting.prove(receipt_id)
        paths = {"receipt": house.receipt_folder.write(f"{kept.id}.json", kept.body)}
        if proof is not None:
            paths["day"] = house.receipt_folder.write(f"{kept.id}.day.json", proof)
    if terminal.json:
        terminal.document({"receipt_id": kept.id, "day": None, **{name: str(path) for name, path in paths.items()}})
        return DONE
    for name, path in paths.items():
        field(terminal.out, name, "signed; check it with: mayfly verify" if name == "receipt" else "with: --day FILE")
        place(terminal.out, str(path))
    return DONE


def recount(ctx: typer.Context) -> int:
    """Count the receipts of every past day again: one that is missing, new or changed shows, a statement too."""
    terminal: Terminal = ctx.obj
    with opened() as house:
        changed = list(house.recount())
        counted_days = len(house.receipt_folder.days())
    if terminal.json:
        terminal.document({"days": counted_days, "changed": [asdict(found) for found in changed]})
    else:
        field(terminal.out, "days", f"{counted_days} recounted, {len(changed)} changed")
        for found in changed:
            field(terminal.out, found.day, found.what.replace("_", " "))
    if changed:
        terminal.complain("receipts of a past day are not those that were signed for", "day_changed")
    return REFUSED if changed else DONE


def rotate(ctx: typer.Context) -> int:
    """Sign with a new key from now on; what the old one signed verifies as before. Processes that run: start anew."""
    terminal: Terminal = ctx.obj
    signer = home.rotate(Settings.load())
    if terminal.json:
        terminal.document({"kid": signer.kid})
    else:
        field(terminal.out, "key", f"{signer.kid} signs from now on, in what is started from now on")
    return DONE
