"""The sniff: by the first bytes alone, image brands apart from video brands, and nothing else is known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import bombs, pieces, samples
from worker.errors import Unprocessable
from worker.media.codes import CODES
from worker.media.formats import FORMATS, HEAD_BYTES, format_named, sniff
from worker.model import UploadState


def named(head: bytes) -> str | None:
    found = sniff(head)
    return found.name if found else None


def ftyp(major: bytes, *others: bytes) -> bytes:
    return pieces.box(b"ftyp", major + b"\0\0\0\0" + b"".join(others)) + pieces.box(b"mdat")


@pytest.mark.parametrize("kind", samples.KINDS)
def test_each_sample_is_told_by_its_first_bytes(kind: str) -> None:
    data = samples.KINDS[kind]()

    assert named(data[:HEAD_BYTES]) == kind.partition("-")[0]


@pytest.mark.parametrize("name", bombs.STRANGERS)
def test_a_stranger_is_none(name: str) -> None:
    assert named(bombs.STRANGERS[name]) is None


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (ftyp(b"avif", b"mif1", b"miaf"), "avif"),
        (ftyp(b"avis"), "avif"),
        (ftyp(b"mif1", b"avif"), "avif"),
        (ftyp(b"mif1", b"heic"), "heic"),
        (ftyp(b"heix"), "heic"),
        (ftyp(b"mif1"), "heif"),
        (ftyp(b"zzzz", b"mif1", b"heic"), "heic"),
        (ftyp(b"qt  "), "mov"),
        (ftyp(b"qt  ", b"heic"), "mov"),
        (ftyp(b"isom", b"mif1", b"heic"), "mp4"),
        (ftyp(b"mp42"), "mp4"),
        (ftyp(b"M4V "), "m4v"),
        (ftyp(b"3gp5"), "3gp"),
        (ftyp(b"zzzz", b"isom"), "mp4"),
        (ftyp(b"M4A ", b"isom"), None),
        (ftyp(b"crx ", b"isom"), None),
        (ftyp(b"zzzz"), None),
        (pieces.box(b"moov", bytes(8)), "mov"),
        (b"\x1a\x45\xdf\xa3\x8b\x42\x82\x88matroska", "mkv"),
        (b"\x1a\x45\xdf\xa3\x87\x42\x82\x84webm", "webm"),
        (b"\x1a\x45\xdf\xa3\x87\x42\x82\x84wxyz", None),
        (b"RIFF\0\0\0\0WAVEfmt ", None),
        (b"RIFF\0\0\0\0AVI LIST", None),
        (b"II*\0\x10\0\0\0CR\2\0", None),
        (b"BM" + bytes(30), None),
        (b"", None),
    ],
)
def test_brands_and_signatures(head: bytes, name: str | None) -> None:
    assert named(head) == name


@given(st.binary(max_size=200))
def test_any_bytes_have_an_answer(head: bytes) -> None:
    found = sniff(head)

    assert found is None or found in FORMATS


@given(st.sampled_from([b"\0\0\0\x18ftyp", b"\x1a\x45\xdf\xa3", b"RIFF", b"BM", b"\xff\xd8"]), st.binary(max_size=60))
def test_any_bytes_after_a_known_beginning_have_an_answer(head: bytes, rest: bytes) -> None:
    assert named(head + rest) in {None, *(fmt.name for fmt in FORMATS)}


def test_tiff_and_bmp_are_off_until_the_operator_turns_them_on() -> None:
    assert {fmt.name for fmt in FORMATS if not fmt.enabled_by_default} == {"tiff", "bmp"}


def test_a_format_is_found_by_name_and_by_type() -> None:
    assert format_named("jpeg") is format_named("image/jpeg")
    with pytest.raises(Unprocessable) as refusal:
        format_named("image/svg+xml")
    assert refusal.value.code == "unsupported_type"


def test_declared_types_are_exact_and_lower_case() -> None:
    for fmt in FORMATS:
        assert fmt.media_type in fmt.declared
        assert all(declared == declared.lower().strip() and ";" not in declared for declared in fmt.declared)


def test_every_code_has_a_line_and_an_outcome() -> None:
    for code, entry in CODES.items():
        assert entry.code == code
        assert entry.text
        assert entry.text[0].islower()
        assert entry.outcome in (UploadState.REJECTED, UploadState.FAILED)
