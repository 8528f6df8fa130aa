"""The mix of categories: counts by code become blocks by name, from days where a period is long."""

from __future__ import annotations

from collections import Counter

import pytest
from doubles import MemoryStore

from core.clock import DAY_MS, HOUR_MS
from core.drift.segments import NEW, RETURNING
from core.interests.mix import EVERYBODY, WITHOUT, Mix, Period, mixes_of, read_mixes
from core.records.drift import BUCKET_MS, BucketCounts
from core.topics import NO_TOPIC

TEA, TENTS = 1, 2
NAMES = {TEA: "Tea", TENTS: "Tents"}
TWO_DAYS = Period(0, 40 * HOUR_MS)  # in blocks of an hour


def counted(**topics: int) -> BucketCounts:
    codes = {"tea": TEA, "tents": TENTS, "none": NO_TOPIC, "gone": 3}
    return BucketCounts(num_events=sum(topics.values()), topics=Counter({codes[k]: n for k, n in topics.items()}))


def everybody(counts: dict[int, BucketCounts], period: Period = TWO_DAYS) -> Mix:
    return mixes_of(counts, NAMES, period)[EVERYBODY]


def blocks(mix: Mix) -> list[tuple[int, dict[str, int]]]:
    return [(block.start_ms, dict(block.events)) for block in mix.blocks]


def test_buckets_of_a_block_are_joined_most_frequent_category_first() -> None:
    mix = everybody(
        {HOUR_MS: counted(tea=1), HOUR_MS + BUCKET_MS: counted(tea=2, tents=1), 3 * HOUR_MS: counted(tents=7)}
    )
    assert mix.categories == ("Tents", "Tea")
    assert blocks(mix) == [(HOUR_MS, {"Tea": 3, "Tents": 1}), (3 * HOUR_MS, {"Tents": 7})]


def test_events_without_a_known_category_are_counted_together() -> None:
    assert blocks(everybody({0: counted(none=2, gone=1)})) == [(0, {WITHOUT: 3})]


@pytest.mark.parametrize("counts", [{}, {0: BucketCounts(num_events=3)}])
def test_mix_without_counts_is_empty(counts: dict[int, BucketCounts]) -> None:
    mix = everybody(counts)
    assert (mix.categories, mix.blocks, mix.num_events) == ((), (), 0)


def test_what_new_users_do_not_do_returning_users_do() -> None:
    counts = counted(tea=5, tents=2)
    counts.segments = {NEW: Counter({TEA: 2}), "event.country=DE": Counter({TENTS: 1})}
    mixes = mixes_of({0: counts}, NAMES, TWO_DAYS)
    assert blocks(mixes[NEW]) == [(0, {"Tea": 2})]
    assert blocks(mixes[RETURNING]) == [(0, {"Tea": 3, "Tents": 2})]
    assert blocks(mixes["event.country=DE"]) == [(0, {"Tents": 1})]


@pytest.mark.parametrize(
    ("days", "block_ms"), [(1 / 24, BUCKET_MS), (1, HOUR_MS), (7, 6 * HOUR_MS), (20, 12 * HOUR_MS), (365, DAY_MS)]
)
def test_blocks_grow_with_the_period_up_to_a_day(days: float, block_ms: int) -> None:
    assert Period(0, int(days * DAY_MS)).block_ms == block_ms


def test_a_long_period_begins_with_a_day_a_short_one_with_five_minutes() -> None:
    assert Period(DAY_MS + HOUR_MS + 1, 50 * DAY_MS + 1).aligned() == Period(DAY_MS, 50 * DAY_MS + BUCKET_MS)
    assert Period(DAY_MS + HOUR_MS + 1, 2 * DAY_MS).aligned() == Period(DAY_MS + HOUR_MS, 2 * DAY_MS)


@pytest.mark.parametrize("num_days", [3, 50])
def test_a_period_holds_the_counts_from_its_start_to_before_its_end(num_days: int) -> None:
    store = MemoryStore()
    times_ms = [0, DAY_MS, 2 * DAY_MS, num_days * DAY_MS + HOUR_MS, num_days * DAY_MS + 2 * HOUR_MS]
    with store.transaction() as tx:
        tx.drift.add_counts(1, {time_ms: counted(tea=1) for time_ms in times_ms})
        tx.commit()
    with store.read() as read:
        mix = read_mixes(read.drift, Period(DAY_MS, num_days * DAY_MS + 2 * HOUR_MS).aligned())[EVERYBODY]
    assert mix.num_events == 3


def test_a_chart_of_a_year_has_as_many_blocks_as_it_shows() -> None:
    year = everybody({day * DAY_MS: counted(tea=1) for day in range(365)}, Period(0, 365 * DAY_MS))
    chart = year.at_most(60)
    assert (len(year.blocks), len(chart.blocks), chart.block_ms) == (365, 53, 7 * DAY_MS)
    assert chart.num_events == 365
