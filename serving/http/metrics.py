"""What the API tells Prometheus: counters that routes and the middleware feed, and values read when they are asked for.

Names are documented in docs/metrics.md; a test keeps the two in step. Knows nothing about who scrapes.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.errors import NotReady
from serving.runtime.activity import ActivitySampler
from serving.runtime.services import Services

BUCKETS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
PERSONAL = ("/v1/recommendations", "/v1/users/{user_id}/recommendations", "/v1/users/{user_id}/rank")
EVENTS = "/v1/interactions"
METHODS = frozenset({"GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"})
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Waiting:
    """What waits in the engine, read at each scrape."""

    def events(self) -> int:
        """Events (and other changes) that wait for the writer."""
        return 0

    def requests(self) -> int:
        """Requests that wait for workers."""
        return 0


class Metrics:
    """The metrics of one app, in a registry of their own."""

    def __init__(self, services: Services, waiting: Waiting) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each counter that nobody reads
        self._registry = CollectorRegistry()
        self._registry.register(_State(services, waiting))
        for collector in services.collectors:
            self._registry.register(collector)
        mine = self._registry
        self._requests = Counter(
            "tidewise_http_requests", "Answered requests.", ["method", "route", "status"], registry=mine
        )
        self._request_s = Histogram(
            "tidewise_http_request_seconds",
            "From a request's first byte to its answer's last.",
            ["method", "route"],
            buckets=BUCKETS_S,
            registry=mine,
        )
        self._events = Counter(
            "tidewise_events", "Events of requests, by what became of them.", ["status"], registry=mine
        )
        self._answers = Counter(
            "tidewise_answers", "Lists of items, by where they came from.", ["source"], registry=mine
        )

    def text(self) -> bytes:
        """All metrics in Prometheus's text format."""
        return generate_latest(self._registry)

    def names(self) -> set[str]:
        """The names of all metrics, as queries use them."""
        return names_of(self._registry)

    def answered(self, *, method: str, route: str, status: str, took_s: float) -> None:
        """Count one request."""
        self._requests.labels(method, route, status).inc()
        self._request_s.labels(method, route).observe(took_s)

    def took_in(self, sums: Mapping[str, int]) -> None:
        """Count a request's events by status."""
        for status, num in sums.items():
            if num:
                self._events.labels(status).inc(num)

    def listed(self, source: str) -> None:
        """Count one list of items."""
        self._answers.labels(source).inc()


def names_of(registry: CollectorRegistry) -> set[str]:
    """The names of all metrics of a registry, as queries use them: a counter's ends in _total."""
    return {f"{one.name}_total" if one.type == "counter" else one.name for one in registry.collect()}


class _State:
    """Values that are there anyway, read when Prometheus asks."""

    def __init__(self, services: Services, waiting: Waiting) -> None:
        self._services = services
        self._waiting = waiting

    def collect(self) -> Iterable[Metric]:
        """The values of this moment."""
        services, waiting = self._services, self._waiting
        yield _gauge("waiting_events", "Events and other changes that wait for the writer.", waiting.events())
        yield _gauge("waiting_requests", "Requests that wait for workers to apply their events.", waiting.requests())
        yield _gauge(
            "snapshot_age_seconds",
            "Since catalogue, champion and popularity were last read.",
            services.snapshot_age_s(),
        )
        encoded = CounterMetricFamily("tidewise_vectors_encoded", "Vectors of users that the model computed.")
        encoded.add_metric([], services.num_encoded())
        yield encoded
        yield from self._snapshot()

    def _snapshot(self) -> Iterable[Metric]:
        model = GaugeMetricFamily("tidewise_model_info", "1 for the model version that serves.", labels=["version"])
        try:
            snapshot = self._services.snapshots.current()
        except NotReady:
            revision, num_items = 0, 0
        else:
            revision, num_items = snapshot.catalogue.revision, int(snapshot.catalogue.listed.sum())
            model.add_metric([snapshot.model.version if snapshot.model else "none"], 1)
        yield _gauge("catalogue_revision", "The newest change of the catalogue that answers know.", revision)
        yield _gauge("listed_items", "Items that may be recommended.", num_items)
        yield model


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"tidewise_{name}", text, value=value)


class Measured:
    """Counts and times what passes, by route: never by path, whose ids would make a series each."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics, pulse: ActivitySampler) -> None:
        self._app = app
        self._metrics = metrics
        self._pulse = pulse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and look at the clock."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        status = "gone"  # nobody was left to be answered

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
            await send(message)

        started_s = time.perf_counter()
        try:
            await self._app(scope, receive, watched)
        finally:
            took_s = time.perf_counter() - started_s
            method = scope["method"] if scope["method"] in METHODS else "other"
            route = _route(scope)
            self._metrics.answered(method=method, route=route, status=status, took_s=took_s)
            if status == "200" and route in PERSONAL:
                self._pulse.answered(took_s)
            elif status == "200" and route == EVENTS:  # 202: queued, nobody here sees when it is applied
                self._pulse.applied(took_s)


def _route(scope: Scope) -> str:
    """The route's path with its parameters' names; one label for all that is no route."""
    return str(getattr(scope.get("route"), "path_format", "none"))
