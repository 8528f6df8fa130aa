"""What a trainer tells Prometheus, on a small port of its own.

Names are documented in docs/metrics.md; a test keeps the two in step.
"""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from tidewise.processes.background import Learning


class TrainerMetrics:
    """The metrics of one trainer, in a registry of their own; values are there anyway, and read when asked for."""

    def __init__(self, learning: Learning) -> None:
        self.registry = CollectorRegistry()
        self._learning = learning
        self.registry.register(self)

    def collect(self) -> Iterable[Metric]:
        """The values of this moment."""
        learning, begun, failed = self._learning.is_learning, self._learning.num_begun, self._learning.num_failed
        yield GaugeMetricFamily("tidewise_trainer_learning", "1 while a job is under way.", value=float(learning))
        yield CounterMetricFamily("tidewise_trainer_jobs", "Jobs begun.", value=begun)
        yield CounterMetricFamily("tidewise_trainer_failures", "Jobs that failed.", value=failed)
