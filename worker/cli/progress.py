"""Bars on standard error while files are taken in and worked on; nothing where nobody looks."""

from __future__ import annotations

from collections.abc import Mapping

from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from worker.cli.house import wait_until
from worker.cli.terminal import NARROW, Terminal
from worker.cli.views import ENDED
from worker.ledger import artifacts, uploads
from worker.model import ArtifactKind, ArtifactState, Upload, UploadState
from worker.wiring import House

# Longer than any file within the default limits takes; the work goes on in the ledger if it is ever reached.
LONGEST_S = 3600.0
# More bars than this would scroll; then one bar counts the files.
_MOST_BARS = 8
_LIVE = (ArtifactState.PLANNED, ArtifactState.PRESENT, ArtifactState.ERASING)


class Bars:
    """A bar a file, or one for all of them; a context manager around the whole work."""

    def __init__(self, terminal: Terminal, files: int) -> None:
        self._files = files
        self._bar = Progress(
            SpinnerColumn("line"),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=10 if terminal.err.width < NARROW else 30),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            console=terminal.err,
            transient=True,
            disable=not terminal.err.is_terminal,
        )
        self._rows: dict[int, TaskID] = {}
        self._ended: set[int] = set()

    def __enter__(self) -> Bars:
        self._bar.__enter__()
        if self._files > _MOST_BARS:
            self._all = self._bar.add_task(f"{self._files} files", total=self._files)
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def show(self, number: int, step: str, percent: int) -> None:
        """File `number` (from 1) has come so far."""
        if percent >= 100:
            self._ended.add(number)
        if self._files > _MOST_BARS:
            self._bar.update(self._all, completed=len(self._ended))
            return
        said = f"file {number}/{self._files}" if self._files > 1 else "file"
        said = f"{said} {step:<11}"
        if number not in self._rows:
            self._rows[number] = self._bar.add_task(said, total=100)
        self._bar.update(self._rows[number], description=said, completed=percent)


def finish(house: House, ids: Mapping[int, str], bars: Bars) -> None:
    """Wait until these uploads, by the number of their file, have ended and nothing of them is left that should be
    gone by then."""
    waiting = dict(ids)

    def settled() -> bool:
        for number, upload_id in list(waiting.items()):
            upload, left = _look(house, upload_id)
            ended = upload.state in ENDED and not left
            bars.show(number, upload.state.value, 100 if ended else _percent(upload))
            if ended:
                del waiting[number]
        return not waiting

    wait_until(settled, seconds=LONGEST_S)


def _percent(upload: Upload) -> int:
    percent = upload.facts.get("progress", 0)
    return min(percent, 99) if isinstance(percent, int) else 0


def _look(house: House, upload_id: str) -> tuple[Upload, int]:
    """The upload, and how many copies of it still have to go before it is settled: the original of one that is ready,
    and every working copy."""
    with house.ledger.read() as tx:
        upload = uploads.get(tx, upload_id)
        live = artifacts.of_upload(tx, upload_id, states=_LIVE)
    going = {ArtifactKind.SCRATCH}
    if upload.state is UploadState.READY:
        going.add(ArtifactKind.ORIGINAL)
    return upload, sum(copy.kind in going for copy in live)
