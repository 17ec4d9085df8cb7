"""The same tasks in one process: memory broker, threads, relay thread; and a second life that picks up the first's."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tasks.embedded import Embedded
from tests import clips, houses, samples
from tests.servers import until
from worker.errors import Defect
from worker.model import Job, Trigger, UploadState
from worker.wiring import House

pytestmark = pytest.mark.slow


def ended(house: House, upload_id: str) -> bool:
    return houses.upload_of(house, upload_id).state in (UploadState.READY, UploadState.FAILED, UploadState.ERASED)


def settled(house: House, upload_id: str) -> bool:
    return ended(house, upload_id) and len(houses.files_below(house.settings.home)) == 3


def test_uploads_flow_through_by_themselves(house: House, tmp_path: Path) -> None:
    embedded = Embedded(house)
    embedded.start()
    try:
        # When a picture and a clip come in
        picture = houses.receive(house, samples.photo())
        embedded.ring()
        until(lambda: settled(house, picture.id), what="the picture")
        clip = houses.receive(house, clips.mp4(tmp_path, seconds=1).read_bytes())
        embedded.ring()
        until(lambda: ended(house, clip.id), what="the clip")

        # Then both are ready, and an erasure flows through the same way
        assert houses.upload_of(house, clip.id).state is UploadState.READY
        house.erasing.begin(picture.id, Trigger.USER)
        until(lambda: houses.upload_of(house, picture.id).state is UploadState.ERASED, what="the erasure")
    finally:
        embedded.stop()


def test_one_runs_in_a_process_and_can_be_started_again_after_its_end(house: House) -> None:
    first, second = Embedded(house), Embedded(house)
    first.start()
    try:
        with pytest.raises(Defect):
            second.start()
    finally:
        first.stop()
    upload = houses.receive(house, samples.png())
    second.start()
    until(lambda: settled(house, upload.id), what="the picture")
    second.stop()


def test_a_stop_in_the_middle_gives_the_job_back_and_the_next_life_ends_it(house: House, tmp_path: Path) -> None:
    # Given a clip that is being encoded
    upload = houses.receive(house, clips.mp4(tmp_path, seconds=6, size="640x360").read_bytes())
    working = threading.Event()

    def watch(_job: Job, step: str) -> None:
        if step == "fetched":
            working.set()

    first = Embedded(house, observer=watch)
    first.start()
    assert working.wait(20)

    # When it is stopped, Then the job is ready again and no attempt is counted
    first.stop()
    with house.ledger.read() as tx:
        row = tx.conn.exec_driver_sql("SELECT state, attempts FROM leases WHERE kind = 'process'").one()
    assert (row.state, row.attempts) == ("ready", 0)

    # And the next life ends it
    second = Embedded(house)
    second.start()
    until(lambda: settled(house, upload.id), within=90, what="the clip")
    second.stop()
    assert houses.upload_of(house, upload.id).state is UploadState.READY
