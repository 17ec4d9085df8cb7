"""Nothing of a person or a file gets into the broker or the logs, whatever becomes of the upload (P7)."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
import redis

from tests import samples
from tests.e2e.fleet import Fleet
from tests.e2e.sender import Backend, broker_url, plain
from tests.e2e.victims import published_once
from tests.houses import new_upload
from worker.model import UploadState
from worker.privacy.subject import subject_key

pytestmark = pytest.mark.slow

WORD = "canary-8f31c"
SUBJECT = f"{WORD}@subject.example"
NAME = f"{WORD}/häßlich name.jpg"


def spellings(word: str) -> set[bytes]:
    """Plain, hex, URL-encoded, and base64 at each of its three offsets, without the ends that neighbours decide."""
    raw = word.encode()
    found = {raw, raw.hex().encode(), quote(word, safe="").encode(), raw[::-1]}
    for offset in range(3):
        whole = base64.b64encode(b"\0" * offset + raw)
        begin, spare = (offset * 8 + 5) // 6, 4 if (offset + len(raw)) % 3 else 0
        found.add(whole[begin : len(whole) - spare])
    return found


FORBIDDEN = spellings(WORD)


@contextmanager
def overheard(url: str) -> Iterator[list[str]]:
    """Every command that Redis is given meanwhile."""
    said: list[str] = []
    end = f"ECHO {threading.get_ident()}"
    with redis.Redis.from_url(url) as client, client.monitor() as monitor:

        def listen() -> None:
            for command in monitor.listen():
                said.append(command["command"])
                if command["command"] == end:
                    return

        thread = threading.Thread(target=listen)
        thread.start()
        try:
            yield said
        finally:
            with redis.Redis.from_url(url) as other:
                other.execute_command(*end.split())
            thread.join(10)


def test_the_spellings_are_found_wherever_they_begin() -> None:
    # Given a text that holds the word somewhere, When it is encoded, Then one of the spellings is in it
    for lead in ("", "x", "xy", "xyz", '{"name": "'):
        assert any(word in base64.b64encode(f"{lead}{WORD}-tail".encode()) for word in FORBIDDEN)


def test_nothing_of_person_or_file_reaches_broker_or_log(fleet: Fleet) -> None:
    # Given a fleet at log level debug, and a broker that is listened to
    assert fleet.environment["MAYFLY_LOG_LEVEL"] == "debug"
    url = broker_url(fleet)
    key = subject_key(fleet.house.subject_secret, "shop", SUBJECT)
    with overheard(url) as said:
        # When pictures full of the word are published, rejected and damaged, and their person is erased
        good = take_in(fleet, key, samples.photo((160, 120), canary=WORD))
        damaged = take_in(fleet, key, samples.photo((160, 120), canary=WORD)[:2000])
        text = take_in(fleet, key, NAME.encode() * 50)
        fleet.until_ended([good, damaged, text])
        published_once(fleet, good)
        assert fleet.upload(text).state is UploadState.REJECTED
        with Backend.of(fleet) as backend:
            backend.send("mayfly.erase_subject", app="shop", subject_key=key)
            fleet.until_ended([good, damaged, text], UploadState.ERASED)

    # Then no command that the broker was given holds it, while there were enough of them
    assert sum(command.startswith("LPUSH mayfly:") for command in said) >= 4
    nowhere("\n".join(said).encode())
    nowhere(dump_of(url).read_bytes())
    nowhere(fleet.all_said().encode())


def test_what_others_put_into_the_broker_does_not_stay(fleet: Fleet) -> None:
    # Given messages of a backend that hold what they must not
    letters = len(fleet.dead())
    with Backend.of(fleet) as backend:
        backend.push(plain("mayfly.submit", file_name=NAME, subject=SUBJECT))
        backend.push(plain("mayfly.erase_subject", app="shop", subject_key=SUBJECT))
        backend.push(plain(f"{WORD}.task", name=NAME))
        backend.send("mayfly.renew", NAME, SUBJECT)
        # When each was refused
        fleet.until(lambda: len(fleet.dead()) == letters + 4, what="four letters")
        keys = ("mayfly:control", "mayfly:unacked.control")
        fleet.until(lambda: not any(backend.broker.exists(key) for key in keys), what="an empty queue", within=10)
    # Then neither the broker, nor a log, nor a letter holds any of it
    nowhere(dump_of(broker_url(fleet)).read_bytes())
    nowhere(fleet.all_said().encode())
    nowhere(repr(fleet.dead()).encode())


def take_in(fleet: Fleet, key: str, body: bytes) -> str:
    return fleet.house.receive.run(new_upload(subject_key=key), [body], keep_for=timedelta(days=9)).id


def dump_of(url: str) -> Path:
    """All that the broker holds just now, as it would lie in a backup; not compressed, so that it can be searched."""
    with redis.Redis.from_url(url) as client:
        client.config_set("rdbcompression", "no")
        client.save()
        return Path(client.config_get("dir")["dir"]) / client.config_get("dbfilename")["dbfilename"]


def nowhere(haystack: bytes) -> None:
    assert haystack
    found = [word for word in FORBIDDEN if word in haystack]
    assert not found, haystack[max(0, haystack.find(found[0]) - 200) :][:500]
