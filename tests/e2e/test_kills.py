"""Workers are killed at every named step; whatever they had in hand ends where it should, once, and leaves nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from tests import servers
from tests.e2e.fleet import Fleet
from tests.e2e.victims import (
    Victims,
    attempts,
    ended,
    job_state,
    let_claims_run_out,
    published_once,
    receive,
    scratch,
    strays,
)
from worker.flows import steps
from worker.ledger import receipts
from worker.model import ArtifactState, Trigger, UploadState, WorkClass, new_id

pytestmark = pytest.mark.slow


def test_a_worker_killed_at_every_step_of_processing(small_fleet: Fleet) -> None:
    # Given an upload for each step, at which the whole worker that has it is killed once
    fleet, victims = small_fleet, Victims(small_fleet)
    ids = {step: receive(fleet) for step in steps.PROCESS}
    for step, upload_id in ids.items():
        victims.doom("process", upload_id, step=step, deed="kill_group")
    # When two workers take them, and are started again each time they die
    fleet.relay()
    fleet.worker(WorkClass.LIFECYCLE)
    victims.begin("image-1", WorkClass.IMAGE)
    victims.begin("image-2", WorkClass.IMAGE)
    fleet.until(lambda: ended(fleet, list(ids.values())), what="all ready")
    fleet.until(lambda: all(job_state(fleet, "process", i) == "done" for i in ids.values()), what="all jobs done")

    # Then every step had its death, and every upload was published once
    assert victims.deaths() == len(steps.PROCESS)
    assert victims.starts() == 2 + len(steps.PROCESS)
    for upload_id in ids.values():
        published_once(fleet, upload_id)
        assert attempts(fleet, "process", upload_id) == 2
    # And nothing lies anywhere without a row, nor anything of the work in between
    fleet.until(lambda: len(fleet.files()) == 3 * len(ids), what="three files an upload", within=15)
    assert not strays(fleet)
    assert not scratch(fleet)
    assert not fleet.dead()


def test_a_worker_killed_at_every_step_of_an_erasure(small_fleet: Fleet) -> None:
    # Given an upload for each step of its erasure, at which the whole worker is killed once
    fleet, victims = small_fleet, Victims(small_fleet)
    ids = {step: receive(fleet) for step in steps.ERASE}
    for step, upload_id in ids.items():
        victims.doom("erase", upload_id, step=step, deed="kill_group")
        fleet.house.erasing.begin(upload_id, Trigger.USER)
    # When a worker erases them, and is started again each time it dies
    fleet.relay()
    victims.begin("lifecycle", WorkClass.LIFECYCLE, concurrency=2)

    def all_erased() -> bool:
        let_claims_run_out(fleet)
        return ended(fleet, list(ids.values()), UploadState.ERASED)

    fleet.until(all_erased, what="all erased")

    # Then every step had its death, each upload one receipt, and no file is left
    assert victims.deaths() == len(steps.ERASE)
    for upload_id in ids.values():
        assert {copy.state for copy in fleet.copies(upload_id)} == {ArtifactState.GONE}
        moves = [e for e in fleet.story(upload_id) if e.target == "erased"]
        assert len(moves) == 1
        with fleet.house.ledger.read() as tx:
            assert receipts.of_upload(tx, upload_id) is not None
    assert not fleet.files()
    assert not fleet.dead()


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory, fresh_database: Callable[[], str]) -> Iterator[Victims]:
    """Leases of the usual 30 s: what is quick here was told at once, and did not run out."""
    with servers.redis_server() as broker:
        made = Victims(Fleet.of(tmp_path_factory.mktemp("patient"), broker=broker, database=fresh_database()))
        try:
            made.fleet.relay()
            made.fleet.worker(WorkClass.LIFECYCLE, concurrency=2)
            made.begin("image", WorkClass.IMAGE, concurrency=3)
            yield made
        finally:
            made.fleet.close()


def test_deaths_in_a_worker_that_lives_on(patient: Victims) -> None:
    # Given uploads in whose middle a process dies, memory ends or somebody calls exit; one that kills every process
    # that takes it; and an innocent one
    fleet = patient.fleet
    once = {deed: doomed(patient, step="proven", deed=deed) for deed in ("kill_child", "no_memory", "leave")}
    poison = doomed(patient, step="workspace", deed="kill_child", times=99)
    innocent = receive(fleet)

    # When the worker takes them, Then all but the poison are ready, long before a lease of the dead would run out
    began = time.monotonic()
    fleet.until_ended([*once.values(), poison, innocent])
    assert time.monotonic() - began < 28, "a death was not told at once"
    for upload_id in once.values():
        published_once(fleet, upload_id)
        assert attempts(fleet, "process", upload_id) == 2
    published_once(fleet, innocent)
    # And the poison ended after exactly three attempts, as a dead letter
    assert fleet.upload(poison).state is UploadState.FAILED
    fleet.until(lambda: job_state(fleet, "process", poison) == "dead", what="a dead letter", within=10)
    assert attempts(fleet, "process", poison) == 3
    assert [letter.code for letter in fleet.dead()] == ["crashed"]
    # And the worker is the same one, and nothing of the work is left
    assert patient.starts() == 1
    fleet.checked(fleet.parts["image"])
    fleet.until(lambda: not scratch(fleet), what="scratch gone", within=15)
    assert not strays(fleet)


def doomed(victims: Victims, *, step: str, deed: str, times: int = 1) -> str:
    """An upload whose fate is settled before any worker can see it."""
    upload_id = new_id("upl")
    victims.doom("process", upload_id, step=step, deed=deed, times=times)
    return receive(victims.fleet, upload_id=upload_id)
