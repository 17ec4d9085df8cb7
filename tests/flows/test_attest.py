"""The statement of a day: made once, provable offline, and a receipt that is put in or taken away later shows."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from tests import houses
from tests.commands import InProcess
from worker.flows.attest import SETTLED
from worker.ledger import days, receipts
from worker.ledger.database import Tx
from worker.model import new_id
from worker.privacy.receipt import verify
from worker.wiring import House

pytestmark = [pytest.mark.slow, pytest.mark.wide]

MONDAY = datetime(2026, 3, 2, 12, tzinfo=UTC)
DAY = timedelta(days=1)


class Moment:
    """A clock that a test sets."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def now(self, _conn: object) -> datetime:
        return self.at


@pytest.fixture
def clock() -> Moment:
    return Moment(MONDAY)


@pytest.fixture
def house(tmp_path: Path, clock: Moment) -> Iterator[House]:
    made = houses.build(tmp_path / "home", clock=clock)
    yield made
    made.close()


@pytest.fixture
def run(house: House, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> InProcess:
    monkeypatch.setenv("MAYFLY_HOME", str(house.settings.home))
    return InProcess(captured=capsys)


def issue(house: House, count: int = 1) -> list[str]:
    """Receipts of strangers, as reconcile keeps them: they need no upload."""
    made = [new_id("rcp") for _ in range(count)]
    with house.ledger.begin() as tx:
        for receipt_id in made:
            receipts.keep(tx, receipt_id=receipt_id, body=house.signer.sign({"receipt_id": receipt_id}))
    return made


def attest(house: House) -> int:
    return house.attesting.run(houses.FreeGuard())


def three_days(house: House, clock: Moment) -> list[str]:
    """Five receipts on Monday, none on Tuesday, two on Wednesday; all three days are stated."""
    made = issue(house, 5)
    clock.at = MONDAY + 2 * DAY
    made += issue(house, 2)
    clock.at = MONDAY + 3 * DAY
    house.attest("all", None, houses.FreeGuard())  # type: ignore[arg-type]
    return made


def statements(house: House) -> list[dict[str, object]]:
    with house.ledger.read() as tx:
        return [verify(text, house.signer.public_pem()) for _day, text in days.every(tx)]


def test_a_day_is_stated_once_when_it_is_over_and_settled(house: House, clock: Moment) -> None:
    assert attest(house) == 0
    issue(house, 3)
    midnight = datetime(2026, 3, 3, tzinfo=UTC)

    for at, stated in (
        (MONDAY, 0),
        (midnight + SETTLED - timedelta(seconds=1), 0),
        (midnight + SETTLED, 1),
        (midnight + SETTLED, 0),
    ):
        clock.at = at
        assert attest(house) == stated

    (said,) = statements(house)
    assert (said["day"], said["tree_size"], said["previous_root"]) == ("2026-03-02", 3, None)


def test_a_sweep_as_of_a_later_time_closes_no_day_that_is_not_over(house: House, clock: Moment) -> None:
    clock.at = datetime.now(UTC)
    issue(house, 1)
    clock.at += timedelta(days=26_000)

    assert attest(house) == 0


def test_days_that_nobody_stated_are_made_up_for_in_order_and_chained(house: House, clock: Moment) -> None:
    three_days(house, clock)

    said = statements(house)

    assert [(each["day"], each["tree_size"]) for each in said] == [
        ("2026-03-02", 5),
        ("2026-03-03", 0),
        ("2026-03-04", 2),
    ]
    assert [each["previous_root"] for each in said] == [None, said[0]["root"], said[1]["root"]]
    folder = house.settings.home / "receipts" / "days"
    assert sorted(path.name for path in folder.iterdir()) == [f"{each['day']}.json" for each in said]


def test_every_receipt_of_a_day_is_proven_offline(house: House, clock: Moment, run: InProcess) -> None:
    made = three_days(house, clock)
    shown = [run("receipt", "show", receipt_id) for receipt_id in made]

    for receipt_id, paths in zip(made, shown, strict=True):
        said = run("verify", paths["receipt"], "--day", paths["day"])
        assert (said["receipt_id"], said["day"]) == (
            receipt_id,
            "2026-03-02" if receipt_id in made[:5] else "2026-03-04",
        )
    # And by no other receipt's proof, nor by one that was changed
    assert run.refused("verify", shown[0]["receipt"], "--day", shown[1]["day"]) == "not_in_day"
    proof = Path(shown[0]["day"])
    text = proof.read_text()
    for before, after, code in (
        ("2026-03-02", "2026-03-09", "bad_signature"),
        ('"tree_size": 5', '"tree_size": 6', "bad_signature"),
        (json.loads(text)["path"][0], "0" * 64, "not_in_day"),
        (json.loads(text)["path"][0], json.loads(text)["path"][0].upper(), "bad_proof"),
        ("\n", "", "bad_proof"),
    ):
        proof.write_text(text.replace(before, after))
        assert run.refused("verify", shown[0]["receipt"], "--day", proof) == code
    # A receipt is no proof
    assert run.refused("verify", shown[0]["receipt"], "--day", shown[0]["receipt"]) == "bad_proof"


def test_a_receipt_of_today_has_no_proof_yet(house: House, run: InProcess) -> None:
    (made,) = issue(house)
    shown = run("receipt", "show", made)
    assert (Path(shown["receipt"]).stem, shown["day"]) == (made, None)
    assert run.refused("receipt", "show", new_id("rcp")) == "receipt_not_found"


ONE_OF_MONDAY = "id = (SELECT min(id) FROM receipts WHERE kept_at < '2026-03-03')"


def remove(tx: Tx, home: Path) -> None:
    tx.conn.exec_driver_sql(f"DELETE FROM receipts WHERE {ONE_OF_MONDAY}")


def add(tx: Tx, home: Path) -> None:
    receipts.keep(tx, receipt_id=new_id("rcp"), body="{}")
    tx.conn.exec_driver_sql("UPDATE receipts SET kept_at = '2026-03-02T12:00:00.000000Z' WHERE body = '{}'")


def change(tx: Tx, home: Path) -> None:
    tx.conn.exec_driver_sql(f"UPDATE receipts SET body = body || ' ' WHERE {ONE_OF_MONDAY}")


def move(tx: Tx, home: Path) -> None:
    tx.conn.exec_driver_sql("UPDATE receipts SET kept_at = '2026-03-03T12:00:00.000000Z' WHERE kept_at < '2026-03-03'")


def cut(tx: Tx, home: Path) -> None:
    tx.conn.exec_driver_sql("DELETE FROM receipt_days WHERE day = '2026-03-04'")


def behead(tx: Tx, home: Path) -> None:
    tx.conn.exec_driver_sql("DELETE FROM receipt_days WHERE day = '2026-03-02'")
    (home / "receipts" / "days" / "2026-03-02.json").unlink()


def leave_out(tx: Tx, home: Path) -> None:
    tx.conn.exec_driver_sql("DELETE FROM receipt_days WHERE day = '2026-03-03'")
    (home / "receipts" / "days" / "2026-03-03.json").unlink()


def respell(tx: Tx, home: Path) -> None:
    tx.conn.exec_driver_sql("UPDATE receipt_days SET body = body || ' ' WHERE day = '2026-03-03'")


@pytest.mark.parametrize(
    ("tamper", "told"),
    [
        (remove, [("2026-03-02", "receipts_changed")]),
        (add, [("2026-03-02", "receipts_changed")]),
        (change, [("2026-03-02", "receipts_changed")]),
        (move, [("2026-03-02", "receipts_changed"), ("2026-03-03", "receipts_changed")]),
        (cut, [("2026-03-04", "statement_lost")]),
        (behead, [("2026-03-03", "chain_broken")]),
        (leave_out, [("2026-03-04", "chain_broken")]),
        (respell, [("2026-03-03", "statement_changed")]),
    ],
)
def test_what_is_changed_afterwards_shows(
    house: House, clock: Moment, run: InProcess, tamper: Callable[[Tx, Path], None], told: list[tuple[str, str]]
) -> None:
    three_days(house, clock)
    assert run("receipt", "recount") == {"days": 3, "changed": []}

    with house.ledger.begin() as tx:
        tamper(tx, house.settings.home)

    changed = run("receipt", "recount", status=1)["changed"]
    assert [(found["day"], found["what"]) for found in changed] == told


def test_a_statement_made_anew_does_not_hide_what_was_done(house: House, clock: Moment, run: InProcess) -> None:
    three_days(house, clock)
    with house.ledger.begin() as tx:
        tx.conn.exec_driver_sql("DELETE FROM receipt_days")
        remove(tx, house.settings.home)

    assert attest(house) == 3  # with the right key, as whoever has the host could do

    changed = run("receipt", "recount", status=1)["changed"]
    assert [(found["day"], found["what"]) for found in changed] == [
        ("2026-03-02", "statement_changed"),
        ("2026-03-03", "statement_changed"),
    ]


def test_a_new_key_signs_and_what_the_old_one_signed_still_verifies(
    house: House, clock: Moment, run: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    three_days(house, clock)
    (before,) = issue(house)
    old = house.signer

    kid = run("receipt", "rotate")["kid"]

    # Then another process signs with the new one
    other = houses.at(house, clock)
    assert other.signer.kid == kid != old.kid
    (after,) = issue(other)
    clock.at += 2 * DAY
    assert attest(other) == 2
    # And receipts of both keys verify, and so does the whole chain of days
    for receipt_id in (before, after):
        paths = run("receipt", "show", receipt_id)
        assert run("verify", paths["receipt"], "--day", paths["day"])["valid"]
    keys = house.settings.home / "receipts" / "keys"
    assert {path.stem for path in keys.iterdir()} == {old.kid, kid}
    assert run("verify", paths["receipt"], "--public-key", keys)["valid"]
    assert run("receipt", "recount") == {"days": 5, "changed": []}
    other.ledger.close()
    # And a key that the operator gives is the operator's to change; the public halves of all stay here
    monkeypatch.setenv("MAYFLY_RECEIPT_KEY", old.new_pem().decode())
    assert run.refused("receipt", "rotate") == "key_is_set"
    assert run("receipt", "recount")["changed"] == []
    assert len(list(keys.iterdir())) == 3


def test_the_first_day_is_that_of_the_oldest_receipt(house: House, clock: Moment) -> None:
    with house.ledger.read() as tx:
        assert receipts.first_day(tx) is None
    issue(house)
    with house.ledger.read() as tx:
        assert receipts.first_day(tx) == date(2026, 3, 2)
