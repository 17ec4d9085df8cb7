"""The relay: rings what is due, what was lost and what the dead held; a broker or a ledger that is away costs time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from celery import Celery
from kombu.transport.memory import Channel

from tasks.app import make_app
from tasks.relay import Relay, Round
from tasks.schedule import DUTIES
from tests import houses, samples
from tests.servers import free_port, until
from worker.ledger import leases, outbox
from worker.ledger.clock import ShiftedClock
from worker.model import UploadState, WorkClass
from worker.settings import Settings
from worker.wiring import House

SECOND = timedelta(seconds=1)


@pytest.fixture
def broker(house: House) -> Iterator[Celery]:
    """A publisher to a broker in this process."""
    Channel.queues.clear()
    yield make_app(house.settings)
    Channel.queues.clear()


def queued() -> dict[str, int]:
    return {name: queue.qsize() for name, queue in Channel.queues.items() if queue.qsize()}


def test_a_round_rings_what_is_due_and_keeps_the_duties(house: House, broker: Celery) -> None:
    houses.receive(house, samples.png())

    did = Relay(house, broker).round()

    assert did.rung == 1 + len(DUTIES)
    assert queued() == {"image": 1, "lifecycle": len(DUTIES)}
    with house.ledger.read() as tx:
        assert outbox.waiting(tx)[WorkClass.IMAGE] == 1


def test_a_message_carries_a_row_and_a_fence_and_nothing_else(house: House, broker: Celery) -> None:
    upload = houses.receive(house, samples.png())
    Relay(house, broker, duties=()).round()

    message = Channel.queues["image"].get_nowait()

    assert upload.id not in str(message)
    assert houses.ANNA not in str(message)
    assert message["headers"]["argsrepr"] == "(…)"
    assert message["headers"]["task"] == "mayfly.job.process"


def test_two_relays_ring_each_bell_once(house: House, broker: Celery) -> None:
    for _ in range(5):
        houses.receive(house, samples.png((16, 16)))
    one, two = Relay(house, broker, duties=()), Relay(house, broker, duties=())

    assert one.round().rung + two.round().rung == 5
    assert queued() == {"image": 5}


def test_a_broker_that_is_away_loses_nothing(house: House, broker: Celery) -> None:
    # Given a broker where nobody listens
    houses.receive(house, samples.png())
    away = Settings.model_validate({"home": house.settings.home, "broker_url": f"redis://127.0.0.1:{free_port()}/0"})
    relay = Relay(house, make_app(away), duties=())

    # When the relay rings, Then it says so, does not raise, and is quiet for a while
    assert relay.round().rung == 0
    assert relay.round().rung == 0

    # And a broker that answers gets the bell at once
    assert Relay(house, broker, duties=()).round().rung == 1
    relay.close()


def test_what_a_dead_worker_held_is_rung_again_with_the_fence_it_had(house: House, broker: Celery) -> None:
    upload = houses.receive(house, samples.png())
    with house.ledger.begin() as tx:
        (bell,) = [bell for bell in outbox.take(tx, limit=10) if bell.kind == "process"]
        held = leases.claim(tx, bell.job_id, bell.fence, "a worker that dies")
    assert held is not None

    later = houses.at(house, ShiftedClock(by=leases.LEASE + SECOND))
    did = Relay(later, broker, duties=()).round()

    assert (did.revived, did.buried) == (1, 0)
    with later.ledger.begin() as tx:
        again = leases.claim(tx, held.id, held.fence, "another")
    assert again is not None
    assert (again.fence, again.attempts) == (held.fence + 1, 2)
    assert houses.upload_of(house, upload.id).state is UploadState.QUARANTINED


def test_a_job_that_killed_three_workers_is_set_aside_and_its_upload_has_failed(house: House, broker: Celery) -> None:
    upload = houses.receive(house, samples.png())
    with house.ledger.begin() as tx:
        (bell,) = [bell for bell in outbox.take(tx, limit=10) if bell.kind == "process"]
    fence, by = bell.fence, timedelta(0)
    for _ in range(3):
        dying = houses.at(house, ShiftedClock(by=by))
        with dying.ledger.begin() as tx:
            held = leases.claim(tx, bell.job_id, fence, "a worker that dies")
        assert held is not None
        fence, by = held.fence, by + leases.LEASE + SECOND

    did = Relay(houses.at(house, ShiftedClock(by=by)), broker, duties=()).round()

    assert (did.revived, did.buried) == (0, 1)
    assert (houses.upload_of(house, upload.id).state, houses.upload_of(house, upload.id).code) == (
        UploadState.FAILED,
        "crashed",
    )
    with house.ledger.read() as tx:
        (letter,) = leases.dead(tx)
    assert (letter.target, letter.attempts) == (upload.id, 3)


def test_a_queue_that_was_flushed_is_rung_again(house: House, broker: Celery) -> None:
    # Given twenty rung jobs whose messages were lost
    for _ in range(20):
        houses.receive(house, samples.png((16, 16)))
    relay = Relay(house, broker, duties=(), lost_after_s=0.2)
    assert relay.round().rung == 20
    assert relay.round() == Round()
    Channel.queues["image"].queue.clear()

    # When the relay has seen that for a while, Then all of them ring again
    rounds: list[Round] = []
    until(lambda: rounds.append(relay.round()) or rounds[-1].lost > 0, within=5, what="the loss")  # type: ignore[func-returns-value]
    assert rounds[-1].rung == 20
    assert queued() == {"image": 20}


def test_duties_are_not_doubled_and_never_later_than_their_interval(house: House, broker: Celery) -> None:
    for _ in range(3):
        Relay(house, broker).round()

    with house.ledger.read() as tx:
        rows = tx.conn.exec_driver_sql("SELECT kind, not_before FROM leases WHERE every IS NOT NULL").all()
    assert [row.kind for row in rows] == [duty.kind for duty in DUTIES]
