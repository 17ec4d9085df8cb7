"""The parent believes nothing: a child that was taken over may answer anything, and only what was asked for passes."""

from __future__ import annotations

import base64
import copy
import dataclasses
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from tests import samples
from tests.darkroom import LIMITS, Darkroom
from worker.errors import Unprocessable
from worker.media.formats import format_named
from worker.media.image import render as workshop
from worker.media.image.client import render_image
from worker.media.rendered import Rendered

Answer = dict[str, Any]


def lie(source: BinaryIO | None, args: Answer) -> tuple[Answer, list[bytes]]:
    """A verb: answers what the file says, for the file of these tests is the answer."""
    assert source is not None
    said = json.loads(source.read())
    return said["header"], [base64.b64decode(blob) for blob in said["blobs"]]


@pytest.fixture(scope="module")
def liar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Darkroom]:
    room = Darkroom(tmp_path_factory.mktemp("liar"), {"image.render": "tests.unit.test_photo:lie"})
    yield room
    room.jail.close()


@pytest.fixture(scope="module")
def honest() -> tuple[Answer, list[bytes]]:
    """What the workshop answers for a photo, made in this process from a sample of our own."""
    args = {"format": "jpeg", "limits": LIMITS.as_args(), "work": "image", "names": None}
    return workshop.render(io.BytesIO(samples.photo((400, 300))), args)


def say(liar: Darkroom, header: Answer, blobs: list[bytes]) -> Rendered:
    body = json.dumps({"header": header, "blobs": [base64.b64encode(blob).decode() for blob in blobs]})
    return liar.render(body.encode(), "jpeg")


def test_the_truth_passes(liar: Darkroom, honest: tuple[Answer, list[bytes]]) -> None:
    rendered = say(liar, *honest)

    assert [made.name for made in rendered.made] == ["display", "share", "thumb"]
    assert (rendered.facts.width, rendered.facts.height) == (400, 300)


def _facts(**values: object) -> Callable[[Answer, list[bytes]], None]:
    return lambda header, _blobs: header["facts"].update(values)


def _first(**values: object) -> Callable[[Answer, list[bytes]], None]:
    return lambda header, _blobs: header["renditions"][0].update(values)


LIES: dict[str, Callable[[Answer, list[bytes]], object]] = {
    "a width over the limit": _facts(width=20_000),
    "pixels over the limit": _facts(width=16_000, height=16_000),
    "no width": _facts(width=0),
    "a width of text": _facts(width="400"),
    "a width of truth": _facts(width=True),
    "a negative height": _facts(height=-1),
    "too many frames": _facts(frames=301),
    "a placeholder that is a letter to the outside": _facts(placeholder="x" * 65),
    "a placeholder of numbers": _facts(placeholder=[1]),
    "a count that is text": _facts(removed={"location": "48.8577"}),
    "removed that is a list": _facts(removed=["location"]),
    "a duration of text": _facts(duration_ms="long"),
    "an enlarged copy": _first(width=2_048, height=1_536),
    "a copy over its square": _first(width=4_000),
    "a type that is not of this copy": _first(media_type="image/png"),
    "a type that is never published": _first(media_type="image/svg+xml"),
    "another name": _first(name="original"),
    "one copy too few": lambda header, blobs: (header["renditions"].pop(), blobs.pop()),
    "one copy too many": lambda header, blobs: (
        header["renditions"].append(header["renditions"][0]),
        blobs.append(b"x"),
    ),
    "a body too many": lambda _header, blobs: blobs.append(b"x"),
    "a body too few": lambda _header, blobs: blobs.pop(),
    "an empty body": lambda _header, blobs: blobs.__setitem__(0, b""),
    "no facts": lambda header, _blobs: header.pop("facts"),
    "renditions of a kind of their own": lambda header, _blobs: header.update(renditions=[1, 2, 3]),
    "nothing": lambda header, _blobs: header.clear(),
}


@pytest.mark.parametrize("name", LIES)
def test_a_lie_is_a_protocol_error(liar: Darkroom, honest: tuple[Answer, list[bytes]], name: str) -> None:
    header, blobs = copy.deepcopy(honest)
    LIES[name](header, blobs)

    with pytest.raises(Unprocessable) as refusal:
        say(liar, header, blobs)

    assert refusal.value.code == "decoder_protocol_error"


def test_hash_and_size_are_our_own_and_unknown_kinds_fall_away(
    liar: Darkroom, honest: tuple[Answer, list[bytes]]
) -> None:
    header, blobs = copy.deepcopy(honest)
    header["renditions"][0].update(sha256="0" * 64, bytes=1)
    header["facts"].update(removed={"location": 3, "CANARY 48.8577": 1})

    rendered = say(liar, header, blobs)

    assert rendered.made[0].bytes == len(blobs[0])
    assert rendered.made[0].sha256 != "0" * 64
    assert rendered.facts.removed == {"location": 3}


def test_a_rendition_does_not_show_its_bytes(liar: Darkroom, honest: tuple[Answer, list[bytes]]) -> None:
    rendered = say(liar, *honest)

    assert "RIFF" not in repr(rendered)
    assert dataclasses.is_dataclass(rendered)


@pytest.mark.parametrize("kind", ["missing", "link"])
def test_a_source_that_is_no_file_is_not_followed(darkroom: Darkroom, tmp_path: Path, kind: str) -> None:
    place = tmp_path / "here"
    if kind == "link":
        (tmp_path / "there").write_bytes(samples.photo((64, 48)))
        place.symlink_to(tmp_path / "there")

    with pytest.raises(OSError, match="here"):
        render_image(darkroom.jail, place, format_named("jpeg"), LIMITS)
