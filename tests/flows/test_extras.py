"""Renditions that the operator has turned on: made beside the others, or left out while the upload goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import gainmaps, houses, samples
from worker.cli import views
from worker.media.jail import Jail
from worker.model import ArtifactState, UploadState
from worker.wiring import House


@pytest.fixture
def keeping(tmp_path: Path, jail: Jail) -> Iterator[House]:
    """A house that keeps the quality of originals."""
    made = houses.build(tmp_path / "home", jail=jail, renditions_on=("original_clean",))
    yield made
    made.ledger.close()


@pytest.mark.parametrize("kind", ["jpeg", "gif-animated"])
def test_a_rewritten_original_is_published_beside_the_others(keeping: House, kind: str) -> None:
    upload = houses.receive(keeping, samples.KINDS[kind]())

    houses.work(keeping)

    copies = [c for c in houses.copies_of(keeping, upload.id) if c.state is ArtifactState.PRESENT]
    assert sorted(copy.name for copy in copies) == ["display", "original_clean", "share", "thumb"]
    document = views.upload_document(keeping, upload.id)
    assert "left_out" not in document
    (clean,) = [entry for entry in document["renditions"] if entry["name"] == "original_clean"]
    assert (clean["media_type"], clean["width"]) == (document["media_type"], document["width"])


@pytest.mark.parametrize(
    ("data", "code"),
    [
        pytest.param(samples.heic, "format", id="HEIC"),
        pytest.param(lambda: samples.webp(alpha=True), "not_proven", id="a picture hidden under transparency"),
    ],
)
def test_a_file_that_does_not_allow_it_is_ready_without_it(keeping: House, data: object, code: str) -> None:
    upload = houses.receive(keeping, data())  # type: ignore[operator]

    houses.work(keeping)

    assert houses.upload_of(keeping, upload.id).state is UploadState.READY
    document = views.upload_document(keeping, upload.id)
    assert [entry["name"] for entry in document["renditions"]] == ["display", "share", "thumb"]
    (left_out,) = document["left_out"]
    assert (left_out["name"], left_out["code"]) == ("original_clean", code)
    assert len(left_out["message"]) > 10


@pytest.mark.parametrize(("data", "left_out"), [(gainmaps.ultra_hdr, []), (samples.photo, ["no_gain_map"])])
def test_a_gain_map_is_published_where_there_is_one(
    tmp_path: Path, jail: Jail, data: Callable[[], bytes], left_out: list[str]
) -> None:
    bright = houses.build(tmp_path / "home", jail=jail, renditions_on=("share_hdr",))
    upload = houses.receive(bright, data())

    houses.work(bright)

    document = views.upload_document(bright, upload.id)
    assert document["state"] == "ready"
    assert [extra["code"] for extra in document.get("left_out", [])] == left_out
    assert ("share_hdr" in [entry["name"] for entry in document["renditions"]]) == (not left_out)
    bright.ledger.close()
