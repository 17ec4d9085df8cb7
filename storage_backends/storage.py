"""What a place for bytes must be able to do: five verbs and a statement of facts.

A backend keeps objects under validated keys (`storage_backends.keys.Key`). It knows nothing of uploads, subjects or
purposes. Every verb may be called again after a failure; errors are those of `storage_backends.errors`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import BinaryIO, Protocol

from storage_backends.keys import Key


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """Facts, probed and not assumed. `local_paths`: `path(key)` gives a file on this host.

    `versioning`: a replaced object stays as an old version; then `version_deletes` must be true, or nothing can be
    erased there. `versions_listed`: old versions can be seen. `object_lock`, `tagging`, `lifecycle`: the place knows
    these calls.
    """

    versioning: bool = False
    versions_listed: bool = False
    version_deletes: bool = True
    object_lock: bool = False
    tagging: bool = False
    lifecycle: bool = False
    local_paths: bool = False


@dataclass(frozen=True, kw_only=True)
class Stat:
    """One object as it lies there: size in bytes, time of last change (UTC)."""

    key: Key
    bytes: int
    modified_at: datetime


@dataclass(frozen=True, kw_only=True)
class Unfinished:
    """A write that was begun and never finished; it takes room, and no listing of objects shows it."""

    key: Key
    begun_at: datetime


@dataclass(frozen=True, kw_only=True)
class Stored:
    """What a finished put wrote: counted and hashed while it streamed (SHA-256, lower-case hex)."""

    bytes: int
    sha256: str


class Method(StrEnum):
    """How a copy was destroyed (a field of the receipt)."""

    DELETE = "delete"
    DELETE_VERSION = "delete_version"
    PURGE = "purge"


class Observation(StrEnum):
    """How its absence was seen (a field of the receipt)."""

    LIST_ABSENT = "list_absent"
    LIST_VERSIONS_EMPTY = "list_versions_empty"
    PROBE_404 = "probe_404"


class Place(StrEnum):
    """What kind of place it is that a backend keeps bytes in (a field of the receipt)."""

    DISK = "disk"
    BUCKET = "bucket"
    SCRATCH = "scratch"
    MEMORY = "memory"
    CDN = "cdn"


@dataclass(frozen=True, kw_only=True)
class Erased:
    """The outcome for one key: gone and looked for again, or why not. `removed` counts objects, versions, markers and
    unfinished writes that were there and are not any more; `markers` and `unfinished` how many of them were such.
    Exactly one of `observation`, `blocked` and `unverifiable` is set; `blocked_until` is the last day of a lock, where
    there is one; `unverifiable` is why the place can never show whether the copy is gone."""

    key: Key
    method: Method
    removed: int
    observation: Observation | None
    blocked: str | None = None
    blocked_until: datetime | None = None
    unverifiable: str | None = None
    markers: int = 0
    unfinished: int = 0


class Storage(Protocol):
    """Implemented by one class per backend; `storage_backends.contract` is what each must show."""

    name: str
    place: Place

    def capabilities(self) -> Capabilities: ...

    def put(self, key: Key, chunks: Iterable[bytes], *, most_bytes: int | None = None) -> Stored:
        """Write one object whole or not at all; an existing key is replaced. Raises `TooLarge` beyond `most_bytes`
        (nothing stays), `NoSpace`, `ReadOnly`, `StorageUnavailable`; an exception out of `chunks` passes through and
        nothing stays."""

    def open(self, key: Key) -> BinaryIO:
        """The bytes, as a readable binary stream that the caller closes. Raises `ObjectNotFound`."""

    def stat(self, key: Key) -> Stat:
        """Raises `ObjectNotFound`."""

    def list(self, prefix: str = "", *, after: str = "") -> Iterator[Stat]:
        """Every object whose key is `prefix` or lies below it (`a/1` is not below `a/10`) and comes after `after`, in
        key order (of the text), over as many pages as it takes. Unfinished writes are not objects."""

    def unfinished(self, prefix: str = "") -> Iterator[Unfinished]:
        """Every write below `prefix` that was begun and not finished, in progress or left behind, in no order."""

    def erase(self, keys: Iterable[Key]) -> Iterator[Erased]:
        """Destroy every copy, version and unfinished write of exactly these keys, then look again; one `Erased` a key.
        A key that is not there is a success (`removed == 0`). Never raises for one key's sake: it is `blocked`."""
