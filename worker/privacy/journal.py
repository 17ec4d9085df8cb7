"""The journal of erasures: a file outside the ledger, one line a tombstone, only ever appended to.

Each line is canonical JSON and carries the hash of the line before it, so that a change in the middle shows; where the
ledger remembers the last line (`Place`), a missing end shows too. Ids, keys and times only, no personal data (P7).
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from worker.errors import MayflyError, Unavailable
from worker.privacy.receipt import canonical

VERSION = 1
GENESIS = "0" * 64
# No line is nearly as long: an upload has a dozen copies.
_LONGEST = 1 << 24


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What a line says: an upload that is gone, and every key at which a copy of it has ever lain. Times are ISO 8601
    in UTC."""

    upload_id: str
    artifact_ids: tuple[str, ...]
    keys: tuple[str, ...]
    erased_at: str
    expires_at: str


@dataclass(frozen=True, kw_only=True)
class Place:
    """Behind a line: which journal, the line's number and hash, and where in the file it ends (bytes). Number 0 is the
    heading that names the journal."""

    journal: str
    seq: int
    offset: int
    hash: str

    def __str__(self) -> str:
        return f"{self.journal}:{self.seq}:{self.offset}:{self.hash}"

    @classmethod
    def parse(cls, text: str) -> Place | None:
        """The inverse of `str`; None for the empty text."""
        if not text:
            return None
        journal, seq, offset, digest = text.split(":")
        return cls(journal=journal, seq=int(seq), offset=int(offset), hash=digest)


def changed() -> Unavailable:
    return Unavailable(
        "the journal of erasures was changed in the middle; put its true copy back, or see mayfly restore --begin-anew",
        code="journal_changed",
    )


@dataclass(frozen=True, kw_only=True)
class Journal:
    """One file. Whoever appends has made sure that nobody else does. Every verb raises `Unavailable`
    (`journal_unreadable`, `disk_full`) where the file cannot be used."""

    path: Path

    def size(self) -> int | None:
        """Bytes of the file; None where there is none."""
        with _file_errors():
            try:
                return self.path.stat().st_size
            except FileNotFoundError:
                return None

    def read(self, after: Place | None = None) -> Iterator[tuple[Entry, Place]]:
        """Every whole line behind a place, each with its own. A last line without its end was never finished, and is
        none. Raises `Unavailable` (`journal_changed`) where the chain is broken."""
        with _file_errors(), contextlib.ExitStack() as closing:
            try:
                file = closing.enter_context(self.path.open("rb"))
            except FileNotFoundError:
                return
            at = after or _heading(file)
            if at is None:
                return
            file.seek(at.offset)
            while (line := file.readline(_LONGEST)).endswith(b"\n"):
                said = _said(line, at.seq + 1, at.hash)
                at = Place(journal=at.journal, seq=at.seq + 1, offset=at.offset + len(line), hash=str(said["hash"]))
                yield _entry(said), at

    def end(self) -> Place | None:
        """Behind the last whole line, with every line checked; None where there is no heading yet."""
        with _file_errors():
            try:
                with self.path.open("rb") as file:
                    at = _heading(file)
            except FileNotFoundError:
                return None
        for _line, place in self.read(at) if at else ():
            at = place
        return at

    def holds(self, place: Place) -> bool:
        """Whether the line that ends there is the one that the place names."""
        with _file_errors(), self.path.open("rb") as file:
            line = _line_before(file, place.offset)
        with contextlib.suppress(ValueError, RecursionError):
            said = json.loads(line)
            return isinstance(said, dict) and said.get("hash") == place.hash == _digest(said)
        return False

    def append(self, after: Place | None, entries: Sequence[Entry]) -> list[Place]:
        """Write lines behind that place, which is the end of the last whole line, and make them last; returns where
        each ends. What a kill left of an unfinished line goes first."""
        with _file_errors():
            fresh = not self.path.exists()
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as out:  # "wb" cuts nothing off: the descriptor is open already
                out.truncate(after.offset if after else 0)
                out.seek(0, os.SEEK_END)
                at, places = after or _begin(out), []
                for entry in entries:
                    at = _write(out, at, {**asdict(entry)})
                    places.append(at)
                out.flush()
                os.fsync(out.fileno())
            if fresh:
                _fsync_folder(self.path.parent)
        return places

    def set_aside(self) -> Path | None:
        """Rename the file, so that a new journal can begin; returns where it lies now, None where there was none."""
        with _file_errors():
            aside = self.path.with_name(f"{self.path.name}.{secrets.token_hex(4)}")
            try:
                self.path.rename(aside)
            except FileNotFoundError:
                return None
            _fsync_folder(self.path.parent)
            return aside


def _heading(file: BinaryIO) -> Place | None:
    line = file.readline(_LONGEST)
    if not line.endswith(b"\n"):
        return None
    said = _said(line, 0, GENESIS)
    return Place(journal=str(said.get("journal")), seq=0, offset=len(line), hash=str(said["hash"]))


def _line_before(file: BinaryIO, offset: int) -> bytes:
    """The line that ends there, read backwards in growing steps."""
    window = 4_096
    while True:
        start = max(0, offset - window)
        file.seek(start)
        _above, newline, line = file.read(offset - start)[:-1].rpartition(b"\n")
        if newline or start == 0 or window >= _LONGEST:
            return line
        window *= 8


def _begin(out: BinaryIO) -> Place:
    journal = secrets.token_hex(16)
    nothing = Place(journal=journal, seq=-1, offset=0, hash=GENESIS)
    return _write(out, nothing, {"journal": journal, "version": VERSION})


def _write(out: BinaryIO, at: Place, says: dict[str, Any]) -> Place:
    said = {**says, "seq": at.seq + 1, "prev": at.hash}
    said["hash"] = _digest(said)
    line = canonical(said) + b"\n"
    out.write(line)
    return Place(journal=at.journal, seq=at.seq + 1, offset=at.offset + len(line), hash=said["hash"])


def _digest(said: dict[str, Any]) -> str:
    return hashlib.sha256(canonical({name: value for name, value in said.items() if name != "hash"})).hexdigest()


def _said(line: bytes, seq: int, prev: str) -> dict[str, Any]:
    try:
        said = json.loads(line)
        whole = isinstance(said, dict) and (said["seq"], said["prev"], said["hash"]) == (seq, prev, _digest(said))
    except (ValueError, KeyError, RecursionError):
        whole = False
    if not whole:
        raise changed()
    return dict(said)


def _entry(said: dict[str, Any]) -> Entry:
    try:
        return Entry(
            upload_id=str(said["upload_id"]),
            artifact_ids=tuple(said["artifact_ids"]),
            keys=tuple(said["keys"]),
            erased_at=str(said["erased_at"]),
            expires_at=str(said["expires_at"]),
        )
    except (KeyError, TypeError):
        raise changed() from None


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _file_errors() -> Iterator[None]:
    try:
        yield
    except MayflyError:
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise Unavailable("the journal's disk is full; free some space", code="disk_full") from None
        raise Unavailable(
            "the journal of erasures cannot be read or written; check MAYFLY_JOURNAL", code="journal_unreadable"
        ) from None
