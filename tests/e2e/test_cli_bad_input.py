"""Whatever is wrong gets a code of its own, one clear line, the right exit status, and leaves nothing half done.

What needs no jail is run by one process that runs the commands of a table, one after the other; what touches files,
disks and servers is run as the command itself.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests import clips, samples
from tests.commands import LONGEST_S, Ran, environment, mayfly, running, unprivileged
from tests.contract.disks import make_read_only, mounted
from tests.houses import files_below
from tests.servers import free_port

pytestmark = pytest.mark.slow

CANARY = "anna-canary"
PROCESS = ("process", "--subject", CANARY)
NOBODY = "upl_" + "0" * 32


@dataclass(frozen=True, kw_only=True)
class Wrong:
    """A command, what is wrong in it, and what it must say. `{photo}` is a good file."""

    argv: tuple[str, ...]
    code: str
    status: int = 1
    settings: Mapping[str, str] = field(default_factory=dict)


def bad_setting(name: str, value: str) -> Wrong:
    return Wrong(argv=("status",), settings={name: value}, status=2, code="bad_setting")


WRONG = {
    "purpose outside the set": Wrong(argv=(*PROCESS, "{photo}", "--purpose", "advertising"), code="bad_purpose"),
    "empty subject": Wrong(argv=("process", "--subject", "", "{photo}"), code="bad_subject"),
    "blank subject": Wrong(argv=("process", "--subject", "  ", "{photo}"), code="bad_subject"),
    "subject of 257": Wrong(argv=("process", "--subject", "a" * 257, "{photo}"), code="bad_subject"),
    "subject of an erasure": Wrong(argv=("erase", "--subject", "a" * 257), code="bad_subject"),
    "app name": Wrong(argv=(*PROCESS, "{photo}", "--app", f"My {CANARY}"), code="bad_app"),
    "missing path": Wrong(argv=(*PROCESS, f"{CANARY}.jpg"), code="file_not_found"),
    "missing path below a file": Wrong(argv=(*PROCESS, "{photo}/x"), code="file_not_found"),
    "path too long": Wrong(argv=(*PROCESS, "a" * 5000), code="file_not_readable"),
    "directory": Wrong(argv=(*PROCESS, "."), code="is_a_directory"),
    "one of two is missing": Wrong(argv=(*PROCESS, "{photo}", f"{CANARY}.jpg"), code="file_not_found"),
    "length of time": Wrong(argv=(*PROCESS, "{photo}", "--keep-for", CANARY), status=2, code="bad_span"),
    "kept too long": Wrong(argv=(*PROCESS, "{photo}", "--keep-for", "731d"), code="keep_for_out_of_range"),
    "kept too short": Wrong(argv=(*PROCESS, "{photo}", "--keep-for", "1s"), code="keep_for_out_of_range"),
    "no file": Wrong(argv=PROCESS, status=2, code="missing_argument"),
    "no subject": Wrong(argv=("process", "{photo}"), status=2, code="missing_argument"),
    "option without its value": Wrong(argv=("process", "--subject"), status=2, code="bad_argument"),
    "unknown option": Wrong(argv=(*PROCESS, "{photo}", "--purpos", "x"), status=2, code="unknown_option"),
    "file that looks like an option": Wrong(argv=(*PROCESS, f"-{CANARY}.jpg"), status=2, code="unknown_option"),
    "unknown command": Wrong(argv=(f"{CANARY}",), status=2, code="unknown_command"),
    "no command": Wrong(argv=("--json",), status=2, code="missing_argument"),
    "a word too many": Wrong(argv=("show", NOBODY, CANARY), status=2, code="bad_argument"),
    "unknown upload": Wrong(argv=("show", NOBODY), code="upload_not_found"),
    "unknown upload to erase": Wrong(argv=("erase", "--upload", NOBODY), code="upload_not_found"),
    "no upload id": Wrong(argv=("show", CANARY), code="bad_upload_id"),
    "no upload id to erase": Wrong(argv=("erase", "--upload", CANARY), code="bad_upload_id"),
    "nothing to erase": Wrong(argv=("erase",), status=2, code="usage"),
    "no job id": Wrong(argv=("dead", "requeue", CANARY), code="bad_job_id"),
    "unknown job": Wrong(argv=("dead", "requeue", "job_" + "0" * 32), code="job_not_found"),
    "no receipt": Wrong(argv=("verify", "{photo}", "--public-key", "{photo}"), code="file_not_readable"),
    "time": Wrong(argv=("sweep", "--as-of", CANARY), status=2, code="bad_time"),
    "port": Wrong(argv=("api", "--port", "70000"), status=2, code="bad_argument"),
    "no broker": Wrong(argv=("worker", "--class", "image"), status=2, code="no_broker"),
    "no class": Wrong(
        argv=("worker", "--class", CANARY),
        settings={"MAYFLY_BROKER_URL": "redis://127.0.0.1:1/0"},
        status=2,
        code="bad_class",
    ),
    "up with a broker": Wrong(
        argv=("up",), settings={"MAYFLY_BROKER_URL": "redis://127.0.0.1:1/0"}, status=2, code="broker_set"
    ),
    "unknown setting": Wrong(argv=("status",), settings={"MAYFLY_IMAGE_PIXEL": "1"}, status=2, code="unknown_setting"),
    "setting that is no number": bad_setting("MAYFLY_IMAGE_PIXELS", CANARY),
    "setting out of range": bad_setting("MAYFLY_IMAGE_PIXELS", "0"),
    "setting that is no span": bad_setting("MAYFLY_KEEP_FOR", CANARY),
    "broker that is none": bad_setting("MAYFLY_BROKER_URL", CANARY),
    "secret file that is not there": bad_setting("MAYFLY_SUBJECT_SECRET_FILE", CANARY),
    "receipt key": Wrong(argv=("status",), settings={"MAYFLY_RECEIPT_KEY": CANARY}, status=2, code="bad_receipt_key"),
    "database that is none": Wrong(
        argv=("status",), settings={"MAYFLY_DATABASE_URL": f"mysql://{CANARY}"}, status=2, code="bad_database_url"
    ),
    "unreachable database": Wrong(
        argv=(*PROCESS, "{photo}"),
        settings={"MAYFLY_DATABASE_URL": f"postgresql://{CANARY}@127.0.0.1:1/x"},
        code="ledger_unavailable",
    ),
}

_DRIVER = """
import contextlib, io, json, os, sys
from worker.cli.app import run

results = []
for case in json.load(sys.stdin):
    for name in [name for name in os.environ if name.startswith("MAYFLY_")]:
        del os.environ[name]
    os.environ.update(case["settings"])
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = run(case["argv"])
    results.append({"status": status, "out": out.getvalue(), "err": err.getvalue()})
json.dump(results, sys.stdout)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("bad")
    (made / f"{CANARY}-photo.jpg").write_bytes(samples.photo())
    return made


@pytest.fixture(scope="module")
def photo(folder: Path) -> Path:
    return folder / f"{CANARY}-photo.jpg"


@pytest.fixture(scope="module")
def results(folder: Path, photo: Path) -> dict[str, Ran]:
    """Every row of the table, run by one process in one home; and once more with `--json`."""
    home, cases = folder / "home", []
    for wrong in WRONG.values():
        argv = [word.replace("{photo}", str(photo)) for word in wrong.argv]
        cases.append({"argv": argv, "settings": {"MAYFLY_HOME": str(home), **wrong.settings}})
    done = subprocess.run(
        [sys.executable, "-c", _DRIVER],
        input=json.dumps(cases),
        env=environment(home),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=LONGEST_S,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert files_below(home) == []
    return {name: Ran(**result) for name, result in zip(WRONG, json.loads(done.stdout), strict=True)}


def clear(ran: Ran, code: str, *, status: int = 1) -> None:
    """One line, with its code, that quotes nothing of what was given."""
    assert (ran.status, ran.code) == (status, code), ran
    assert ran.lines[0].startswith("mayfly: ")
    assert CANARY not in ran.out + ran.err
    assert "Traceback" not in ran.out + ran.err
    assert len(ran.lines[0]) < 200


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said_in_one_line(name: str, results: dict[str, Ran]) -> None:
    clear(results[name], WRONG[name].code, status=WRONG[name].status)
    if "--json" not in WRONG[name].argv:
        assert results[name].out == ""


def test_with_json_the_error_is_the_document(results: dict[str, Ran]) -> None:
    ran = results["no command"]
    assert ran.document == {"error": {"code": "missing_argument", "message": ran.lines[0][8:].rpartition(" [")[0]}}


# --- files ------------------------------------------------------------------------------------------------------------


def refused(ran: Ran, codes: dict[str, str | None]) -> list[dict[str, Any]]:
    """Each file ended with its code, in its place; each refused one has its line."""
    uploads: list[dict[str, Any]] = ran.document["uploads"]
    assert {name: upload.get("code") for name, upload in zip(codes, uploads, strict=True)} == codes
    lines = [
        f"mayfly: file {number} of {len(codes)}: {upload['message']} [{upload['code']}]"
        for number, upload in enumerate(uploads, start=1)
        if "code" in upload
    ]
    assert ran.lines == lines
    assert CANARY not in ran.out + ran.err
    return uploads


def test_files_that_are_none_are_refused_and_a_good_one_among_them_is_published(folder: Path, photo: Path) -> None:
    bodies = {
        "empty": (b"", "empty"),
        "truncated": (photo.read_bytes()[:12_000], "truncated"),
        "text named .jpg": (b"dear anna-canary,\n" * 500, "unsupported_type"),
        "noise": (os.urandom(9_000), "unsupported_type"),
        "bmp": (samples.bmp(), "format_off"),
        "good": (photo.read_bytes(), None),
    }
    files = []
    for name, (body, _code) in bodies.items():
        files.append(folder / f"{CANARY} {name}.jpg")
        files[-1].write_bytes(body)

    ran = mayfly(folder / "files", *PROCESS, "--json", *files)

    assert ran.status == 1
    uploads = refused(ran, {name: code for name, (_body, code) in bodies.items()})
    assert [upload["state"] for upload in uploads] == ["rejected", "failed", *["rejected"] * 3, "ready"]
    # The truncated one is kept as evidence, the good one has its three renditions, and there is nothing else.
    assert len(files_below(folder / "files")) == 4


def test_a_file_of_another_type_than_declared_is_refused(folder: Path, photo: Path) -> None:
    ran = mayfly(folder / "typed", *PROCESS, photo, "--type", "image/png")

    clear(ran, "type_mismatch")
    assert files_below(folder / "typed") == []


def test_every_limit_has_its_code(folder: Path, photo: Path) -> None:
    wide = folder / "wide.png"
    body = io.BytesIO()
    Image.new("L", (400, 400)).save(body, "PNG")
    wide.write_bytes(body.getvalue())
    (folder / "long").mkdir()
    (folder / "big").mkdir()
    long = clips.mp4(folder / "long", seconds=3, size="64x48")
    big = clips.mp4(folder / "big", seconds=1, size="640x480")
    settings = {
        "MAYFLY_IMAGE_BYTES": "5000",
        "MAYFLY_IMAGE_PIXELS": "100000",
        "MAYFLY_VIDEO_SECONDS": "2",
        "MAYFLY_VIDEO_BYTES": str(big.stat().st_size - 1),
    }
    assert wide.stat().st_size < 5000 < photo.stat().st_size
    assert long.stat().st_size < big.stat().st_size

    ran = mayfly(folder / "limits", *PROCESS, "--json", photo, wide, big, long, settings=settings)

    assert ran.status == 1
    codes = {"bytes": "limits:bytes", "pixels": "limits:pixels", "video": "limits:bytes", "seconds": "limits:duration"}
    assert {upload["state"] for upload in refused(ran, dict(codes))} == {"rejected"}


# --- places -----------------------------------------------------------------------------------------------------------


def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    secret = tmp_path / f"{CANARY}.jpg"
    secret.write_bytes(samples.photo())
    secret.chmod(0)

    clear(mayfly(tmp_path / "home", *PROCESS, secret, before=unprivileged()), "file_not_readable")
    clear(mayfly(tmp_path / "home", "verify", secret, before=unprivileged()), "file_not_readable")


def test_a_home_that_may_not_be_written(tmp_path: Path, photo: Path) -> None:
    shut = tmp_path / CANARY
    shut.mkdir(mode=0o500)

    clear(mayfly(shut, *PROCESS, photo, before=unprivileged()), "home_read_only")
    assert list(shut.iterdir()) == []


def test_a_full_disk_keeps_nothing_half_written_and_works_again(tmp_path: Path, photo: Path) -> None:
    big = tmp_path / "big.jpg"
    big.write_bytes(photo.read_bytes() + os.urandom(3_000_000))
    home = tmp_path / "small"
    with mounted(home, "size=2m"):
        ran = mayfly(home, *PROCESS, photo, big, "--json")

        assert ran.status == 1
        assert ran.document["error"]["code"] == "disk_full"
        *logged, said = ran.lines
        assert said.endswith("[disk_full]")
        # The job of the file before may have met the full disk as well: then the log says so and it is tried again.
        assert {json.loads(line)["code"] for line in logged} <= {"disk_full"}
        # The file before it is not lost by that, and of the one that did not fit nothing stays.
        assert [upload["state"] for upload in ran.document["uploads"]] == ["ready"]
        assert sum(path.stat().st_size for path in files_below(home)) < 1_000_000
        assert mayfly(home, *PROCESS, photo).status == 0


def test_a_disk_that_became_read_only(tmp_path: Path, photo: Path) -> None:
    home = tmp_path / "small"
    with mounted(home, "size=8m"):
        assert mayfly(home, "status").status == 0
        make_read_only(home)

        clear(mayfly(home, *PROCESS, photo), "ledger_read_only")


# --- servers ----------------------------------------------------------------------------------------------------------


def test_doctor_finds_what_is_away_and_goes_on(tmp_path: Path) -> None:
    away = {
        "MAYFLY_BROKER_URL": f"redis://127.0.0.1:{free_port()}/0",
        "MAYFLY_DATABASE_URL": f"postgresql://{CANARY}@127.0.0.1:{free_port()}/x",
    }
    ran = mayfly(tmp_path / "home", "doctor", "--json", settings=away)

    assert {check["name"]: check["code"] for check in ran.document["checks"]} == {
        "jail": None,
        "ffmpeg": None,
        "second reader": None,
        "broker": "broker_unreachable",
        "home and ledger": "ledger_unavailable",
        "strip and erase": "not_tried",
    }
    assert ran.document["ok"] is False
    clear(ran, "broker_unreachable")


@pytest.mark.parametrize("part", [("worker", "--class", "image", "-c", "1"), ("relay",)], ids=lambda part: part[0])
def test_a_part_waits_for_its_broker_and_says_so(tmp_path: Path, part: tuple[str, ...]) -> None:
    away = {"MAYFLY_BROKER_URL": f"redis://:{CANARY}@127.0.0.1:{free_port()}/0"}
    with running(tmp_path / "home", *part, settings=away) as started:
        said = started.says("Cannot connect" if part[0] == "worker" else "broker_away")
        assert json.loads(said)["level"] in ("warning", "error")
        assert started.process.poll() is None

        assert started.end() == 0
    assert CANARY not in "".join(started.err)


@pytest.mark.parametrize("part", [("relay",), ("api", "--port", "0")], ids=lambda part: part[0])
def test_a_part_without_its_ledger_says_so_and_ends(tmp_path: Path, part: tuple[str, ...]) -> None:
    away = {
        "MAYFLY_BROKER_URL": f"redis://127.0.0.1:{free_port()}/0",
        "MAYFLY_DATABASE_URL": f"postgresql://{CANARY}@127.0.0.1:{free_port()}/x",
    }
    clear(mayfly(tmp_path / "home", *part, settings=away), "ledger_unavailable")
