"""A worker's counters and status, for logs and metrics: plain values, independent of how they are published."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from stream.kafka.admin import PartitionStatus


@dataclass(slots=True)
class WorkerCounters:
    """Totals of one worker since it started."""

    num_messages: int = 0
    num_events: int = 0
    num_dead_letters: int = 0
    num_retries: int = 0
    num_lost_batches: int = 0  # batches of a partition, not applied because it was reassigned
    event_age_ms: int | None = None  # of the newest applied message at its commit, by the log's timestamp


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """One worker at one moment. `partitions`: those that are assigned to it."""

    name: str
    partitions: Mapping[int, PartitionStatus]
    counters: WorkerCounters = field(default_factory=WorkerCounters)

    @property
    def lag(self) -> int:
        """The lag of all its partitions together."""
        return sum(partition.lag for partition in self.partitions.values())
