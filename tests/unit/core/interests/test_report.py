"""Interest over time: periods, segments, one user, sentences and the table."""

from __future__ import annotations

import csv
import io
from collections import Counter

import pytest
from domain_doubles import NOW_MS, SHAPE, TYPES, event
from doubles import MemoryStore

from core.catalogue.items import Item
from core.clock import DAY_MS, HOUR_MS, ManualClock
from core.drift.segments import NEW, RETURNING
from core.errors import InvalidInput, NotFound
from core.ingestion.ingest import Ingestor
from core.ingestion.sources import RequestSource
from core.interests.mix import Period
from core.interests.report import InterestReport, interest_report
from core.interests.table import COLUMNS, csv_text
from core.manage import save_items
from core.records.drift import BucketCounts

WEEK_MS = 7 * DAY_MS
THIS_WEEK = Period(WEEK_MS, 2 * WEEK_MS)
TEA, TENTS = 1, 2


def shop(*, tea: tuple[int, int], tents: tuple[int, int] = (50, 50), new: tuple[int, int] = (10, 10)) -> MemoryStore:
    """Two weeks of hours, each with so many events: before, and this week."""
    store = MemoryStore()
    with store.transaction() as tx:
        tx.drift.name_topics(["Tea"])
        tx.drift.name_topics(["Tents"])
        counts = {}
        for hour in range(2 * 168):
            this = hour // 168
            wobble = 1 if hour % 2 else -1
            topics = Counter({TEA: tea[this] + wobble, TENTS: tents[this] - wobble})
            segments = {NEW: Counter({TEA: new[this] + wobble})}
            counts[hour * HOUR_MS] = BucketCounts(topics.total(), topics=topics, segments=segments)
        tx.drift.add_counts(1, counts)
        tx.commit()
    return store


def report(store: MemoryStore, period: Period = THIS_WEEK, reference: Period | None = None) -> InterestReport:
    with store.read() as read:
        return interest_report(read, period, reference=reference)


def test_what_changed_is_said_in_three_sentences_with_figures() -> None:
    # 1.96 times the root of .75 * .25 / 33,600 + .5 * .5 / 16,800 is 0.9 points
    told = report(shop(tea=(50, 150), new=(10, 60))).sentences
    assert told == [
        "Tea rose from 50.0% to 75.0% of all events (+25.0 points, 95%: +24.1 to +25.9).",
        "Tents fell from 50.0% to 25.0% of all events (-25.0 points, 95%: -25.9 to -24.1).",
        "Events per day rose by 100% (95%: +100% to +100%).",
    ]


def test_where_nothing_changed_nothing_is_said() -> None:
    same = report(shop(tea=(50, 50)))
    assert (same.sentences, same.told) == ([], ["Nothing has changed beyond chance."])


def test_without_intervals_it_is_said_that_nothing_can_be_told() -> None:
    (sentence,) = report(MemoryStore()).told
    assert sentence.startswith("Too little to compare")


def test_segments_are_shown_side_by_side() -> None:
    same = report(shop(tea=(50, 50), new=(10, 40)))
    assert {part.name: (part.share.reference, part.share.value) for part in same.segments} == {
        NEW: (pytest.approx(0.1), pytest.approx(0.4)),
        RETURNING: (pytest.approx(0.9), pytest.approx(0.6)),
    }
    (sentence,) = same.sentences
    assert sentence.startswith("New users (their first 20 events) rose from 10.0% to 40.0% of all events")


def test_the_reference_may_be_any_period() -> None:
    result = report(shop(tea=(50, 150)), THIS_WEEK, Period(WEEK_MS, WEEK_MS + 2 * DAY_MS))
    assert result.reference.period == Period(WEEK_MS, WEEK_MS + 2 * DAY_MS)
    assert [change.difference for change in result.categories] == [pytest.approx(0), pytest.approx(0)]


def test_a_period_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(
        InvalidInput, match=r"reference_since: .* of the period, 1970-01-01 00:01 UTC, got 1970-01-01 00:05 UTC"
    ):
        report(MemoryStore(), THIS_WEEK, Period(300_000, 60_000))


def user_shop() -> MemoryStore:
    store = MemoryStore()
    items = [Item("pot", categories=("Tea",)), Item("tent", categories=("Tents",))]
    save_items(store, items, clock=ManualClock(NOW_MS))
    hours = range(-14 * 24, 0, 6)
    events = [event("ann", "tent" if hour < -168 else "pot", hour * 3600) for hour in hours]
    events += [event("bob", "tent", hour * 3600) for hour in hours]
    Ingestor(store, types=TYPES, shape=SHAPE).ingest(events, RequestSource("api"))
    return store


def test_one_user_is_compared_with_their_own_past() -> None:
    store = user_shop()
    with store.read() as read:
        result = interest_report(read, Period(NOW_MS - WEEK_MS, NOW_MS), user_id="ann")
    assert [(change.name, change.reference, change.value) for change in result.categories] == [
        ("Tea", 0.0, 1.0),
        ("Tents", 1.0, 0.0),
    ]
    assert result.sentences[0].startswith("Tea rose from 0.0% to 100.0% of the events of ann (+100.0 points")
    assert result.segments == []


def test_an_unknown_user_is_not_found() -> None:
    with MemoryStore().read() as read, pytest.raises(NotFound, match="user 'zoe' is not known"):
        interest_report(read, THIS_WEEK, user_id="zoe")


def test_the_table_sums_up_to_the_events_of_both_periods() -> None:
    result = report(shop(tea=(50, 150)))
    rows = list(csv.DictReader(io.StringIO(csv_text(result))))
    assert tuple(rows[0]) == COLUMNS
    sums = Counter[tuple[str, str]]()
    for row in rows:
        sums[row["period"], row["segment"]] += int(row["events"])
    assert (sums["period", ""], sums["reference", ""]) == (result.now.num_events, result.reference.num_events)
    assert sums["period", NEW] + sums["period", RETURNING] == result.now.num_events


def test_a_category_that_looks_like_a_formula_is_text_in_the_table() -> None:
    store = MemoryStore()
    with store.transaction() as tx:
        tx.drift.name_topics(["=1+1"])
        tx.drift.add_counts(1, {WEEK_MS: BucketCounts(1, topics=Counter({1: 1}))})
        tx.commit()
    assert ",'=1+1,1\n" in csv_text(report(store))
