"""Two hosts with one ledger and one place for media, each with a scratch of its own that the other cannot see."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from storage_backends.keys import Key
from tasks.broom import Broom
from tests import houses, samples
from tests.servers import until
from worker.ledger import leases, states
from worker.ledger.clock import ShiftedClock
from worker.media.jail import Jail
from worker.model import ArtifactKind, ArtifactState, Trigger, UploadState
from worker.wiring import House


@pytest.fixture
def hosts(tmp_path: Path, jail: Jail) -> tuple[House, House]:
    shared = {"database_url": f"sqlite:///{tmp_path}/ledger.db", "media": tmp_path / "media"}
    one, two = (
        houses.build(tmp_path / name, jail=jail, scratch=tmp_path / f"scratch-{name}", **shared)
        for name in ("one", "two")
    )
    assert one.shelf.scratch.name != two.shelf.scratch.name
    return one, two


def died_at_work(house: House, upload_id: str) -> Path:
    """What a run leaves behind when its host loses power: rows, a lease, and a working copy."""
    with house.ledger.begin() as tx:
        upload = states.move_upload(tx, upload_id, to=UploadState.PROCESSING, actor="process")
    work = house.shelf.plan(upload, ArtifactKind.SCRATCH, "work")
    room = house.shelf.scratch.make(Key.parse(work.key))
    (room / "original").write_bytes(samples.photo())
    return room


def test_another_host_goes_on_and_the_first_sweeps_what_it_left(hosts: tuple[House, House]) -> None:
    one, two = hosts
    upload = houses.receive(one, samples.png())
    left = died_at_work(one, upload.id)

    # When the second host takes over, Then it ends the upload, and cannot touch the other's scratch
    houses.work(two)
    assert houses.upload_of(two, upload.id).state is UploadState.READY
    assert left.exists()

    # And when the first host lives again and its hour is over, the working copy goes
    later = ShiftedClock(by=timedelta(hours=1, minutes=1))
    houses.sweep(houses.at(two, later))
    assert left.exists()
    broom = Broom(houses.at(one, later), every_s=0.05)
    broom.start()
    until(lambda: not left.exists(), within=10, what="the sweep of scratch")
    broom.stop()


def test_an_erasure_is_not_called_complete_before_the_other_host_has_looked(hosts: tuple[House, House]) -> None:
    one, two = hosts
    upload = houses.receive(one, samples.png())
    left = died_at_work(one, upload.id)
    with one.ledger.begin() as tx:
        leases.cancel(tx, "process", upload.id)

    # When the second host erases the upload, Then it waits for the copy that it cannot see
    two.erasing.begin(upload.id, Trigger.USER)
    houses.work(two, rounds=3)
    assert houses.upload_of(two, upload.id).state is UploadState.ERASING
    assert left.exists()

    # And with the first host's next sweep it ends, long before the hour of a working copy is over
    one.sweep_scratch(houses.FreeGuard())
    houses.work(two)
    assert houses.upload_of(two, upload.id).state is UploadState.ERASED
    assert {copy.state for copy in houses.copies_of(two, upload.id)} == {ArtifactState.GONE}
    assert not left.exists()
