"""What drift monitoring needs from a store: parts of its transactions and of its read views."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from core.drift.records import Alarm, Bucket, BucketCounts, ItemFacts, Point, SampledEvent, Score


class DriftWrites(Protocol):
    """The part of a write transaction."""

    def item_facts(self, item_keys: Sequence[int]) -> dict[int, ItemFacts]:
        """What counting needs to know of these items."""
        ...

    def name_topics(self, names: Sequence[str]) -> dict[str, int]:
        """The codes of topics, made where they are new."""
        ...

    def set_topics(self, topics: Mapping[int, int]) -> None:
        """The topics, by code, of items that have no category."""
        ...

    def add_counts(self, source_key: int, counts: Mapping[int, BucketCounts]) -> None:
        """Add to the counts by bucket (its start in ms) that this writer keeps."""
        ...

    def add_samples(self, samples: Sequence[SampledEvent]) -> None:
        """Note events to be scored. What is noted already stays as it is."""
        ...

    def save_scores(self, scores: Sequence[Score]) -> None:
        """Store the scores of noted events; who was erased meanwhile stays erased."""
        ...

    def add_bucket(self, bucket: Bucket) -> None:
        """Store a closed bucket; raises `StoreConflict` where it is stored already."""
        ...

    def save_points(self, points: Sequence[Point]) -> None:
        """Insert or replace points of signals."""
        ...

    def save_alarms(self, alarms: Sequence[Alarm]) -> None:
        """Insert or replace alarms by their ids."""
        ...

    def drop_scores(self, *, before_ms: int) -> int:
        """Delete samples and scores of events before a time; returns how many there were."""
        ...

    def forget_buckets(self) -> None:
        """Delete what the monitor has read and made of it: closed buckets and points. Alarms stay."""
        ...


class DriftReads(Protocol):
    """The part of a read view."""

    def topics(self) -> dict[int, str]:
        """What each topic's code stands for."""
        ...

    def item_facts(self, item_keys: Sequence[int]) -> dict[int, ItemFacts]:
        """The topics of these items, and when each was first heard of."""
        ...

    def counted_ms(self, *, after_ms: int, before_ms: int, limit: int) -> list[int]:
        """The starts of buckets in which anything was counted, ascending, in (after, before)."""
        ...

    def counts(self, starts_ms: Sequence[int]) -> dict[int, BucketCounts]:
        """The counts of these buckets, joined over all writers."""
        ...

    def unscored(self, *, limit: int) -> list[SampledEvent]:
        """Events that wait to be scored, the oldest first."""
        ...

    def scores(self, *, from_ms: int, to_ms: int) -> list[Score]:
        """The scores of events in [from, to), by time and key."""
        ...

    def buckets(self, *, after_ms: int = -1, limit: int = 10_000) -> list[Bucket]:
        """Closed buckets in ascending start."""
        ...

    def last_bucket_ms(self) -> int | None:
        """The start of the newest closed bucket."""
        ...

    def points(self, *, since_ms: int) -> list[Point]:
        """Points of signals that end after a time, by signal, segment and start."""
        ...

    def alarms(self, *, limit: int = 100, unsent: bool = False) -> list[Alarm]:
        """The newest alarms; `unsent`: those only that no webhook took yet, the oldest first."""
        ...

    def newest_alarm_ms(self) -> int | None:
        """When the newest alarm was raised: what the learner asks."""
        ...
