"""`mayfly demo`: a photo and a video with everything in them, through to observed erasure. Nothing canned."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import typer
from rich.progress import Progress

from storage_backends.keys import Key
from worker.cli import demo_media, views
from worker.cli.erase import erase_subject
from worker.cli.house import at_work
from worker.cli.process import finish, progress_bar, read_chunks
from worker.cli.terminal import DONE, REFUSED, Terminal, human_bytes
from worker.ledger import artifacts
from worker.model import Artifact, ArtifactState, NewUpload, Purpose, new_id
from worker.privacy.subject import subject_key
from worker.retention.rules import KEEP_FOR_DEFAULT
from worker.wiring import House

APP = "demo"


def demo(ctx: typer.Context) -> int:
    """Make a photo and a video that tell too much, process both, erase the person, and show that all is gone."""
    terminal: Terminal = ctx.obj
    out = terminal.err if terminal.json else terminal.out
    person = new_id("upl")  # a fresh made-up person each run
    with at_work() as house:
        with progress_bar(terminal) as bar:
            ids = _process(house, person, bar)
        documents = {name: views.upload_document(house, upload_id) for name, upload_id in ids.items()}
        for name, document in documents.items():
            _show(out, house, name, document)
        out.print("[bold]The person asks for erasure.[/bold]")
        copies = _copies(house, ids.values())
        erased = erase_subject(house, APP, person)
        gone = _gone(house, ids.values())
        found = [copy for copy in copies if _lies_there(house, copy)]
    out.print(f"  {len(gone)} of {len(gone) + len(found)} copies were looked for and are gone")
    for copy in gone:
        out.print(f"  [green]gone[/green]  {copy.kind.value} {copy.name}")
    out.print(f"  receipt: {erased['receipt']}", soft_wrap=True)
    clean = erased["state"] == "completed" and not found and all(d["state"] == "ready" for d in documents.values())
    if terminal.json:
        terminal.document({"uploads": list(documents.values()), "erasure": erased, "copies_found_after": len(found)})
    return DONE if clean else REFUSED


def _process(house: House, person: str, bar: Progress) -> dict[str, str]:
    new = NewUpload(
        app=APP,
        subject_key=subject_key(house.subject_secret, APP, person),
        purposes=frozenset(Purpose),
    )
    photo = house.receive.run(new, [demo_media.photo()], keep_for=KEEP_FOR_DEFAULT)
    finish(house, [photo.id], bar)
    # The clip is made inside a working copy: like all scratch it has a row and a last day.
    with house.shelf.workspace(photo) as folder:
        clip = demo_media.video(house.jail, folder)
        video = house.receive.run(new, read_chunks(clip), keep_for=KEEP_FOR_DEFAULT)
    finish(house, [video.id], bar)
    return {"a photo": photo.id, "a video": video.id}


def _show(out: Any, house: House, name: str, document: dict[str, Any]) -> None:
    out.print(f"[bold]{name}[/bold] {document.get('width')}x{document.get('height')} is {document['state']}")
    for kind in document["removed"]:
        out.print(f"  found and removed: [yellow]{kind}[/yellow]")
    for entry in document["renditions"]:
        views.print_rendition(out, entry)
    total = sum(entry["bytes"] or 0 for entry in document["renditions"])
    originals = [copy for copy in _copies(house, [document["upload_id"]]) if copy.kind.value == "original"]
    for copy in originals:
        out.print(f"  the original: {copy.state.value}; the renditions hold {human_bytes(total)}")


def _copies(house: House, ids: Iterable[str]) -> list[Artifact]:
    with house.ledger.read() as tx:
        return [copy for upload_id in ids for copy in artifacts.of_upload(tx, upload_id)]


def _gone(house: House, ids: Iterable[str]) -> list[Artifact]:
    return [copy for copy in _copies(house, ids) if copy.state is ArtifactState.GONE]


def _lies_there(house: House, copy: Artifact) -> bool:
    """Look with our own eyes, past the ledger."""
    if copy.location == house.shelf.scratch.name:
        return house.shelf.scratch.path(Key.parse(copy.key)).exists()
    path = house.shelf.path(copy)
    return path is not None and path.exists()
