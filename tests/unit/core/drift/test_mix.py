"""The mix of categories: counts by code become stretches by name."""

from __future__ import annotations

from collections import Counter

import pytest

from core.clock import HOUR_MS
from core.drift.mix import WITHOUT, mix_of
from core.drift_records import BUCKET_MS, BucketCounts
from core.topics import NO_TOPIC

TEA, TENTS = 1, 2
NAMES = {TEA: "Tea", TENTS: "Tents"}


def counted(**topics: int) -> BucketCounts:
    codes = {"tea": TEA, "tents": TENTS, "none": NO_TOPIC, "gone": 3}
    return BucketCounts(num_events=sum(topics.values()), topics=Counter({codes[k]: n for k, n in topics.items()}))


def test_buckets_of_a_period_are_joined_most_frequent_category_first() -> None:
    counts = {HOUR_MS: counted(tea=1), HOUR_MS + BUCKET_MS: counted(tea=2, tents=1), 3 * HOUR_MS: counted(tents=7)}
    mix = mix_of(counts, NAMES, length_ms=HOUR_MS)
    assert mix.categories == ("Tents", "Tea")
    periods = [(period.start_ms, dict(period.events)) for period in mix.periods]
    assert periods == [(HOUR_MS, {"Tea": 3, "Tents": 1}), (3 * HOUR_MS, {"Tents": 7})]


def test_events_without_a_known_category_are_counted_together() -> None:
    mix = mix_of({0: counted(none=2, gone=1)}, NAMES, length_ms=HOUR_MS)
    assert [dict(period.events) for period in mix.periods] == [{WITHOUT: 3}]


@pytest.mark.parametrize("counts", [{}, {0: BucketCounts(num_events=3)}])
def test_mix_without_counts_is_empty(counts: dict[int, BucketCounts]) -> None:
    mix = mix_of(counts, NAMES, length_ms=HOUR_MS)
    assert (mix.categories, mix.periods) == ((), ())
