"""The only door to bytes: a committed ledger row first, then the bytes, then `present` (P1).

Nobody else calls a storage backend. What is published goes through `publish`, which takes the second reader's proof for
exactly these bytes (P2). Every read names its purposes and leaves an event (P3). Destroying looks again (P4).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

from storage_backends.cdn import Cdn
from storage_backends.errors import ObjectNotFound, StorageError
from storage_backends.keys import Key
from storage_backends.scratch import ScratchStorage
from storage_backends.storage import Erased as _Erased
from storage_backends.storage import Stat as _Stat
from storage_backends.storage import Storage, Stored, Unfinished
from worker.errors import Defect, HoldActive, Refused, StateConflict, Unavailable
from worker.ledger import artifacts, events, states, uploads
from worker.ledger.database import Ledger, Tx
from worker.media.rendered import Proof
from worker.model import Artifact, ArtifactKind, ArtifactState, Purpose, Trigger, Upload
from worker.retention.book import Book
from worker.retention.rules import deadline, rule_for
from worker.streams import CHUNK, chunks_of

# One object as it lies somewhere: its key, size in bytes and time of last change.
Lying: TypeAlias = _Stat
# What became of one key.
Erased: TypeAlias = _Erased
# A blocked copy is tried again after this long; an operator sees it in `mayfly status` meanwhile.
BLOCKED_RETRY = timedelta(minutes=5)
# The most that an address outlives the hiding of what it shows.
LINK_LIVES = timedelta(minutes=15)


def _unwatched(_step: str) -> None:
    """Nobody wants to know how far a destruction has come."""


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """`locations` maps a location's name, as written in the ledger, to its backend; `media` names where new copies go,
    `scratch` is this host's own place for working copies, `cdn` what shows the published ones, where there is such."""

    ledger: Ledger
    locations: Mapping[str, Storage]
    media: str
    scratch: ScratchStorage
    book: Book
    cdn: Cdn | None = None
    actor: str = "worker"

    def reachable(self) -> Collection[str]:
        """The locations whose copies this process can look at and destroy."""
        return (*self.locations, self.scratch.name, *([self.cdn.name] if self.cdn else []))

    def plan(self, upload: Upload, kind: ArtifactKind, name: str, **facts: object) -> Artifact:
        """Commit the row of a copy that is about to be written, with its last day. Raises `StateConflict` when the
        upload is being erased: then nothing more may be written for it."""
        with self.ledger.begin() as tx:
            now_upload = uploads.get(tx, upload.id)
            if now_upload.fence != upload.fence:
                raise StateConflict("the upload is being erased; nothing more is written for it", code="superseded")
            rule = rule_for(kind, now_upload.state, self.book.rules)
            return artifacts.plan(
                tx,
                upload_id=upload.id,
                kind=kind,
                name=name,
                location=self._home(kind),
                retention_class=kind.value,
                rule=rule.name,
                delete_at=deadline(
                    rule,
                    artifact_created_at=tx.now,
                    upload_created_at=now_upload.created_at,
                    state_entered_at=now_upload.state_at,
                    keep_for=now_upload.keep_for,
                ),
                actor=self.actor,
                **facts,  # type: ignore[arg-type]
            )

    def plan_cached(self, upload: Upload, copy: Artifact) -> Artifact | None:
        """Commit the row of what a CDN may keep of a copy that is about to be published, under that copy's key. None
        without a CDN."""
        if self.cdn is None:
            return None
        return self.plan(upload, ArtifactKind.CDN_COPY, copy.name, key=copy.key, media_type=copy.media_type)

    def _home(self, kind: ArtifactKind) -> str:
        if kind is ArtifactKind.CDN_COPY and self.cdn is not None:
            return self.cdn.name
        return self.scratch.name if kind is ArtifactKind.SCRATCH else self.media

    def quarantine(self, artifact: Artifact, chunks: Iterable[bytes], *, most_bytes: int) -> Artifact:
        """Write an original, unproven and invisible. The size is capped while it streams."""
        return self._put(artifact, chunks, ArtifactKind.ORIGINAL, most_bytes=most_bytes, sha256=None)

    def publish(self, artifact: Artifact, body: bytes | Path, proof: Proof) -> Artifact:
        """Write a copy that people will see. `proof` is the second reader's word for exactly these bytes: what arrives
        with another hash is destroyed again and reported as a defect."""
        if artifact.kind not in (ArtifactKind.RENDITION, ArtifactKind.POSTER):
            raise Defect("only renditions and posters are published")
        if artifact.media_type != proof.media_type:
            raise Defect("the proof is for another media type")
        return self._put(artifact, chunks_of(body), artifact.kind, most_bytes=None, sha256=proof.sha256)

    def expires(self) -> bool:
        """Whether the place where copies lie may have rules of its own that destroy them by their class."""
        with _storage_errors():
            return self._storage(self.media).capabilities().lifecycle

    def preserve(self, upload: Upload, copy: Artifact) -> Artifact:
        """Copy a held copy into class `evidence`, which no rule of the location expires; compared by its hash."""
        with self.ledger.begin() as tx:
            detail = {"artifact_id": copy.id, "reason": "hold"}
            events.append(tx, upload.id, event="read", actor=self.actor, detail=detail)
        kept = self.plan(upload, ArtifactKind.EVIDENCE, copy.name, media_type=copy.media_type)
        with _storage_errors():
            source = self._storage(copy.location).open(Key.parse(copy.key))
        with source:
            chunks = iter(lambda: source.read(CHUNK), b"")
            return self._put(kept, chunks, ArtifactKind.EVIDENCE, most_bytes=None, sha256=copy.sha256)

    def _put(
        self,
        artifact: Artifact,
        chunks: Iterable[bytes],
        kind: ArtifactKind,
        *,
        most_bytes: int | None,
        sha256: str | None,
    ) -> Artifact:
        storage = self._storage(artifact.location)
        self._committed(artifact, kind)
        with _storage_errors():
            stored = storage.put(Key.parse(artifact.key), chunks, most_bytes=most_bytes)
        if sha256 is not None and stored.sha256 != sha256:
            self._take_back(storage, artifact)
            raise Defect("the bytes that were written are not those that were meant", code="proof_mismatch")
        return self._present(storage, artifact, stored)

    def _committed(self, artifact: Artifact, kind: ArtifactKind) -> None:
        # Read in a transaction of its own: what it sees is committed, so a kill from here on leaves a row behind.
        with self.ledger.read() as tx:
            row = artifacts.get(tx, artifact.id)
        if row.kind is not kind or row.state is not ArtifactState.PLANNED:
            raise StateConflict("this copy is no longer planned; it is not written", code="superseded")

    def _present(self, storage: Storage, artifact: Artifact, stored: Stored) -> Artifact:
        try:
            with self.ledger.begin() as tx:
                return states.move_artifact(
                    tx,
                    artifact.id,
                    to=ArtifactState.PRESENT,
                    source=ArtifactState.PLANNED,
                    actor=self.actor,
                    bytes=stored.bytes,
                    sha256=stored.sha256,
                )
        except StateConflict:
            # The erasure overtook us. It waits for our lease to end before it looks, so taking them back is enough.
            self._take_back(storage, artifact)
            raise

    def _take_back(self, storage: Storage, artifact: Artifact) -> None:
        for outcome in storage.erase([Key.parse(artifact.key)]):
            if outcome.observation is None:
                raise Unavailable("bytes that may not stay could not be removed yet", code="take_back_failed")

    def adopt(self, artifact: Artifact, *, bytes_: int | None = None) -> Artifact:
        """A planned row names what somebody else puts there: the app an object into the intake location, a CDN a copy
        into its caches from now on. Mark it present."""
        with self.ledger.begin() as tx:
            return states.move_artifact(
                tx, artifact.id, to=ArtifactState.PRESENT, source=ArtifactState.PLANNED, actor=self.actor, bytes=bytes_
            )

    def size(self, artifact: Artifact) -> int:
        """How many bytes lie there; raises `Refused` (`object_missing`)."""
        with _storage_errors():
            return self._storage(artifact.location).stat(Key.parse(artifact.key)).bytes

    def open(self, artifact: Artifact, purposes: frozenset[Purpose]) -> BinaryIO:
        """The bytes of a present copy, for purposes that its upload was given for. The read is recorded first."""
        with self.ledger.begin() as tx:
            upload = uploads.get(tx, artifact.upload_id)
            if not purposes or not purposes <= upload.purposes:
                raise Refused("this upload was not given for that purpose", code="purpose_refused")
            if artifacts.get(tx, artifact.id).state is not ArtifactState.PRESENT:
                raise StateConflict("this copy is not there to be read", code="not_present")
            events.append(
                tx,
                artifact.upload_id,
                event="read",
                actor=self.actor,
                detail={"artifact_id": artifact.id, "purposes": sorted(purposes)},
            )
        with _storage_errors():
            return self._storage(artifact.location).open(Key.parse(artifact.key))

    def path(self, artifact: Artifact) -> Path | None:
        """Where the copy lies on this host, for locations that have such a thing."""
        path = getattr(self._storage(artifact.location), "path", None)
        return path(Key.parse(artifact.key)) if path else None

    def link(self, artifact: Artifact) -> str | None:
        """A signed address of a published copy that is good for `LINK_LIVES`, for locations that give such."""
        link = getattr(self._storage(artifact.location), "link", None)
        if link is None or artifact.media_type is None:
            return None
        name = f"{artifact.name}.{artifact.media_type.rpartition('/')[2]}"
        seconds = int(LINK_LIVES.total_seconds())
        return str(link(Key.parse(artifact.key), seconds=seconds, media_type=artifact.media_type, name=name))

    def address(self, cached: Artifact) -> str | None:
        """Where a CDN shows the copy; None for a row of another CDN than the one that is set now."""
        return self.cdn.url(Key.parse(cached.key)) if self.cdn and self.cdn.name == cached.location else None

    @contextlib.contextmanager
    def workspace(self, upload: Upload) -> Iterator[Path]:
        """A private directory for one run, itself an artifact: row first, destroyed at the end. What a kill leaves
        behind is swept by its row."""
        artifact = self.plan(upload, ArtifactKind.SCRATCH, "work")
        with _storage_errors():
            directory = self.scratch.make(Key.parse(artifact.key))
        try:
            with self.ledger.begin() as tx:
                artifact = states.move_artifact(
                    tx, artifact.id, to=ArtifactState.PRESENT, source=ArtifactState.PLANNED, actor=self.actor
                )
            yield directory
        finally:
            # Whatever happened, the bytes go now; if the ledger cannot be told, the sweep looks again and tells it.
            tuple(self.scratch.erase([Key.parse(artifact.key)]))
            with contextlib.suppress(Unavailable):
                self.destroy([artifact], trigger=Trigger.RETENTION)

    def walk(self, location: str, *, prefix: str = "", after: str = "") -> Iterator[Lying]:
        """Everything that lies at a location, rows or not, in the order of the keys."""
        with _storage_errors():
            yield from self._storage(location).list(prefix, after=after)

    def walk_unfinished(self, location: str) -> Iterator[Unfinished]:
        """Every write that was begun there and not finished."""
        with _storage_errors():
            yield from self._storage(location).unfinished()

    def net(
        self, days_by_class: Mapping[str, int], *, apply: bool
    ) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """The expiry rules that the bucket should have, and those that it has. Raises `Refused` (`no_lifecycle`)."""
        net = getattr(self._storage(self.media), "net", None)
        if net is None:
            raise Refused("this location has no rules of its own; only a bucket has", code="no_lifecycle")
        with _storage_errors():
            wanted, present = net(days_by_class, apply=apply)
        return wanted, present

    def lies_there(self, artifact: Artifact) -> bool:
        """Whether the bytes are there, asked of the location itself."""
        try:
            self.size(artifact)
        except Refused:
            return False
        return True

    def destroy_strangers(self, location: str, keys: Sequence[Key]) -> list[Erased]:
        """Destroy what no row names, and look again. The caller has looked twice, a day apart, or knows from the
        journal that it may not be."""
        with _storage_errors():
            return list(self._storage(location).erase(keys))

    def destroy(
        self, doomed: Sequence[Artifact], *, trigger: Trigger, step: Callable[[str], None] = _unwatched
    ) -> list[Artifact]:
        """Destroy these copies and look again; afterwards each row says `gone`, or `blocked` with the reason.

        May be called any number of times for the same copies. A hold that came in between wins: that copy stays. So
        does a working copy of another host, until a process there destroys it by its row.
        """
        near = [artifact for artifact in doomed if artifact.location in self.reachable()]
        if not (allowed := self._condemn(near, trigger)):
            return []
        step("condemned")
        # A CDN last: what it is purged of before the origin is gone it fetches again.
        cached = [artifact for artifact in allowed if artifact.kind is ArtifactKind.CDN_COPY]
        stored = [artifact for artifact in allowed if artifact.kind is not ArtifactKind.CDN_COPY]
        outcomes = self._erase_by_location(stored)
        step("destroyed")
        outcomes |= self._erase_by_location(cached)
        step("purged")
        with self.ledger.begin() as tx:
            done = [self._record(tx, artifact, outcomes[artifact.id]) for artifact in (*stored, *cached)]
        step("recorded")
        return done

    def _condemn(self, doomed: Sequence[Artifact], trigger: Trigger) -> list[Artifact]:
        """First say in the ledger that these copies are going (one commit); holds are read again in the same act."""
        allowed = []
        with self.ledger.begin() as tx:
            for artifact in doomed:
                row = artifacts.get(tx, artifact.id)
                if row.state is ArtifactState.ERASING:
                    allowed.append(row)
                elif row.state not in (ArtifactState.GONE, ArtifactState.UNVERIFIABLE):
                    with contextlib.suppress(HoldActive):
                        allowed.append(
                            states.move_artifact(
                                tx,
                                row.id,
                                to=ArtifactState.ERASING,
                                source=row.state,
                                actor=self.actor,
                                detail={"trigger": trigger.value},
                            )
                        )
        return allowed

    def _erase_by_location(self, allowed: Sequence[Artifact]) -> dict[str, Erased]:
        outcomes: dict[str, Erased] = {}
        for location in {artifact.location for artifact in allowed}:
            here = {artifact.key: artifact.id for artifact in allowed if artifact.location == location}
            with _storage_errors():
                for outcome in self._place(location).erase([Key.parse(key) for key in here]):
                    outcomes[here[str(outcome.key)]] = outcome
        return outcomes

    def _record(self, tx: Tx, artifact: Artifact, outcome: Erased) -> Artifact:
        detail: dict[str, object] = {
            "place": self.place_of(artifact.location),
            "method": outcome.method.value,
            "removed": outcome.removed,
            "markers": outcome.markers,
            "unfinished": outcome.unfinished,
        }
        if artifact.kind is ArtifactKind.CDN_COPY and artifacts.lies_elsewhere(tx, artifact):
            blocked = outcome.blocked or "origin_still_there"
            outcome = replace(outcome, observation=None, unverifiable=None, blocked=blocked)
        if outcome.unverifiable is not None:
            to, reason = ArtifactState.UNVERIFIABLE, outcome.unverifiable
            return states.move_artifact(tx, artifact.id, to=to, actor=self.actor, detail=detail, reason=reason)
        if outcome.observation is None:
            until = outcome.blocked_until
            reason = f"{outcome.blocked} until {until:%Y-%m-%dT%H:%M:%SZ}" if until else outcome.blocked or "blocked"
            moved = states.move_artifact(
                tx, artifact.id, to=ArtifactState.BLOCKED, actor=self.actor, detail=detail, reason=reason
            )
            return artifacts.defer(tx, moved, until=until or tx.now + BLOCKED_RETRY, reason=reason)
        detail["observation"] = outcome.observation.value
        return states.move_artifact(tx, artifact.id, to=ArtifactState.GONE, actor=self.actor, detail=detail)

    def place_of(self, location: str) -> str:
        """What kind of place a location is: disk, bucket, scratch, memory, cdn."""
        return self._place(location).place.value

    def _place(self, location: str) -> Storage | ScratchStorage | Cdn:
        if self.cdn is not None and location == self.cdn.name:
            return self.cdn
        return self.scratch if location == self.scratch.name else self._storage(location)

    def _storage(self, location: str) -> Storage:
        try:
            return self.locations[location]
        except KeyError:
            raise Unavailable("this host cannot reach the location of that copy", code="location_unreachable") from None


@contextlib.contextmanager
def _storage_errors() -> Iterator[None]:
    """Storage errors in the words of the rest of the house."""
    try:
        yield
    except ObjectNotFound:
        raise Refused("the bytes are not where the ledger says", code="object_missing") from None
    except StorageError as error:
        kind = Unavailable if error.retryable else Refused
        raise kind(str(error) or "the storage location refused", code=error.code) from None
