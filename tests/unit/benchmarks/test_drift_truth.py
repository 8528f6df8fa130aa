"""The streams of known truth are what they claim to be, and the figures about them are counted right."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.drift.streams import (
    BURST_EVENTS,
    DAY_MS,
    HIT_RATE,
    LOSS_OF_HITS,
    LOSS_OF_MISSES,
    MONDAY_MS,
    OUTAGE_MS,
    Kind,
    StreamPlan,
    draw_events,
    stream,
)
from benchmarks.drift_truth import StreamResult, summary, watch


def test_a_stream_has_the_rate_the_visits_and_the_scores_it_claims() -> None:
    events = draw_events(StreamPlan("none", seed=1, days=14))
    assert len(events.users) / 14 == pytest.approx(5_000, rel=0.05)
    assert events.hits.mean() == pytest.approx(HIT_RATE, abs=0.02)
    assert np.median(events.losses[events.hits]) == pytest.approx(LOSS_OF_HITS[5], abs=0.1)
    assert np.median(events.losses[~events.hits]) == pytest.approx(LOSS_OF_MISSES[5], abs=0.3)
    same_visit = events.gaps_s < 1800
    assert same_visit.mean() == pytest.approx(0.8, abs=0.03)


@pytest.mark.parametrize(("kind", "ratio"), [("sudden", 0.5), ("gradual", 0.5), ("segment", 0.9), ("interests", 1.0)])
def test_the_change_comes_when_and_as_large_as_the_plan_says(kind: Kind, ratio: float) -> None:
    plan = StreamPlan(kind, seed=2)
    assert plan.change_ms is not None
    events = draw_events(plan)
    before, after = events.times_ms < plan.change_ms, events.times_ms > plan.change_ms + 4 * DAY_MS
    assert events.hits[after].mean() / events.hits[before].mean() == pytest.approx(ratio, abs=0.04)
    moved = (events.topics[after] == 11).mean() - (events.topics[before] == 11).mean()
    assert moved == pytest.approx(0.19 if kind == "interests" else 0.0, abs=0.03)


def test_an_outage_has_no_events_and_longer_gaps_after_it() -> None:
    plan = StreamPlan("outage", seed=2, days=20)
    events = draw_events(plan)
    since_ms = events.times_ms - plan.moment_ms
    assert not ((since_ms > DAY_MS / 24) & (since_ms < OUTAGE_MS)).any()  # visits that began before go on
    returns = (since_ms >= OUTAGE_MS) & (since_ms < OUTAGE_MS + DAY_MS) & (events.gaps_s > 3600)
    assert np.median(events.gaps_s[returns]) > 1.3 * np.median(events.gaps_s[(since_ms < 0) & (events.gaps_s > 3600)])


def test_a_sale_is_a_day_of_more_visits() -> None:
    plan = StreamPlan("sale", seed=2, days=20)
    days = np.bincount((draw_events(plan).times_ms - plan.moment_ms) // DAY_MS + 15)
    assert days[15] > 2 * days[13]
    assert days[16] < 1.5 * days[13]


def test_a_burst_is_one_user_within_an_hour() -> None:
    events = draw_events(StreamPlan("burst", seed=2, days=20))
    hours = np.bincount((events.times_ms - MONDAY_MS) // 3_600_000)
    assert hours.max() > BURST_EVENTS > 3 * np.median(hours)


def test_buckets_hold_every_event_once_and_no_user_twice() -> None:
    plan = StreamPlan("none", seed=3, days=2)
    events, buckets = draw_events(plan), list(stream(plan))
    assert sum(bucket.counts.num_events for bucket in buckets) == len(events.users)
    assert [bucket.start_ms for bucket in buckets] == sorted({bucket.start_ms for bucket in buckets})
    assert all(bucket.tally.num <= bucket.counts.num_events for bucket in buckets)
    assert buckets[0].start_ms >= MONDAY_MS


def test_a_halved_hit_rate_is_noticed_within_two_thousand_events() -> None:
    outcome = watch(StreamPlan("sudden", seed=12))
    assert outcome.false_alarms == ()
    assert outcome.delay is not None
    assert outcome.delay < 2_000


def test_a_change_in_one_category_is_noticed_there() -> None:
    outcome = watch(StreamPlan("segment", seed=12))
    assert outcome.false_alarms == ()
    assert outcome.signal == "hit_rate of category=1"
    assert outcome.delay is not None
    assert outcome.delay < 5_000


def test_the_summary_counts_false_alarms_per_100_000_events_and_delays() -> None:
    outcomes = [
        StreamResult("sudden", 50_000, (), 1_000, "loss", 0.5),
        StreamResult("sudden", 50_000, ("gaps",), 3_000, "hit_rate", 1.5),
        StreamResult("sudden", 100_000, ()),
    ]
    figures = summary(outcomes)
    assert figures["false_alarms_per_100k"] == 0.5
    assert (figures["noticed"], figures["delay_events_median"]) == (2, 2_000)
    assert figures["by"] == {"hit_rate": 1, "loss": 1}
