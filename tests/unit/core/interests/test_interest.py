"""What is told of a user's interest: shares that fade, stretches of time, and a sentence about a move."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from core.clock import DAY_MS, HOUR_MS
from core.interests.interest import MAX_BUCKETS, MAX_TOPICS, Horizons, Interest, Topics, interest_of

START_MS = int(datetime(2024, 4, 1, tzinfo=UTC).timestamp() * 1000)


def told(
    events: list[tuple[float, Topics]], *, false_alarms: float = 0.05, horizons: Horizons | None = None
) -> Interest:
    """The interest behind (day, topics)."""
    times_ms = np.array([START_MS + round(day * DAY_MS) for day, _ in events], np.int64)
    topics = [topics for _, topics in events]
    return interest_of(times_ms, topics, horizons=horizons or Horizons(), false_alarms=false_alarms)


def daily(*parts: tuple[int, Topics]) -> list[tuple[float, Topics]]:
    """One event a day: so many days of each."""
    return [(float(day), topics) for day, topics in enumerate([t for days, t in parts for t in [t] * days])]


def test_an_event_counts_half_after_each_half_life() -> None:
    interest = told([(0, ("a",)), (7, ("b",))], horizons=Horizons(short_days=7, long_days=7000))
    assert interest.topics == ("b", "a")
    assert interest.short_term == pytest.approx([2 / 3, 1 / 3])
    assert interest.long_term == pytest.approx([0.5, 0.5], abs=1e-3)


def test_an_item_of_several_topics_counts_for_each_in_part() -> None:
    assert told([(0, ("a", "b", "c", "d"))]).long_term == pytest.approx([0.25] * 4)


def test_events_of_items_without_a_topic_are_left_out() -> None:
    interest = told([(0, ()), (1, ("a",)), (2, ())])
    assert interest.topics == ("a",)
    assert [bucket.num_events for bucket in interest.buckets] == [1]


def test_nobody_s_interest_is_told_without_a_fault() -> None:
    interest = told([])
    assert interest.topics == ()
    assert interest.buckets == ()
    assert not interest.drift.is_significant
    assert interest.drift.explanation == "no visits are too few for a test"


def test_a_move_is_told_with_its_day_and_its_count() -> None:
    interest = told(daily((30, ("science fiction",)), (14, ("children's films",)), (4, ("science fiction",))))
    drift = interest.drift
    assert drift.is_significant
    assert drift.explanation == "from science fiction to children's films since 1 May; 14 of the last 18 events"
    assert drift.since_ms == START_MS + 30 * DAY_MS
    assert (drift.origin, drift.target) == (("science fiction",), ("children's films",))
    assert drift.distance == pytest.approx(14 / 18)


def test_two_topics_that_gain_alike_are_both_named() -> None:
    both: list[tuple[float, Topics]] = [(30 + day, ("b" if day % 2 else "c",)) for day in range(20)]
    drift = told([*daily((30, ("a",))), *both]).drift
    assert drift.origin == ("a",)
    assert set(drift.target) == {"b", "c"}
    assert drift.num_target == drift.num_since == 20


def test_a_day_of_another_year_is_told_with_its_year() -> None:
    events: list[tuple[float, Topics]] = [(day * 20, ("a" if day < 10 else "b",)) for day in range(30)]
    assert "since 18 October 2024;" in told(events).drift.explanation


def test_the_events_of_one_visit_count_as_one() -> None:
    burst: list[tuple[float, Topics]] = [(20 + minute / 1440, ("b",)) for minute in range(50)]
    drift = told([*daily((20, ("a",))), *burst]).drift
    assert not drift.is_significant
    assert drift.explanation == "no significant shift"
    assert drift.score is not None


def test_few_visits_tell_nothing_and_say_how_few() -> None:
    drift = told(daily((3, ("a",)), (3, ("b",)))).drift
    assert drift.score is None
    assert drift.explanation == "6 visits are too few for a test"


def test_period_length_limits_the_number_of_periods() -> None:
    day = told([(hour / 24, ("a",)) for hour in range(20)])
    assert (day.bucket_ms, len(day.buckets)) == (HOUR_MS, 20)
    years = told([(30.0 * month, ("a",)) for month in range(60)])
    assert years.bucket_ms == 91 * DAY_MS
    assert len(years.buckets) <= MAX_BUCKETS
    ages = told([(365.0 * year, ("a",)) for year in range(40)])
    assert len(ages.buckets) == MAX_BUCKETS
    assert ages.buckets[-1].start_ms <= START_MS + 39 * 365 * DAY_MS


def test_of_many_topics_the_strongest_are_shown() -> None:
    events: list[tuple[float, Topics]] = [(0, (f"t{n}",)) for n in range(20) for _ in range(n + 1)]
    interest = told(events)
    assert interest.topics == tuple(f"t{n}" for n in range(19, 19 - MAX_TOPICS, -1))
    assert interest.long_term.sum() < 1
