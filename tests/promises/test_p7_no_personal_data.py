"""P7: no personal data outside the media itself: not in the ledger, the logs, what is printed, nor in scratch.

Uploads full of unmistakable words go through success, rejection, a decoder that gives up, and erasure, by the real
command at log level debug; then the words are looked for in every dress.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests import clips, samples
from tests.canaries import found, found_below
from tests.commands import Ran, mayfly
from tests.houses import files_below

pytestmark = pytest.mark.slow

NAME = "Canary-Näme q7x9w2"
TEXT = "canary-exif-k4v8z1"
SUBJECT = "canary.subject.m3t6@example.org"
SECRET = "canary-secret-h5j0r8-and-long-enough"
PLACES = ("48.8577", "48,51.46N", "002.2950", "48.857", samples.SERIAL, samples.OWNER)
WORDS = (NAME, TEXT, SUBJECT, "canary.subject.m3t6%40", SECRET, *PLACES)
SETTINGS = {"MAYFLY_SUBJECT_SECRET": SECRET, "MAYFLY_LOG_LEVEL": "debug"}


@dataclass
class Life:
    """What was done in one home, and everything that was printed on the way."""

    home: Path
    uploads: list[dict[str, Any]] = field(default_factory=list)
    printed: list[str] = field(default_factory=list)

    def do(self, *argv: str | Path, status: int) -> Ran:
        ran = mayfly(self.home, *argv, settings=SETTINGS)
        self.printed += [ran.out, ran.err]
        assert ran.status == status, ran.err
        return ran


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files that tell everything, by what must become of them."""
    folder = tmp_path_factory.mktemp("files")
    clip = clips.mp4(folder, seconds=1, canary=TEXT).read_bytes()
    photo, heic = samples.photo(canary=TEXT), samples.heic(canary=TEXT)
    bodies = {
        "ready": photo,
        "ready as HEIC": heic,
        "ready as MP4": clip,
        "ready as MOV": clips.mov(folder, seconds=1, canary=TEXT).read_bytes(),
        "rejected: text": f"{NAME} {TEXT} {SUBJECT}\n".encode() * 100,
        "failed: photo": photo[: len(photo) - 20_000],
        "failed: HEIC": _broken(heic),
        "failed: MP4": _broken(clip),
    }
    made = {}
    for number, (what, body) in enumerate(bodies.items()):
        made[what] = folder / f"{NAME} {number}.jpg"
        made[what].write_bytes(body)
    return made


def _broken(body: bytes) -> bytes:
    """The structure whole, the coded picture in it not."""
    start = body.index(b"mdat") + 4
    return body[:start] + bytes(len(body[start:]) // 2) + body[start + len(body[start:]) // 2 :]


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory, files: dict[str, Path]) -> Life:
    life = Life(tmp_path_factory.mktemp("p7") / "home")
    ran = life.do("process", "--json", "--subject", SUBJECT, *files.values(), status=1)
    life.uploads = ran.document["uploads"]
    life.do("process", "--subject", SUBJECT, "--type", "image/png", files["ready"], status=1)
    life.do("process", "--subject", SUBJECT, files["ready"].with_name(f"{NAME}.png"), status=1)
    life.do("show", life.uploads[0]["upload_id"], status=0)
    life.do("show", SUBJECT, status=1)
    life.do(SUBJECT, status=2)
    return life


@pytest.fixture(scope="module")
def erased(life: Life) -> Life:
    life.do("erase", "--subject", SUBJECT, "--json", status=0)
    return life


def test_the_search_finds_what_is_there(files: dict[str, Path]) -> None:
    assert found(WORDS, files["ready"].read_bytes()) == [TEXT, "48,51.46N", samples.SERIAL, samples.OWNER]
    assert found(WORDS, files["ready as MOV"].read_bytes())[:2] == [TEXT, "48.8577"]
    for before in ("", "a", "ab"):
        assert found([NAME], base64.b64encode(f"{before}{NAME} and more".encode())) == [NAME]
    for encoded in (NAME.encode("utf-16"), NAME.encode().hex().upper().encode(), b"Canary-N\\u00e4me q7x9w2"):
        assert found([NAME], encoded) == [NAME]
    assert found([NAME], b"Canary-N%C3%A4me+q7x9w2 or Canary-N%C3%A4me%20q7x9w2") == [NAME]


def test_every_way_to_end_was_taken(life: Life, files: dict[str, Path]) -> None:
    ends = {what: upload["state"] for what, upload in zip(files, life.uploads, strict=True)}
    assert ends == {what: what.partition(":")[0].split()[0] for what in files}


def test_the_ledger_and_everything_beside_the_media_hold_no_word(life: Life) -> None:
    assert (life.home / "ledger.db").stat().st_size > 0
    assert found_below(WORDS, life.home, but=["media"]) == {}


def test_the_published_copies_hold_no_word(life: Life) -> None:
    paths = [Path(entry["path"]) for upload in life.uploads for entry in upload["renditions"]]
    assert len(paths) == 12
    assert [found(WORDS, path.read_bytes()) for path in paths] == [[]] * 12


def test_nothing_that_was_printed_or_logged_holds_a_word(erased: Life) -> None:
    assert len("".join(erased.printed)) > 5_000
    assert found(WORDS, "".join(erased.printed).encode("utf-8", "surrogateescape")) == []


def test_after_the_erasure_no_word_is_left_anywhere(erased: Life) -> None:
    assert files_below(erased.home) == []
    assert found_below(WORDS, erased.home) == {}
