"""A file through the real path: our sniff, the workshop in the jail, the second reader; and what is left behind it."""

from __future__ import annotations

import itertools
import os
import shutil
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests import samples
from tests.bench.meter import Meter
from tests.processes import children_of, eventually, zygote
from worker.errors import MayflyError
from worker.media.codes import CODES
from worker.media.formats import HEAD_BYTES, Format, sniff
from worker.media.jail import Jail
from worker.media.limits import MediaLimits
from worker.media.rendered import Made
from worker.media.studio import Studio

READY = "ready"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """`code` is "ready" or the reason of a refusal; `files` are the renditions that were kept, by name; `left` is what
    lay in the file's room beside them. `peak` is in bytes, of the largest child; `cpu_s` of all children together."""

    name: str
    code: str
    cpu_s: float
    wall_s: float
    peak: int
    files: dict[str, Path] = field(default_factory=dict)
    left: tuple[str, ...] = ()

    @property
    def proper(self) -> bool:
        return self.code == READY or self.code in CODES


def kind_of(path: Path) -> Format | None:
    """The format by our own sniff."""
    with path.open("rb") as stream:
        return sniff(stream.read(HEAD_BYTES))


class Workshop:
    """One jail for all files. Renditions are kept below `folder`/<rendition>, under the original's relative name."""

    def __init__(self, folder: Path, *, threads: int = 2) -> None:
        self.jail = Jail()
        self.studio = Studio(jail=self.jail, limits=MediaLimits(), video_threads=threads)
        self.kept, self._rooms = folder / "kept", folder / "rooms"
        self._rooms.mkdir()
        self.zygotes: set[int] = set()
        self._meter = Meter()
        self._numbers = itertools.count()

    @contextmanager
    def opened(self) -> Iterator[Workshop]:
        self.jail.start()
        self.descriptors = len(os.listdir("/proc/self/fd"))
        try:
            with self._meter.listening():
                yield self
        finally:
            self.jail.close()

    def run_all(self, files: Iterable[tuple[str, Path]], jobs: int) -> list[Outcome]:
        """Every file, `jobs` at a time; names are relative and unique."""
        with ThreadPoolExecutor(max_workers=jobs) as pool:
            return list(pool.map(lambda each: self.run(*each), files))

    def run(self, name: str, path: Path) -> Outcome:
        room = self._rooms / str(next(self._numbers))
        room.mkdir()
        self._meter.taken()
        own, begin = time.thread_time(), time.monotonic()
        code, files = self._through(name, path, room)
        cpu_s, peak = self._meter.taken()
        self.zygotes.add(zygote(self.jail))
        left = tuple(sorted(os.listdir(room)))
        shutil.rmtree(room)
        return Outcome(
            name=name,
            code=code,
            cpu_s=cpu_s + time.thread_time() - own,
            wall_s=time.monotonic() - begin,
            peak=peak,
            files=files,
            left=left,
        )

    def renditions(self) -> list[Path]:
        """A folder for each name of a rendition."""
        return sorted(self.kept.iterdir()) if self.kept.exists() else []

    def _through(self, name: str, path: Path, room: Path) -> tuple[str, dict[str, Path]]:
        """All formats are on, also those that an operator has to turn on."""
        if not path.stat().st_size:
            return "empty", {}
        fmt = kind_of(path)
        if fmt is None:
            return "unsupported_type", {}
        try:
            rendered = self.studio.render(path, fmt, room, lambda _percent: None, lambda: False)
            try:
                for made in rendered.made:
                    proof = self.studio.prove(made)
                    assert proof.sha256 == made.sha256, "a proof of other bytes"
                return READY, {made.name: self._keep(name, made) for made in rendered.made}
            finally:
                for made in rendered.made:
                    if made.path is not None:
                        made.path.unlink(missing_ok=True)
        except MayflyError as refusal:
            return refusal.code, {}

    def _keep(self, name: str, made: Made) -> Path:
        place = self.kept / made.name / f"{name}.{made.media_type.partition('/')[2]}"
        place.parent.mkdir(parents=True, exist_ok=True)
        if made.body is not None:
            place.write_bytes(made.body)
        else:
            assert made.path is not None
            shutil.move(made.path, place)
        return place

    def health(self, outcomes: list[Outcome]) -> dict[str, bool]:
        """What must still be true after all of them: a sentence -> whether it is."""
        photo = self._rooms / "photo.jpg"
        photo.write_bytes(samples.photo((64, 48)))
        served = self.run("after/photo", photo)
        photo.unlink()
        shutil.rmtree(self.kept / "display" / "after", ignore_errors=True)
        for name in ("share", "thumb"):
            shutil.rmtree(self.kept / name / "after", ignore_errors=True)
        probes = self.jail.self_test()
        return {
            "every file is ready or refused with a code of the list": all(each.proper for each in outcomes),
            "nothing is left in any room": not any(each.left for each in outcomes) and not os.listdir(self._rooms),
            "no child is left in the jail": eventually(lambda: not children_of(zygote(self.jail))),
            "no thread and no descriptor is left here": threading.active_count() == 1
            and len(os.listdir("/proc/self/fd")) <= self.descriptors + 1,
            f"all {len(probes)} escapes are still blocked": all(probe.blocked for probe in probes),
            f"the next photo is served (zygotes used: {len(self.zygotes)})": served.code == READY,
        }
