"""P1: at no moment does a byte of user media lie anywhere without a committed row that names it and its last day."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from storage_backends.keys import Key
from tests import clips, houses, samples
from worker.errors import Defect
from worker.ledger import artifacts
from worker.model import Artifact, ArtifactKind, ArtifactState, Job, Trigger
from worker.wiring import House

Make = Callable[[Path], bytes]
FILES: dict[str, Make] = {
    "picture": lambda _folder: samples.photo(),
    "animation": lambda _folder: samples.animated_gif(),
    "clip": lambda folder: clips.mp4(folder, seconds=1).read_bytes(),
    "broken": lambda _folder: samples.photo()[:9_000],
}


def place(house: House, copy: Artifact) -> Path | None:
    if copy.location == house.shelf.scratch.name:
        return house.shelf.scratch.path(Key.parse(copy.key))
    return house.shelf.path(copy)


def without_a_row(house: House, upload_id: str) -> list[Path]:
    """Files that no living row with a last day names."""
    named = [
        place(house, copy)
        for copy in houses.copies_of(house, upload_id)
        if copy.state is not ArtifactState.GONE and copy.delete_at > copy.created_at
    ]
    return [
        path
        for path in houses.files_below(house.settings.home)
        if not any(owner is not None and (owner == path or owner in path.parents) for owner in named)
    ]


@pytest.mark.parametrize("make", FILES.values(), ids=FILES)
def test_at_every_step_every_file_has_its_row(house: House, tmp_path: Path, make: Make) -> None:
    upload = houses.receive(house, make(tmp_path))
    steps: list[str] = []
    stray: dict[str, list[Path]] = {}

    def look(_job: Job, step: str) -> None:
        steps.append(step)
        if found := without_a_row(house, upload.id):
            stray[step] = found

    # When it goes its whole way, to its erasure
    houses.work(house, observe=look)
    house.erasing.begin(upload.id, Trigger.USER)
    houses.work(house, observe=look)

    # Then no step ever saw a file without a row, and at the end there is none
    assert len(steps) > 8
    assert stray == {}
    assert houses.files_below(house.settings.home) == []


def test_a_copy_that_has_no_planned_row_is_not_written(house: House) -> None:
    upload = houses.receive(house, samples.png())
    (present,) = houses.copies_of(house, upload.id)
    before = houses.files_below(house.settings.home)

    with pytest.raises(Exception, match="no longer planned"):
        house.shelf.quarantine(present, [b"again"], most_bytes=10)

    assert houses.files_below(house.settings.home) == before


def test_a_kind_without_a_retention_rule_cannot_be_planned(house: House) -> None:
    upload = houses.receive(house, samples.png())
    with pytest.raises(LookupError, match="no retention rule"):
        house.shelf.plan(upload, ArtifactKind.EXPORT, "package")


def test_the_database_itself_refuses_a_copy_without_a_last_day(house: House) -> None:
    upload = houses.receive(house, samples.png())
    with pytest.raises(Defect), house.ledger.begin() as tx:
        artifacts.plan(
            tx,
            upload_id=upload.id,
            kind=ArtifactKind.RENDITION,
            name="display",
            location="media",
            retention_class="rendition",
            rule="r",
            delete_at=upload.created_at.replace(year=1970),
            actor="test",
        )
