"""A backlog in a real Redis is no loss: what waits in its queue is not rung again, and what was flushed is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tasks.app import make_app
from tasks.relay import Relay
from tests import houses, samples
from worker.model import WorkClass

pytestmark = pytest.mark.slow

QUEUE = f"mayfly:{WorkClass.IMAGE}"


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as made:
        made.flushall()
        yield made


def test_a_backlog_is_told_from_a_loss(tmp_path: Path, redis_url: str, client: redis.Redis) -> None:
    # Given pictures that were rung for, and nobody who takes them
    house = houses.build(tmp_path, broker_url=redis_url)
    relay = Relay(house, make_app(house.settings))
    try:
        for _ in range(3):
            houses.receive(house, samples.png())
        relay.ring()
        assert client.llen(QUEUE) == 3
        # When the relay looks into the queue, Then it sees what waits there, and no loss
        assert relay._length(WorkClass.IMAGE) == 3
        # When the queue is flushed, Then it sees that nothing is there
        client.flushall()
        assert relay._length(WorkClass.IMAGE) == 0
    finally:
        relay.close()
        house.close()
