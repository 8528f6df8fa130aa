"""The metrics of a trainer, served on its own port.

Names are documented in docs/metrics.md; a test keeps the two in step.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric


class LearningStatus(Protocol):
    """What the metrics read: `tidewise.processes.learning_scheduler.LearningScheduler`."""

    num_started: int
    num_failed: int

    @property
    def is_learning(self) -> bool:
        """Whether a job is under way."""
        ...


class TrainerMetrics:
    """The metrics of one trainer in a registry of their own; values are read at each scrape."""

    def __init__(self, status: LearningStatus) -> None:
        self.registry = CollectorRegistry()
        self._status = status
        self.registry.register(self)

    def collect(self) -> Iterable[Metric]:
        """The current values."""
        status = self._status
        yield GaugeMetricFamily("tidewise_trainer_learning", "1 while a job is under way.", value=status.is_learning)
        yield CounterMetricFamily("tidewise_trainer_jobs", "Jobs started.", value=status.num_started)
        yield CounterMetricFamily("tidewise_trainer_failures", "Jobs that failed.", value=status.num_failed)
