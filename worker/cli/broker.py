"""Looks at the broker: whether it answers, and whether it keeps what it is given."""

from __future__ import annotations

from worker.errors import Unavailable
from worker.settings import Settings


def look(settings: Settings) -> str:
    """One line of what was found. Raises `Unavailable`: `broker_unreachable`, `broker_refused`, `broker_evicts`."""
    if settings.broker_url is None:
        return "none: embedded"
    import redis

    try:
        client = redis.Redis.from_url(
            settings.broker_url.get_secret_value(), socket_timeout=2, socket_connect_timeout=2
        )
        try:
            client.ping()
            memory, persistence = client.info("memory"), client.info("persistence")
        finally:
            client.close()
    except redis.AuthenticationError:
        raise Unavailable("Redis refuses the name or password in MAYFLY_BROKER_URL", code="broker_refused") from None
    except (redis.RedisError, OSError, ValueError):
        raise Unavailable("Redis does not answer; check MAYFLY_BROKER_URL", code="broker_unreachable") from None
    if memory.get("maxmemory_policy") != "noeviction":
        raise Unavailable("Redis evicts keys; set maxmemory-policy noeviction", code="broker_evicts")
    return f"Redis answers, noeviction, AOF {'on' if persistence.get('aof_enabled') else 'off (slower after a crash)'}"
