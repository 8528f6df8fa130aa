"""The repository of drift monitoring: topics, counts, scores, buckets, points and alarms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from core.records.drift import Alarm, Bucket, BucketCounts, ItemFacts, Point, SampledEvent, Score


class DriftReader(Protocol):
    """Reads what drift monitoring stores."""

    def topics(self) -> dict[int, str]:
        """The names of topics by code."""
        ...

    def item_facts(self, item_keys: Sequence[int]) -> dict[int, ItemFacts]:
        """The topics of these items, and when each was first seen (ms)."""
        ...

    def counted_ms(self, *, after_ms: int, before_ms: int, limit: int) -> list[int]:
        """The starts of buckets with counts, ascending, with `after_ms` < start < `before_ms`."""
        ...

    def counts(self, starts_ms: Sequence[int]) -> dict[int, BucketCounts]:
        """The counts of these buckets, summed over all writers; none is below 0 (a correction may take back more)."""
        ...

    def num_events(self, starts_ms: Sequence[int]) -> dict[int, int]:
        """The numbers of events of these buckets, as in `counts`, without reading the rest of their counts."""
        ...

    def day_counts(self, *, since_ms: int, before_ms: int) -> dict[int, BucketCounts]:
        """The topics and segments of days (UTC) with `since_ms` <= start < `before_ms`, by day, as by `counts`."""
        ...

    def unscored(self, *, limit: int) -> list[SampledEvent]:
        """Sampled events without a score, oldest first."""
        ...

    def scores(self, *, from_ms: int, to_ms: int) -> list[Score]:
        """The scores of events with `from_ms` <= time < `to_ms`, by time and key."""
        ...

    def buckets(self, *, after_ms: int = -1, limit: int = 10_000) -> list[Bucket]:
        """Closed buckets in ascending start."""
        ...

    def last_bucket_ms(self) -> int | None:
        """The start of the newest closed bucket."""
        ...

    def points(self, *, since_ms: int) -> list[Point]:
        """Points of signals that end after `since_ms`, by signal, segment and start."""
        ...

    def alarms(self, *, limit: int = 100) -> list[Alarm]:
        """The newest alarms, newest first."""
        ...

    def unsent_alarms(self, *, since_ms: int, max_attempts: int, limit: int) -> list[Alarm]:
        """Alarms raised at `since_ms` or later and not delivered to a webhook in fewer attempts, oldest first."""
        ...

    def newest_alarm_ms(self) -> int | None:
        """When the newest alarm was raised."""
        ...


class DriftRepository(DriftReader, Protocol):
    """Reads and writes what drift monitoring stores."""

    def name_topics(self, names: Sequence[str]) -> dict[str, int]:
        """The codes of topics, created where they are new."""
        ...

    def set_topics(self, topics: Mapping[int, int]) -> None:
        """Store topics (codes) of items without a category, by item key."""
        ...

    def add_counts(self, writer_key: int, counts: Mapping[int, BucketCounts]) -> None:
        """Add to this writer's counts by bucket start (ms), and to those of the buckets' days."""
        ...

    def add_samples(self, samples: Sequence[SampledEvent]) -> None:
        """Store events to be scored; already stored events stay unchanged."""
        ...

    def delete_sample(self, event_key: bytes) -> None:
        """Delete the sample and score of an event, if there is one."""
        ...

    def save_scores(self, scores: Sequence[Score]) -> None:
        """Store the scores of sampled events; events of users erased meanwhile are skipped."""
        ...

    def add_bucket(self, bucket: Bucket) -> None:
        """Store a closed bucket; raises `StoreConflict` where it is stored already."""
        ...

    def save_points(self, points: Sequence[Point]) -> None:
        """Insert or replace points of signals."""
        ...

    def save_alarms(self, alarms: Sequence[Alarm]) -> None:
        """Insert alarms, or replace all but their delivery, by their ids."""
        ...

    def save_delivery(self, alarm: Alarm) -> None:
        """Store when an alarm was sent and how often; the rest of it stays."""
        ...

    def delete_scores(self, *, before_ms: int) -> int:
        """Delete samples and scores of events before a time; returns how many were deleted."""
        ...

    def delete_buckets(self) -> None:
        """Delete closed buckets and points. Alarms stay."""
        ...

    def clear_counts(self, *, kept_writer: int) -> None:
        """Delete the counts of all writers but one, and those of days of all writers."""
        ...
