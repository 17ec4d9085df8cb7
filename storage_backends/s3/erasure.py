"""Destroys one batch of keys in a bucket and looks again.

S3 reports success for what it did not do: a missing key is "deleted", a plain delete on a versioned bucket only hides
the object behind a marker, a batch answers 200 with its errors in the body
(https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html). So every version and marker is deleted by its
id, each must come back as deleted, and only a listing afterwards that shows none of them counts as gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Literal

from botocore.exceptions import BotoCoreError, ClientError

from storage_backends.errors import StorageError
from storage_backends.keys import Key
from storage_backends.s3.bucket import Bucket, answering, denied, not_there
from storage_backends.storage import Erased, Method, Observation

# The most keys of one DeleteObjects call.
BATCH = 1_000
_THREADS = 8
# How often unfinished uploads are aborted and listed again: a part in flight may bring one back.
_ABORTS = 3


@dataclass(frozen=True, kw_only=True)
class Item:
    """One thing that lies under a name; `id` is of its version or of its unfinished upload."""

    name: str
    id: str
    kind: Literal["version", "marker", "upload"]


@dataclass(kw_only=True)
class Sight:
    """What was seen under each key, and why some keys could not be looked at (the error's code)."""

    items: dict[Key, list[Item]] = field(default_factory=dict)
    unseen: dict[Key, str] = field(default_factory=dict)


@dataclass(kw_only=True)
class Erasure:
    """At most `BATCH` keys. `refused` says of which keys something was not deleted, and why."""

    bucket: Bucket
    keys: Sequence[Key]
    refused: dict[Key, str] = field(default_factory=dict)
    versions_listed: bool = True

    def run(self) -> dict[Key, Erased]:
        """One outcome a key; never raises for one key's sake."""
        before = self._look()
        found = [item for items in before.items.values() for item in items]
        self._delete([item for item in found if item.kind != "upload"])
        self._abort([item for item in found if item.kind == "upload"])
        after = self._look()
        return {key: self._outcome(key, before.items.get(key, []), after) for key in self.keys}

    def _outcome(self, key: Key, before: list[Item], after: Sight) -> Erased:
        left = after.items.get(key, [])
        unseen = after.unseen.get(key)
        gone = [] if unseen else [item for item in before if item not in left]
        erased = Erased(
            key=key,
            method=Method.DELETE_VERSION if any(_is_version(item) for item in (*before, *left)) else Method.DELETE,
            removed=len(gone),
            markers=sum(item.kind == "marker" for item in gone),
            unfinished=sum(item.kind == "upload" for item in gone),
            observation=None,
            blocked=unseen,
        )
        if left:
            return self._blocked(erased, left)
        if unseen:
            return erased
        seen = Observation.LIST_VERSIONS_EMPTY if self.versions_listed else Observation.LIST_ABSENT
        return replace(erased, observation=seen)

    def _blocked(self, erased: Erased, left: list[Item]) -> Erased:
        """Why it is still there: a legal hold of the bucket, a lock with its last day, a refusal, or no reason."""
        until: datetime | None = None
        for item in left:
            with suppress(ClientError, BotoCoreError):
                head = self.bucket.client.head_object(Bucket=self.bucket.name, Key=item.name, VersionId=item.id)
                if head.get("ObjectLockLegalHoldStatus") == "ON":
                    return replace(erased, blocked="bucket_legal_hold")
                lock = head.get("ObjectLockRetainUntilDate")
                until = max(until or lock, lock) if lock else until
        if until is not None and until > datetime.now(UTC):
            return replace(erased, blocked="object_lock", blocked_until=until.astimezone(UTC))
        return replace(erased, blocked=self.refused.get(erased.key, "still_there"))

    def _look(self) -> Sight:
        """One listing an upload, since its copies share a folder; and one of all uploads that were never finished,
        since a bucket has few of those."""
        folders: dict[str, list[Key]] = {}
        for key in self.keys:
            folders.setdefault("/".join(key.parts[:-1]), []).append(key)
        looks: list[tuple[Callable[[], list[Item]], list[Key]]] = [(self._uploads, list(self.keys))]
        looks += [(_listing(self, folder), keys) for folder, keys in folders.items()]
        sight, wanted = Sight(), set(self.keys)
        with ThreadPoolExecutor(max_workers=min(_THREADS, len(looks))) as pool:
            for (_, keys), seen in zip(looks, pool.map(lambda look: _tried(look[0]), looks), strict=True):
                if isinstance(seen, str):
                    sight.unseen.update(dict.fromkeys(keys, seen))
                    continue
                for item in seen:
                    found = self.bucket.key(item.name)
                    if found is not None and found in wanted:
                        sight.items.setdefault(found, []).append(item)
        return sight

    def versions(self, folder: str) -> list[Item]:
        """Every version and marker below `folder`; where the store has no versions, its plain objects."""
        try:
            return [
                Item(name=entry["Key"], id=entry["VersionId"], kind=kind)
                for page in self.bucket.pages("list_object_versions", folder)
                for kind, field_name in _KINDS
                for entry in page.get(field_name, ())
            ]
        except ClientError as error:
            if not not_there(error):
                raise
        self.versions_listed = False
        return [
            Item(name=entry["Key"], id=_NONE, kind="version")
            for page in self.bucket.pages("list_objects_v2", folder)
            for entry in page.get("Contents", ())
        ]

    def _uploads(self) -> list[Item]:
        return [
            Item(name=entry["Key"], id=entry["UploadId"], kind="upload")
            for page in self.bucket.pages("list_multipart_uploads", _shared([key.parts[:-1] for key in self.keys]))
            for entry in page.get("Uploads", ())
        ]

    def _delete(self, doomed: Sequence[Item]) -> None:
        for begin in range(0, len(doomed), BATCH):
            part = doomed[begin : begin + BATCH]
            asked = [_named(item) if self.versions_listed else {"Key": item.name} for item in part]
            try:
                with answering():
                    answer = self.bucket.client.delete_objects(
                        Bucket=self.bucket.name, Delete={"Objects": asked, "Quiet": False}
                    )
            except StorageError as error:
                self._refuse({item.name for item in part}, error.code)
                continue
            done = {(entry["Key"], entry.get("VersionId", _NONE)) for entry in answer.get("Deleted", ())}
            self._refuse({item.name for item in part if (item.name, item.id) not in done}, "refused")
            for entry in answer.get("Errors", ()):
                self._refuse({entry.get("Key", "")}, "storage_denied" if denied(entry.get("Code", "")) else "refused")

    def _refuse(self, names: Iterable[str], code: str) -> None:
        for name in names:
            key = self.bucket.key(name)
            if key is not None:
                self.refused[key] = code

    def _abort(self, uploads: list[Item]) -> None:
        for _ in range(_ABORTS):
            if not uploads:
                return
            for item in uploads:
                with suppress(ClientError, BotoCoreError):  # whether it is gone, the listing says
                    self.bucket.client.abort_multipart_upload(Bucket=self.bucket.name, Key=item.name, UploadId=item.id)
            left = _tried(self._uploads)
            uploads = [] if isinstance(left, str) else [item for item in uploads if item in left]


_KINDS: tuple[tuple[Literal["version", "marker"], str], ...] = (("version", "Versions"), ("marker", "DeleteMarkers"))
# The id of an object's only version where versions were never turned on.
_NONE = "null"


def _listing(erasure: Erasure, folder: str) -> Callable[[], list[Item]]:
    return lambda: erasure.versions(folder)


def _tried(look: Callable[[], list[Item]]) -> list[Item] | str:
    """What was seen, or the code of the error that kept us from looking. An absence needs an answer."""
    try:
        with answering():
            return look()
    except StorageError as error:
        return error.code


def _is_version(item: Item) -> bool:
    return item.kind != "upload" and item.id != _NONE


def _named(item: Item) -> dict[str, str]:
    return {"Key": item.name, "VersionId": item.id}


def _shared(many: Sequence[tuple[str, ...]]) -> str:
    """The longest prefix of whole parts that all share."""
    shared = []
    for parts in zip(*many, strict=True):
        if len(set(parts)) > 1:
            break
        shared.append(parts[0])
    return "/".join(shared)
