"""The drill: back up, erase, restore the backup, start, refused, replay, gone; and a journal that is not whole."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog
from sqlalchemy import make_url

from tests import houses, samples
from worker.cli import app
from worker.errors import MayflyError, Unavailable
from worker.ledger import receipts, tombstones
from worker.media.jail import Jail
from worker.model import ArtifactKind, Trigger, UploadState, new_id
from worker.privacy.receipt import verify
from worker.settings import Settings
from worker.wiring import House

pytestmark = [pytest.mark.slow, pytest.mark.wide]


@dataclass
class Site:
    """One installation, its backup, and the command line in it."""

    home: Path
    url: str
    jail: Jail
    capsys: pytest.CaptureFixture[str]

    def open(self) -> House:
        """A start as any part of Mayfly makes it: refused while the gate is closed."""
        return House.build(Settings.model_validate({"home": self.home, "database_url": self.url}), jail=self.jail)

    def taken(self, count: int = 1, *, processed: bool = False) -> list[str]:
        house = self.open()
        made = [houses.receive(house, samples.png()).id for _ in range(count)]
        if processed:
            houses.work(house)
        house.ledger.close()
        return made

    def erase(self, *upload_ids: str) -> None:
        house = self.open()
        for upload_id in upload_ids:
            house.erasing.begin(upload_id, Trigger.USER)
        houses.work(house)
        assert {houses.upload_of(house, each).state for each in upload_ids} == {UploadState.ERASED}
        house.ledger.close()

    def back_up(self) -> None:
        """Ledger and media, as an operator does; the journal is not of the set."""
        _copy_database(self.url, "mayfly_backup", self.home.parent / "ledger.bak")
        shutil.copytree(self.home / "media", self.home.parent / "media.bak")

    def restore_backup(self, *, media: bool = True, ledger: bool = True) -> None:
        if ledger:
            _put_database_back(self.url, "mayfly_backup", self.home.parent / "ledger.bak")
        if media:
            shutil.rmtree(self.home / "media")
            shutil.copytree(self.home.parent / "media.bak", self.home / "media")

    def mayfly(self, *argv: str) -> tuple[int, Any]:
        self.capsys.readouterr()
        status = app.run(["--json", *argv])
        said = self.capsys.readouterr()
        return status, json.loads(said.out)

    @property
    def journal(self) -> Path:
        return self.home / "journal"

    def refused(self) -> str:
        with pytest.raises(Unavailable) as refused:
            self.open()
        return refused.value.code

    def files(self) -> list[Path]:
        return houses.files_below(self.home)


def _copy_database(url: str, name: str, file: Path) -> None:
    if url.startswith("sqlite:"):
        with closing(sqlite3.connect(_file(url))) as source, closing(sqlite3.connect(file)) as target:
            source.backup(target)
        return
    _on_server(url, f"DROP DATABASE IF EXISTS {name}", f"CREATE DATABASE {name} TEMPLATE {make_url(url).database}")


def _put_database_back(url: str, name: str, file: Path) -> None:
    if url.startswith("sqlite:"):
        for suffix in ("", "-wal", "-shm"):
            Path(f"{_file(url)}{suffix}").unlink(missing_ok=True)
        shutil.copy(file, _file(url))
        return
    mine = make_url(url).database
    _on_server(url, f"DROP DATABASE {mine} WITH (FORCE)", f"CREATE DATABASE {mine} TEMPLATE {name}")


def _file(url: str) -> Path:
    return Path(str(make_url(url).database))


def _on_server(url: str, *statements: str) -> None:
    import psycopg

    with psycopg.connect(f"{url.rsplit('/', 1)[0]}/postgres", autocommit=True) as conn:
        for statement in statements:
            conn.execute(statement)  # type: ignore[call-overload]


@pytest.fixture(autouse=True)
def _quiet_again() -> Iterator[None]:
    """A command sets up the log of its process, which is ours here."""
    yield
    structlog.reset_defaults()


@pytest.fixture
def site(
    tmp_path: Path,
    ledger_url: str,
    jail: Jail,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Site:
    home = tmp_path / "home"
    monkeypatch.setenv("MAYFLY_HOME", str(home))
    monkeypatch.setenv("MAYFLY_DATABASE_URL", ledger_url)
    return Site(home=home, url=ledger_url, jail=jail, capsys=capsys)


def test_the_drill(site: Site) -> None:
    # Given a backup of ledger and media, and erasures since: of what the backup knows, and of what came later
    before, kept = site.taken(2, processed=True)
    site.back_up()
    (after,) = site.taken()
    site.erase(before, after)

    # When the backup is restored, Then the erased one lies there again, and nothing of Mayfly starts
    site.restore_backup()
    assert any(before in str(path) for path in site.files())
    assert site.refused() == "restore_needed"
    for command in (["erase", "--upload", before], ["sweep"], ["reconcile"], ["policy", "apply"], ["api"], ["up"]):
        assert site.mayfly(*command)[1]["error"]["code"] == "restore_needed"
    # And who only looks may look, and is told
    status, said = site.mayfly("status")
    assert (status, said["journal"]) == (0, "restore_needed")

    # When it is tried first, Then nothing has changed
    status, dry = site.mayfly("restore", "--dry-run")
    assert (status, dry["lines"], dry["erased_again"], dry["unknown"]) == (0, 2, 1, 1)
    assert site.refused() == "restore_needed"

    # When the journal is replayed, Then all that was erased is gone again, with a receipt, and Mayfly starts
    status, done = site.mayfly("restore")
    assert (status, done["erased_again"], done["unknown"], done["kept"]) == (0, 1, 1, [])
    house = site.open()
    assert not any(gone in str(path) for path in site.files() for gone in (before, after))
    assert any(kept in str(path) for path in site.files())
    assert houses.upload_of(house, before).state is UploadState.ERASED
    assert houses.upload_of(house, kept).state is UploadState.READY
    with house.ledger.read() as tx:
        receipt = receipts.of_upload(tx, before)
        stones = tombstones.of(tx, [before, after])
    assert receipt is not None
    assert verify(receipt.body, house.signer.public_pem())["trigger"] == "restore"
    assert {stone.journal_seq for stone in stones.values()} == {1, 2}
    house.ledger.close()
    # And a second replay finds nothing to do, and the next erasure is written behind the old ones
    assert site.mayfly("restore")[1]["lines"] == 0
    site.erase(kept)
    assert len(site.journal.read_text().splitlines()) == 4
    assert site.mayfly("status")[1]["journal"] == "ok"


@pytest.mark.parametrize("part", [["worker", "--class", "image"], ["relay"], ["api"]])
def test_the_parts_of_a_fleet_do_not_start_either(
    house: House, part: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given a ledger without the erasure that its journal tells of
    upload = houses.receive(house, samples.png())
    house.erasing.begin(upload.id, Trigger.USER)
    houses.work(house)
    lost = house.settings.home / "lost.db"
    monkeypatch.setenv("MAYFLY_HOME", str(house.settings.home))
    monkeypatch.setenv("MAYFLY_DATABASE_URL", f"sqlite:///{lost}")
    monkeypatch.setenv("MAYFLY_BROKER_URL", "redis://127.0.0.1:1/0")

    # Then each part ends at once with the one line, and asks no broker
    assert app.run(part) == 1
    assert capsys.readouterr().err.splitlines()[-1].endswith("run: mayfly restore [restore_needed]")


def test_copies_that_the_restored_ledger_has_no_row_of_are_found_and_proven(site: Site) -> None:
    site.taken()
    site.back_up()
    (later,) = site.taken()
    shutil.copytree(site.home / "media", site.home.parent / "later.bak")
    site.erase(later)

    # When an older ledger and younger media are restored
    site.restore_backup(media=False)
    shutil.rmtree(site.home / "media")
    shutil.copytree(site.home.parent / "later.bak", site.home / "media")
    lying = [path for path in site.files() if later in str(path)]
    assert lying

    done = site.mayfly("restore")[1]

    assert (done["unknown"], done["removed"]) == (1, len(lying))
    assert not [path for path in site.files() if later in str(path)]


def test_media_that_were_restored_alone_are_looked_through_on_demand(site: Site) -> None:
    (erased,) = site.taken()
    site.back_up()
    site.erase(erased)
    site.restore_backup(ledger=False)
    assert site.files()
    assert site.mayfly("restore")[1]["lines"] == 0

    done = site.mayfly("restore", "--all")[1]

    assert (done["lines"], done["erased_already"]) == (1, 1)
    assert done["removed"] > 0
    assert site.files() == []


def test_a_ledger_that_was_lost_altogether_is_told_from_the_journal_alone(site: Site) -> None:
    (erased,) = site.taken()
    empty = site.home.parent / "empty"
    empty.mkdir()
    site.back_up()
    site.erase(erased)
    site.restore_backup(ledger=False)
    lost = Site(home=site.home, url=f"sqlite:///{empty}/ledger.db", jail=site.jail, capsys=site.capsys)

    assert lost.refused() == "restore_needed"
    house = House.build(
        Settings.model_validate({"home": lost.home, "database_url": lost.url}), jail=site.jail, gated=False
    )
    done = house.restoring.run(lambda _upload_id: None)
    house.ledger.close()

    assert (done.unknown, site.files()) == (1, [])
    lost.open().ledger.close()


@pytest.mark.parametrize("begun", [False, True])
def test_a_hold_of_the_backup_is_respected_and_told(site: Site, begun: bool) -> None:
    # Given a backup of an upload that is held, whether or not its erasure had begun by then
    (held,) = site.taken()
    house = site.open()
    if begun:
        house.erasing.begin(held, Trigger.USER)
    house.holding.place(upload_id=held, case_ref="C", reason="r", authority="a")
    house.ledger.close()
    site.back_up()
    assert site.mayfly("hold", "release", "--upload", held, "--case", "C")[0] == 0
    site.erase(held)
    site.restore_backup()
    copies = site.files()

    # Then the replay does not wait for what cannot end
    done = site.mayfly("restore")[1]

    assert (done["held"], done["kept"], site.files()) == (1, [held], copies)
    # And with its release it goes
    assert site.mayfly("hold", "release", "--upload", held, "--case", "C")[0] == 0
    house = site.open()
    houses.sweep(house)
    assert houses.upload_of(house, held).state is UploadState.ERASED
    house.ledger.close()
    assert site.files() == []


def test_a_replay_that_dies_goes_on_where_it_was(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.flows.restore.PAGE", 1)
    made = site.taken(3)
    site.back_up()
    site.erase(*made)
    site.restore_backup()

    class Dies(Exception):
        """The process is killed."""

    house = House.build(Settings.load({"MAYFLY_HOME": str(site.home), "MAYFLY_DATABASE_URL": site.url}), gated=False)
    seen: list[str] = []

    def once(upload_id: str) -> None:
        seen.append(upload_id)
        if len(seen) == 2:
            raise Dies
        houses.work(house)

    with pytest.raises(Dies):
        house.restoring.run(once)
    house.ledger.close()
    assert site.refused() == "restore_needed"

    status, done = site.mayfly("restore")
    assert (status, done["lines"]) == (0, 2)
    assert site.files() == []
    site.open().ledger.close()


def test_a_running_process_stops_when_its_ledger_is_replaced_under_it(site: Site) -> None:
    before, waits = site.taken(2)
    site.back_up()
    site.erase(before)
    house = site.open()
    house.ledger.close()
    site.restore_backup()
    house.gate.forget()

    with pytest.raises(Unavailable) as refused:
        house.permit()
    assert refused.value.code == "restore_needed"
    # And a job that it is rung for stays undone
    house.erasing.begin(waits, Trigger.USER)
    assert houses.work(house, rounds=2)
    assert houses.upload_of(house, waits).state is UploadState.ERASING
    assert any(waits in str(path) for path in site.files())
    house.ledger.close()


def test_a_kill_between_the_journal_and_the_commit_loses_nothing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = site.taken(2)
    house = site.open()
    house.erasing.begin(one, Trigger.USER)

    class Dies(Exception):
        """The process is killed."""

    def killed(*_: object) -> None:
        raise Dies

    with monkeypatch.context() as patched:
        patched.setattr("worker.ledger.tombstones.in_journal", killed)
        houses.work(house, rounds=3)
        with pytest.raises(Dies):
            house.export()
    with site.journal.open("ab") as torn:
        torn.write(b'{"artifact_ids":["art')
    house.ledger.close()

    # Then the line counts as written, its rest goes, and the next one stands behind it
    site.erase(two)
    lines = [json.loads(line) for line in site.journal.read_text().splitlines()]
    assert [line["seq"] for line in lines] == [0, 1, 2]
    assert [line["upload_id"] for line in lines[1:]] == [one, two]
    house = site.open()
    with house.ledger.read() as tx:
        assert {stone.journal_seq for stone in tombstones.of(tx, [one, two]).values()} == {1, 2}
    house.ledger.close()


Spoil = Callable[[Path], None]


def _cut(journal: Path) -> None:
    journal.write_bytes(journal.read_bytes().rpartition(b"\n")[0].rpartition(b"\n")[0] + b"\n")


def _cut_in_a_line(journal: Path) -> None:
    journal.write_bytes(journal.read_bytes()[:-20])


def _change(journal: Path) -> None:
    text = journal.read_text()
    upload_id = json.loads(text.splitlines()[1])["upload_id"]
    journal.write_text(text.replace(upload_id, new_id("upl")))


def _change_the_last(journal: Path) -> None:
    lines = journal.read_text().splitlines(keepends=True)
    lines[-1] = lines[-1].replace('"erased_at":"2', '"erased_at":"3')
    journal.write_text("".join(lines))


def _take_out(journal: Path) -> None:
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(lines[:1] + lines[2:] + lines[1:2]))


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (_cut, "journal_cut"),
        (_cut_in_a_line, "journal_cut"),
        (_change_the_last, "journal_changed"),
        (_take_out, "journal_changed"),
        (Path.unlink, "journal_missing"),
        (lambda journal: journal.write_bytes(b""), "journal_cut"),
        (lambda journal: journal.write_bytes(b"nonsense\n" * 500), "journal_changed"),
    ],
)
def test_a_journal_that_is_not_whole_is_refused_and_written_anew_on_demand(
    house: House, spoil: Spoil, code: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(3):
        upload = houses.receive(house, samples.png())
        house.erasing.begin(upload.id, Trigger.USER)
    houses.work(house)
    journal = house.settings.journal_path()
    spoil(journal)
    monkeypatch.setenv("MAYFLY_HOME", str(house.settings.home))

    with pytest.raises(MayflyError) as refused:
        House.build(house.settings, jail=house.jail)
    assert refused.value.code == code
    assert "\n" not in str(refused.value)
    assert app.run(["restore"]) == 1
    assert capsys.readouterr().err.splitlines()[-1].endswith(f"[{code}]")

    # When no true copy can be had, Then the ledger writes one
    assert app.run(["--json", "restore", "--begin-anew"]) == 0
    assert json.loads(capsys.readouterr().out) == {"lines": 3}
    House.build(house.settings, jail=house.jail).ledger.close()
    assert app.run(["restore", "--begin-anew"]) == 1
    assert "[journal_whole]" in capsys.readouterr().err


def test_a_change_in_the_middle_is_told_by_whoever_reads_it_whole(
    house: House, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        upload = houses.receive(house, samples.png())
        house.erasing.begin(upload.id, Trigger.USER)
    houses.work(house)
    _change(house.settings.journal_path())
    monkeypatch.setenv("MAYFLY_HOME", str(house.settings.home))

    assert app.run(["restore", "--dry-run"]) == 1
    assert "[journal_changed]" in capsys.readouterr().err
    with pytest.raises(Unavailable) as refused:
        house.restoring.journal.end()
    assert refused.value.code == "journal_changed"


def test_a_backup_from_before_a_new_journal_is_replayed_whole(site: Site) -> None:
    first, second = site.taken(2)
    site.erase(first)
    site.back_up()
    site.erase(second)
    site.journal.unlink()
    assert site.mayfly("restore", "--begin-anew")[1] == {"lines": 2}

    site.restore_backup()
    assert site.refused() == "restore_needed"
    done = site.mayfly("restore")[1]

    assert (done["lines"], done["erased_already"], done["erased_again"]) == (2, 1, 1)
    assert site.files() == []
    site.open().ledger.close()


def test_a_line_holds_ids_keys_and_times_alone(house: House) -> None:
    upload = houses.receive(house, samples.photo())
    houses.work(house)
    house.erasing.begin(upload.id, Trigger.USER)
    houses.work(house)

    (line,) = [json.loads(text) for text in house.settings.journal_path().read_text().splitlines()[1:]]

    copies = {copy.id: copy for copy in houses.copies_of(house, upload.id)}
    assert set(line) == {"seq", "prev", "hash", "upload_id", "artifact_ids", "keys", "erased_at", "expires_at"}
    assert set(line["artifact_ids"]) == set(copies)
    assert set(line["keys"]) == {copy.key for copy in copies.values() if copy.kind is not ArtifactKind.SCRATCH}
    assert houses.ANNA not in json.dumps(line)
    assert house.settings.journal_path().stat().st_mode & 0o777 == 0o600
