"""What another backend sends by name: through a Celery of its own, and as plain JSON pushed into Redis."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from tests import samples
from tests.e2e.fleet import Fleet
from tests.e2e.sender import Backend, plain
from tests.houses import new_upload
from worker.flows.submit import intake_key
from worker.ledger import uploads
from worker.ledger.leases import Dead
from worker.model import ArtifactState, UploadState, new_id

pytestmark = pytest.mark.slow

CANARY = "canary-4711"
SUBJECT = "e" * 64
Send = Callable[..., None]


@pytest.fixture
def backend(fleet: Fleet) -> Iterator[Backend]:
    with Backend.of(fleet) as made:
        yield made


@pytest.fixture(params=["celery", "plain"])
def send(request: pytest.FixtureRequest, backend: Backend) -> Send:
    """Both ways to send one of the four tasks."""
    if request.param == "celery":
        return backend.send
    return lambda task, **payload: backend.push(plain(task, **payload))


def put(fleet: Fleet, upload_id: str, *, app: str = "shop") -> None:
    """What the app does before it submits: its object lies in the intake."""
    path = fleet.house.settings.intake_root() / intake_key(app, upload_id)
    path.parent.mkdir(parents=True)
    path.write_bytes(samples.photo((160, 120)))


def submission(upload_id: str, **changes: object) -> dict[str, object]:
    return {"upload_id": upload_id, "app": "shop", "subject_key": SUBJECT, "purposes": ["display"], **changes}


def letters(fleet: Fleet, task: str) -> list[Dead]:
    return [letter for letter in fleet.dead() if letter.kind == task]


def test_a_life_by_name(fleet: Fleet, send: Send) -> None:
    # Given an object in the intake
    upload_id, before = new_id("upl"), len(fleet.dead())
    put(fleet, upload_id)
    # When it is submitted twice, Then it is one upload
    send("mayfly.submit", **submission(upload_id, keep_for_s=86_400))
    send("mayfly.submit", **submission(upload_id, keep_for_s=86_400))
    fleet.until_ended([upload_id])
    upload = fleet.upload(upload_id)
    assert (upload.state, upload.code, upload.keep_for) == (UploadState.READY, None, timedelta(days=1))
    assert [event.event for event in fleet.story(upload_id)].count("created") == 1

    # When it is renewed, Then it lives longer
    send("mayfly.renew", app="shop", upload_id=upload_id, keep_for_s=10 * 86_400)
    fleet.until(lambda: fleet.upload(upload_id).delete_at > upload.delete_at + timedelta(days=8), what="renewed")

    # When it is erased twice, Then it is gone, once
    send("mayfly.erase_upload", app="shop", upload_id=upload_id)
    send("mayfly.erase_upload", app="shop", upload_id=upload_id)
    fleet.until_ended([upload_id], UploadState.ERASED)
    assert {copy.state for copy in fleet.copies(upload_id)} == {ArtifactState.GONE}
    assert not [path for path in fleet.files() if upload_id in str(path)]
    # And none of it was refused
    assert len(fleet.dead()) == before


def test_everything_of_a_person_by_name(fleet: Fleet, send: Send) -> None:
    # Given two uploads of one person, and one of another
    key, other = new_id("upl").removeprefix("upl_") * 2, new_id("upl").removeprefix("upl_") * 2
    mine = [received(fleet, key), received(fleet, key)]
    hers = received(fleet, other)
    # When the first is erased while the work is still in flight, Then all of theirs is gone, and nothing of hers
    send("mayfly.erase_subject", app="shop", subject_key=key)
    fleet.until_ended(mine, UploadState.ERASED)
    fleet.until_ended([hers], UploadState.READY)
    fleet.until(lambda: not [p for p in fleet.files() if any(i in str(p) for i in mine)], what="no file", within=5)
    # And nobody finds them by that person any more
    with fleet.house.ledger.read() as tx:
        assert uploads.of_subject(tx, "shop", key, limit=9) == []


def received(fleet: Fleet, key: str) -> str:
    new = new_upload(subject_key=key)
    return fleet.house.receive.run(new, [samples.photo((160, 120))], keep_for=timedelta(days=9)).id


BAD: dict[str, tuple[str, Callable[[], dict[str, Any]], str, str]] = {
    "a missing field": (
        "mayfly.renew",
        lambda: {"app": "shop", "upload_id": new_id("upl")},
        "bad_message",
        "keep_for_s",
    ),
    "an unknown field": (
        "mayfly.submit",
        lambda: submission(new_id("upl"), **{CANARY: CANARY}),
        "bad_message",
        "an unknown field",
    ),
    "a wrong type": (
        "mayfly.renew",
        lambda: {"app": "shop", "upload_id": new_id("upl"), "keep_for_s": CANARY},
        "bad_message",
        "keep_for_s",
    ),
    "a raw subject": (
        "mayfly.submit",
        lambda: submission(new_id("upl"), subject_key=f"{CANARY}@example.com"),
        "bad_message",
        "subject_key",
    ),
    "a foreign purpose": (
        "mayfly.submit",
        lambda: submission(new_id("upl"), purposes=[CANARY]),
        "bad_message",
        "purposes",
    ),
    "a path for an id": (
        "mayfly.erase_upload",
        lambda: {"app": "shop", "upload_id": f"../../{CANARY}"},
        "bad_message",
        "upload_id",
    ),
    "something huge": (
        "mayfly.erase_subject",
        lambda: {"app": "shop", "subject_key": CANARY * 100_000},
        "bad_arguments",
        "16384",
    ),
    "nothing at all": ("mayfly.erase_subject", dict, "bad_message", "app"),
    "an object that is not there": (
        "mayfly.submit",
        lambda: submission(new_id("upl")),
        "object_missing",
        "ledger says",
    ),
    "an unknown upload": (
        "mayfly.erase_upload",
        lambda: {"app": "shop", "upload_id": new_id("upl")},
        "upload_not_found",
        "no such upload",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_message_is_a_dead_letter_with_a_reason(fleet: Fleet, backend: Backend, kind: str) -> None:
    task, payload, code, reason = BAD[kind]
    before = len(letters(fleet, task))
    # When it is sent
    backend.push(plain(task, **payload()))
    # Then there is one letter, which says what is wrong and nothing of what was sent
    fleet.until(lambda: len(letters(fleet, task)) > before, what="the letter")
    told = letters(fleet, task)[before:]
    assert [letter.code for letter in told] == [code]
    assert reason in (told[0].detail or "")
    assert CANARY not in str(told)
    assert CANARY not in fleet.all_said()
    # And the worker is well
    fleet.checked(fleet.parts["worker-control"])


def test_another_apps_upload_is_as_good_as_none(fleet: Fleet, backend: Backend) -> None:
    upload_id, before = received(fleet, SUBJECT), len(letters(fleet, "mayfly.erase_upload"))
    backend.push(plain("mayfly.erase_upload", app="other", upload_id=upload_id))
    fleet.until(lambda: len(letters(fleet, "mayfly.erase_upload")) > before, what="the letter")
    assert letters(fleet, "mayfly.erase_upload")[-1].code == "upload_not_found"
    fleet.until_ended([upload_id], UploadState.READY)


def test_an_unknown_task_is_noted(fleet: Fleet, backend: Backend) -> None:
    before = len(letters(fleet, "unknown"))
    backend.send(f"{CANARY}.task", secret=CANARY)
    fleet.until(lambda: len(letters(fleet, "unknown")) > before, what="the letter")
    assert letters(fleet, "unknown")[-1].code == "unknown_task"
    assert CANARY not in str(fleet.dead()) + fleet.all_said()


@pytest.mark.parametrize("queue", ["image", "lifecycle"])
def test_any_of_our_queues_takes_it(fleet: Fleet, backend: Backend, queue: str) -> None:
    # When a message lies in another queue than `control`, Then it is answered all the same
    before = len(letters(fleet, "mayfly.erase_upload"))
    backend.send("mayfly.erase_upload", queue=queue, app="shop", upload_id=new_id("upl"))
    fleet.until(lambda: len(letters(fleet, "mayfly.erase_upload")) > before, what="the letter")


def test_by_position_is_refused(fleet: Fleet, backend: Backend) -> None:
    before = len(letters(fleet, "mayfly.erase_upload"))
    backend.send("mayfly.erase_upload", "shop", CANARY)
    fleet.until(lambda: len(letters(fleet, "mayfly.erase_upload")) > before, what="the letter")
    assert letters(fleet, "mayfly.erase_upload")[-1].code == "bad_arguments"
