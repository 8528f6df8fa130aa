"""The drift repository of a store in memory, and doubles for drift monitoring."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from core.drift.detector_bank import DetectorBank
from core.drift.monitor import Monitor
from core.drift.scoring import Scoring
from core.drift_records import (
    Alarm,
    Bucket,
    BucketCounts,
    ItemFacts,
    Point,
    SampledEvent,
    Score,
)
from core.errors import StoreConflict
from core.history import WindowShape
from core.interactions import EventTypes
from core.lease import Lease
from core.topics import NO_TOPIC, OTHERS, OTHERS_NAME, new_codes


@dataclass
class DriftData:
    """What the drift tables hold."""

    counts: dict[tuple[int, int], BucketCounts] = field(default_factory=dict)  # (bucket, writer)
    samples: dict[bytes, SampledEvent | Score] = field(default_factory=dict)
    buckets: dict[int, Bucket] = field(default_factory=dict)
    points: dict[tuple[str, str, int], Point] = field(default_factory=dict)
    alarms: dict[str, Alarm] = field(default_factory=dict)
    created_ms: dict[int, int | None] = field(default_factory=dict)  # of items by key
    topics: dict[str, int] = field(default_factory=dict)  # codes by name
    topic_of: dict[int, int] = field(default_factory=dict)  # items' codes by key

    def __copy__(self) -> DriftData:
        return DriftData(**{name: dict(value) for name, value in vars(self).items()})


class MemoryDrift:
    """`core.ports.drift.DriftRepository` over the data of a transaction."""

    def __init__(self, data: Any) -> None:
        self._all = data

    @property
    def _data(self) -> DriftData:
        drift: DriftData = self._all.drift
        return drift

    def topics(self) -> dict[int, str]:
        return {code: name for name, code in self._data.topics.items()} | {OTHERS: OTHERS_NAME}

    def item_facts(self, item_keys: Sequence[int]) -> dict[int, ItemFacts]:
        known = {item.key for item in self._all.items.values()}
        return _facts(self._data, known.intersection(item_keys))

    def counted_ms(self, *, after_ms: int, before_ms: int, limit: int) -> list[int]:
        return sorted({start for start, _ in self._data.counts if after_ms < start < before_ms})[:limit]

    def counts(self, starts_ms: Sequence[int]) -> dict[int, BucketCounts]:
        joined: dict[int, BucketCounts] = {}
        for (start_ms, _), counts in self._data.counts.items():
            if start_ms in starts_ms:
                joined.setdefault(start_ms, BucketCounts()).add(counts)
        return joined

    def unscored(self, *, limit: int) -> list[SampledEvent]:
        unscored = [event for event in self._data.samples.values() if isinstance(event, SampledEvent)]
        return sorted(unscored, key=lambda event: (event.time_ms, event.event_key))[:limit]

    def scores(self, *, from_ms: int, to_ms: int) -> list[Score]:
        scores = [score for score in self._data.samples.values() if isinstance(score, Score)]
        selected = [score for score in scores if from_ms <= score.time_ms < to_ms]
        return sorted(selected, key=lambda score: (score.time_ms, score.event_key))

    def buckets(self, *, after_ms: int = -1, limit: int = 10_000) -> list[Bucket]:
        return [self._data.buckets[start] for start in sorted(self._data.buckets) if start > after_ms][:limit]

    def last_bucket_ms(self) -> int | None:
        return max(self._data.buckets, default=None)

    def points(self, *, since_ms: int) -> list[Point]:
        return [point for _, point in sorted(self._data.points.items()) if point.end_ms > since_ms]

    def alarms(self, *, limit: int = 100, unsent: bool = False) -> list[Alarm]:
        ordered = sorted(self._data.alarms.values(), key=lambda alarm: (alarm.detected_ms, alarm.alarm_id))
        return [alarm for alarm in ordered if alarm.sent_ms is None][:limit] if unsent else ordered[::-1][:limit]

    def newest_alarm_ms(self) -> int | None:
        return max((alarm.detected_ms for alarm in self._data.alarms.values()), default=None)

    def name_topics(self, names: Sequence[str]) -> dict[str, int]:
        self._data.topics |= new_codes(names, self._data.topics)
        return {name: self._data.topics.get(name, OTHERS) for name in names}

    def set_topics(self, topics: Mapping[int, int]) -> None:
        self._data.topic_of |= topics

    def add_counts(self, writer_key: int, counts: Mapping[int, BucketCounts]) -> None:
        for start_ms, more in counts.items():
            joined = deepcopy(self._data.counts.get((start_ms, writer_key), BucketCounts()))
            joined.add(more)
            self._data.counts[start_ms, writer_key] = joined

    def add_samples(self, samples: Sequence[SampledEvent]) -> None:
        for sample in samples:
            self._data.samples.setdefault(sample.event_key, sample)

    def save_scores(self, scores: Sequence[Score]) -> None:
        self._data.samples |= {score.event_key: score for score in scores if score.event_key in self._data.samples}

    def add_bucket(self, bucket: Bucket) -> None:
        if bucket.start_ms in self._data.buckets:
            msg = f"the bucket that begins at {bucket.start_ms} was closed by another monitor; read it from the store"
            raise StoreConflict(msg)
        self._data.buckets[bucket.start_ms] = bucket

    def save_points(self, points: Sequence[Point]) -> None:
        self._data.points |= {(point.signal, point.segment, point.start_ms): point for point in points}

    def save_alarms(self, alarms: Sequence[Alarm]) -> None:
        self._data.alarms |= {alarm.alarm_id: alarm for alarm in alarms}

    def delete_scores(self, *, before_ms: int) -> int:
        old = [key for key, event in self._data.samples.items() if event.time_ms < before_ms]
        for key in old:
            del self._data.samples[key]
        return len(old)

    def delete_buckets(self) -> None:
        self._data.buckets.clear()
        self._data.points.clear()

    def clear_counts(self) -> None:
        self._data.counts = {}


def _facts(data: DriftData, item_keys: Iterable[int]) -> dict[int, ItemFacts]:
    return {key: ItemFacts(data.topic_of.get(key, NO_TOPIC), data.created_ms.get(key)) for key in item_keys}


class Quiet:
    """A detector that never reports a change."""

    def update(self, value: float) -> bool:
        return False


def monitor_of(shop: Any, name: str = "one") -> Monitor:
    scoring = Scoring(shop.store, snapshots=shop.snapshots.current, types=EventTypes(), shape=WindowShape(5, 2))
    return Monitor(
        shop.store,
        lease=Lease(shop.store, "monitor", holder=name),
        scoring=scoring,
        detector_bank=lambda: DetectorBank(lambda _one_of_many: Quiet()),
        clock=shop.clock,
        keep_ms=10**12,
        on_alarm=lambda alarm: None,
    )
