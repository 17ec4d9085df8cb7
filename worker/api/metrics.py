"""The numbers that an alarm is made of, in Prometheus' text format, computed from the ledger alone at each scrape.

Names of states, queues and brakes are the only labels: no app, no id, nothing of a person (P7). What costs as much as
there are rows (how many uploads stand in each state) is left to `mayfly status`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from worker.flows.brake import waiting
from worker.ledger import artifacts, brakes, leases, outbox, sightings
from worker.ledger.database import Ledger, Tx
from worker.model import Trigger, WorkClass

_BRAKES = (Trigger.RETENTION.value, brakes.CLOCK)
_SIGHTINGS = ("seen", "blocked")


def exposition(ledger: Ledger) -> bytes:
    """All metrics as one text (https://prometheus.io/docs/instrumenting/exposition_formats/), of one transaction.

    Raises `Unavailable` where the ledger is away: no number is better than an old one.
    """
    registry = CollectorRegistry()
    with ledger.read() as tx:
        registry.register(_Read(list(_all(tx))))
    return generate_latest(registry)


class _Read(Collector):
    """What was read already."""

    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def _all(tx: Tx) -> Iterator[Metric]:
    yield _number(
        "oldest_overdue_seconds",
        "How late the erasure is that should have ended first; must be 0.",
        artifacts.oldest_overdue_seconds(tx),
    )
    last = brakes.last_sweep(tx)
    if last is not None:
        yield _number("sweep_last_success_timestamp_seconds", "When a sweep last came to its end.", last.timestamp())
    on = {brake.trigger for brake in brakes.all_on(tx)}
    yield _by("brake_on", "Whether a brake is on: 1 or 0.", "trigger", {name: int(name in on) for name in _BRAKES})
    yield _number("brake_waiting_uploads", "Uploads that wait until an operator releases them.", waiting(tx))
    yield from _queues(tx)
    strangers = sightings.open_counts(tx)
    said = "What lies at a location and no row names, as last seen."
    yield _by("strangers", said, "state", {name: strangers.get(name, 0) for name in _SIGHTINGS})


def _queues(tx: Tx) -> Iterator[Metric]:
    counts = leases.counts(tx)
    bells = {each.value: number for each, number in outbox.waiting(tx).items()}
    yield _number(
        "oldest_ready_seconds", "How long the job that is due longest waits already.", counts.oldest_ready_seconds
    )
    ways: dict[str, tuple[str, Mapping[str, int]]] = {
        "jobs_ready": ("Jobs that are due and nobody has.", counts.ready),
        "jobs_leased": ("Jobs in hand.", counts.leased),
        "jobs_dead": ("Dead letters: what failed for good.", counts.dead),
        "bells": (
            "Bells of jobs that are due and nobody has claimed.",
            bells,
        ),
    }
    for name, (said, numbers) in ways.items():
        yield _by(name, said, "queue", {each.value: numbers.get(each, 0) for each in WorkClass})


def _number(name: str, said: str, value: float) -> Metric:
    return GaugeMetricFamily(f"mayfly_{name}", said, value=value)


def _by(name: str, said: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(f"mayfly_{name}", said, labels=[label])
    for value, number in values.items():
        family.add_metric([value], number)
    return family
