"""Timelines: steps that fit a chart, counts of all writers, marks within the period."""

from __future__ import annotations

import pytest
from doubles import MemoryStore

from core.clock import DAY_MS, HOUR_MS, MINUTE_MS
from core.drift.words import headline
from core.records.drift import Alarm
from core.records.stored import Promotion
from core.timeline import MAX_STEPS, Mark, read_timeline, step_of

NOW_MS = 20_000 * DAY_MS


@pytest.mark.parametrize(
    ("span_ms", "step_ms"),
    [
        (HOUR_MS, 5 * MINUTE_MS),
        (DAY_MS, 15 * MINUTE_MS),
        (7 * DAY_MS, 2 * HOUR_MS),
        (30 * DAY_MS, 6 * HOUR_MS),
        (90 * DAY_MS, DAY_MS),
        (366 * DAY_MS, 4 * DAY_MS),
        (100_000 * DAY_MS, 30 * DAY_MS),
    ],
)
def test_a_step_grows_with_the_period(span_ms: int, step_ms: int) -> None:
    assert step_of(span_ms) == step_ms
    assert step_ms == 30 * DAY_MS or span_ms / step_ms <= MAX_STEPS


def test_counts_of_all_writers_are_added_in_steps() -> None:
    store = MemoryStore()
    with store.transaction() as tx:
        for stream in ("http", "topic"):
            key = tx.offsets.lock(stream, [0])[0].key
            tx.event_counts.add(key, {(NOW_MS - HOUR_MS, 1): 3, (NOW_MS - 5 * MINUTE_MS, 0): 1, (NOW_MS, 0): 9})
        tx.commit()
    with store.read() as read:
        timeline = read_timeline(read, since_ms=NOW_MS - HOUR_MS, until_ms=NOW_MS)
    assert timeline.starts_ms == [NOW_MS - HOUR_MS + step * 5 * MINUTE_MS for step in range(12)]
    assert timeline.counts == {0: [0] * 11 + [2], 1: [6] + [0] * 11}


def test_promotions_and_onsets_of_alarms_in_the_period_are_marked() -> None:
    store = MemoryStore()
    gaps = Alarm("x", "gaps", "", NOW_MS, NOW_MS - 20, 0.1, 0.2, 0.05, 0.15, "")
    with store.transaction() as tx:
        for version, time_ms in (("a", NOW_MS - 2 * HOUR_MS), ("b", NOW_MS - 10), ("c", NOW_MS)):
            tx.models.add_promotion(Promotion(version, None, "promotion", "gate", "", time_ms))
        tx.drift.save_alarms(
            [gaps, Alarm("y", "loss", "category=Tea", NOW_MS, NOW_MS - 2 * HOUR_MS, 0.1, 0.2, 0.05, 0.15, "")]
        )
        tx.commit()
    with store.read() as read:
        timeline = read_timeline(read, since_ms=NOW_MS - HOUR_MS, until_ms=NOW_MS)
    assert timeline.marks == [
        Mark(NOW_MS - 20, "alarm", headline(gaps)),
        Mark(NOW_MS - 10, "promotion", "promotion of b by gate"),
    ]
