"""The environment is read in one place, strictly: an unknown name, a bad value and a missing file are refused."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from worker.errors import UsageRefused
from worker.settings import Settings, parse_span


def test_defaults_are_embedded_and_jailed() -> None:
    settings = Settings.load({})
    assert settings.embedded
    assert settings.jail == "required"
    assert settings.image_pixels == 64_000_000
    assert settings.keep_for == timedelta(days=90)
    assert settings.ledger_url().startswith("sqlite:///")


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("MAYFLY_IMAGE_PIXEL", "1", "unknown_setting"),
        ("MAYFLY_IMAGE_PIXELS", "many", "bad_setting"),
        ("MAYFLY_IMAGE_PIXELS", "0", "bad_setting"),
        ("MAYFLY_JAIL", "off", "bad_setting"),
        ("MAYFLY_APPS", "{", "bad_setting"),
        ("MAYFLY_KEEP_FOR", "ever", "bad_setting"),
        ("MAYFLY_BROKER_URL", "localhost", "bad_setting"),
        ("MAYFLY_BROKER_URL", "amqp://localhost", "bad_setting"),
        ("MAYFLY_BROKER_URL", "redis://localhost:port", "bad_setting"),
        ("MAYFLY_APPS", '{"Shop!": {}}', "bad_setting"),
        ("MAYFLY_APPS", '{"shop": {"keepfor": "1d"}}', "bad_setting"),
        ("MAYFLY_SUBJECT_SECRET_FILE", "/nowhere/at/all", "bad_setting"),
        ("MAYFLY_RENDITIONS_ON", "original_klean", "bad_setting"),
        ("MAYFLY_CDN_URL", "https://cdn.example/media", "bad_setting"),
        ("MAYFLY_CDN_PURGE_METHOD", "purge", "bad_setting"),
        ("MAYFLY_CDN_PURGE_URL", "https://me:hunter@cdn.example/{key}", "bad_setting"),
        ("MAYFLY_CDN_PURGE_HEADERS", "X-Key:hunter", "bad_setting"),
        ("MAYFLY_CDN_PURGE_HEADERS", '["hunter"]', "bad_setting"),
        ("MAYFLY_CDN_PURGE_HEADERS", '{"X-Key":1}', "bad_setting"),
        ("MAYFLY_CDN_PURGE_HEADERS", '{"X-Key":"hunter\\r\\nX:y"}', "bad_setting"),
        ("MAYFLY_CDN_PURGE_HEADERS", '{"X:":"hunter"}', "bad_setting"),
        ("MAYFLY_CDN_SECONDS", "0", "bad_setting"),
    ],
)
def test_what_is_wrong_is_refused_without_its_value(name: str, value: str, code: str) -> None:
    with pytest.raises(UsageRefused) as caught:
        Settings.load({name: value})
    assert caught.value.code == code
    assert value not in str(caught.value).split() or len(value) < 3


def test_an_empty_value_is_the_default() -> None:
    assert Settings.load({"MAYFLY_BROKER_URL": "", "MAYFLY_HOME": ""}) == Settings()


def test_a_secret_comes_from_a_file_and_is_never_shown(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("hunter-canary\n", encoding="utf-8")
    settings = Settings.load({"MAYFLY_SUBJECT_SECRET_FILE": str(path)})
    assert settings.subject_secret is not None
    assert settings.subject_secret.get_secret_value() == "hunter-canary"
    assert "hunter-canary" not in repr(settings) + str(settings) + settings.model_dump_json()


def test_what_a_purge_carries_comes_from_a_file_and_is_never_shown(tmp_path: Path) -> None:
    path = tmp_path / "headers"
    path.write_text('{"Authorization": "Bearer hunter-canary"}\n', encoding="utf-8")
    settings = Settings.load({"MAYFLY_CDN_PURGE_HEADERS_FILE": str(path)})
    assert settings.cdn_headers() == {"Authorization": "Bearer hunter-canary"}
    assert "hunter-canary" not in repr(settings) + str(settings) + settings.model_dump_json()


def test_an_app_has_limits_of_its_own() -> None:
    settings = Settings.load({"MAYFLY_APPS": '{"shop": {"keep_for": "30d", "keep_for_most": "60d"}}'})
    assert settings.app("shop").keep_for == timedelta(days=30)
    assert settings.app("other").keep_for == timedelta(days=90)


def test_what_an_app_does_not_say_is_the_general_limit() -> None:
    settings = Settings.load({"MAYFLY_APPS": '{"shop": {"keep_for": "30d"}}', "MAYFLY_KEEP_FOR_MOST": "95d"})
    assert settings.app("shop").keep_for == timedelta(days=30)
    assert settings.app("shop").keep_for_most == timedelta(days=95)


@pytest.mark.parametrize(
    "given",
    [
        {"MAYFLY_KEEP_FOR": "731d"},
        {"MAYFLY_KEEP_FOR": "1s"},
        {"MAYFLY_KEEP_FOR": "30d", "MAYFLY_KEEP_FOR_MOST": "20d"},
        {"MAYFLY_KEEP_FOR_MOST": "731d"},
        {"MAYFLY_APPS": '{"shop": {"keep_for": "30d", "keep_for_most": "1d"}}'},
    ],
)
def test_spans_that_contradict_each_other_are_refused_at_the_start(given: dict[str, str]) -> None:
    with pytest.raises(UsageRefused) as caught:
        Settings.load(given)
    assert caught.value.code == "bad_setting"


def test_a_setting_and_its_file_together_are_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hunter-canary")
    with pytest.raises(UsageRefused, match="set twice"):
        Settings.load({"MAYFLY_RECEIPT_KEY": "x", "MAYFLY_RECEIPT_KEY_FILE": str(tmp_path / "secret")})


@pytest.mark.parametrize(("text", "seconds"), [("45s", 45), ("2m", 120), ("1h", 3600), ("30d", 2_592_000)])
def test_spans(text: str, seconds: int) -> None:
    assert parse_span(text).total_seconds() == seconds


@pytest.mark.parametrize("text", ["", "30", "d", "-1d", "1w", "99999999999999999d"])
def test_what_is_no_span(text: str) -> None:
    with pytest.raises(UsageRefused):
        parse_span(text)
