"""The main job on real media: received, processed through Celery on a real Redis and PostgreSQL, erased, seen gone.

The same set goes through the embedded mode in `test_cli_contract.py`, by the command that people use.
"""

from __future__ import annotations

import io
import json
import shutil
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests import clips, samples
from tests.e2e.fleet import ROOT, Fleet
from tests.e2e.sender import Backend
from tests.houses import new_upload
from worker.ledger import receipts
from worker.model import Artifact, ArtifactKind, ArtifactState, Upload, UploadState
from worker.privacy.receipt import verify

pytestmark = pytest.mark.slow

CORPUS = ROOT.parent / "shared" / "corpus"
REAL = {
    "camera JPEG": "Exiv2__exiv2/test__data__exiv2-bug884c.jpg",
    "PNG": "Exiv2__exiv2/test__data__imagemagick.png",
    "animated GIF": "python-pillow__Pillow/docs__handbook__animated_hopper.gif",
    "HEIC": "Exiv2__exiv2/test__data__Stonehenge.heic",
    "WebP": "Exiv2__exiv2/test__data__exiv2-bug1199.webp",
    "MP4": "sannies__mp4parser/isoparser__src__test__resources__Tiny Sample - OLD.mp4",
    "MOV": "Exiv2__exiv2/test__data__sample_640x360.mov",
}
MADE: dict[str, Callable[[Path], bytes]] = {
    "camera JPEG": lambda _: samples.photo(),
    "PNG": lambda _: samples.png(),
    "animated GIF": lambda _: samples.animated_gif(),
    "HEIC": lambda _: samples.heic(),
    "WebP": lambda _: samples.webp(),
    "MP4": lambda folder: clips.mp4(folder, seconds=1).read_bytes(),
    "MOV": lambda folder: clips.mov(folder, seconds=1).read_bytes(),
}
OF_A_PICTURE, OF_A_CLIP = {"display", "thumb", "share"}, {"video", "poster", "thumb"}


def test_real_files_from_upload_to_observed_erasure(fleet: Fleet) -> None:
    missing = [name for name in REAL.values() if not (CORPUS / name).exists()]
    if missing:
        pytest.skip(f"{len(missing)} of {len(REAL)} files are not in ../shared/corpus")
    through_the_fleet(fleet, {kind: (CORPUS / name).read_bytes() for kind, name in REAL.items()}, subject="c" * 64)


def test_made_files_from_upload_to_observed_erasure(fleet: Fleet, tmp_path: Path, pytestconfig: pytest.Config) -> None:
    if CORPUS.is_dir() and not pytestconfig.getoption("whole_corpus"):
        pytest.skip("the real files take the same way; these are for where they are absent, and for --whole-corpus")
    through_the_fleet(fleet, {kind: make(tmp_path) for kind, make in MADE.items()}, subject="d" * 64)


def through_the_fleet(fleet: Fleet, bodies: dict[str, bytes], *, subject: str) -> None:
    # Given one file of each kind that has come in
    received = {
        kind: fleet.house.receive.run(new_upload(subject_key=subject), [body], keep_for=timedelta(days=90))
        for kind, body in bodies.items()
    }
    ids = [upload.id for upload in received.values()]

    # When the workers have done their part
    fleet.until_ended(ids)
    ended = {kind: fleet.upload(upload.id) for kind, upload in received.items()}
    assert {kind: (found.state, found.code) for kind, found in ended.items()} == dict.fromkeys(
        bodies, (UploadState.READY, None)
    )
    # Then each has its renditions, which open; and soon nothing else of it is left
    for kind, upload in ended.items():
        renditions_open(fleet, kind, upload)
    fleet.until(lambda: all(only_renditions(fleet, upload_id) for upload_id in ids), what="the originals gone")

    # When the app asks by name for the erasure of the person
    with Backend.of(fleet) as backend:
        backend.send("mayfly.erase_subject", app="shop", subject_key=subject)
    fleet.until_ended(ids, UploadState.ERASED)
    # Then no file of theirs is left, and a receipt that anybody can check tells of every copy
    for upload_id in ids:
        assert not [path for path in fleet.files() if upload_id in str(path)]
        assert {copy.state for copy in fleet.copies(upload_id)} == {ArtifactState.GONE}
        receipt_holds(fleet, upload_id)


def renditions_open(fleet: Fleet, kind: str, upload: Upload) -> None:
    shown = [
        copy
        for copy in fleet.copies(upload.id, ArtifactState.PRESENT)
        if copy.kind in (ArtifactKind.RENDITION, ArtifactKind.POSTER)
    ]
    assert {copy.name for copy in shown} == (OF_A_CLIP if kind in ("MP4", "MOV") else OF_A_PICTURE), kind
    for copy in shown:
        path = fleet.path(copy)
        assert path.stat().st_size == copy.bytes
        if copy.media_type == "video/mp4":
            clip_opens(path, copy)
        else:
            picture_opens(path.read_bytes(), copy, moves=kind == "animated GIF" and copy.name == "display")


def picture_opens(body: bytes, copy: Artifact, *, moves: bool) -> None:
    with Image.open(io.BytesIO(body)) as image:
        image.load()
        assert (image.width, image.height) == (copy.width, copy.height)
        assert Image.MIME[image.format or ""] == copy.media_type
        assert len(image.getexif()) == 0
        assert (getattr(image, "n_frames", 1) > 1) >= moves


def clip_opens(path: Path, copy: Artifact) -> None:
    probe = shutil.which("ffprobe")
    assert probe is not None
    argv = [probe, "-v", "error", "-of", "json", "-show_streams", "-show_format", "-count_frames", str(path)]
    told: dict[str, Any] = json.loads(subprocess.run(argv, capture_output=True, check=True).stdout)
    (film,) = [stream for stream in told["streams"] if stream["codec_type"] == "video"]
    assert (film["codec_name"], film["width"], film["height"]) == ("h264", copy.width, copy.height)
    assert int(film["nb_read_frames"]) > 1
    assert set(told["format"].get("tags", {})) <= {"major_brand", "minor_version", "compatible_brands"}


def only_renditions(fleet: Fleet, upload_id: str) -> bool:
    live = fleet.copies(upload_id, ArtifactState.PLANNED, ArtifactState.PRESENT, ArtifactState.ERASING)
    return {copy.kind for copy in live} <= {ArtifactKind.RENDITION, ArtifactKind.POSTER}


def receipt_holds(fleet: Fleet, upload_id: str) -> None:
    with fleet.house.ledger.read() as tx:
        kept = receipts.of_upload(tx, upload_id)
    assert kept is not None
    told = verify(kept.body, fleet.house.signer.public_pem())
    assert told["upload_id"] == upload_id
    assert {entry["artifact_id"] for entry in told["artifacts"]} == {copy.id for copy in fleet.copies(upload_id)}
