"""The age of the champion as a Prometheus metric, read at each scrape: the same from every process."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.core import GaugeMetricFamily, Metric

from core.errors import TidewiseError
from core.ports.store import Store


class ChampionCollector:
    """A gauge of the champion; it has no value without one, and while the database is unavailable."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def collect(self) -> Iterable[Metric]:
        """The current value."""
        created = GaugeMetricFamily("tidewise_model_created_timestamp_seconds", "When the champion was trained.")
        try:
            with self._store.read(snapshot=False) as read:
                champion = read.models.champion()
        except TidewiseError:
            champion = None
        if champion is not None:
            created.add_metric([], champion.created_ms / 1000)
        yield created
