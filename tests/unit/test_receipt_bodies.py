"""What receipts say: of each copy what was asked, removed and seen; of a request what is kept; of a file a hash."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from worker.errors import Refused
from worker.model import Artifact, ArtifactKind, ArtifactState
from worker.privacy import bodies, merkle
from worker.privacy.folder import read_salts, salts_text

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
SALT = bytes(range(32))


@dataclass(frozen=True, kw_only=True)
class Event:
    minute: int
    target: str | None = None
    detail: dict[str, Any] = field(default_factory=dict)

    @property
    def at(self) -> datetime:
        return NOON + timedelta(minutes=self.minute)


def of_copy(minute: int, target: ArtifactState | None, **detail: object) -> Event:
    return Event(minute=minute, target=target, detail={"artifact_id": "art_1", **detail})


def copy(state: ArtifactState = ArtifactState.GONE, reason: str | None = None) -> Artifact:
    return Artifact(
        id="art_1",
        upload_id="upl_1",
        kind=ArtifactKind.RENDITION,
        name="display",
        state=state,
        fence=2,
        location="media",
        key="rendition/shop/upl_1/art_1",
        rule="rendition",
        media_type=None,
        bytes=None,
        sha256=None,
        width=None,
        height=None,
        created_at=NOON,
        delete_at=NOON,
        next_attempt_at=NOON,
        reason=reason,
    )


HIDDEN = Event(minute=1, target="erasing", detail={"trigger": "dsr", "request_id": "req_1"})
ASKED = of_copy(2, ArtifactState.ERASING)


def upload(story: list[Event], *copies: Artifact, commitment: str | None = None) -> dict[str, Any]:
    return bodies.of_upload(
        receipt_id="rcp_1",
        upload_id="upl_1",
        policy_version="p1",
        now=NOON + timedelta(hours=1),
        copies=copies or [copy()],
        story=story,
        commitment=commitment,
    )


def test_each_copy_says_when_it_was_asked_for_what_went_and_how_it_was_seen() -> None:
    gone = of_copy(
        3,
        ArtifactState.GONE,
        place="bucket",
        method="delete_version",
        removed=5,
        markers=2,
        unfinished=1,
        observation="list_versions_empty",
    )

    body = upload([HIDDEN, ASKED, gone])

    assert body["artifacts"] == [
        {
            "artifact_id": "art_1",
            "kind": "rendition",
            "location": "media",
            "place": "bucket",
            "state": "gone",
            "asked_at": "2026-01-31T12:02:00.000Z",
            "method": "delete_version",
            "versions": 2,
            "markers": 2,
            "unfinished": 1,
            "observation": "list_versions_empty",
            "looked_at": "2026-01-31T12:03:00.000Z",
        }
    ]
    assert (body["trigger"], body["request_id"], body["hidden_at"]) == ("dsr", "req_1", "2026-01-31T12:01:00.000Z")
    assert body["completed_at"] == "2026-01-31T13:00:00.000Z"


def test_what_earlier_tries_removed_counts_and_the_first_asking_stands() -> None:
    half = of_copy(3, ArtifactState.BLOCKED, place="bucket", removed=4, markers=1, unfinished=0)
    again = of_copy(9, ArtifactState.ERASING)
    gone = of_copy(10, ArtifactState.GONE, place="bucket", removed=2, markers=1, unfinished=1, observation="x")

    (entry,) = upload([HIDDEN, ASKED, half, again, gone])["artifacts"]

    assert (entry["versions"], entry["markers"], entry["unfinished"]) == (3, 2, 1)
    assert (entry["asked_at"], entry["looked_at"]) == ("2026-01-31T12:02:00.000Z", "2026-01-31T12:10:00.000Z")


def test_what_could_not_be_seen_is_not_called_seen() -> None:
    said = of_copy(3, ArtifactState.UNVERIFIABLE, place="partner", method="partner_erase")

    (entry,) = upload([HIDDEN, ASKED, said], copy(ArtifactState.UNVERIFIABLE, "acknowledged"))["artifacts"]

    assert (entry["observation"], entry["looked_at"], entry["reason"]) == ("none", None, "acknowledged")


def test_a_request_repeats_its_receipts_and_says_what_is_kept_in_neutral_words() -> None:
    gone = of_copy(3, ArtifactState.GONE, observation="list_absent")
    own = upload([HIDDEN, ASKED, gone], commitment="c" * 64)

    def request(kept: dict[str, str]) -> dict[str, Any]:
        return bodies.of_request(
            receipt_id="rcp_2",
            request_id="req_1",
            policy_version="p1",
            now=NOON,
            receipts=[json.dumps(own)],
            kept=kept,
        )

    whole, part = request({}), request({"upl_9": bodies.KEPT_BY_LAW})
    assert (whole["state"], whole["kept"]) == ("completed", [])
    assert part["state"] == "partially_completed"
    assert part["kept"] == [{"upload_id": "upl_9", "reason": "kept because the law requires it"}]
    assert part["uploads"] == [
        {"upload_id": "upl_1", "receipt_id": "rcp_1", "commitment": "c" * 64, "artifacts": own["artifacts"]}
    ]


def test_a_request_of_very_many_uploads_repeats_the_first_and_counts_and_roots_them_all() -> None:
    one = upload([HIDDEN, ASKED, of_copy(3, ArtifactState.GONE, observation="list_absent")])
    texts = [json.dumps({**one, "upload_id": f"upl_{number:04}"}) for number in range(bodies.LISTED + 7)]

    body = bodies.of_request(
        receipt_id="rcp_2", request_id="req_1", policy_version="p1", now=NOON, receipts=iter(texts), kept={}
    )

    assert body["covered"]["uploads"] == body["covered"]["artifacts"] == len(texts)
    assert [entry["upload_id"] for entry in body["uploads"]] == [f"upl_{n:04}" for n in range(bodies.LISTED)]
    assert body["covered"]["root"] == merkle.root(merkle.leaf(text.encode()) for text in texts)[1].hex()


def test_a_commitment_is_the_hash_of_salt_and_hash() -> None:
    body = b"a photo"
    made = bodies.commit(SALT, hashlib.sha256(body).hexdigest())
    assert made == hashlib.sha256(SALT + hashlib.sha256(body).digest()).hexdigest()


def test_salts_come_back_from_their_file() -> None:
    assert read_salts(salts_text({"upl_1": SALT.hex()})) == {"upl_1": SALT}


@pytest.mark.parametrize(
    "text", ["", "\n", "upl_1", f"upl_1 {SALT.hex()[2:]}\n", f"upl_1 {SALT.hex()} x\n", "upl_1 zz\n"]
)
def test_what_is_no_salt_file_is_refused(text: str) -> None:
    with pytest.raises(Refused) as caught:
        read_salts(text)
    assert caught.value.code == "bad_salt"
