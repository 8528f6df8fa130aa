"""The API's Prometheus metrics: counters updated by routes and middleware, and gauges read at each scrape.

docs/metrics.md documents the names; a test compares them. Independent of HTTP types.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from threading import Lock

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector

from core.errors import NotReady
from serving.runtime.model_metrics import ChampionCollector
from serving.runtime.outcome_metrics import OutcomeCollector
from serving.runtime.services import Services

BUCKETS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
METRICS_FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"  # set by a supervisor of several API processes
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def _zero() -> int:
    return 0


class Metrics:
    """The metrics of one app, in their own registry."""

    def __init__(
        self,
        services: Services,
        *,
        num_waiting_events: Callable[[], int] = _zero,
        num_waiting_requests: Callable[[], int] = _zero,
    ) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second, unused series for each counter
        self._registry = CollectorRegistry()
        self._registry.register(_StateCollector(services, num_waiting_events, num_waiting_requests))
        self._registry.register(OutcomeCollector(services))
        self._registry.register(ChampionCollector(services.store))
        for collector in services.collectors:
            self._registry.register(collector)
        own: CollectorRegistry | None = self._registry
        if METRICS_FOLDER_VARIABLE in os.environ:  # counters live in files, which any of the processes adds up
            MultiProcessCollector(self._registry)  # type: ignore[no-untyped-call]
            own = None
        self._requests = Counter(
            "tidewise_http_requests", "Requests answered.", ["method", "route", "client", "status"], registry=own
        )
        self._request_s = Histogram(
            "tidewise_http_request_seconds",
            "From the first byte of a request to the last of its answer.",
            ["method", "route", "client"],
            buckets=BUCKETS_S,
            registry=own,
        )
        self._events = Counter("tidewise_events", "Events of requests, by status.", ["status"], registry=own)
        self._recommendations = Counter(
            "tidewise_recommendations", "Lists of items served.", ["list", "source"], registry=own
        )
        self._encoded = Counter("tidewise_vectors_encoded", "User vectors computed by the model.", registry=own)
        self._of_requests: dict[
            tuple[str, str, str, str], tuple[Counter, Histogram]
        ] = {}  # finding series takes longer
        self._num_encoded = services.num_encoded
        self._num_encoded_before = 0
        self._lock = Lock()

    def text(self) -> bytes:
        """All metrics in the Prometheus text format."""
        with self._lock:
            num_encoded = self._num_encoded()
            self._encoded.inc(num_encoded - self._num_encoded_before)
            self._num_encoded_before = num_encoded
        return generate_latest(self._registry)

    def count_request(self, *, method: str, route: str, client: str, status: str, took_s: float) -> None:
        """Count one request. `client`: "dashboard" where it says so, "other"."""
        labels = method, route, client, status
        series = self._of_requests.get(labels)
        if series is None:
            series = self._requests.labels(*labels), self._request_s.labels(method, route, client)
            self._of_requests[labels] = series
        series[0].inc()
        series[1].observe(took_s)

    def count_events(self, sums: Mapping[str, int]) -> None:
        """Count a request's events by status."""
        for status, num in sums.items():
            if num:
                self._events.labels(status).inc(num)

    def count_recommendation(self, list_name: str, source: str) -> None:
        """Count one list of items. `list_name`: of the kind of list, "" for next items."""
        self._recommendations.labels(list_name or "next", source).inc()


class _StateCollector:
    """Gauges that are read at each scrape."""

    def __init__(
        self, services: Services, num_waiting_events: Callable[[], int], num_waiting_requests: Callable[[], int]
    ) -> None:
        self._services = services
        self._num_waiting_events = num_waiting_events
        self._num_waiting_requests = num_waiting_requests

    def collect(self) -> Iterable[Metric]:
        """The current values."""
        services = self._services
        yield _gauge("waiting_events", "Events and other changes that wait for the writer.", self._num_waiting_events())
        yield _gauge(
            "waiting_requests",
            "Requests that wait for workers to apply their events.",
            self._num_waiting_requests(),
        )
        yield _gauge(
            "snapshot_age_seconds",
            "Seconds since catalogue, champion and popularity were last read.",
            services.snapshot_age_s(),
        )
        yield from self._snapshot()

    def _snapshot(self) -> Iterable[Metric]:
        model = GaugeMetricFamily("tidewise_model_info", "1 for the serving model version.", labels=["version"])
        try:
            snapshot = self._services.snapshots.current()
        except NotReady:
            revision, num_items, index = 0, 0, None
        else:
            revision, num_items = snapshot.catalogue.revision, int(snapshot.catalogue.listed.sum())
            index = snapshot.model.index if snapshot.model else None
            model.add_metric([snapshot.model.version if snapshot.model else "none"], 1)
        yield _gauge("catalogue_revision", "The catalogue revision of the serving snapshot.", revision)
        yield _gauge("listed_items", "Items that may be recommended.", num_items)
        yield _gauge(
            "index_approximate",
            "1 while item searches may miss items, 0 while they are exact.",
            index is not None and index.is_approximate,
        )
        yield _gauge(
            "index_recall",
            "Recall@10 of the approximate item index at its build; 1 where none was needed.",
            1.0 if index is None or index.recall is None else index.recall,
        )
        yield model


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"tidewise_{name}", text, value=value)
