"""Copies that a CDN made for itself of what it was asked for: purged by their address, then looked for.

Nothing can be put here and nothing listed. An answer to a purge is not believed; a look that gets 404 or 410 is. It
must come after the origin's copy is gone, or the look itself would make the CDN fetch a new one.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING

from storage_backends.cdn.template import WHOLE, Template
from storage_backends.errors import StorageUnavailable
from storage_backends.keys import Key
from storage_backends.storage import Erased, Method, Observation, Place

if TYPE_CHECKING:
    from storage_backends.cdn.edge import Line

__all__ = ["WHOLE", "Cdn", "Template"]

BATCH = 1_000
# RFC 9110, 15.5.5 and 15.5.11.
_ABSENT = frozenset({404, 410})
# Not in the cache: 404 and 410 by most, 412 by nginx's cache purge module.
_NOTHING_TO_PURGE = _ABSENT | {412}
# RFC 9110, 15.5.9, and RFC 6585, 4: not now.
_LATER = frozenset({408, 429})


@dataclass(frozen=True, kw_only=True)
class Cdn:
    """`serves` gives the address at which a copy is shown, `purges` the one that is asked to purge it (with `{url}`,
    the first, percent-encoded). Safe for threads."""

    serves: Template
    purges: Template
    method: str
    headers: dict[str, str] = field(repr=False, default_factory=dict)
    seconds: float
    place: Place = Place.CDN

    @property
    def name(self) -> str:
        """`cdn-` and a digest of its addresses: what another CDN keeps is never looked for here and called gone."""
        return f"cdn-{self.serves.digest()}"

    def url(self, key: Key) -> str:
        """Where the copy is shown."""
        return self.serves.url(key)

    def erase(self, keys: Iterable[Key]) -> Iterator[Erased]:
        """As `Storage.erase`. `removed` is 1 where the CDN said that it purged something and nothing was seen after."""
        rest = iter(keys)
        while batch := list(islice(rest, BATCH)):
            with self._line() as line:
                purged = line.each(line.purge, [self._purge_url(key) for key in batch])
                seen = line.each(line.look, [self.url(key) for key in batch])
                yield from self._outcomes(line, batch, purged, seen)

    def rehearse(self) -> tuple[int, int]:
        """What it answers to the purge of what never was, and to a look at it. Raises `StorageUnavailable`."""
        key = _never("rendition", "doctor")
        with self._line() as line:
            purged, seen = line.purge(self._purge_url(key)), line.look(self.url(key))
        if purged is None or seen is None:
            raise StorageUnavailable("the CDN did not answer; check its addresses, its certificate and the network")
        return purged, seen

    @contextmanager
    def _line(self) -> Iterator[Line]:
        from storage_backends.cdn.edge import Edge  # the client takes half a second to load

        with Edge(seconds=self.seconds, method=self.method, headers=self.headers).line() as line:
            yield line

    def _purge_url(self, key: Key) -> str:
        return self.purges.url(key, url=self.url(key))

    def _outcomes(
        self, line: Line, batch: Sequence[Key], purged: Sequence[int | None], seen: Sequence[int | None]
    ) -> Iterator[Erased]:
        to_nothing: list[int | None] = []
        for key, said, found in zip(batch, purged, seen, strict=True):
            outcome = Erased(key=key, method=Method.PURGE, removed=0, observation=None)
            if blocked := _not_purged(said) or _still_there(found):
                yield replace(outcome, blocked=blocked)
            elif found in _ABSENT:
                yield replace(outcome, removed=int(not nothing_to_purge(said)), observation=Observation.PROBE_404)
            else:
                to_nothing = to_nothing or [line.look(self.url(_never(key.retention_class, key.app)))]
                yield _mute(outcome, found, to_nothing[0])


def busy(status: int) -> bool:
    """Whether the same question may get another answer later."""
    return status >= 500 or status in _LATER


def nothing_to_purge(status: int | None) -> bool:
    return status in _NOTHING_TO_PURGE


def refused(status: int) -> bool:
    """Whether a purge was neither done nor needless."""
    return not (200 <= status < 300 or nothing_to_purge(status))


def tells_absence(status: int) -> bool:
    """Whether the answer to a look says that nothing is there."""
    return status in _ABSENT


def _not_purged(said: int | None) -> str | None:
    if said is None or busy(said):
        return "storage_unavailable"
    return "purge_refused" if refused(said) else None


def _still_there(found: int | None) -> str | None:
    if found is None or busy(found):
        return "storage_unavailable"
    return "still_there" if 200 <= found < 300 else None


def _mute(outcome: Erased, found: int | None, to_nothing: int | None) -> Erased:
    """After an answer that says neither yes nor no. Where what never was gets the same, the CDN shows nobody what it
    has, and never will; where that gets another, this copy is still known there."""
    if to_nothing is None or busy(to_nothing):
        return replace(outcome, blocked="storage_unavailable")
    if to_nothing != found:
        return replace(outcome, blocked="storage_denied")
    return replace(outcome, unverifiable=f"cdn_answers_{found}_to_everything")


def _never(retention_class: str, app: str) -> Key:
    """The key of a copy that never was."""
    upload_id, artifact_id = f"upl_{secrets.token_hex(16)}", f"art_{secrets.token_hex(16)}"
    return Key(retention_class=retention_class, app=app, upload_id=upload_id, artifact_id=artifact_id)
