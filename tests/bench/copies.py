"""Prints how often a copy without encoding would be proven: `python -m tests.bench.copies [folder …]`.

Every clip that the workshop publishes is also copied by the strictest recipe there is: first picture and first sound,
no metadata, no chapters, no names, a list of permitted units. The second reader then judges the copy as it judges a
film that was encoded anew. Folders beside the shared collections may be named; without any, those are taken.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests import corpus
from tests.carriers.settled import BARE, UNITS
from tests.cinema import Cinema, looked
from worker.errors import Unprocessable
from worker.media.formats import HEAD_BYTES, sniff
from worker.media.proof import mp4
from worker.media.proof.doubt import Doubt

_COLLECTIONS = ("corpus", "corpus-hostile")
# As in the settling pass, but for clips that may have no sound.
_COPY = tuple("0:a:0?" if part == "0:a:0" else part for part in BARE)


def main(folders: list[Path]) -> None:
    whys: Counter[str] = Counter()
    heard: Counter[bool] = Counter()
    with tempfile.TemporaryDirectory(prefix="mayfly-bench-") as home:
        room = Cinema(Path(home))
        room.jail.start()
        for path in _clips(folders):
            why = _outcome(room, path, Path(home) / "copy.mp4")
            if why is not None:
                whys[why] += 1
                sound = any(each["codec_type"] == "audio" for each in looked(path)["streams"])
                heard.update([why == ""] if sound else [])
                print(f"{path.name[-60:]:60} {'sound' if sound else '     '} {why or 'proven'}")
        room.jail.close()
    taken = sum(whys.values())
    print(f"{taken} clips that are published; a copy of {whys['']} would be proven")
    print(f"{sum(heard.values())} of them have sound; a copy of {heard[True]} would be proven")
    for why, count in whys.most_common():
        print(f"{count:5}  {why or 'proven'}")


def _clips(folders: list[Path]) -> Iterator[Path]:
    for folder in folders or [corpus.SHARED / name for name in _COLLECTIONS]:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                with path.open("rb") as stream:
                    fmt = sniff(stream.read(HEAD_BYTES))
                if fmt is not None and fmt.work_class == "video":
                    yield path


def _outcome(room: Cinema, path: Path, target: Path) -> str | None:
    """Why the copy is not proven, "" where it is; None for a clip that is not published at all."""
    try:
        room.render(path)
    except Unprocessable:
        return None
    argv = ["ffmpeg", "-y", "-v", "error", "-nostdin", "-i", str(path), *_COPY, *UNITS, str(target)]
    if subprocess.run(argv, capture_output=True, check=False).returncode:
        return "cannot be copied"
    try:
        with target.open("rb") as stream:
            mp4.check(stream)
    except (Doubt, ValueError, LookupError, ArithmeticError) as doubt:
        return str(doubt)
    return ""


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]])
