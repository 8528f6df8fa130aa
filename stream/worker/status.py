"""What a worker can say about itself, for logs and metrics.

Plain values; knows nothing about how they are published.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(slots=True)
class Tally:
    """What one worker has done since it started."""

    num_messages: int = 0
    num_events: int = 0
    num_dead_letters: int = 0
    num_retries: int = 0
    num_lost: int = 0
    age_ms: int | None = None  # of the newest applied message when it was applied, by the log's timestamp


@dataclass(frozen=True, slots=True)
class PartitionStatus:
    """One assigned partition. `next_offset` is None until the database has said where to read."""

    next_offset: int | None
    log_end: int | None

    @property
    def lag(self) -> int:
        """Messages in the log that have not been applied, as far as is known."""
        if self.next_offset is None or self.log_end is None:
            return 0
        return max(0, self.log_end - self.next_offset)


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """One worker at one moment."""

    name: str
    partitions: Mapping[int, PartitionStatus]
    tally: Tally = field(default_factory=Tally)

    @property
    def lag(self) -> int:
        """Messages waiting in all its partitions."""
        return sum(partition.lag for partition in self.partitions.values())
