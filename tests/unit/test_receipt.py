"""A receipt is whole or refused: one changed byte, another key, or no receipt at all each have their code."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import verifier
from worker.errors import Refused, UsageRefused
from worker.privacy.receipt import Signer, canonical, signed_by, verify

BODY = {"receipt_version": 1, "receipt_id": "rcp_0", "artifacts": [{"artifact_id": "art_0", "state": "gone"}]}
SIGNER = Signer.from_pem(Signer.new_pem())


def test_what_was_signed_verifies_and_comes_back() -> None:
    assert verify(SIGNER.sign(BODY), SIGNER.public_pem()) == BODY


def changed_bytes(data: st.DataObject, whole: bytes) -> bytes:
    """The text with one byte changed, left out or put in."""
    place, byte = data.draw(st.integers(0, len(whole) - 1)), bytes([data.draw(st.integers(0, 255))])
    head, tail = whole[:place], whole[place:]
    return data.draw(st.sampled_from([head + byte + tail[1:], head + tail[1:], head + byte + tail, whole + byte]))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_changed_byte_verifies_and_a_verifier_of_others_says_the_same(data: st.DataObject) -> None:
    whole = SIGNER.sign(BODY).encode()
    changed = changed_bytes(data, whole)
    by_others = verifier.holds(changed, SIGNER.public_pem())
    try:
        verify(changed.decode(), SIGNER.public_pem())
    except (Refused, UnicodeDecodeError):
        assert not by_others
        assert changed != whole
    else:
        assert by_others
        assert changed == whole


def test_every_single_bit_counts() -> None:
    """The last digits of the signature hold bits that base64 ignores, white space is ignored by JSON: not here."""
    whole = SIGNER.sign(BODY).encode()
    for place, bit in itertools.product(range(len(whole)), range(8)):
        changed = whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :]
        try:
            text = changed.decode()
        except UnicodeDecodeError:
            continue
        with pytest.raises(Refused):
            verify(text, SIGNER.public_pem())


@pytest.mark.parametrize(
    "respell",
    [
        lambda text: json.dumps(json.loads(text)),
        lambda text: json.dumps(json.loads(text), sort_keys=True, indent=2, ensure_ascii=False) + "\n",
        lambda text: text.replace("rcp_0", "\\u0072cp_0"),
        lambda text: text.replace('"receipt_version": 1', '"receipt_version": 2,\n  "receipt_version": 1'),
        lambda text: text.replace('"alg"', '"aim": "x",\n    "alg"'),
        lambda text: text.replace("\n", "\r\n"),
    ],
)
def test_the_same_values_spelt_another_way_are_refused(respell: Callable[[str], str]) -> None:
    text = SIGNER.sign(BODY)
    assert respell(text) != text
    with pytest.raises(Refused):
        verify(respell(text), SIGNER.public_pem())


def test_a_receipt_says_which_key_signed_it() -> None:
    assert signed_by(SIGNER.sign(BODY)) == SIGNER.kid


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "bad_receipt"),
        ("[]", "bad_receipt"),
        (json.dumps(BODY), "bad_receipt"),
        ("[" * 100_000, "bad_receipt"),
        (json.dumps({**BODY, "signature": {"alg": "Ed25519", "kid": "../../etc/passwd", "value": ""}}), "bad_receipt"),
        (json.dumps({**BODY, "signature": {"alg": "Ed25519", "kid": "0" * 16, "value": "AA=="}}), "other_key"),
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
