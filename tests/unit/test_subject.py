"""A subject becomes a keyed hash at the edge; nothing else of it stays."""

from __future__ import annotations

import pytest

from worker.errors import Refused
from worker.model import SUBJECT_KEY
from worker.privacy.subject import subject_key

SECRET = b"a secret of the tests"


def test_the_key_depends_on_secret_app_and_subject() -> None:
    key = subject_key(SECRET, "shop", "anna")
    assert SUBJECT_KEY.match(key)
    assert key == subject_key(SECRET, "shop", "anna")
    assert len({key, subject_key(b"other", "shop", "anna"), subject_key(SECRET, "blog", "anna"),
                subject_key(SECRET, "shop", "bert")}) == 4  # fmt: skip


def test_app_and_subject_do_not_run_into_each_other() -> None:
    assert subject_key(SECRET, "ab", "c") != subject_key(SECRET, "a", "bc")


@pytest.mark.parametrize("subject", ["", "   ", "x" * 257, "a\x00b"])
def test_a_subject_that_is_none_is_refused_unquoted(subject: str) -> None:
    with pytest.raises(Refused) as caught:
        subject_key(SECRET, "shop", subject)
    assert caught.value.code == "bad_subject"
    assert "xxx" not in str(caught.value)


@pytest.mark.parametrize("subject", ["x", "x" * 256, "josé@例え", "\ud800"])
def test_any_other_text_is_a_subject(subject: str) -> None:
    assert SUBJECT_KEY.match(subject_key(SECRET, "shop", subject))


@pytest.mark.parametrize("app", ["", "Shop", "a b", "../x", "a" * 33])
def test_an_app_name_is_plain(app: str) -> None:
    with pytest.raises(Refused) as caught:
        subject_key(SECRET, app, "anna")
    assert caught.value.code == "bad_app"
