"""The report of items: orders, and what a trend compares."""

from __future__ import annotations

import numpy as np
import pytest
from doubles import MemoryStore

from core.outcomes.item_report import ItemOrder, ItemPeriod, item_statistics, order_items
from core.outcomes.rates import rate
from core.ports.offsets import ANSWERS
from core.records.item_counts import ItemCountKey, measure_of_type
from core.records.outcomes import Measure

TODAY = 20_000
VIEW = 1
PERIOD = ItemPeriod(TODAY - 2, TODAY, TODAY, (VIEW,))
LAMP, MUG, ROPE = 1, 2, 3


@pytest.fixture
def store() -> MemoryStore:
    """Lamp: 2 of 2 clicked. Mug: 30 of 100 clicked, 40 views after 20. Rope: 9 views after 9."""
    shown = {LAMP: 2, MUG: 100}
    counts = {ItemCountKey(Measure.SHOWN, TODAY, item): num for item, num in shown.items()}
    counts |= {ItemCountKey(Measure.CLICK, TODAY, item): num for item, num in {LAMP: 2, MUG: 30}.items()}
    view = measure_of_type(VIEW)
    for item, recent, before in ((MUG, 40, 20), (ROPE, 9, 9)):
        counts[ItemCountKey(view, TODAY - 1, item)] = recent
        counts[ItemCountKey(view, TODAY - 3, item)] = before
    counts[ItemCountKey(view, TODAY, ROPE)] = 1_000
    store = MemoryStore()
    with store.transaction() as tx:
        tx.item_counts.add(tx.offsets.lock(ANSWERS, [0])[0].key, counts)
        tx.commit()
    return store


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("popularity", [LAMP, MUG, ROPE]),
        ("events", [ROPE, MUG, LAMP]),
        ("impressions", [MUG, LAMP, ROPE]),
        ("ctr", [LAMP, MUG, ROPE]),
        ("trend", [MUG, LAMP, ROPE]),
    ],
)
def test_items_are_ordered_by_a_number(store: MemoryStore, order: ItemOrder, expected: list[int]) -> None:
    keys = np.array([LAMP, MUG, ROPE])
    with store.read() as read:
        assert keys[order_items(read, keys, order, PERIOD)].tolist() == expected


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("popularity", [ROPE, MUG, LAMP]),
        ("events", [LAMP, MUG, ROPE]),
        ("ctr", [MUG, LAMP, ROPE]),
        ("trend", [MUG, LAMP, ROPE]),
    ],
)
def test_ascending_items_without_a_value_come_last_too(
    store: MemoryStore, order: ItemOrder, expected: list[int]
) -> None:
    keys = np.array([LAMP, MUG, ROPE])
    with store.read() as read:
        assert keys[order_items(read, keys, order, PERIOD, ascending=True)].tolist() == expected


def test_the_worst_click_rate_is_that_with_the_lowest_upper_bound(store: MemoryStore) -> None:
    with store.transaction() as tx:
        tx.item_counts.add(0, {ItemCountKey(Measure.SHOWN, TODAY, ROPE): 2})
        keys = np.array([ROPE, MUG])
        assert keys[order_items(tx, keys, "ctr", PERIOD, ascending=True)].tolist() == [MUG, ROPE], "none of two is few"


def test_the_click_rate_orders_by_its_lower_bound(store: MemoryStore) -> None:
    with store.transaction() as tx:
        tx.item_counts.add(
            0, {ItemCountKey(Measure.SHOWN, TODAY, ROPE): 4, ItemCountKey(Measure.CLICK, TODAY, ROPE): 2}
        )
        keys = np.array([ROPE, MUG])
        few, many = rate(2, 4), rate(30, 100)
        assert few is not None
        assert many is not None
        assert few.value > many.value
        assert few.low < many.low
        assert keys[order_items(tx, keys, "ctr", PERIOD)].tolist() == [MUG, ROPE]


def test_a_trend_leaves_out_the_day_that_is_not_over(store: MemoryStore) -> None:
    with store.read() as read:
        lamp, mug, rope = item_statistics(read, [LAMP, MUG, ROPE], PERIOD)
    assert (mug.events, mug.trend) == (40, 1.0), "twice as many as in the two days before"
    assert (rope.events, rope.trend) == (1_009, None), "nine events before say too little"
    assert (lamp.events, lamp.impressions, lamp.clicks, lamp.trend) == (0, 2, 2, None)


def test_a_period_of_today_compares_yesterday_with_the_day_before() -> None:
    today = ItemPeriod(TODAY, TODAY, TODAY, (VIEW,))
    assert today.compared == (range(TODAY - 1, TODAY), range(TODAY - 2, TODAY - 1))
