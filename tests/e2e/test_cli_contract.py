"""The command line to the letter of its contract: each command as its own process, its JSON, its exit status.

The tests of one home share what was done in it, in the order of a life: processed, shown, swept, erased, verified.
"""

from __future__ import annotations

import io
import json
import os
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests import clips, samples
from tests.commands import Ran, mayfly
from tests.houses import files_below
from worker.ledger import holds
from worker.ledger.database import Ledger

pytestmark = pytest.mark.slow

CORPUS = Path(__file__).resolve().parents[2].parent / "shared" / "corpus"
REAL = {
    "camera JPEG": "Exiv2__exiv2/test__data__exiv2-bug884c.jpg",
    "PNG": "Exiv2__exiv2/test__data__imagemagick.png",
    "animated GIF": "python-pillow__Pillow/docs__handbook__animated_hopper.gif",
    "HEIC": "Exiv2__exiv2/test__data__Stonehenge.heic",
    "WebP": "Exiv2__exiv2/test__data__exiv2-bug1199.webp",
    "MP4": "sannies__mp4parser/isoparser__src__test__resources__Tiny Sample - OLD.mp4",
    "MOV": "Exiv2__exiv2/test__data__sample_640x360.mov",
}
INSTANT = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
PROMISED = {"upload_id", "state", "verdict", "reasons", "removed", "renditions", "delete_at"}
OF_A_RENDITION = {"name", "path", "media_type", "width", "height", "bytes", "sha256", "delete_at"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("contract") / "home"


@pytest.fixture(scope="module")
def processed(home: Path) -> Ran:
    """A photo given twice, under a name of odd bytes that begins with a dash, and a clip."""
    folder = home.parent
    photo = os.fsencode(folder) + b"/-holiday \xff\n\xf0\x9f\x8c\x8a.jpg"
    with open(photo, "wb") as out:
        out.write(samples.photo())
    clip = clips.mp4(folder, seconds=1)
    name = os.path.relpath(photo, os.fsencode(folder))
    return mayfly(
        home, "process", "--json", "--subject", "anna", "--app", "shop", "--keep-for", "30d", "--", name, name, clip
    )


@pytest.fixture(scope="module")
def uploads(processed: Ran) -> list[dict[str, Any]]:
    return processed.document["uploads"]  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def erased(home: Path, uploads: list[dict[str, Any]]) -> Ran:
    """Everything of the person, after all the other tests of a living upload have asked for it."""
    return mayfly(home, "erase", "--subject", "anna", "--app", "shop", "--json")


def test_process_says_everything_of_every_file(processed: Ran, uploads: list[dict[str, Any]]) -> None:
    assert (processed.status, processed.err) == (0, "")
    assert len(uploads) == len({upload["upload_id"] for upload in uploads}) == 3
    for upload in uploads:
        assert set(upload) >= PROMISED
        assert (upload["state"], upload["verdict"], upload["reasons"]) == ("ready", "allow", [])
        assert "location" in upload["removed"]
        assert upload["removed"] == sorted(upload["removed"])
        assert INSTANT.match(upload["delete_at"])
    assert {entry["name"] for entry in uploads[0]["renditions"]} == {"display", "thumb", "share"}
    assert {entry["name"] for entry in uploads[2]["renditions"]} == {"video", "poster", "thumb"}


def test_every_rendition_lies_where_it_is_said_and_is_what_it_is_said_to_be(uploads: list[dict[str, Any]]) -> None:
    import hashlib

    for upload in uploads:
        for entry in upload["renditions"]:
            assert set(entry) == OF_A_RENDITION
            body = Path(entry["path"]).read_bytes()
            assert len(body) == entry["bytes"]
            assert hashlib.sha256(body).hexdigest() == entry["sha256"]
            if entry["media_type"].startswith("image/"):
                assert Image.open(io.BytesIO(body)).size == (entry["width"], entry["height"])
            lives = datetime.fromisoformat(entry["delete_at"]) - datetime.now().astimezone()
            assert 29 <= lives.days <= 30


def test_show_tells_states_deadlines_and_events(home: Path, uploads: list[dict[str, Any]]) -> None:
    upload_id = uploads[0]["upload_id"]
    ran = mayfly(home, "show", upload_id, "--json")
    document = ran.document

    assert (ran.status, ran.err) == (0, "")
    assert (document["upload_id"], document["app"], document["state"]) == (upload_id, "shop", "ready")
    assert document["events_intact"] is True
    assert [event["seq"] for event in document["events"]] == list(range(1, len(document["events"]) + 1))
    states = {(copy["kind"], copy["state"]) for copy in document["artifacts"]}
    assert states == {("original", "gone"), ("scratch", "gone"), ("rendition", "present")}
    for copy in document["artifacts"]:
        assert INSTANT.match(copy["delete_at"])
        assert bool(copy["gone_at"]) == (copy["state"] == "gone")


def test_people_can_read_it_and_a_pipe_breaks_no_line(home: Path, uploads: list[dict[str, Any]]) -> None:
    ran = mayfly(home, "show", uploads[0]["upload_id"], settings={"COLUMNS": "40"})

    assert (ran.status, ran.err) == (0, "")
    assert ran.out.startswith(f"shop  ready  {uploads[0]['upload_id']}\n")
    for entry in uploads[0]["renditions"]:
        assert any(line.strip() and entry["path"].endswith(line.strip()) for line in ran.out.splitlines())
    assert "\x1b" not in ran.out
    assert all(line == line.rstrip() for line in ran.out.splitlines())


def test_status_counts_everything(home: Path, uploads: list[dict[str, Any]]) -> None:
    ran = mayfly(home, "status", "--json")
    document = ran.document

    assert (ran.status, ran.err) == (0, "")
    assert (document["oldest_overdue_seconds"], document["dead"], document["jail"]) == (0, 0, "required")
    assert set(document["queues"]) == {"image", "video", "partner", "lifecycle", "control"}
    assert document["uploads"]["ready"] == len(uploads)


def test_a_sweep_with_nothing_due_erases_nothing(home: Path, uploads: list[dict[str, Any]]) -> None:
    ran = mayfly(home, "--json", "sweep")

    assert (ran.status, ran.err) == (0, "")
    assert set(ran.document) == {"as_of", "uploads_erased", "artifacts_gone", "oldest_overdue_seconds", "braked"}
    assert (ran.document["uploads_erased"], ran.document["artifacts_gone"]) == (0, 0)


def test_dead_letters_are_listed_and_an_unknown_one_is_refused(home: Path, uploads: list[dict[str, Any]]) -> None:
    assert mayfly(home, "dead", "list", "--json").document == {"dead": []}
    refused = mayfly(home, "dead", "requeue", "job_" + "0" * 32)
    assert (refused.status, refused.code) == (1, "job_not_found")


def test_a_hold_is_placed_listed_and_released_by_its_case(home: Path, uploads: list[dict[str, Any]]) -> None:
    upload_id, why = uploads[0]["upload_id"], ("--reason", "court order", "--authority", "a court")

    placed = mayfly(home, "hold", "place", "--upload", upload_id, "--case", "C-1", *why, "--review", "90d", "--json")
    refused = mayfly(home, "erase", "--upload", upload_id)
    wrong = mayfly(home, "hold", "release", "--upload", upload_id, "--case", "C-2")
    listed = mayfly(home, "hold", "list", "--json")
    released = mayfly(home, "hold", "release", "--upload", upload_id, "--case", "C-1", "--json")

    assert (placed.status, placed.document["state"], placed.document["case"]) == (0, "held", "C-1")
    assert (refused.status, refused.code) == (1, "hold_active")
    assert (wrong.status, wrong.code) == (1, "hold_not_found")
    assert [hold["upload_id"] for hold in listed.document["holds"]] == [upload_id]
    assert (released.status, released.document["state"]) == (0, "released")


def test_a_restricted_upload_is_not_shown(home: Path, uploads: list[dict[str, Any]]) -> None:
    upload_id = uploads[0]["upload_id"]

    placed = mayfly(home, "restrict", "place", "--upload", upload_id, "--reason", "accuracy contested", "--json")
    lifted = mayfly(home, "restrict", "lift", "--upload", upload_id, "--json")

    assert (placed.status, placed.document["upload_id"], placed.document["lifted_at"]) == (0, upload_id, None)
    assert (lifted.status, lifted.document["lifted_at"] is None) == (0, False)
    assert mayfly(home, "restrict", "lift", "--upload", upload_id).code == "restriction_not_found"


def test_erase_ends_with_a_receipt(home: Path, erased: Ran) -> None:
    document = erased.document

    assert (erased.status, erased.err) == (0, "")
    assert set(document) == {"request_id", "state", "uploads", "artifacts", "receipt"}
    assert (document["state"], document["uploads"]) == ("completed", 3)
    # Each time: the original, one working copy, three renditions.
    assert document["artifacts"] == 15
    assert files_below(home) == []


def test_a_person_of_whom_there_is_nothing_is_erased_with_a_receipt_all_the_same(home: Path, erased: Ran) -> None:
    again = mayfly(home, "erase", "--subject", "anna", "--app", "shop", "--json")

    assert again.status == 0
    assert (again.document["state"], again.document["uploads"], again.document["artifacts"]) == ("completed", 0, 0)
    assert Path(again.document["receipt"]).is_file()


def test_an_erased_upload_keeps_its_receipt(home: Path, uploads: list[dict[str, Any]], erased: Ran) -> None:
    upload_id = uploads[0]["upload_id"]
    ran = mayfly(home, "erase", "--upload", upload_id, "--json")

    assert (ran.status, ran.err) == (0, "")
    assert set(ran.document) >= {"request_id", "state", "uploads", "artifacts", "receipt"}
    assert json.loads(Path(ran.document["receipt"]).read_text())["upload_id"] == upload_id


def test_a_receipt_is_checked_offline_and_a_changed_one_is_refused(home: Path, erased: Ran) -> None:
    receipt = Path(erased.document["receipt"])
    good = mayfly(home, "verify", receipt, "--json")
    assert (good.status, good.document["valid"]) == (0, True)
    assert good.document["receipt_id"] == receipt.stem

    changed = home.parent / "changed.json"
    changed.write_text(receipt.read_text().replace("completed", "cancelled"))
    bad = mayfly(home, "verify", changed, "--json")
    assert (bad.status, bad.code, bad.document["error"]["code"]) == (1, "bad_signature", "bad_signature")


def test_sweep_as_of_erases_what_is_due_by_then_and_a_hold_keeps_what_it_holds(tmp_path: Path) -> None:
    photo, home = tmp_path / "photo.jpg", tmp_path / "home"
    photo.write_bytes(samples.photo())
    ran = mayfly(home, "process", photo, photo, "--subject", "anna", "--keep-for", "1d", "--json")
    held = ran.document["uploads"][0]["upload_id"]
    ledger = Ledger(f"sqlite:///{home / 'ledger.db'}")
    with ledger.begin() as tx:
        holds.place(tx, upload_id=held, case_ref="AZ-1", reason="evidence", authority="court")
    ledger.close()

    swept = mayfly(home, "sweep", "--as-of", "2099-01-01T00:00:00Z", "--json")
    assert (swept.status, swept.err) == (0, "")
    assert swept.document["as_of"].startswith("2099-01-01T00:00")
    assert (swept.document["uploads_erased"], swept.document["artifacts_gone"]) == (1, 3)
    assert swept.document["oldest_overdue_seconds"] == 0

    refused = mayfly(home, "erase", "--upload", held)
    assert (refused.status, refused.code, refused.out) == (1, "hold_active", "")
    partly = mayfly(home, "erase", "--subject", "anna", "--json")
    assert (partly.status, partly.code) == (1, "hold_active")
    assert (partly.document["state"], partly.document["uploads"]) == ("partially_completed", 0)
    assert len(files_below(home)) == 3


def test_the_demo_shows_every_step_and_leaves_nothing(tmp_path: Path) -> None:
    home = tmp_path / "home"
    shown = mayfly(home, "demo")
    assert (shown.status, shown.err) == (0, "")
    assert shown.out.index("a photo  ready") < shown.out.index("a video  ready") < shown.out.index("asks for erasure")
    removed = [line for line in shown.out.splitlines() if line.startswith("  removed")]
    assert all("location" in line for line in removed)
    assert "serial number" in removed[0]
    assert shown.out.count("  until 20") == 6
    assert "11 of 11 copies were looked for and are gone" in shown.out
    assert files_below(home) == []

    told = mayfly(home, "demo", "--json")
    assert (told.status, told.err) == (0, "")
    assert {upload["state"] for upload in told.document["uploads"]} == {"ready"}
    assert (told.document["erasure"]["state"], told.document["copies_found_after"]) == ("completed", 0)


def test_doctor_finds_everything_well(home: Path) -> None:
    ran = mayfly(home, "doctor", "--json")

    assert (ran.status, ran.err, ran.document["ok"]) == (0, "", True)
    names = [check["name"] for check in ran.document["checks"]]
    assert names == [
        "jail",
        "ffmpeg",
        "second reader",
        "broker",
        "ledger",
        "journal",
        "abilities",
        "storage",
        "strip and erase",
    ]


def test_the_files_of_real_cameras_and_programs(tmp_path: Path) -> None:
    if not CORPUS.is_dir():
        pytest.skip("the media of other people are not here (../shared/corpus)")
    files = [CORPUS / name for name in REAL.values()]
    home = tmp_path / "home"

    ran = mayfly(home, "process", *files, "--subject", "anna", "--json")

    assert (ran.status, ran.err) == (0, "")
    by_kind = dict(zip(REAL, ran.document["uploads"], strict=True))
    assert {kind: upload["state"] for kind, upload in by_kind.items()} == dict.fromkeys(REAL, "ready")
    assert by_kind["animated GIF"]["frames"] == 4
    assert all("location" in by_kind[kind]["removed"] for kind in ("PNG", "HEIC", "WebP"))
    assert all(Path(entry["path"]).is_file() for upload in by_kind.values() for entry in upload["renditions"])


@pytest.mark.parametrize(
    ("words", "said"), [(["--help"], "process"), (["erase", "-h"], "--subject"), (["--version"], "mayfly 0")]
)
def test_help_and_version_are_no_errors(tmp_path: Path, words: list[str], said: str) -> None:
    ran = mayfly(tmp_path / "home", *words)
    assert (ran.status, ran.err) == (0, "")
    assert said in ran.out
    assert not (tmp_path / "home").exists()
