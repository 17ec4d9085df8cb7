"""A database that goes away in the middle of erasures: nothing is lost, nothing is called gone that is there."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests import houses, samples, servers
from tests.promises import laws
from worker.errors import Unavailable
from worker.flows import steps
from worker.ledger import leases, outbox
from worker.ledger.clock import ShiftedClock
from worker.media.jail import Jail
from worker.model import ArtifactState, Job, Trigger, UploadState
from worker.wiring import House

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def postgres() -> Iterator[servers.Postgres]:
    with servers.postgres() as server:
        yield server


@pytest.mark.parametrize("at", steps.ERASE)
def test_a_database_that_is_away_during_an_erasure(
    postgres: servers.Postgres, jail: Jail, tmp_path: Path, at: str
) -> None:
    # Given three uploads that are to be erased
    url = servers.fresh_database(postgres.url, f"away_{at}")
    house = houses.build(tmp_path / "home", jail=jail, database_url=url)
    ids = [houses.receive(house, samples.png((16, 16))).id for _ in range(3)]
    for upload_id in ids:
        house.erasing.begin(upload_id, Trigger.USER)

    # When the database goes at a step of the first one's erasure
    def goes(job: Job, step: str) -> None:
        if job.kind == "erase" and step == at:
            postgres.stop()

    with pytest.raises(Unavailable):
        houses.work(house, observe=goes)

    # Then, back again, it calls nothing gone whose bytes are there
    postgres.start()
    sight = laws.look(house)
    lying = {key for keys in sight.bytes_at.values() for key in keys}
    assert not [copy for copy in sight.copies if copy.state is ArtifactState.GONE and copy.key in lying]

    # And once the leases of that time are over, every erasure ends, with one receipt each
    later = houses.at(house, ShiftedClock(by=timedelta(minutes=11)))
    _ring_the_dead(later)
    houses.work(later)
    sight = laws.hold_of(later)
    assert {upload.state for upload in sight.uploads.values()} == {UploadState.ERASED}
    assert houses.files_below(later.settings.home) == []
    house.ledger.close()
    later.ledger.close()


def _ring_the_dead(house: House) -> None:
    """As a relay does."""
    with house.ledger.begin() as tx:
        for row in leases.expired(tx, 100):
            outbox.put(tx, row.job_id, tx.now)
