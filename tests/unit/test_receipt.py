"""A receipt is whole or refused: one changed byte, another key, or no receipt at all each have their code."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.errors import Refused, UsageRefused
from worker.privacy.receipt import Signer, canonical, verify

BODY = {"receipt_version": 1, "receipt_id": "rcp_0", "artifacts": [{"artifact_id": "art_0", "state": "gone"}]}
SIGNER = Signer.from_pem(Signer.new_pem())


def test_what_was_signed_verifies_and_comes_back() -> None:
    assert verify(SIGNER.sign(BODY), SIGNER.public_pem()) == BODY


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_no_changed_value_verifies(data: st.DataObject) -> None:
    text = SIGNER.sign(BODY)
    place = data.draw(st.integers(0, len(text) - 1))
    changed = text[:place] + data.draw(st.sampled_from("0x}")) + text[place + 1 :]
    try:
        body = verify(changed, SIGNER.public_pem())
    except Refused:
        return
    assert body == BODY  # only white space between the same values may differ


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "bad_receipt"),
        ("[]", "bad_receipt"),
        (json.dumps(BODY), "bad_receipt"),
        (json.dumps({**BODY, "signature": {"alg": "Ed25519", "kid": "0", "value": "AA=="}}), "other_key"),
    ],
)
def test_what_is_no_receipt_is_refused(text: str, code: str) -> None:
    with pytest.raises(Refused) as caught:
        verify(text, SIGNER.public_pem())
    assert caught.value.code == code


def test_another_key_is_named_as_such() -> None:
    other = Signer.from_pem(Signer.new_pem())
    with pytest.raises(Refused) as caught:
        verify(SIGNER.sign(BODY), other.public_pem())
    assert caught.value.code == "other_key"


def test_a_broken_private_key_is_refused() -> None:
    with pytest.raises(UsageRefused) as caught:
        Signer.from_pem(b"-----BEGIN NONSENSE-----")
    assert caught.value.code == "bad_receipt_key"


def test_canonical_form_sorts_names_and_has_no_spaces() -> None:
    assert canonical({"b": 1, "a": [None, "é"]}) == '{"a":[null,"é"],"b":1}'.encode()
