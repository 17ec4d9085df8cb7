"""P2: nothing is published that the second reader has not found clean, byte for byte; doubt fails closed."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from tests import houses, samples
from worker.errors import Defect, Unprocessable
from worker.media.proving import prove
from worker.media.rendered import Proof
from worker.model import ArtifactKind, ArtifactState, UploadState
from worker.wiring import House


def clean_jpeg(house: House) -> bytes:
    """A rendition of our own making, that is proven."""
    upload = houses.receive(house, samples.png())
    houses.work(house)
    (share,) = [c for c in houses.copies_of(house, upload.id) if c.name == "share"]
    path = house.shelf.path(share)
    assert path is not None
    return path.read_bytes()


def dirty() -> dict[str, tuple[bytes, str]]:
    """Files as other tools write them: each with something in it that nobody asked for."""
    picture = Image.new("RGB", (64, 48), (90, 120, 30))
    made: dict[str, tuple[bytes, str]] = {"camera": (samples.photo(), "image/jpeg")}
    for name, kind, options in (
        ("comment", "JPEG", {"comment": b"who was here"}),
        ("exif", "WEBP", {"exif": samples.exif()}),
        ("profile", "PNG", {"icc_profile": b"\0" * 132}),
    ):
        out = io.BytesIO()
        picture.save(out, kind, **options)
        made[name] = (out.getvalue(), f"image/{kind.lower()}")
    return made


@pytest.mark.parametrize("name", dirty())
def test_what_is_dirty_is_not_proven(house: House, name: str) -> None:
    body, media_type = dirty()[name]
    with pytest.raises(Unprocessable) as doubt:
        prove(house.jail, body, media_type)
    assert doubt.value.code == "not_proven"


def test_one_byte_after_the_end_is_enough_to_doubt(house: House) -> None:
    body = clean_jpeg(house)
    assert prove(house.jail, body, "image/jpeg").media_type == "image/jpeg"
    with pytest.raises(Unprocessable):
        prove(house.jail, body + b"\0", "image/jpeg")


def test_a_type_that_nobody_publishes_is_not_proven(house: House) -> None:
    for media_type in ("image/gif", "image/heic", "video/quicktime", "text/html"):
        with pytest.raises(Unprocessable):
            prove(house.jail, clean_jpeg(house), media_type)


def test_a_proof_is_for_exactly_these_bytes(house: House) -> None:
    # Given a proof, and a planned copy
    body = clean_jpeg(house)
    proof = prove(house.jail, body, "image/jpeg")
    upload = houses.receive(house, samples.png())
    planned = house.shelf.plan(upload, ArtifactKind.RENDITION, "share", media_type="image/jpeg")

    # When other bytes are to be published with it, Then they are destroyed again, and it is called a defect
    with pytest.raises(Defect) as defect:
        house.shelf.publish(planned, body + b"\0", proof)
    assert defect.value.code == "proof_mismatch"
    path = house.shelf.path(planned)
    assert path is not None
    assert not path.exists()
    # And a proof for another type is none
    with pytest.raises(Defect):
        house.shelf.publish(planned, body, Proof(sha256=proof.sha256, media_type="image/png", reader="x"))


def test_a_file_that_changes_after_its_proof_is_not_published(house: House, tmp_path: Path) -> None:
    """A film lies in scratch between its proof and its publishing."""
    made = tmp_path / "made"
    made.write_bytes(clean_jpeg(house))
    proof = prove(house.jail, made, "image/jpeg")
    upload = houses.receive(house, samples.png())
    planned = house.shelf.plan(upload, ArtifactKind.RENDITION, "share", media_type="image/jpeg")

    made.write_bytes(made.read_bytes()[:-2] + b"\0\xff\xd9")
    with pytest.raises(Defect) as defect:
        house.shelf.publish(planned, made, proof)

    assert defect.value.code == "proof_mismatch"
    path = house.shelf.path(planned)
    assert path is not None
    assert not path.exists()


def test_an_original_is_never_published(house: House) -> None:
    upload = houses.receive(house, samples.png())
    planned = house.shelf.plan(upload, ArtifactKind.ORIGINAL, "original", media_type="image/png")
    with pytest.raises(Defect):
        house.shelf.publish(planned, b"x", Proof(sha256="0" * 64, media_type="image/png", reader="x"))


def test_all_that_is_published_is_proven_again_from_the_disk(house: House) -> None:
    uploads = [houses.receive(house, make()) for make in (samples.photo, samples.rgba_png, samples.animated_gif)]
    houses.work(house)

    for upload in uploads:
        assert houses.upload_of(house, upload.id).state is UploadState.READY
        for copy in houses.copies_of(house, upload.id):
            if copy.state is ArtifactState.PRESENT:
                path = house.shelf.path(copy)
                assert path is not None
                assert prove(house.jail, path, copy.media_type or "").sha256 == copy.sha256
