"""Trends: what gains against what went before, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from domain_shop import ALL, Shop, names

from core.catalogue.items import Item
from core.clock import HOUR_MS
from core.recommendation.requests import RecommendationRequest
from core.recommendation.trends import NUM_HOURS, Trends


@pytest.fixture
def shop() -> Shop:
    """ "a" is what everybody wants, "b" is wanted by few."""
    shop = Shop(model=False)
    for number in range(20):
        shop.had("a", number, user_id=f"u{number}")
    shop.had("b", 30, user_id="u1")
    shop.snapshots.refresh()
    return shop


def after(shop: Shop, *item_ids: str) -> None:
    for number, item_id in enumerate(item_ids):
        shop.had(item_id, 100 + number, user_id=f"later-{number}")
    shop.snapshots.refresh()


def trending(shop: Shop, trends: Trends, request: RecommendationRequest = ALL) -> list[str]:
    return names(shop.recommender.trending(request, trends))


def test_an_item_gains_by_its_share_of_what_is_new_not_by_being_popular(shop: Shop) -> None:
    trends = Trends()
    trends.note(shop.snapshots.current(), 0)
    after(shop, *"aab", "b", "b", "c")
    assert trending(shop, trends) == ["b", "c"]


def test_the_gain_is_what_kl_divergence_says_of_the_events_in_between(shop: Shop) -> None:
    trends = Trends()
    trends.note(shop.snapshots.current(), 0)
    after(shop, "b", "b", "a")
    gains, _ = trends.gains(shop.snapshots.current())
    p, q = 2 / 3, 2 / 27  # of 3 new events; of 21 old ones and one more of each of 6 items
    assert gains[1] == pytest.approx(p * np.log(p / q), rel=1e-3)  # later events weigh a trifle more
    assert not np.isfinite(gains[[0, 2, 3, 4, 5]]).any()


def test_nothing_gains_while_nothing_happens_or_nothing_was_noted(shop: Shop) -> None:
    trends = Trends()
    assert (trending(shop, trends), trends.gains(shop.snapshots.current())[1]) == ([], None)
    trends.note(shop.snapshots.current(), 5)
    assert (trending(shop, trends), trends.gains(shop.snapshots.current())[1]) == ([], 5)
    assert trending(Shop(model=False, items=()), Trends()) == []


def test_trending_covers_new_items_and_filters_by_category(shop: Shop) -> None:
    trends = Trends()
    trends.note(shop.snapshots.current(), 0)
    shop.catalogue(Item("new", categories=("late",)))
    after(shop, "new", "b", "b")
    assert trending(shop, trends) == ["b", "new"]
    assert trending(shop, trends, RecommendationRequest(category="late")) == ["new"]


def test_a_day_is_remembered_hour_by_hour(shop: Shop) -> None:
    trends, snapshot = Trends(), shop.snapshots.current()
    for minute in range(0, 40 * 60, 10):
        trends.note(snapshot, minute * 60_000)
    assert trends.gains(snapshot)[1] == (39 - NUM_HOURS) * HOUR_MS


def test_an_answer_says_since_when(shop: Shop) -> None:
    trends = Trends()
    trends.note(shop.snapshots.current(), 1_700_000_000_000)
    assert shop.recommender.trending(ALL, trends).reason.startswith("gains since 2023-11-14 22:13 UTC")
