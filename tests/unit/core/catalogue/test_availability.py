"""Availability: what is listed at a time, whatever was asked for and changed before, equals a look at every item."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from domain_doubles import NOW_MS
from domain_shop import ALL, Shop, names
from hypothesis import given
from hypothesis import strategies as st

from core.catalogue.availability import ALWAYS, Availability, ListedTimes, limits_of, parse_availability
from core.catalogue.items import Item
from core.errors import InvalidInput
from core.recommendation.requests import RecommendationRequest

HOUR_MS = 3_600_000
a_time = st.integers(0, 12)
an_item = st.tuples(st.booleans(), st.none() | a_time, st.none() | a_time)
a_step = a_time | st.dictionaries(st.integers(0, 5), an_item, min_size=1, max_size=3)


def by_hand(items: list[tuple[bool, int | None, int | None]], now: int) -> list[bool]:
    return [listed and (begin or 0) <= now and (end is None or now < end) for listed, begin, end in items]


@given(st.lists(an_item, max_size=6), st.lists(a_step, max_size=12))
def test_listed_items_are_those_within_their_limits(items: list[Any], steps: list[Any]) -> None:
    listed = np.array([item[0] for item in items], np.bool_)
    times = ListedTimes.of(listed, limits_of([item[1:] for item in items]))
    for step in steps:
        if isinstance(step, int):
            assert times.at(step).tolist() == by_hand(items, step)
            continue
        known = [row for row in sorted(step) if row < len(items)]
        new = [step[row] for row in sorted(step) if row >= len(items)]
        rows = np.array([*known, *range(len(items), len(items) + len(new))], np.int64)
        items = [step.get(row, item) for row, item in enumerate(items)] + new
        listed, limits = np.array([item[0] for item in items], np.bool_), limits_of([item[1:] for item in items])
        times = times.with_rows(listed, limits, rows)
    assert times.at(6).tolist() == by_hand(items, 6)


def test_a_mask_is_kept_until_the_next_transition() -> None:
    times = ListedTimes.of(np.ones(3, np.bool_), limits_of([(None, None), (None, 50), (80, 90)]))
    before, between, after = times.at(10), times.at(50), times.at(90)
    assert times.at(99) is after
    assert [mask.tolist() for mask in (before, between, after)] == [
        [True, True, False],
        [True, False, False],
        [True, False, False],
    ]


def test_without_limits_no_mask_is_made() -> None:
    listed = np.ones(3, np.bool_)
    assert ListedTimes.of(listed, limits_of([(None, None)] * 3)).at(NOW_MS) is listed


def test_an_item_expires_between_two_requests_without_a_write() -> None:
    shop = Shop()
    shop.catalogue(Item("a", availability=Availability(available_until=NOW_MS + 2 * HOUR_MS)))
    shop.snapshots.refresh()
    shop.had("b")
    lists = [shop.recommender.popular, shop.recommender.latest, lambda request: shop.recommender.similar("b", request)]
    shown = []
    for hour in (1, 2, 1):
        shop.clock.time_ms = NOW_MS + hour * HOUR_MS
        shown.append(["a" in shop.for_ann(), *("a" in names(answer(ALL)) for answer in lists)])
    assert shown == [[True] * 4, [False] * 4, [True] * 4]


def test_an_item_appears_at_its_time_also_in_an_answer_for_a_later_time() -> None:
    shop = Shop()
    shop.catalogue(Item("a", availability=Availability(available_from=NOW_MS + HOUR_MS)))
    shop.snapshots.refresh()
    shop.clock.time_ms = NOW_MS
    later = RecommendationRequest(n=20, exclude_seen=False, at_ms=NOW_MS + HOUR_MS)
    assert ("a" in shop.for_ann(), "a" in shop.for_ann(later), "a" in shop.for_ann()) == (False, True, False)


def test_a_change_of_availability_counts_before_the_next_snapshot() -> None:
    shop = Shop()
    shop.catalogue(Item("a", availability=Availability(stock=0)), Item("b", availability=Availability(NOW_MS * 2)))
    assert shop.for_ann() == ["f", "e", "d", "c"]


def test_ranking_says_why_an_item_is_not_available() -> None:
    shop = Shop()
    limits = [Availability(NOW_MS + 8 * HOUR_MS), Availability(None, NOW_MS), Availability(stock=0)]
    shop.catalogue(*map(Item, "abc", *[[""] * 3] * 2, [()] * 3, [{}] * 3, [False] * 3, limits))
    shop.snapshots.refresh()
    assert shop.recommender.rank("ann", ["a", "b", "c", "d"]).excluded == {
        "a": "available from 2023-11-15 06:13:20 UTC",
        "b": "was available until 2023-11-14 22:13:20 UTC",
        "c": "out of stock",
    }


def test_times_are_read_as_iso_or_milliseconds() -> None:
    parsed = parse_availability({"available_from": "2023-11-14T22:13:20Z", "available_until": NOW_MS + 1, "stock": -2})
    assert parsed == Availability(NOW_MS, NOW_MS + 1, -2)
    assert parse_availability({"stock": None}) is ALWAYS


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"available_from": 1_700_000_000}, "available_from: 1700000000 looks like seconds"),
        ({"available_from": NOW_MS, "available_until": NOW_MS}, "available_until: wanted a time after available_from"),
        ({"stock": 1.5}, "stock: wanted an integer, got 1.5"),
        ({"stock": True}, "stock: wanted an integer, got True"),
        ({"stock": 2**63}, "stock: wanted an integer"),
    ],
)
def test_another_availability_is_refused_by_name(raw: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        parse_availability(raw)
