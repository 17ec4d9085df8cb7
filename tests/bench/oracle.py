"""The independent judge of what comes out, run once over a folder: which files are clean, and what the others hold."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.corpus import LEAKCHECK, SHARED


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """`kinds` maps a file with findings to their kinds; `findings` to a line for each."""

    kinds: dict[Path, frozenset[str]]
    findings: dict[Path, tuple[str, ...]]

    def state(self, paths: Sequence[Path]) -> str:
        """Of these files together: "clean", "leaky", or "unchecked" where the judge could not read one."""
        seen = self.seen(paths)
        return "leaky" if seen - {"unchecked"} else "unchecked" if seen else "clean"

    def seen(self, paths: Sequence[Path]) -> frozenset[str]:
        return frozenset().union(*(self.kinds.get(path, frozenset()) for path in paths))


def collection(name: str) -> Path:
    """A shared folder; ends the program where it is absent."""
    place = SHARED / name
    if not place.is_dir():
        raise SystemExit(f"needs ../shared/{name} beside the project")
    return place


def judge(paths: Sequence[Path], *, against: Path | None = None, canary: str = "", jobs: int = 1) -> Verdict:
    """Folders or files under every layer; `against` holds the originals under the same relative names, and `canary` is
    a word that was planted in them."""
    if not LEAKCHECK.exists() or shutil.which("exiftool") is None:
        raise SystemExit("needs ../shared/tools/leakcheck.py beside the project, and exiftool")
    if not any(each.is_file() for path in paths for each in (path, *path.rglob("*"))):
        return Verdict(kinds={}, findings={})
    argv = [sys.executable, str(LEAKCHECK), "--json", "--max", "0", "--jobs", str(jobs)]
    argv += [] if against is None else ["--against", str(against)]
    argv += ["--canary", canary] if canary else []
    said = subprocess.run([*argv, *map(str, paths)], capture_output=True, text=True, errors="replace")
    lines = said.stdout.splitlines()
    if said.returncode not in (0, 1, 2) or not lines:
        raise SystemExit(f"the judge failed: {said.stderr[-500:]}")
    kinds, findings = defaultdict(set), defaultdict(list)
    for line in lines[:-1]:
        found = json.loads(line)
        kinds[Path(found["path"])].add(found["kind"])
        findings[Path(found["path"])].append(
            f"{found['layer']}: {found['kind']}: {found['where']} = {str(found['value'])[:80]}"
        )
    return Verdict(
        kinds={path: frozenset(each) for path, each in kinds.items()},
        findings={path: tuple(each) for path, each in findings.items()},
    )
