"""The broker is only a doorbell: flushed, killed or doubly rung, it costs time and nothing else."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.broker import Broker
from tests.e2e.fleet import Fleet
from tests.e2e.victims import attempts, published_once, receive, strays
from worker.model import UploadState, WorkClass

pytestmark = [pytest.mark.slow, pytest.mark.wide]

MANY = 24


def test_flushed_and_killed_in_mid_flight(tmp_path: Path, fresh_database: Callable[[], str]) -> None:
    with Broker.running(tmp_path) as broker:
        fleet = Fleet.of(tmp_path, broker=broker.url, database=fresh_database())
        try:
            flushed_and_killed(fleet, broker)
        finally:
            fleet.close()


def flushed_and_killed(fleet: Fleet, broker: Broker) -> None:
    # Given many uploads, and two relays that ring for them at once
    ids = [receive(fleet) for _ in range(MANY)]
    relays = [fleet.relay(name="relay-1"), fleet.relay(name="relay-2")]
    workers = [fleet.worker(WorkClass.IMAGE, concurrency=2), fleet.worker(WorkClass.LIFECYCLE)]

    # When everything queued is flushed, and later the broker itself is killed and comes back empty
    fleet.until(lambda: ready(fleet, ids) >= 3, what="the first")
    assert ready(fleet, ids) < MANY // 2
    broker.flush()
    fleet.until(lambda: ready(fleet, ids) >= MANY // 2, what="half of all")
    broker.end(signal.SIGKILL)
    broker.start()

    # Then all are ready, each in one attempt and published once, although every bell was rung more than once
    fleet.until_ended(ids, UploadState.READY)
    for upload_id in ids:
        published_once(fleet, upload_id)
        assert attempts(fleet, "process", upload_id) == 1
    fleet.until(lambda: len(fleet.files()) == 3 * MANY, what="the originals gone", within=20)
    assert not strays(fleet)
    assert not fleet.dead()
    # And nobody ended because of it
    for part in (*relays, *workers):
        fleet.checked(part)
    assert set(fleet.stop().values()) == {0}


def ready(fleet: Fleet, ids: list[str]) -> int:
    return sum(fleet.upload(upload_id).state is UploadState.READY for upload_id in ids)
