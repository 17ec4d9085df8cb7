"""What must have become of each upload, in a few lines: who keeps it, who wants it gone, and whether it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from worker.model import Artifact, ArtifactKind, Upload, UploadState

DAY = timedelta(days=1)
# The policies that the operator changes between: what they say of renditions, and of refused originals.
POLICIES: dict[str, tuple[timedelta, timedelta]] = {
    "": (730 * DAY, 7 * DAY),
    '[rules]\n"rendition.published" = "1d"': (DAY, 7 * DAY),
    '[rules]\n"rendition.published" = "40d"\n"original.refused" = "2d"': (40 * DAY, 2 * DAY),
}


@dataclass
class Known:
    """`safe`: the copies that were there when somebody began to keep the upload; they stay while anybody does."""

    subject: str
    holds: set[str] = field(default_factory=set)
    restricted: bool = False
    asked: bool = False
    gone: bool = False
    safe: set[str] = field(default_factory=set)

    @property
    def kept(self) -> bool:
        return bool(self.holds) or self.restricted

    def wanted_gone(self) -> None:
        """The person's own wish ends a restriction, where no hold stands against it."""
        self.asked, self.restricted = True, self.restricted and bool(self.holds)
        self.freed()

    def freed(self) -> None:
        if not self.kept:
            self.safe = set()


def day_of(copy: Artifact, upload: Upload, policy: str, most: timedelta) -> datetime | None:
    """The last day by a policy, of a copy of an upload at its rest; None of copies that nobody was shown."""
    rendition, refused = POLICIES[policy]
    if copy.kind is ArtifactKind.RENDITION and upload.state is UploadState.READY:
        day = upload.created_at + min(upload.keep_for, most, rendition)
    elif copy.kind is ArtifactKind.ORIGINAL and upload.state is UploadState.READY:
        day = upload.state_at
    elif copy.kind is ArtifactKind.ORIGINAL and upload.state is UploadState.FAILED:
        day = upload.state_at + refused
    else:
        return None
    # No copy dies in the instant of its birth, nor before.
    return max(day, copy.created_at + timedelta.resolution)
