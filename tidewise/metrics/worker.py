"""A worker's Prometheus metrics, exposed on a port of its own.

Their names are documented in docs/metrics.md, which a test compares.
"""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Histogram, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from core.recommendation.user_vectors.encoding_queue import EncodingQueue
from stream.worker.status import WorkerStatus

BATCH_EVENTS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)
COMMIT_S = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


class WorkerMetrics:
    """The metrics of one worker, in a registry of their own."""

    def __init__(self, encoding_queue: EncodingQueue) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second, unused series for each counter
        self.registry = CollectorRegistry()
        self._collector = WorkerCollector(encoding_queue)
        self.registry.register(self._collector)
        self._batch_events = Histogram(
            "tidewise_worker_batch_events",
            "Events in one transaction.",
            buckets=BATCH_EVENTS,
            registry=self.registry,
        )
        self._commit_s = Histogram(
            "tidewise_worker_commit_seconds",
            "One transaction, from its beginning to its commit.",
            buckets=COMMIT_S,
            registry=self.registry,
        )

    def set_status(self, status: WorkerStatus) -> None:
        """Keep the newest status for the next scrape."""
        self._collector.status = status

    def observe_commit(self, *, num_events: int, duration_s: float) -> None:
        """Count one transaction."""
        self._batch_events.observe(num_events)
        self._commit_s.observe(duration_s)


class WorkerCollector:
    """Metrics computed at each scrape, from the worker's newest status and the encoding queue."""

    def __init__(self, encoding_queue: EncodingQueue) -> None:
        self._encoding_queue = encoding_queue
        self.status = WorkerStatus("", {})

    def collect(self) -> Iterable[Metric]:
        """The present values; the lag is at most a second old."""
        lag = GaugeMetricFamily(
            "tidewise_worker_lag_messages", "Messages of a partition that wait to be applied.", labels=["partition"]
        )
        for number, partition in self.status.partitions.items():
            lag.add_metric([str(number)], partition.lag)
        yield lag
        counters = self.status.counters
        yield _counter("messages", "Messages applied.", counters.num_messages)
        yield _counter("events", "Events applied.", counters.num_events)
        yield _counter("dead_letters", "Events and messages dead-lettered.", counters.num_dead_letters)
        yield _counter("retries", "Attempts that waited for a database or a broker.", counters.num_retries)
        lost = "Batches not applied because another worker owns the partition."
        yield _counter("lost_batches", lost, counters.num_lost_batches)
        age_s = float("nan") if counters.event_age_ms is None else counters.event_age_ms / 1000
        yield _gauge("event_age_seconds", "From the log's timestamp of the newest message to its commit.", age_s)
        yield _gauge("queued_users", "Users that wait to be encoded.", self._encoding_queue.num_queued)
        yield _counter("vectors_encoded", "Vectors encoded after commits.", self._encoding_queue.num_encoded)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(f"tidewise_worker_{name}", text, value=value)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"tidewise_worker_{name}", text, value=value)
