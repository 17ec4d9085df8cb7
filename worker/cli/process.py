"""`mayfly process`: files in, renditions out, in one process without any server."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from worker.cli import pages, views
from worker.cli.house import opened, working
from worker.cli.progress import Bars, finish
from worker.cli.terminal import DONE, REFUSED, Terminal, counted
from worker.errors import MayflyError, Refused, Unavailable
from worker.model import NewUpload, Purpose
from worker.privacy.subject import subject_key
from worker.retention.rules import checked_keep_for
from worker.settings import parse_span
from worker.streams import CHUNK
from worker.wiring import House


def process(
    ctx: typer.Context,
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Photos and videos.", show_default=False, readable=False)
    ],
    subject: Annotated[
        str, typer.Option(metavar="ID", help="Whose they are; kept only as a keyed hash.", show_default=False)
    ],
    purpose: Annotated[
        list[str] | None, typer.Option(metavar="PURPOSE", help="display, sharing; both by default.")
    ] = None,
    app: Annotated[str, typer.Option(metavar="NAME", help="The app backend they came from.")] = "default",
    keep_for: Annotated[str | None, typer.Option(metavar="SPAN", help="How long, such as 30d; 90d by default.")] = None,
    declared_type: Annotated[
        str | None, typer.Option("--type", metavar="TYPE", help="Media type that the app declared.")
    ] = None,
) -> int:
    """Take files through everything: jail, strip, proof, renditions, and the last day of each copy."""
    terminal: Terminal = ctx.obj
    _readable(files)
    purposes = parse_purposes(purpose)
    wish = parse_span(keep_for) if keep_for is not None else None
    with opened() as house:
        limits = house.settings.app(app)
        keep = checked_keep_for(wish, default=limits.keep_for, most=limits.keep_for_most)
        new = NewUpload(
            app=app,
            subject_key=subject_key(house.subject_secret, app, subject),
            purposes=purposes,
            keep_for=keep,
            declared_type=declared_type,
        )
        with working(house):
            ids, broke = _take(house, terminal, files, new)
            documents = [views.upload_document(house, upload_id) for upload_id in ids]
        _print(terminal, house, documents, len(files), broke)
    return DONE if broke is None and all(_went_well(document) for document in documents) else REFUSED


def _take(house: House, terminal: Terminal, files: list[Path], new: NewUpload) -> tuple[list[str], MayflyError | None]:
    """Files in, one after the other, while those before are worked on. An error ends the taking in, not the work: what
    came in before it is finished and reported."""
    ids: list[str] = []
    broke: MayflyError | None = None
    assert new.keep_for is not None
    with Bars(terminal, len(files)) as bars:
        for number, path in enumerate(files, start=1):
            bars.show(number, "receiving", 0)
            try:
                ids.append(house.receive.run(new, read_chunks(path), keep_for=new.keep_for).id)
            except MayflyError as error:
                broke = error
                break
        finish(house, dict(enumerate(ids, start=1)), bars)
    return ids, broke


def _print(
    terminal: Terminal, house: House, documents: list[dict[str, Any]], files: int, broke: MayflyError | None
) -> None:
    """The result on standard output, and for every file that did not go well its one line on standard error."""
    if terminal.json:
        error = {"error": {"code": broke.code, "message": str(broke)}} if broke else {}
        terminal.document({"uploads": documents, **error})
    else:
        for number, document in enumerate(documents, start=1):
            copies = views.copies(house, document["upload_id"])
            if number > 1:
                terminal.out.print()
            heading = f"file {number} of {files}" if files > 1 else "upload"
            pages.upload(terminal.out, heading, document, copies)
    for number, document in enumerate(documents, start=1):
        if not _went_well(document):
            code = str(document.get("code") or document["state"])
            terminal.complain(_of_file(number, files) + views.message_of(code), code)
    if broke is not None:
        left = files - len(documents) - 1
        rest = f"; {counted(left, 'file')} after it not begun" if left else ""
        terminal.complain(f"{_of_file(len(documents) + 1, files)}{broke}{rest}", broke.code)


def _of_file(number: int, files: int) -> str:
    """A file is named by its place in the list, never by its name (P7)."""
    return f"file {number} of {files}: " if files > 1 else ""


def _went_well(document: dict[str, Any]) -> bool:
    return document["state"] in ("ready", "review")


def parse_purposes(words: list[str] | None) -> frozenset[Purpose]:
    """The closed set, at the door (P3). Raises `Refused` (`bad_purpose`)."""
    try:
        return frozenset(Purpose(word) for word in words) if words else frozenset(Purpose)
    except ValueError:
        raise Refused("a purpose is display or sharing; nothing else", code="bad_purpose") from None


def _readable(files: list[Path]) -> None:
    """Refuse before anything is begun. Looks without opening: opening a pipe would wait, or take from it."""
    for number, path in enumerate(files, start=1):
        which = _of_file(number, len(files))
        try:
            mode = path.stat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            raise Refused(f"{which}there is no such file; check the path", code="file_not_found") from None
        except (OSError, ValueError):
            raise Refused(f"{which}it cannot be read; check the path", code="file_not_readable") from None
        if stat.S_ISDIR(mode):
            raise Refused(f"{which}it is a directory; name files", code="is_a_directory")
        if not os.access(path, os.R_OK):
            raise Refused(f"{which}it may not be read; check its permissions", code="file_not_readable")


def read_chunks(path: Path) -> Iterator[bytes]:
    """The bytes of a file, a mebibyte at a time. Raises `Unavailable` (`file_not_readable`), without its name."""
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(CHUNK):
                yield chunk
    except OSError:
        raise Unavailable("it could not be read to its end; check it and try again", code="file_not_readable") from None
