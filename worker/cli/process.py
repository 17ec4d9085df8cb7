"""`mayfly process`: files in, renditions out, in one process without any server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from worker.cli import views
from worker.cli.house import at_work, wait_until
from worker.cli.terminal import DONE, REFUSED, Terminal
from worker.errors import Refused
from worker.ledger import artifacts, uploads
from worker.model import ArtifactKind, ArtifactState, NewUpload, Purpose, Upload, UploadState
from worker.privacy.subject import subject_key
from worker.retention.rules import checked_keep_for
from worker.settings import parse_span
from worker.shelf import CHUNK
from worker.wiring import House

# Longer than any file within the default limits takes; the work goes on in the ledger if it is ever reached.
LONGEST_S = 3600.0


def process(
    ctx: typer.Context,
    files: Annotated[list[Path], typer.Argument(help="Photos and videos.", show_default=False)],
    subject: Annotated[str, typer.Option(help="Whose they are; kept only as a keyed hash.", show_default=False)],
    purpose: Annotated[list[str] | None, typer.Option(help="display, sharing; both by default.")] = None,
    app: Annotated[str, typer.Option(help="The app backend they came from.")] = "default",
    keep_for: Annotated[str | None, typer.Option(help="How long, such as 30d; 90d by default.")] = None,
    declared_type: Annotated[str | None, typer.Option("--type", help="Media type that the app declared.")] = None,
) -> int:
    """Take files through everything: jail, strip, proof, renditions, and the last day of each copy."""
    terminal: Terminal = ctx.obj
    _readable(files)
    purposes = parse_purposes(purpose)
    wish = parse_span(keep_for) if keep_for else None
    with at_work() as house:
        limits = house.settings.app(app)
        new = NewUpload(
            app=app,
            subject_key=subject_key(house.subject_secret, app, subject),
            purposes=purposes,
            keep_for=wish,
            declared_type=declared_type,
        )
        keep = checked_keep_for(wish, default=limits.keep_for, most=limits.keep_for_most)
        with progress_bar(terminal) as bar:
            ids = [house.receive.run(new, read_chunks(path), keep_for=keep).id for path in files]
            finish(house, ids, bar)
        documents = [views.upload_document(house, upload_id) for upload_id in ids]
    if terminal.json:
        terminal.document({"uploads": documents})
    else:
        for document in documents:
            views.print_upload(terminal.out, document)
    return DONE if all(document["state"] == "ready" for document in documents) else REFUSED


def parse_purposes(words: list[str] | None) -> frozenset[Purpose]:
    """The closed set, at the door (P3). Raises `Refused` (`bad_purpose`)."""
    try:
        return frozenset(Purpose(word) for word in words) if words else frozenset(Purpose)
    except ValueError:
        raise Refused("a purpose is display or sharing; nothing else", code="bad_purpose") from None


def _readable(files: list[Path]) -> None:
    """Refuse before anything is begun; a file is named by its place in the list, never by its name (P7)."""
    for place, path in enumerate(files, start=1):
        which = f"file {place} of {len(files)}"
        if path.is_dir():
            raise Refused(f"{which} is a directory; name files", code="is_a_directory")
        try:
            path.open("rb").close()
        except FileNotFoundError:
            raise Refused(f"{which} does not exist; check the path", code="file_not_found") from None
        except PermissionError:
            raise Refused(f"{which} may not be read; check its permissions", code="file_not_readable") from None
        except (OSError, ValueError):
            raise Refused(f"{which} cannot be read", code="file_not_readable") from None


def read_chunks(path: Path) -> Iterator[bytes]:
    """The bytes of a file, a mebibyte at a time."""
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            yield chunk


def progress_bar(terminal: Terminal) -> Progress:
    """A bar per upload on standard error, at a terminal only."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        console=terminal.err,
        transient=True,
        disable=not terminal.err.is_terminal,
    )


def finish(house: House, ids: list[str], bar: Progress) -> None:
    """Wait until these uploads have ended and nothing of them is left that should be gone by then."""
    rows: dict[str, TaskID] = {upload_id: bar.add_task(upload_id[:12], total=100) for upload_id in ids}

    def settled() -> bool:
        done = True
        for upload_id, row in rows.items():
            upload, copies = _look(house, upload_id)
            ended = upload.state in views.ENDED
            percent = upload.facts.get("percent", 0)
            bar.update(row, completed=100 if ended else percent if isinstance(percent, int) else 0)
            done = done and ended and not copies
        return done

    wait_until(settled, seconds=LONGEST_S)


def _look(house: House, upload_id: str) -> tuple[Upload, int]:
    """The upload, and how many copies of it still have to go before it is settled: the original of one that is ready,
    and every working copy."""
    with house.ledger.read() as tx:
        upload = uploads.get(tx, upload_id)
        live = artifacts.of_upload(
            tx, upload_id, states=[ArtifactState.PLANNED, ArtifactState.PRESENT, ArtifactState.ERASING]
        )
    going = {ArtifactKind.SCRATCH}
    if upload.state is UploadState.READY:
        going.add(ArtifactKind.ORIGINAL)
    return upload, sum(copy.kind in going for copy in live)
