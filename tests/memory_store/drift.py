"""Drift of a store in memory: counts, samples, signals, alarms and topics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace

from core.clock import DAY_MS
from core.errors import StoreConflict
from core.records.drift import Alarm, Bucket, BucketCounts, ItemFacts, Point, SampledEvent, Score
from core.topics import NO_TOPIC, OTHERS, OTHERS_NAME, new_codes
from memory_store.data import DriftData, MemoryRepository


class MemoryDrift(MemoryRepository):
    """`core.ports.drift.DriftRepository` over the data of a transaction."""

    @property
    def _data(self) -> DriftData:
        return self.data.drift

    def topics(self) -> dict[int, str]:
        return {code: name for name, code in self._data.topics.items()} | {OTHERS: OTHERS_NAME}

    def item_facts(self, item_keys: Sequence[int]) -> dict[int, ItemFacts]:
        known = {item.key for item in self.data.items.values()}
        return _facts(self._data, known.intersection(item_keys))

    def counted_ms(self, *, after_ms: int, before_ms: int, limit: int) -> list[int]:
        return sorted({start for start, _ in self._data.counts if after_ms < start < before_ms})[:limit]

    def counts(self, starts_ms: Sequence[int]) -> dict[int, BucketCounts]:
        joined: dict[int, BucketCounts] = {}
        for (start_ms, _), counts in self._data.counts.items():
            if start_ms in starts_ms:
                joined.setdefault(start_ms, BucketCounts()).add(counts)
        return {start_ms: counts.at_least_zero() for start_ms, counts in joined.items()}

    def num_events(self, starts_ms: Sequence[int]) -> dict[int, int]:
        return {start_ms: counts.num_events for start_ms, counts in self.counts(starts_ms).items()}

    def day_counts(self, *, since_ms: int, before_ms: int) -> dict[int, BucketCounts]:
        days: dict[int, BucketCounts] = {}
        for (start_ms, _), counts in self._data.counts.items():
            day_ms = start_ms // DAY_MS * DAY_MS
            if since_ms <= day_ms < before_ms:
                own = BucketCounts(topics=counts.topics, segments=counts.segments)
                days.setdefault(day_ms, BucketCounts()).add(own)
        return {day_ms: counts.at_least_zero() for day_ms, counts in sorted(days.items())}

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

    def alarms(self, *, limit: int = 100) -> list[Alarm]:
        return self._oldest_alarms()[::-1][:limit]

    def unsent_alarms(self, *, since_ms: int, max_attempts: int, limit: int) -> list[Alarm]:
        return [
            alarm
            for alarm in self._oldest_alarms()
            if alarm.sent_ms is None and alarm.detected_ms >= since_ms and alarm.num_attempts < max_attempts
        ][:limit]

    def _oldest_alarms(self) -> list[Alarm]:
        return sorted(self._data.alarms.values(), key=lambda alarm: (alarm.detected_ms, alarm.alarm_id))

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

    def delete_sample(self, event_key: bytes) -> None:
        self._data.samples.pop(event_key, None)

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
        for alarm in alarms:
            known = self._data.alarms.get(alarm.alarm_id, alarm)
            self._data.alarms[alarm.alarm_id] = replace(alarm, sent_ms=known.sent_ms, num_attempts=known.num_attempts)

    def save_delivery(self, alarm: Alarm) -> None:
        known = self._data.alarms[alarm.alarm_id]
        self._data.alarms[alarm.alarm_id] = replace(known, sent_ms=alarm.sent_ms, num_attempts=alarm.num_attempts)

    def delete_scores(self, *, before_ms: int) -> int:
        old = [key for key, event in self._data.samples.items() if event.time_ms < before_ms]
        for key in old:
            del self._data.samples[key]
        return len(old)

    def delete_buckets(self) -> None:
        self._data.buckets.clear()
        self._data.points.clear()

    def clear_counts(self, *, kept_writer: int) -> None:
        self._data.counts = {name: counts for name, counts in self._data.counts.items() if name[1] == kept_writer}


def _facts(data: DriftData, item_keys: Iterable[int]) -> dict[int, ItemFacts]:
    return {key: ItemFacts(data.topic_of.get(key, NO_TOPIC), data.created_ms.get(key)) for key in item_keys}
