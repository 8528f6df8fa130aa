"""The mix of categories over time, for charts: event counts by topic, joined into periods of equal length.

Independent of detectors.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from core.clock import HOUR_MS
from core.drift_records import BUCKET_MS, BucketCounts
from core.ports.drift import DriftReader

MAX_PERIODS = 40
LENGTHS_MS = (BUCKET_MS, 900_000, *(HOUR_MS * hours for hours in (1, 3, 6, 12, 24, 72, 168, 336, 672)))
MAX_BUCKETS = 100_000
WITHOUT = "without category"


@dataclass(frozen=True, slots=True)
class MixPeriod:
    """A period. `events`: by category."""

    start_ms: int
    events: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Mix:
    """Non-empty periods of equal length, oldest first. `categories`: most frequent first."""

    length_ms: int
    categories: tuple[str, ...]
    periods: tuple[MixPeriod, ...]


def read_mix(drift: DriftReader, *, to_ms: int, span_ms: int) -> Mix:
    """The mix of the last `span_ms` before `to_ms`."""
    length_ms = next((length for length in LENGTHS_MS if span_ms <= length * MAX_PERIODS), LENGTHS_MS[-1])
    starts_ms = drift.counted_ms(after_ms=to_ms - span_ms - 1, before_ms=to_ms + 1, limit=MAX_BUCKETS)
    return mix_of(drift.counts(starts_ms), drift.topics(), length_ms=length_ms)


def mix_of(counts: Mapping[int, BucketCounts], names: Mapping[int, str], *, length_ms: int) -> Mix:
    """Counts by bucket as periods of `length_ms`; `names`: topic names by code."""
    by_period: dict[int, Counter[str]] = {}
    for start_ms, bucket in counts.items():
        period = by_period.setdefault(start_ms // length_ms * length_ms, Counter())
        for code, num in bucket.topics.items():
            period[names.get(code, WITHOUT)] += num
    total = sum(by_period.values(), Counter[str]())
    ordered = tuple(sorted(total, key=lambda name: (-total[name], name)))
    periods = tuple(MixPeriod(start_ms, by_period[start_ms]) for start_ms in sorted(by_period) if by_period[start_ms])
    return Mix(length_ms, ordered, periods)
