"""The named steps of the flows, in order. A worker may be killed at each of them; tests kill it at every one."""

from __future__ import annotations

PROCESS = (
    "claimed",
    "workspace",
    "fetched",
    "rendered",
    "proven",
    "judged",
    "planned",
    "stored",
    "published",
    "cleaned",
)
SWEEP = ("condemned", "destroyed", "purged", "recorded")
ERASE = ("taken", "condemned", "destroyed", "purged", "recorded", "sealed")
