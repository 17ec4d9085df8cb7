"""Asks a CDN over HTTP, and hears statuses only. The one file with the HTTP client.

No redirect is followed and TLS is always verified, by the system's certificates. Private addresses are not refused: a
cache often stands in the operator's own network, and the host comes from the operator's settings alone (`template`).
Nothing that is sent or answered is logged or told: addresses and headers may hold keys.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import httpx2

THREADS = 8
Given = TypeVar("Given")
Said = TypeVar("Said")


@dataclass(frozen=True, kw_only=True)
class Edge:
    """`seconds`: how long connecting, and any silence after it, may last."""

    seconds: float
    method: str
    headers: Mapping[str, str] = field(repr=False)

    @contextmanager
    def line(self) -> Iterator[Line]:
        """Connections for one batch, closed at its end."""
        # Neither proxies nor passwords out of the environment: the settings say all.
        with httpx2.Client(timeout=self.seconds, follow_redirects=False, trust_env=False) as client:
            yield Line(edge=self, client=client)


@dataclass(kw_only=True)
class Line:
    """Safe for threads. Once an answer has not come, nothing is asked any more: a batch of a thousand would wait for a
    thousand time limits."""

    edge: Edge
    client: httpx2.Client
    silent: threading.Event = field(default_factory=threading.Event)

    def purge(self, url: str) -> int | None:
        """The status of the answer; None where there was none."""
        return self._ask(self.edge.method, url, self.edge.headers)

    def look(self, url: str) -> int | None:
        """What a person gets who asks for that address: the cache's own answer, since nothing tells it not to use what
        it has. None where there was no answer."""
        return self._ask("GET", url, {})

    def each(self, ask: Callable[[Given], Said], given: Iterable[Given]) -> list[Said]:
        """Several at once, the answers in the order of what was given."""
        with ThreadPoolExecutor(max_workers=THREADS) as pool:
            return list(pool.map(ask, given))

    def _ask(self, method: str, url: str, headers: Mapping[str, str]) -> int | None:
        if self.silent.is_set():
            return None
        try:
            # Only the head of the answer is read; the body would be the picture.
            with self.client.stream(method, url, headers=dict(headers)) as answer:
                return answer.status_code
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError):
            self.silent.set()
            return None
