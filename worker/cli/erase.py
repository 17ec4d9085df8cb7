"""`mayfly erase`: one upload, or everything of one person, to the signed receipt."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from worker.cli.house import opened, wait_until, working
from worker.cli.terminal import DONE, REFUSED, Terminal, counted, field, place
from worker.errors import NotFound, UsageRefused
from worker.ledger import artifacts, receipts, requests, salts, uploads
from worker.model import ArtifactState, Trigger, UploadState, is_id
from worker.privacy.folder import salts_text
from worker.privacy.subject import subject_key
from worker.wiring import House

LONGEST_S = 600.0
# The salts of a receipt lie beside it, under its name.
SALT = ".salt"


def erase(
    ctx: typer.Context,
    subject: Annotated[str | None, typer.Option(metavar="ID", help="Erase everything of this person.")] = None,
    upload: Annotated[str | None, typer.Option(metavar="ID", help="Erase this upload.")] = None,
    app: Annotated[str, typer.Option(metavar="NAME", help="The app backend.")] = "default",
) -> int:
    """Destroy every copy, look that it is gone, and write the receipt."""
    terminal: Terminal = ctx.obj
    if (subject is None) == (upload is None):
        raise UsageRefused("name either --subject or --upload")
    with opened() as house:
        # Nothing is started for an id that cannot be one.
        if upload is not None and not is_id(upload, "upl"):
            raise NotFound("an upload id is upl_ and 32 lower-case hexadecimal digits", code="bad_upload_id")
        if subject is not None:
            subject_key(house.subject_secret, app, subject)
        with working(house, jailed=False):
            document = erase_upload(house, upload) if upload is not None else erase_subject(house, app, subject or "")
    _print(terminal, document)
    if document["state"] == "completed":
        return DONE
    if unseen := document["unverifiable"]:
        said = "purged, and nobody can see whether" if unseen == 1 else "purged, and nobody can see whether each"
        terminal.complain(f"{counted(unseen, 'copy', 'copies')} {said} is gone; see the receipt", "unverifiable")
    else:
        terminal.complain("a legal hold keeps some of it; it goes when the last hold is released", "hold_active")
    return REFUSED


def _print(terminal: Terminal, document: dict[str, Any]) -> None:
    if terminal.json:
        terminal.document({name: value for name, value in document.items() if name != "unverifiable"})
        return
    of = counted(document["uploads"], "upload") if document["uploads"] else "nothing was there"
    gone = document["artifacts"] - document["unverifiable"]
    copies = f", {counted(gone, 'copy', 'copies')} looked for and gone" if document["uploads"] else ""
    terminal.out.print(f"[bold]{str(document['state']).replace('_', ' ')}[/bold]: {of}{copies}")
    if document["receipt"]:
        field(terminal.out, "receipt", "signed; check it with: mayfly verify FILE")
        place(terminal.out, document["receipt"])
        salt = Path(document["receipt"]).with_suffix(SALT)
        if salt.exists():
            field(terminal.out, "salt", "shows which file it was, and is nowhere else now: give it to who asked")
            place(terminal.out, str(salt))


def erase_subject(house: House, app: str, subject: str) -> dict[str, Any]:
    """The request to its end; a person without uploads is a success with nothing to erase."""
    request_id = house.fulfilling.open(app, subject_key(house.subject_secret, app, subject))

    def closed() -> bool:
        with house.ledger.read() as tx:
            return requests.get(tx, request_id).closed_at is not None

    wait_until(closed, seconds=LONGEST_S)
    with house.ledger.read() as tx:
        request = requests.get(tx, request_id)
        receipt = receipts.of_request(tx, request_id)
    return {
        "request_id": request_id,
        "state": request.state,
        "uploads": request.uploads,
        "artifacts": request.artifacts,
        "unverifiable": _unverifiable(receipt),
        "receipt": _written(house, receipt),
    }


def erase_upload(house: House, upload_id: str) -> dict[str, Any]:
    """One upload to its end; one that was erased before is a success with the same receipt."""
    house.erasing.begin(upload_id, Trigger.USER)

    def gone() -> bool:
        with house.ledger.read() as tx:
            return uploads.get(tx, upload_id).state is UploadState.ERASED

    wait_until(gone, seconds=LONGEST_S)
    with house.ledger.read() as tx:
        receipt = receipts.of_upload(tx, upload_id)
        count = len(artifacts.of_upload(tx, upload_id))
    unseen = _unverifiable(receipt)
    return {
        "request_id": None,
        "upload_id": upload_id,
        "state": "partially_completed" if unseen else "completed",
        "uploads": 1,
        "artifacts": count,
        "unverifiable": unseen,
        "receipt": _written(house, receipt),
    }


def _unverifiable(receipt: receipts.Receipt | None) -> int:
    """How many copies were told to go where nobody can look whether they did."""
    body = json.loads(receipt.body) if receipt else {"artifacts": []}
    if "covered" in body:
        return int(body["covered"]["unverifiable"])
    return sum(copy["state"] == ArtifactState.UNVERIFIABLE for copy in body["artifacts"])


def _written(house: House, receipt: receipts.Receipt | None) -> str | None:
    """The receipt's path. Receipt and salts are files in the home, side by side; the ledger keeps the receipt, and
    forgets the salts once they are out."""
    if receipt is None:
        return None
    path = house.receipt_folder.write(f"{receipt.id}.json", receipt.body)
    with house.ledger.read() as tx:
        found = salts.of_receipt(tx, receipt.id)
    if found:
        house.receipt_folder.write(f"{receipt.id}{SALT}", salts_text({each.upload_id: each.salt for each in found}))
        with house.ledger.begin() as tx:
            salts.handed_over(tx, found)
    return str(path)
