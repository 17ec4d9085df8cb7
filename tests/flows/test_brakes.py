"""Too many at once are hidden and wait for an operator's exact word; a person's own erasure never waits; a clock that
jumps stops the sweep."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog

from tests import houses, samples
from tests.contract import rows
from tests.houses import ANNA, BERT, FreeGuard
from worker.cli.app import run
from worker.errors import Refused
from worker.flows.brake import waiting
from worker.ledger import artifacts, brakes, events, holds, leases, receipts
from worker.ledger.clock import FixedClock, ShiftedClock, host_now
from worker.media.jail import Jail
from worker.model import Trigger, UploadState
from worker.wiring import House

pytestmark = [pytest.mark.slow, pytest.mark.wide]

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
NOW = datetime(2030, 5, 1, 12, tzinfo=UTC)
LEAST = 3


@pytest.fixture
def braked_home(tmp_path: Path, jail: Jail) -> House:
    """A house whose policy lets three go a day, so that few rows show what many would; it is noon there."""
    return strict(tmp_path, jail, NOW)


def strict(tmp_path: Path, jail: Jail, at: datetime) -> House:
    policy = tmp_path / "policy.toml"
    policy.write_text(f"[brakes]\nleast = {LEAST}\n", encoding="utf-8")
    return houses.build(tmp_path / "home", clock=FixedClock(at), jail=jail, policy=policy)


def later(house: House, by: timedelta) -> House:
    with house.ledger.read() as tx:
        return houses.at(house, FixedClock(tx.now + by))


def kept(house: House, number: int, *, subject: str = ANNA, lives: timedelta = HOUR) -> list[str]:
    """Uploads that are shown, each with a copy whose bytes lie in the house."""
    made = []
    with house.ledger.begin() as tx:
        for _ in range(number):
            owner = rows.upload(tx, UploadState.READY, subject=subject, lives=lives)
            copy = rows.copy(tx, owner, lives=lives)
            path = house.settings.home / "media" / copy.key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"somebody's picture")
            made.append(owner.id)
    return made


def work(house: House) -> None:
    """What is due. Twice is enough: what waits behind a brake would be asked again for ever."""
    houses.work(house, rounds=2)


def sweep(house: House) -> None:
    house.sweeping.run(FreeGuard())
    work(house)


def states(house: House, upload_ids: list[str]) -> set[UploadState]:
    return {houses.upload_of(house, upload_id).state for upload_id in upload_ids}


def behind(house: House) -> int:
    with house.ledger.read() as tx:
        return waiting(tx)


def on(house: House) -> list[str]:
    with house.ledger.read() as tx:
        return [brake.trigger for brake in brakes.all_on(tx)]


def test_as_many_as_the_policy_says_go_and_one_more_is_hidden_and_waits(braked_home: House) -> None:
    # Given a day on which three uploads have gone already
    kept(braked_home, LEAST)
    noon = later(braked_home, 2 * HOUR)
    sweep(noon)
    assert on(noon) == []
    assert houses.files_below(noon.settings.home) == []

    # When one more falls due on that day
    last = kept(noon, 1)
    evening = later(noon, 2 * HOUR)
    sweep(evening)

    # Then it is hidden, and every byte of it is there; its job names the brake, and the number says that it is late
    assert states(evening, last) == {UploadState.ERASING}
    assert len(houses.files_below(evening.settings.home)) == 1
    assert (on(evening), behind(evening)) == (["retention"], 1)
    with evening.ledger.read() as tx:
        assert houses.job_of(tx, "erase", last[0]).code == "braked"
    with later(evening, MINUTE).ledger.read() as tx:
        assert artifacts.oldest_overdue_seconds(tx) > 0

    # And what falls due while the brake is on waits as well, however little, also on the next day
    more = kept(evening, 1)
    tomorrow = later(evening, DAY)
    sweep(tomorrow)
    assert states(tomorrow, more) == {UploadState.ERASING}
    assert behind(tomorrow) == 2


def test_a_release_of_the_exact_number_lets_go_what_waits_and_nothing_that_is_due_later(braked_home: House) -> None:
    many = kept(braked_home, LEAST + 2)
    house = later(braked_home, 2 * HOUR)
    sweep(house)
    assert behind(house) == len(many)

    # A number that is wrong changes nothing
    for wrong in (0, len(many) - 1, len(many) + 1):
        with pytest.raises(Refused) as refused:
            house.braking.release(wrong, FreeGuard())
        assert refused.value.code == "count_wrong"
        assert "mayfly status" in str(refused.value)
    work(house)
    assert (states(house, many), behind(house)) == ({UploadState.ERASING}, len(many))

    # The right one lets all of them go, with a receipt each and the operator's word in their story
    house.braking.release(len(many), FreeGuard())
    work(house)
    assert (states(house, many), behind(house), on(house)) == ({UploadState.ERASED}, 0, [])
    assert houses.files_below(house.settings.home) == []
    with house.ledger.read() as tx:
        assert "erasure_released" in {event.event for event in events.of_upload(tx, many[0])}
        assert all(receipts.of_upload(tx, upload_id) is not None for upload_id in many)
        recorded = brakes.find(tx, "retention")
        assert recorded is not None
        assert recorded.released_count == len(many)

    # What was released does not count again on that day; what is too much on top of it waits anew
    few, more = kept(house, LEAST), []
    evening = later(house, 2 * HOUR)
    sweep(evening)
    assert states(evening, few) == {UploadState.ERASED}
    more = kept(evening, 1)
    night = later(evening, 2 * HOUR)
    sweep(night)
    assert (states(night, more), behind(night)) == ({UploadState.ERASING}, 1)


def test_a_release_counts_for_an_hour(braked_home: House) -> None:
    many = kept(braked_home, LEAST + 1)
    house = later(braked_home, 2 * HOUR)
    sweep(house)
    house.braking.release(len(many), FreeGuard())

    # Given that nobody was at work in that hour, Then they wait again, until they are released again
    after = later(house, HOUR)
    work(after)
    assert (states(after, many), behind(after)) == ({UploadState.ERASING}, len(many))
    after.braking.release(len(many), FreeGuard())
    work(after)
    assert states(after, many) == {UploadState.ERASED}


def test_what_has_passed_the_brake_is_not_asked_again(braked_home: House) -> None:
    # Given a released upload whose hold ends only after the release does
    many = kept(braked_home, LEAST + 1)
    house = later(braked_home, 2 * HOUR)
    sweep(house)
    with house.ledger.begin() as tx:
        holds.place(tx, upload_id=many[0], case_ref="c", reason="court order", authority="court")
    house.braking.release(len(many), FreeGuard())
    work(house)
    assert states(house, many[1:]) == {UploadState.ERASED}
    assert states(house, many[:1]) == {UploadState.ERASING}

    much_later = later(house, 3 * HOUR)
    with much_later.ledger.begin() as tx:
        holds.release(tx, upload_id=many[0], case_ref="c")
    work(much_later)
    assert states(much_later, many) == {UploadState.ERASED}


def test_a_persons_own_erasure_never_waits_and_an_idle_brake_ends(braked_home: House) -> None:
    annas, berts = kept(braked_home, LEAST), kept(braked_home, LEAST, subject=BERT)
    house = later(braked_home, 2 * HOUR)
    sweep(house)
    living = kept(house, LEAST + 2, lives=90 * DAY)
    assert behind(house) == len(annas + berts)

    # When Anna asks for everything, and an app for one of Bert's
    house.fulfilling.open(houses.APP, ANNA)
    house.erasing.begin(berts[0], Trigger.USER)
    work(house)

    # Then they are gone, what waited and what lived, and only the rest still waits
    assert states(house, annas + living + berts[:1]) == {UploadState.ERASED}
    assert (states(house, berts[1:]), behind(house)) == ({UploadState.ERASING}, LEAST - 1)
    with pytest.raises(Refused):
        house.braking.release(len(annas + berts), FreeGuard())

    # And when nothing waits any more, the next sweep turns the brake off
    for upload_id in berts:
        house.erasing.begin(upload_id, Trigger.USER)
    work(house)
    assert on(house) == ["retention"]
    sweep(house)
    assert on(house) == []
    with pytest.raises(Refused) as refused:
        house.braking.release(0, FreeGuard())
    assert refused.value.code == "not_braked"


def test_copies_that_are_due_by_their_own_rule_go_on(braked_home: House) -> None:
    kept(braked_home, LEAST + 1)
    published = houses.receive(braked_home, samples.png())
    work(braked_home)
    house = later(braked_home, 2 * HOUR)
    originals = [copy for copy in houses.copies_of(house, published.id) if copy.kind == "original"]

    sweep(house)

    assert on(house) == ["retention"]
    (original,) = [copy for copy in houses.copies_of(house, published.id) if copy.id == originals[0].id]
    assert original.state == "gone"
    assert houses.upload_of(house, published.id).state is UploadState.READY


def test_a_share_of_what_lives_is_too_many_at_once(tmp_path: Path, jail: Jail) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text("[brakes]\nleast = 1\nfactor = 1000\nshare = 0.5\n", encoding="utf-8")
    house = houses.build(tmp_path / "home", clock=FixedClock(NOW), jail=jail, policy=policy)
    for _ in range(8):
        with house.ledger.begin() as tx:
            brakes.tally(tx, "retention")
        house = later(house, DAY)
    kept(house, 2)
    kept(house, 3, lives=90 * DAY)
    half = later(house, 2 * HOUR)
    sweep(half)
    assert on(half) == []

    kept(half, 4)
    more = later(half, 2 * HOUR)
    sweep(more)

    assert (on(more), behind(more)) == (["retention"], 4)


def real(house: House, *, database: timedelta, host: timedelta = timedelta(0)) -> House:
    """The house where the database's clock and the host's are so far off."""
    return House.build(house.settings, clock=ShiftedClock(by=database), host=lambda: host_now() + host, jail=house.jail)


def test_a_clock_that_is_off_stops_the_sweep_until_they_agree(house: House) -> None:
    due = kept(house, 2)
    wrong = real(house, database=2 * HOUR)

    swept = wrong.sweeping.run(FreeGuard())

    # Nothing is hidden, nothing destroyed, and it is told once
    assert (swept.halted, swept.tripped, swept.uploads, swept.copies) == (True, ("clock",), 0, 0)
    assert wrong.sweeping.run(FreeGuard()).tripped == ()
    assert states(house, due) == {UploadState.READY}
    assert (on(wrong), behind(wrong)) == (["clock"], 2)

    # When the clocks agree again, Then it ends by itself, and what is due goes
    agreed = real(house, database=2 * HOUR, host=2 * HOUR)
    sweep(agreed)
    assert on(agreed) == []
    assert states(house, due) == {UploadState.ERASED}


def test_time_that_runs_backwards_stops_the_sweep_until_an_operator_believes_it(house: House) -> None:
    # Given a sweep by clocks that were both a day ahead
    ahead = real(house, database=DAY, host=DAY)
    sweep(ahead)
    due = kept(real(house, database=-2 * HOUR), 1)

    sweep(real(house, database=timedelta(0)))
    assert (on(house), states(house, due)) == (["clock"], {UploadState.READY})
    assert house.sweep_scratch(FreeGuard()).halted

    # When an operator says how many are due now, Then this time is the right one
    with pytest.raises(Refused):
        house.braking.release(0, FreeGuard())
    house.braking.release(1, FreeGuard())
    sweep(house)
    assert (on(house), states(house, due)) == ([], {UploadState.ERASED})
    assert not house.sweeping.run(FreeGuard()).halted


def test_an_operators_own_time_is_believed_and_has_a_budget_all_the_same(braked_home: House) -> None:
    kept(braked_home, LEAST + 1)

    ahead = later(braked_home, 400 * DAY)
    assert not ahead.sweeping.run(FreeGuard()).halted

    assert (on(ahead), behind(ahead)) == (["retention"], LEAST + 1)
    with ahead.ledger.read() as tx:
        assert brakes.last_sweep(tx) is None


def test_the_alarm_is_logged_once(braked_home: House) -> None:
    kept(braked_home, LEAST + 1)
    structlog.reset_defaults()  # a command that ran in this process before us may have left its own level
    house = later(braked_home, 2 * HOUR)
    with structlog.testing.capture_logs() as said:
        for _ in range(2):
            with house.ledger.begin() as tx:
                leases.hurry(tx, "sweep", "all")
            work(house)

    alarms = [line for line in said if line["event"] == "brake_tripped"]
    assert [(line["kind"], line["uploads"]) for line in alarms] == [("retention", LEAST + 1)]


class Command:
    """`mayfly` in this process, in one home."""

    def __init__(self, home: Path, policy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        monkeypatch.setenv("MAYFLY_HOME", str(home))
        monkeypatch.setenv("MAYFLY_POLICY", str(policy))

    def __call__(self, *argv: str) -> tuple[int, str, str]:
        out, err = io.StringIO(), io.StringIO()
        with self._monkeypatch.context() as patched:
            patched.setattr("sys.stdout", out)
            patched.setattr("sys.stderr", err)
            status = run(argv)
        return status, out.getvalue(), err.getvalue()

    def document(self, *argv: str) -> tuple[int, Any]:
        status, out, _ = self("--json", *argv)
        return status, json.loads(out)


def test_the_commands_tell_the_number_and_take_it(tmp_path: Path, jail: Jail, monkeypatch: pytest.MonkeyPatch) -> None:
    many = kept(strict(tmp_path, jail, host_now() - 2 * HOUR), LEAST + 1)
    mayfly = Command(tmp_path / "home", tmp_path / "policy.toml", monkeypatch)

    # A sweep says that a brake is on, and status why, with the number that a release must say
    status, swept = mayfly.document("sweep")
    assert (status, swept["braked"], swept["uploads_erased"]) == (1, len(many), 0)
    _, told = mayfly.document("status")
    (brake,) = told["brakes"]["on"]
    assert (brake["trigger"], brake["amount"], brake["permitted"]) == ("retention", len(many), LEAST)
    assert told["brakes"]["waiting"] == len(many)
    _, said, _ = mayfly("status")
    assert f"mayfly sweep release --count {len(many)}" in said
    assert brake["reason"] in said

    # A release typed wrong has one clear line
    for wrong, code in (("3", "count_wrong"), ("1000", "count_wrong"), ("x", "bad_argument"), ("-4", "bad_argument")):
        status, out, err = mayfly("sweep", "release", "--count", wrong)
        assert (status, out, err.count("\n")) == (2 if code == "bad_argument" else 1, "", 1)
        assert err.rstrip().endswith(f"[{code}]")

    # The right one does the work
    status, done = mayfly.document("sweep", "release", "--count", str(len(many)))
    assert (status, done["uploads_erased"], done["released"], done["braked"]) == (0, len(many), len(many), 0)
    _, told = mayfly.document("status")
    assert told["brakes"] == {"on": [], "waiting": 0}
    assert told["oldest_overdue_seconds"] == 0
    status, _, err = mayfly("sweep", "release", "--count", "0")
    assert (status, err.rstrip().endswith("[not_braked]")) == (1, True)
