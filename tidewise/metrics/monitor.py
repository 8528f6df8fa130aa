"""The monitor's metrics: in `tidewise up` beside the API's, in `tidewise monitor` on their own port.

Names are documented in docs/metrics.md; a test keeps the two in step.
"""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from core.clock import DAY_MS, Clock
from core.drift.monitor import Monitor
from core.errors import TidewiseError
from core.ports.store import Store
from core.records.drift import BUCKET_MS, Point

RECENT_MS = 7 * DAY_MS


class MonitorMetrics:
    """The monitor's metrics, in a registry of their own."""

    def __init__(self, store: Store, monitor: Monitor, *, clock: Clock) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(MonitorCollector(store, monitor, clock=clock))


class MonitorCollector:
    """Values read at each scrape; those in the database are read by the holder of the lease only."""

    def __init__(self, store: Store, monitor: Monitor, *, clock: Clock) -> None:
        self._monitor = monitor
        self._stored = StoredDriftCollector(store, clock=clock)

    def collect(self) -> Iterable[Metric]:
        """The current values."""
        monitor = self._monitor
        yield _gauge("active", "1 where this process monitors, 0 where it stands by.", float(monitor.is_active))
        yield _counter("events_scored", "Sampled events that were scored.", monitor.num_scored)
        yield _counter("buckets", "Stretches of five minutes that were read.", monitor.num_buckets)
        yield _counter("alarms", "Alarms raised by this process.", monitor.num_alarms)
        yield from self._stored.collect() if monitor.is_active else ()


class StoredDriftCollector:
    """What monitoring has stored, read at each scrape, whichever process monitors."""

    def __init__(self, store: Store, *, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def collect(self) -> Iterable[Metric]:
        """The current values; none while the database is unavailable."""
        try:
            with self._store.read() as read:
                last_ms, newest_ms = read.drift.last_bucket_ms(), read.drift.newest_alarm_ms()
                points = read.drift.points(since_ms=(last_ms or 0) - RECENT_MS)
        except TidewiseError:  # the database is unavailable: no values are better than old ones
            return
        if last_ms is not None:
            lag_s = (self._clock.now_ms() - last_ms - BUCKET_MS) / 1000
            yield _gauge("lag_seconds", "From the end of the newest stretch that was read to now.", lag_s)
        if newest_ms is not None:
            yield _gauge("newest_alarm_timestamp_seconds", "When the newest alarm was raised.", newest_ms / 1000)
        newest: dict[tuple[str, str], Point] = {(point.signal, point.segment): point for point in points}
        values = _labelled("signal", "The newest value of each signal.")
        wanted = _labelled("signal_expected", "What was expected of it.")
        for (signal, segment), point in newest.items():
            values.add_metric([signal, segment], point.value)
            if point.expected is not None:
                wanted.add_metric([signal, segment], point.expected)
        yield values
        yield wanted


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"tidewise_drift_{name}", text, value=value)


def _labelled(name: str, text: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"tidewise_drift_{name}", text, labels=["signal", "segment"])


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(f"tidewise_drift_{name}", text, value=value)
