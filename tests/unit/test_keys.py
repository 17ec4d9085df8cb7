"""Keys take one shape and one alphabet; everything else is refused before a backend sees it."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage_backends.errors import BadKey, StorageError
from storage_backends.keys import SEGMENT, Key, prefix_parts

SEGMENTS = st.from_regex(SEGMENT, fullmatch=True)

MALFORMED = (
    "",
    "a",
    "a/b/c",
    "a/b/c/d/e",
    "a/b/c/",
    "/a/b/c/d",
    "a//c/d",
    "a/b/../d",
    "../a/b/c",
    "a/b/c/.",
    "a/b/c/.d",
    "a/b/c/d.part",
    "a/b/c/d\n",
    "a/b/c/d\x00",
    "a\\b/c/d/e",
    "A/b/c/d",
    "a/b/c/-d",
    "a/b/c/_d",
    "a/b/c/d e",
    "a/b/c/é",
    "a/b/c/٣",
    "a/b/c/" + "d" * 65,
    "C:/b/c/d",
    "~/b/c/d",
    "a/b/c/%2e%2e",
)


@given(st.tuples(SEGMENTS, SEGMENTS, SEGMENTS, SEGMENTS))
def test_a_key_and_its_text_are_the_same(parts: tuple[str, str, str, str]) -> None:
    # Given four well-formed parts
    key = Key.of(parts)
    # When the key is written down and read again
    read = Key.parse(str(key))
    # Then it is the same key, in the order of the design
    assert read == key
    assert str(key) == "/".join(parts)
    assert (key.retention_class, key.app, key.upload_id, key.artifact_id) == parts


@pytest.mark.parametrize("text", MALFORMED)
def test_a_malformed_key_is_refused_without_quoting_it(text: str) -> None:
    # When a text that is no key is read, Then it is refused, and the message does not repeat it (P7)
    with pytest.raises(BadKey) as refused:
        Key.parse(text)
    assert len(text) < 6 or text not in str(refused.value)
    assert isinstance(refused.value, StorageError)
    assert not refused.value.retryable


@given(st.text(max_size=40))
def test_no_text_escapes_the_alphabet(text: str) -> None:
    # When any text is tried as a part, Then it is either of the alphabet or refused
    try:
        key = Key(retention_class="a", app="b", upload_id="c", artifact_id=text)
    except BadKey:
        assert not SEGMENT.fullmatch(text)
    else:
        assert set(key.artifact_id) <= set("abcdefghijklmnopqrstuvwxyz0123456789_-")
        assert 1 <= len(key.artifact_id) <= 64


@pytest.mark.parametrize("value", [None, 4, b"a/b/c/d", ["a", "b", "c", "d"]])
def test_what_is_no_text_is_no_key(value: object) -> None:
    # When something that is no text comes where a key is meant, Then it is refused like a bad key
    with pytest.raises(BadKey):
        Key.parse(value)  # type: ignore[arg-type]
    with pytest.raises(BadKey):
        Key(retention_class="a", app="b", upload_id="c", artifact_id=value)  # type: ignore[arg-type]


def test_a_key_cannot_be_changed() -> None:
    # Given a key
    key = Key.parse("original/shop/upl_1/art_1")
    # When a part is assigned, Then it is refused: what was validated stays so
    with pytest.raises(dataclasses.FrozenInstanceError):
        key.app = "../other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("prefix", "parts"),
    [("", ()), ("a", ("a",)), ("a/b", ("a", "b")), ("a/b/c/d", ("a", "b", "c", "d"))],
)
def test_a_prefix_is_whole_parts(prefix: str, parts: tuple[str, ...]) -> None:
    # When a prefix of whole parts is read, Then these are its parts
    assert prefix_parts(prefix) == parts


@pytest.mark.parametrize("prefix", [text for text in MALFORMED if text not in ("", "a", "a/b/c")])
def test_half_a_prefix_is_refused(prefix: str) -> None:
    # When a prefix is not of whole parts, Then it is refused: it could mean more than was said
    with pytest.raises(BadKey):
        prefix_parts(prefix)
