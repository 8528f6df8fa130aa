"""Counting many events by columns counts what counting them one by one does."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from domain_doubles import TYPES

from core.drift.counting import count, count_few
from core.drift.counting_many import count_many
from core.drift.segments import EventSegments
from core.events.history import History, Window
from core.records.drift import BUCKET_MS, GAP_EDGES_S, NEW_ITEM_MS, BucketCounts, ItemFacts
from core.records.stored import MANY_EVENTS, EventRow, UserState

START_MS = 1_700_000_000_000
WINDOWED = TYPES.flagged("window")


def row(number: int, user: int, item: int, time_ms: int, *, seq: int = 1, code: int = 0, country: str = "") -> EventRow:
    context = {"country": country} if country else None
    return EventRow(number.to_bytes(16, "big"), user, item, code, time_ms, seq, None, context, None)


def counts_of(
    counted: object, rows: list[EventRow], before: dict[int, UserState], facts: dict[int, ItemFacts]
) -> dict[int, BucketCounts]:
    segments = EventSegments(["event.country"])
    return counted(rows, before, facts, window_codes=WINDOWED, segments=segments)  # type: ignore[operator]


def state(key: int, *, seq: int, last_ms: int | None) -> UserState:
    times = np.array([] if last_ms is None else [last_ms], np.int64)
    return UserState(key, seq, Window(len(times), History(times * 0 + 1, times)))


@pytest.mark.parametrize("seed", range(20))
def test_columns_count_what_rows_count(seed: int) -> None:
    draw = Random(seed)
    num_events, span_ms = draw.choice([1, 30, 2_000]), draw.choice([1_000, BUCKET_MS, 40 * NEW_ITEM_MS])
    countries = [f"C{number}" for number in range(draw.choice([3, 80]))]  # more than are counted apart
    rows = [
        row(
            number,
            draw.randrange(1, 40),
            draw.randrange(1, 60),
            START_MS + draw.randrange(span_ms),
            seq=draw.randrange(1, 40),
            code=draw.randrange(len(TYPES.table)),
            country=draw.choice(["", *countries]),
        )
        for number in range(num_events)
    ]
    lasts = (None, START_MS - 5_000, START_MS + span_ms // 2, START_MS + 2 * span_ms)
    before = {key: state(key, seq=draw.choice([0, 7]), last_ms=draw.choice(lasts)) for key in range(1, 40)}
    created = (None, START_MS, START_MS - NEW_ITEM_MS, START_MS + span_ms)
    facts = {key: ItemFacts(draw.randrange(5), draw.choice(created)) for key in range(1, 60)}
    assert counts_of(count_many, rows, before, facts) == counts_of(count_few, rows, before, facts)


def test_many_events_are_counted_once_each_by_hand() -> None:
    """One user's events, a minute apart: the first has no gap, and the first twenty are those of a new user."""
    rows = [row(n, 1, 1, START_MS + n * 60_000, seq=n + 1) for n in range(MANY_EVENTS)]
    buckets = counts_of(count, rows, {1: UserState(1)}, {1: ItemFacts(3, START_MS)})
    total = BucketCounts()
    for bucket in buckets.values():
        total.add(bucket)
    assert (total.num_events, total.num_new_users, total.num_new_items) == (MANY_EVENTS, 1, MANY_EVENTS)
    assert total.topics == {3: MANY_EVENTS}
    assert total.gaps == {GAP_EDGES_S.index(60) + 1: MANY_EVENTS - 1}
    assert total.segments == {"user=new": {3: 20}}
