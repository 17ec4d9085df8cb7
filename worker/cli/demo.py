"""`mayfly demo`: a photo and a video with everything in them, through to observed erasure. Nothing canned."""

from __future__ import annotations

from typing import Any

import typer

from storage_backends.keys import Key
from worker.cli import demo_media, pages, views
from worker.cli.erase import erase_subject
from worker.cli.house import opened, working
from worker.cli.process import read_chunks
from worker.cli.progress import Bars, finish
from worker.cli.terminal import DONE, REFUSED, Terminal, counted, field, near, place
from worker.ledger import artifacts
from worker.model import Artifact, NewUpload, Purpose, new_id
from worker.privacy.subject import subject_key
from worker.retention.rules import KEEP_FOR_DEFAULT
from worker.wiring import House

APP = "demo"
NAMES = ("a photo", "a video")


def demo(ctx: typer.Context) -> int:
    """Make a photo and a video that tell too much, process both, erase the person, and show that all is gone."""
    terminal: Terminal = ctx.obj
    # A fresh made-up person each run: what other runs left in this home is not touched.
    person = new_id("upl")
    with opened() as house, working(house):
        if not terminal.json:
            where = near(str(house.settings.home.absolute()))
            terminal.out.print(
                f"a made-up person uploads two files that tell too much; all of it is real work in {where}",
                markup=False,
                soft_wrap=True,
            )
        ids = _process(house, terminal, person)
        documents = [views.upload_document(house, upload_id) for upload_id in ids]
        if not terminal.json:
            for name, document in zip(NAMES, documents, strict=True):
                terminal.out.print()
                pages.upload(terminal.out, name, document, views.copies(house, document["upload_id"]))
            terminal.out.print("\n[bold]the person asks for erasure[/bold]")
        before = _rows(house, ids)
        erased = erase_subject(house, APP, person)
        copies = {name: views.copies(house, upload_id) for name, upload_id in zip(NAMES, ids, strict=True)}
        found = [copy for copy in before if _lies_there(house, copy)]
    gone = [copy for each in copies.values() for copy in each if copy["state"] == "gone"]
    everything = not found and len(gone) == sum(len(each) for each in copies.values())
    if terminal.json:
        terminal.document({"uploads": documents, "erasure": erased, "copies_found_after": len(found)})
    else:
        _show_erasure(terminal, copies, len(gone), len(found), erased)
    ready = all(document["state"] == "ready" for document in documents)
    if not ready:
        terminal.complain("the demo's own files were not published; run mayfly doctor", "demo_failed")
    if not everything or erased["state"] != "completed":
        terminal.complain("not every copy is gone; see mayfly status", "erase_failed")
    return DONE if ready and everything and erased["state"] == "completed" else REFUSED


def _process(house: House, terminal: Terminal, person: str) -> list[str]:
    new = NewUpload(app=APP, subject_key=subject_key(house.subject_secret, APP, person), purposes=frozenset(Purpose))
    with Bars(terminal, len(NAMES)) as bars:
        bars.show(1, "receiving", 0)
        photo = house.receive.run(new, [demo_media.photo()], keep_for=KEEP_FOR_DEFAULT)
        finish(house, {1: photo.id}, bars)
        bars.show(2, "filming", 0)
        # The clip is made inside a working copy of the photo: like all scratch it has a row and a last day. While the
        # photo is worked on that would not do, because its run begins by clearing what an earlier one left.
        with house.shelf.workspace(photo) as folder:
            clip = demo_media.video(house.jail, folder)
            video = house.receive.run(new, read_chunks(clip), keep_for=KEEP_FOR_DEFAULT)
        finish(house, {2: video.id}, bars)
    return [photo.id, video.id]


def _show_erasure(
    terminal: Terminal, copies: dict[str, list[dict[str, Any]]], gone: int, found: int, erased: dict[str, Any]
) -> None:
    out = terminal.out
    for name, each in copies.items():
        for copy in each:
            pages.copy(out, copy, named=f"{name.split()[-1]} ")
    out.print(
        f"  [bold]{gone} of {sum(map(len, copies.values()))} copies were looked for and are gone[/bold]", soft_wrap=True
    )
    field(out, "disk", f"searched once more, past the ledger: {counted(found, 'copy', 'copies')} found")
    field(out, "receipt", "signed; check it with: mayfly verify FILE")
    place(out, erased["receipt"])


def _rows(house: House, ids: list[str]) -> list[Artifact]:
    with house.ledger.read() as tx:
        return [copy for upload_id in ids for copy in artifacts.of_upload(tx, upload_id)]


def _lies_there(house: House, copy: Artifact) -> bool:
    """Look with our own eyes, past the ledger."""
    if copy.location == house.shelf.scratch.name:
        return house.shelf.scratch.path(Key.parse(copy.key)).exists()
    return house.shelf.lies_there(copy)
