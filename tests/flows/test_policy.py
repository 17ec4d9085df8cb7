"""A policy file, what its change moves, and the net below it in a bucket."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from tests import houses, samples
from tests.buckets import S3Server
from worker.errors import UsageRefused
from worker.ledger import events
from worker.media.jail import Jail
from worker.model import UploadState
from worker.retention.book import BUILT_IN, Book, parse
from worker.retention.lifecycle import SLACK, days_by_class
from worker.retention.rules import RULES
from worker.wiring import House

DAY = timedelta(days=1)


def house_with(home: Path, jail: Jail, policy: str, **settings: object) -> House:
    file = home.parent / "policy.toml"
    file.write_text(policy, encoding="utf-8")
    return houses.build(home, jail=jail, policy=file, **settings)


def ready(house: House, **named: object) -> str:
    upload = houses.receive(house, samples.png(), **named)
    houses.work(house)
    houses.sweep(house)
    assert houses.upload_of(house, upload.id).state is UploadState.READY
    return upload.id


def test_a_policy_may_shorten_and_set_the_brakes() -> None:
    book = parse('[rules]\n"rendition.published" = "30d"\n[brakes]\nleast = 7\nshare = 0.5')

    assert {rule.name: rule.most for rule in book.rules}["rendition.published"] == 30 * DAY
    assert (book.brakes.least, book.brakes.factor, book.brakes.share) == (7, 3.0, 0.5)
    assert [rule.name for rule in book.rules] == [rule.name for rule in RULES]
    assert book.version != BUILT_IN
    assert parse("").rules == Book().rules


@pytest.mark.parametrize(
    "text",
    [
        "not toml",
        "[rule]\n",
        '[rules]\n"rendition.shown" = "1d"',
        '[rules]\n"rendition.published" = "731d"',
        '[rules]\n"rendition.published" = 30',
        '[rules]\n"original.waiting" = "25h"',
        "[brakes]\nleast = 0",
        "[brakes]\nleast = true",
        "[brakes]\nmost = 5",
    ],
)
def test_a_policy_that_is_wrong_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(UsageRefused) as refused:
        parse(text)
    assert refused.value.code == "bad_policy"
    assert "\n" not in str(refused.value)


def test_a_shorter_policy_is_told_first_and_moves_what_lives(jail: Jail, tmp_path: Path) -> None:
    # Given a picture under the built-in policy, and one that ends sooner by itself
    before = houses.build(tmp_path / "home", jail=jail)
    long, short = ready(before), ready(before, keep_for=DAY)
    born = houses.upload_of(before, long).created_at
    before.ledger.close()

    # When the policy is shortened to 30 days, Then a dry run says what would move, and moves nothing
    house = house_with(tmp_path / "home", jail, '[rules]\n"rendition.published" = "30d"')
    told = house.repolicing.run(houses.FreeGuard(), apply=False)
    assert (told.copies, told.earlier, told.later, told.due_at_once) == (6, 3, 0, 0)
    assert told.by_rule == {"rendition.published": {"earlier": 3, "later": 0}}
    assert houses.upload_of(house, long).delete_at == born + 90 * DAY

    # When it is applied, Then the last days move, with the ground in the chain
    house.repolicing.run(houses.FreeGuard(), apply=True)
    assert {copy.delete_at for copy in houses.copies_of(house, long) if copy.name == "display"} == {born + 30 * DAY}
    assert houses.upload_of(house, long).delete_at == born + 30 * DAY
    assert houses.upload_of(house, short).delete_at < born + 2 * DAY
    with house.ledger.read() as tx:
        story = events.of_upload(tx, long)
        assert f"policy {house.repolicing.book.version}" in {event.detail.get("basis") for event in story}
        assert events.verify(tx, long)
    assert house.repolicing.run(houses.FreeGuard(), apply=True).earlier == 0
    house.ledger.close()


def test_what_an_app_may_keep_at_the_most_moves_what_lives_as_well(jail: Jail, tmp_path: Path) -> None:
    before = houses.build(tmp_path / "home", jail=jail)
    upload_id = ready(before, keep_for=50 * DAY)
    born = houses.upload_of(before, upload_id).created_at
    before.ledger.close()
    house = houses.build(tmp_path / "home", jail=jail, keep_for=DAY, keep_for_most=20 * DAY)

    house.repolicing.run(houses.FreeGuard(), apply=True)

    assert {copy.delete_at for copy in houses.copies_of(house, upload_id) if copy.name == "display"} == {
        born + 20 * DAY
    }
    assert houses.upload_of(house, upload_id).delete_at == born + 20 * DAY
    house.ledger.close()


def test_a_longer_policy_extends_nothing_in_silence(jail: Jail, tmp_path: Path) -> None:
    house = house_with(tmp_path / "home", jail, '[rules]\n"rendition.published" = "30d"')
    upload_id = ready(house)
    short = {copy.delete_at for copy in houses.copies_of(house, upload_id) if copy.name == "display"}
    house.ledger.close()

    longer = houses.build(tmp_path / "home", jail=jail)
    told = longer.repolicing.run(houses.FreeGuard(), apply=True)
    assert told.later == 3
    assert {copy.delete_at for copy in houses.copies_of(longer, upload_id) if copy.name == "display"} == short

    longer.repolicing.run(houses.FreeGuard(), apply=True, later=True)
    moved = next(copy for copy in houses.copies_of(longer, upload_id) if copy.name == "display")
    assert moved.delete_at == houses.upload_of(longer, upload_id).created_at + 90 * DAY
    longer.ledger.close()


def test_the_net_hangs_below_every_rule_and_spares_evidence() -> None:
    days = days_by_class()

    assert not {"evidence", "cdn_copy"} & set(days)
    assert days["intake"] == days["original"]
    for rule in RULES:
        if rule.kind.value not in ("evidence", "cdn_copy"):
            assert days[rule.kind.value] * DAY >= rule.most + SLACK


@pytest.mark.slow
def test_the_net_is_set_beside_the_rules_of_others(s3: S3Server, jail: Jail, tmp_path: Path) -> None:
    bucket = s3.bucket("versioned")
    others = {"ID": "others", "Filter": {"Prefix": "logs/"}, "Status": "Enabled", "Expiration": {"Days": 3}}
    s3.client.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [others]})
    keys = {"s3_access_key": s3.access_key, "s3_secret_key": s3.secret_key, "s3_region": "us-east-1"}
    house = houses.build(tmp_path / "home", jail=jail, s3_bucket=bucket, s3_prefix="m", s3_endpoint=s3.endpoint, **keys)

    wanted, present = house.shelf.net(days_by_class(), apply=False)
    assert [rule["ID"] for rule in present] == ["others"]
    house.shelf.net(days_by_class(), apply=True)
    _, present = house.shelf.net(days_by_class(), apply=True)

    assert [rule["ID"] for rule in present] == ["others", *(rule["ID"] for rule in wanted)]
    for rule in present[1:]:
        assert rule["Filter"]["Prefix"].startswith("m/")
        assert not rule["Filter"]["Prefix"].startswith("m/evidence")
    house.ledger.close()
