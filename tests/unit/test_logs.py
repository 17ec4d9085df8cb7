"""The log writes what is on its list and nothing else, whoever speaks: ours, a library, a warning, a dying thread."""

from __future__ import annotations

import json
import subprocess
import sys

CANARY = "canary-log-5d1f"
_SCRIPT = f"""
import logging, threading, warnings
import structlog
from worker import logs

logs.configure("debug")
log = structlog.get_logger()
log.info("taken", upload_id="upl_1", file_name="{CANARY}", bytes=3, error="two\\nlines\\x1b[31m")
try:
    raise ValueError("{CANARY}")
except ValueError:
    log.exception("failed", code="defect")
    logging.getLogger("some.library").exception("it said %s", "{CANARY}")
logging.getLogger("some.library").error("{CANARY}")
warnings.warn("{CANARY}", UserWarning)

def die():
    raise RuntimeError("{CANARY}")

thread = threading.Thread(target=die, name="relay")
thread.start()
thread.join()

class Bad:
    def __del__(self):
        raise RuntimeError("{CANARY}")

Bad()
"""


def test_only_what_is_listed_is_written() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "default", "-c", _SCRIPT], capture_output=True, text=True, check=False, timeout=60
    )

    assert (done.returncode, done.stdout) == (0, "")
    assert CANARY not in done.stderr
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    said = [(line["event"], line.get("part"), line.get("error")) for line in lines]
    assert said == [
        ("taken", None, "two?lines?[31m"),
        ("failed", None, None),
        ("library", "some.library", "ValueError"),
        ("library", "some.library", None),
        ("library", "warnings", "UserWarning"),
        ("thread_died", "relay", "RuntimeError"),
        ("unraisable", None, "RuntimeError"),
    ]
    assert lines[0]["bytes"] == 3
    assert {name for line in lines for name in line} <= {
        "bytes", "code", "error", "event", "level", "part", "state", "timestamp", "upload_id",
    }  # fmt: skip
