"""Bad pictures through the real jail: clean or refused with the right code, in bounded memory, never passed through."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from tests import bombs, corpus, floods, mutants, pieces, samples
from tests.darkroom import Darkroom
from tests.processes import MIB, children_of, zygote
from worker.errors import Unprocessable
from worker.media.codes import CODES
from worker.media.formats import HEAD_BYTES, sniff
from worker.media.image.metadata import KINDS

pytestmark = [pytest.mark.slow, pytest.mark.wide]

MARK = "CANARY-7731"
# Codes of a decoder that was crashed, starved or fooled, or of an output that could not be proven.
DEFECTS = {"decoder_crash", "decoder_protocol_error", "decoder_memory", "decoder_timeout", "not_proven"}
# How other formats begin, or what makes a reader of them begin: in none of our pictures, wherever.
STRANGE = (b"PK\3\4", b"PK\5\6", b"%PDF", b"<script", b"<html", b"<?php", b"ftypisom", b"#!/bin", b"alert(", b"moov")
BEGINNINGS = {"image/jpeg": b"\xff\xd8\xff", "image/png": pieces.PNG, "image/webp": b"RIFF", "image/avif": b"\0\0\0"}

Bad = tuple[Callable[[], bytes], str]


def _exif() -> bytes:
    return pieces.segment(0xE1, b"Exif\0\0" + samples.exif(canary=MARK, orientation=6))


def _in_jpeg(*segments: bytes) -> bytes:
    return pieces.with_segments(samples.grey_jpeg(), *segments)


def _resource(length: int) -> bytes:
    """Photoshop's resources, whose IPTC record says another length than it has."""
    record = b"\x1c\2\x50" + length.to_bytes(2, "big") + MARK.encode()
    return pieces.segment(0xED, b"Photoshop 3.0\x008BIM\4\4\0\0" + struct.pack(">I", length) + record)


def _box_of(size: bytes) -> bytes:
    """A HEIC with one box more behind it, whose size is said so."""
    return samples.heic(canary=MARK) + size[:4] + b"free" + size[4:] + MARK.encode()


def _film_in_jpeg() -> bytes:
    """Valid to both readers: the first segment's length is `ft`, and a film's reader sees a box of that name."""
    jpeg = samples.photo((64, 48), canary=MARK)
    film = pieces.box(b"moov", pieces.box(b"mvhd", bytes(100))) + pieces.box(b"mdat", MARK.encode())
    room = 0x6674 - 2
    return b"\xff\xd8\xff\xe0" + (b"ftyp" + b"isom\0\0\2\0isom" + film).ljust(room + 2, b"\0") + jpeg[2:]


def _script_in_gif() -> bytes:
    """`GIF89a/*` … `*/=1;`: the width of the canvas opens a comment, one of the GIF's own comments closes it."""
    gif = bytearray(samples.animated_gif(2, (120, 80)))
    gif[6:8] = b"/*"
    script = b"*/=1;alert('" + MARK.encode() + b"');/*"
    at = 13 + (3 << (gif[10] & 7) + 1 if gif[10] & 0x80 else 0)
    return bytes(gif[:at]) + b"\x21\xfe" + bytes((len(script),)) + script + b"\0" + bytes(gif[at:]) + b"*/"


def _document_in_png() -> bytes:
    page = b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\n"
    text = pieces.chunk(b"tEXt", b"Comment\0" + page + MARK.encode())
    tail = b"trailer<</Root 1 0 R>>\nstartxref\n0\n%%EOF\n"
    return pieces.with_chunks(samples.png((64, 48)), text) + tail


def _archive() -> bytes:
    """A ZIP with one stored file, whose directory counts from its own beginning."""
    body = b"<script>" + MARK.encode()
    head = struct.pack("<HHHHHIIIHH", 20, 0, 0, 0, 0, zlib.crc32(body), len(body), len(body), 5, 0)
    local = b"PK\3\4" + head + b"a.htm" + body
    central = b"PK\1\2\x14\0" + head + struct.pack("<HHHII", 0, 0, 0, 0, 0) + b"a.htm"
    return local + central + b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(central), len(local), 0)


BAD: dict[str, Bad] = {
    "two EXIF segments": (lambda: _in_jpeg(_exif(), _exif()), ""),
    "EXIF of 50 MB in pieces": (lambda: floods.PICTURES["jpeg-exif"][0](49_900_000), "limits:text"),
    "EXIF in pieces": (lambda: floods.PICTURES["jpeg-exif"][0](7_000_000), ""),
    "entities in a JPEG": (
        lambda: _in_jpeg(pieces.segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + floods.ENTITIES)),
        "",
    ),
    "entities in a PNG": (lambda: floods.PICTURES["png-entities"][0](1), ""),
    "entities in a WebP": (lambda: floods.PICTURES["webp-xmp"][0](2_000_000), ""),
    "IPTC too long": (lambda: _in_jpeg(_resource(60_000)), ""),
    "IPTC too short": (lambda: _in_jpeg(_resource(1)), ""),
    "IPTC extended": (lambda: _in_jpeg(_resource(0x8004)), ""),
    "text of 100 MB": (
        lambda: bombs.png_with(pieces.chunk(b"zTXt", b"Comment\0\0" + pieces.zeros(100_000_000))),
        "limits:text",
    ),
    "9,000 comments in a GIF": (lambda: floods.PICTURES["gif-comments"][0](1_000_000), ""),
    "10,000 comments in a GIF": (
        lambda: bombs.gif(4, 1)[:19] + b"\x21\xfe\1c\0" * 10_000 + bombs.gif(4, 1)[19:],
        "limits:chunks",
    ),
    "a box to the end": (lambda: _box_of(b"\0\0\0\0"), ""),
    "a box of 1": (lambda: _box_of(b"\0\0\0\1" + struct.pack(">Q", 24)), ""),
    "a box of 1 and less than its head": (lambda: _box_of(b"\0\0\0\1" + struct.pack(">Q", 3)), "corrupt"),
    "a box of 2^63": (lambda: _box_of(b"\0\0\0\1" + struct.pack(">Q", 1 << 63)), "truncated"),
    "a thousand boxes deep": (lambda: bombs.nested_boxes(1_000), "limits:boxes"),
    "a JPEG behind a JPEG": (lambda: samples.photo((96, 64), canary=MARK) + samples.photo((64, 48), canary=MARK), ""),
    "a film and a JPEG": (_film_in_jpeg, ""),
    "a script and a GIF": (_script_in_gif, ""),
    "a document and a PNG": (_document_in_png, ""),
    "an archive and a JPEG": (lambda: samples.photo((64, 48), canary=MARK) + _archive(), ""),
    "an archive and a WebP": (lambda: samples.webp((64, 48), canary=MARK) + _archive(), ""),
    "an archive and a HEIC": (lambda: samples.heic(canary=MARK) + pieces.box(b"free", _archive()), ""),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_picture_is_clean_or_refused_and_never_passed_through(darkroom: Darkroom, name: str) -> None:
    maker, expected = BAD[name]

    code, bodies, peak = outcome(darkroom, maker())

    assert code == expected
    assert bool(bodies) == (not code)
    assert peak < 300 * MIB
    for media_type, body in bodies:
        assert of_one_format(body, media_type)
    assert os.listdir(darkroom.folder) == []
    assert children_of(zygote(darkroom.jail)) == set()


def outcome(darkroom: Darkroom, data: bytes) -> tuple[str, list[tuple[str, bytes]], int]:
    """The code ("" where there are renditions, each proven), type and bytes of each, and the child's peak in bytes."""
    try:
        rendered = darkroom.render(data)
        for made in rendered.made:
            darkroom.prove(made.body or b"", made.media_type)
    except Unprocessable as refusal:
        return refusal.code, [], 0
    assert set(rendered.facts.removed) <= KINDS
    return "", [(made.media_type, made.body or b"") for made in rendered.made], rendered.peak_rss


def of_one_format(body: bytes, media_type: str) -> bool:
    """It begins as its type does, and holds neither what was planted nor the beginning of anything else."""
    lower = body.lower()
    strange = [word for word in (*STRANGE, MARK.encode()) if word.lower() in lower]
    return (
        body.startswith(BEGINNINGS[media_type])
        and not strange
        and (found := sniff(body)) is not None
        and (found.media_type == media_type)
    )


def test_files_of_two_formats_by_the_experts_give_one_or_none(darkroom: Darkroom, pytestconfig: pytest.Config) -> None:
    paths = [path for path in corpus.files("corpus-hostile", pytestconfig, one_in=6) if "corkami" in str(path)]
    seen = 0
    for path in paths:
        if picture(path):
            seen += 1
            code, bodies, _peak = outcome(darkroom, path.read_bytes())
            assert code not in {"not_proven", "decoder_crash", "decoder_protocol_error"}, path.name
            assert [media_type for media_type, body in bodies if not of_one_format(body, media_type)] == [], path.name
    assert seen > 5


MUTATED = {
    "jpeg": "image/jpeg", "jpeg-progressive": "image/jpeg", "png": "image/png", "png-animated": "image/png",
    "webp": "image/webp", "webp-animated": "image/webp", "gif-animated": "image/gif", "avif": "image/avif",
    "heic": "image/avif",
}  # fmt: skip


@pytest.mark.parametrize("kind", MUTATED)
def test_mutants_of_what_comes_in_end_clean_or_with_a_code(
    darkroom: Darkroom, pytestconfig: pytest.Config, kind: str
) -> None:
    """Whatever is put in, taken out or altered: no decoder dies, nothing stays, and what comes out is proven."""
    whole = samples.KINDS[kind]()
    for seed in range(200 if pytestconfig.getoption("whole_corpus") else 5):
        made = mutants.mutant(MUTATED[kind], whole, Random(seed))
        if (found := sniff(made.body)) is None or found.work_class != "image":
            continue
        code, bodies, _peak = outcome(darkroom, made.body)
        assert code in {"", *CODES} - DEFECTS, (seed, made.what)
        assert [media_type for media_type, body in bodies if mutants.CANARY in body] == [], (seed, made.what)
    assert os.listdir(darkroom.folder) == []
    assert children_of(zygote(darkroom.jail)) == set()


def picture(path: Path) -> bool:
    with path.open("rb") as stream:
        found = sniff(stream.read(HEAD_BYTES))
    return found is not None and found.work_class == "image"
