"""Prints what the proof adds to an upload: `python -m tests.bench.proof [--rounds N]`.

Processor seconds of everything that takes part (this process, the zygote, its children), from the claim to the commit
that publishes; the proof is asked for once more, alone, and its share of that is the figure.
"""

from __future__ import annotations

import argparse
import io
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from tests import clips, houses, samples
from worker.media.formats import sniff
from worker.media.rendered import Made
from worker.model import UploadState
from worker.wiring import House


def _saved(image: Image.Image, name: str, **how: object) -> bytes:
    body = io.BytesIO()
    image.save(body, name, **how)
    return body.getvalue()


def _cut_out() -> bytes:
    """Twelve megapixels with soft alpha, as a background remover leaves them."""
    picture = samples.scene(4000, 3000).convert("RGB")
    picture.putalpha(Image.radial_gradient("L").resize(picture.size).point(lambda value: max(0, 255 - value)))
    return _saved(picture, "PNG", compress_level=1)


def _noisy() -> bytes:
    """Twelve megapixels with the grain of a bright sensor: much for an entropy coder to do."""
    grain = Image.effect_noise((4000, 3000), 24).convert("RGB")
    return _saved(Image.blend(samples.scene(4000, 3000).convert("RGB"), grain, 0.4), "JPEG", quality=92)


def _animation(*, grain: bool) -> bytes:
    """A disc that crosses a scene; or a scene full of grain that turns, the most that an entropy coder can be given."""
    scene = samples.scene(480, 360, grain=grain).convert("RGB")
    if grain:
        frames = [scene.rotate(3 * turn) for turn in range(40)]
    else:
        frames = [scene.copy() for _ in range(40)]
        for turn, frame in enumerate(frames):
            frame.paste((250, 60, 20), (10 * turn, 100, 10 * turn + 90, 190))
    return _saved(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=50, loop=0)


def _clip(folder: Path) -> bytes:
    """Ten seconds of 720p with grain and a tone."""
    target = folder / "clip.mp4"
    noisy = "testsrc2=size=1280x720:rate=30:duration=10,noise=alls=10:allf=t"
    clips.ffmpeg("-f", "lavfi", "-i", noisy, *clips.tone(10), "-c:v", "libx264", "-preset", "ultrafast", target)
    return target.read_bytes()


KINDS: dict[str, Callable[[Path], bytes]] = {
    "photo, 12 megapixels": lambda _folder: samples.camera_photo(12),
    "photo, 12 megapixels, grainy": lambda _folder: _noisy(),
    "photo, 640 x 480": lambda _folder: samples.photo(size=(640, 480)),
    "PNG with alpha, 12 megapixels": lambda _folder: _cut_out(),
    "GIF, 40 frames of 480 x 360": lambda _folder: _animation(grain=False),
    "the same, every pixel new": lambda _folder: _animation(grain=True),
    "clip, 10 s of 720p": _clip,
}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=5)
    rounds = options.parse_args().rounds
    print(f"{'':32}{'upload, CPU s':>16}{'proof, CPU s':>16}{'share':>8}")
    with tempfile.TemporaryDirectory(prefix="mayfly-bench-") as folder:
        house = houses.build(Path(folder) / "home")
        house.jail.start()
        for name, make in KINDS.items():
            body = make(Path(folder))
            upload = _uploads(rounds, house, body)
            made = _made(house, Path(folder), body)
            proof = _mean(6 * rounds, house, lambda made=made: house.processing.studio.prove_all(made))
            print(f"{name:32}{upload:16.3f}{proof:16.4f}{proof / upload:8.1%}")
        house.jail.close()
        house.ledger.close()


def _uploads(rounds: int, house: House, body: bytes) -> float:
    """Of the one job that takes an upload from its quarantine to what is published; not of its erasure."""
    spent = []
    for _ in range(1 + rounds):
        upload = houses.receive(house, body)
        begin = _spent(house)
        houses.work(house, rounds=1)
        spent.append(_spent(house) - begin)
        assert houses.upload_of(house, upload.id).state is UploadState.READY
        houses.work(house)
    return statistics.mean(spent[1:])


def _made(house: House, folder: Path, body: bytes) -> tuple[Made, ...]:
    source = folder / "source"
    source.write_bytes(body)
    fmt = sniff(body[:4096])
    assert fmt is not None
    room = folder / f"room-{len(os.listdir(folder))}"
    room.mkdir()
    return house.processing.studio.render(source, fmt, room, lambda _percent: None, lambda: False).made


def _mean(rounds: int, house: House, once: Callable[[], object]) -> float:
    """Processor seconds of a round; the first is not counted. A mean: the zygote is counted in hundredths."""
    once()
    begin = _spent(house)
    for _ in range(rounds):
        once()
    return (_spent(house) - begin) / rounds


def _spent(house: House) -> float:
    """Of this process, to the nanosecond, and of the zygote with its dead children, to the hundredth."""
    host = house.jail._host
    assert host is not None
    fields = Path(f"/proc/{host.pid}/stat").read_text().rpartition(")")[2].split()
    return time.process_time() + sum(int(field) for field in fields[11:15]) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
