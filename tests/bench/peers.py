"""The strippers that others use, each a command for one file or a script for many; what is not installed is absent."""

from __future__ import annotations

import re
import select
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

TIMEOUT_S = 300.0  # of the clock, on a shared host
PICTURES, VIDEOS = "pictures", "videos"

# Reads "source<TAB>target" lines and answers each with one word.
_PILLOW = """
import sys, warnings
import pillow_heif
from PIL import Image
warnings.simplefilter("ignore")
pillow_heif.register_heif_opener()
for line in sys.stdin:
    source, target = line.rstrip("\\n").split("\\t")
    said = "refused"
    try:
        with Image.open(source) as image:
            image.load()
            if target:
                image.save(target, format=image.format)
            said = "done"
    except Exception:
        pass
    print(said, flush=True)
"""
_SHARP = """
const sharp = require("sharp");
const lines = require("readline").createInterface({ input: process.stdin });
(async () => {
  for await (const line of lines) {
    const [source, target] = line.split("\\t");
    try {
      const image = sharp(source, { animated: true });
      await image.toFormat((await image.metadata()).format).toFile(target);
      console.log("done");
    } catch { console.log("refused"); }
  }
})();
"""


class Script:
    """One process for many files; it is started again when it died or hung."""

    def __init__(self, argv: Sequence[str], folder: Path | None = None) -> None:
        self._argv, self._folder = argv, folder
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()

    def ask(self, source: Path, target: Path | None) -> str:
        """Its one word, or "died"."""
        with self._lock:
            process = self._running()
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                process.stdin.write(f"{source}\t{target or ''}\n")
                process.stdin.flush()
            except BrokenPipeError:
                self._end(process)
                return "died"
            ready, _, _ = select.select([process.stdout], [], [], TIMEOUT_S)
            said = process.stdout.readline().strip() if ready else ""
            if not said:
                self._end(process)
            return said or "died"

    def close(self) -> None:
        """End it, so that its seconds count."""
        if self._process is not None:
            self._end(self._process)

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None:
            pipe = subprocess.PIPE
            self._process = subprocess.Popen(
                self._argv, cwd=self._folder, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True
            )
        return self._process

    def _end(self, process: subprocess.Popen[str]) -> None:
        process.kill()
        process.communicate()
        self._process = None


@dataclass(frozen=True, kw_only=True)
class Peer:
    """`strip` writes a cleaned copy of the first path to the second and says whether it did; `version` is "" where it
    is absent. `takes` are the collections' kinds that it is made for, `only` the one format it knows."""

    name: str
    version: str
    strip: Callable[[Path, Path], bool]
    takes: frozenset[str] = frozenset({PICTURES})
    only: str = ""
    close: Callable[[], None] = field(default=lambda: None)


def all_of(node: Path) -> list[Peer]:
    """Every peer that we know, absent ones included. `node` is a folder with `node_modules` in it."""
    pillow, sharp = Script([sys.executable, "-c", _PILLOW]), Script(["node", "-e", _SHARP], node)
    both = frozenset({PICTURES, VIDEOS})
    newer = node / "node_modules" / "exiftool-vendored.pl" / "bin" / "exiftool"
    return [
        Peer(name="mat2", version=_said("mat2", "--version"), strip=_mat2, takes=both),
        _exiftool("exiftool"),
        _exiftool(str(newer)),
        Peer(name="sharp", version=_sharp_version(node), strip=_asked(sharp), close=sharp.close),
        Peer(name="ImageMagick -strip", version=_said(_MAGICK, "-version"), strip=_magick),
        Peer(name="Pillow, plain save", version=_pillow_version(), strip=_asked(pillow), close=pillow.close),
        Peer(name="jpegtran -copy none", version=_said("jpegtran", "-version"), strip=_jpegtran, only="jpeg"),
        Peer(
            name="ffmpeg -map_metadata -1 -c copy",
            version=_said("ffmpeg", "-version"),
            strip=_ffmpeg,
            takes=frozenset({VIDEOS}),
        ),
    ]


def pictures_decoded() -> Script:
    """Plain Pillow with HEIF, asked without a target: "done" for a file whose first picture it makes whole."""
    return Script([sys.executable, "-c", _PILLOW])


def video_decodes(path: Path) -> bool:
    """Whether plain ffmpeg decodes the picture of a film to its end without an error."""
    argv = ["ffmpeg", "-v", "error", "-nostdin", "-xerror", "-i", f"file:{path}", "-map", "0:V:0", "-f", "null", "-"]
    return _ran(argv)


def _asked(script: Script) -> Callable[[Path, Path], bool]:
    return lambda source, target: script.ask(source, target) == "done"


def _ran(argv: Sequence[str | Path]) -> bool:
    try:
        return subprocess.run(argv, capture_output=True, timeout=TIMEOUT_S).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def _mat2(source: Path, target: Path) -> bool:
    """Its clean copy lies beside the file it is given, so that it is given one of its own."""
    shutil.copyfile(source, target)
    return _ran(["mat2", "--inplace", target])


def _exiftool(program: str) -> Peer:
    def strip(source: Path, target: Path) -> bool:
        return _ran([program, "-q", "-q", "-all=", "-o", target, source])

    version = _said(program, "-ver")
    return Peer(
        name="exiftool -all=" if program == "exiftool" else "exiftool -all=, npm",
        version=version,
        strip=strip,
        takes=frozenset({PICTURES, VIDEOS}),
    )


def _magick(source: Path, target: Path) -> bool:
    return _ran([_MAGICK, source, "-strip", target])


def _jpegtran(source: Path, target: Path) -> bool:
    return _ran(["jpegtran", "-copy", "none", "-outfile", target, source])


def _ffmpeg(source: Path, target: Path) -> bool:
    argv: list[str | Path] = ["ffmpeg", "-v", "error", "-nostdin", "-y", "-i", f"file:{source}"]
    return _ran([*argv, "-map_metadata", "-1", "-c", "copy", f"file:{target}"])


# Debian's own name: `convert` may be another program.
_MAGICK = "convert-im6.q16"


def _pillow_version() -> str:
    return _said(sys.executable, "-c", "import PIL; print(PIL.__version__)")


def _sharp_version(node: Path) -> str:
    package = node / "node_modules" / "sharp" / "package.json"
    return _said("node", "-p", f"require({str(package)!r}).version") if package.exists() else ""


def _said(*argv: str) -> str:
    """The first version that a program says of itself; "" where there is no such program."""
    if shutil.which(argv[0]) is None:
        return ""
    done = subprocess.run(argv, capture_output=True, text=True)
    found = re.search(r"\d+(\.\d+)+", done.stdout or done.stderr)
    return found[0] if found and not done.returncode else ""
