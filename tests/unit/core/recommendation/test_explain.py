"""Explain: an item leans on the event without which it would score lower, and on no other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from domain_doubles import NOW_MS, crown
from domain_shop import Shop

from core.arrays import FloatArray, IntArray
from core.catalogue.items import Catalogue
from core.events.history import History
from core.recommendation.explain import MAX_EVENTS, EventContribution, contributions_of
from core.recommendation.requests import Contribution, RecommendationRequest, SessionEvent


class SumEncoder:
    """A user is the sum of the axes of what they had, so that an item is liked for itself alone."""

    def __init__(self, num_items: int, *, each_adds: float | None = None) -> None:
        self.width, self.each_adds = num_items, each_adds
        self.gaps_ms: list[int] = []

    def encode(self, histories: Sequence[History]) -> FloatArray:
        return np.stack([np.bincount(history.items, minlength=self.width) for history in histories]).astype(np.float32)

    def query(self, vectors: FloatArray, gaps_ms: IntArray) -> FloatArray:
        self.gaps_ms = gaps_ms.tolist()
        return vectors

    def repeats(self, history: History) -> FloatArray | None:
        return None if self.each_adds is None else np.full(len(history), self.each_adds, np.float32)

    def items(self, rows: IntArray) -> FloatArray:
        return np.eye(self.width, dtype=np.float32)[rows]


def catalogue(num_items: int) -> Catalogue:
    names = tuple(f"i{number}" for number in range(num_items))
    return Catalogue(np.arange(num_items), names, names, ((),) * num_items, np.ones(num_items, np.bool_))


def history(*items: int) -> History:
    return History(np.array(items, np.int64), np.arange(len(items), dtype=np.int64) * 1000)


def contributions(
    window: History, rows: Sequence[int], *, num_items: int = 100, now_ms: int = 10_000
) -> list[list[EventContribution]]:
    return contributions_of(SumEncoder(num_items), catalogue(num_items), window, rows=np.array(rows), now_ms=now_ms)


def test_each_item_leans_on_the_event_that_lifts_it() -> None:
    events = contributions(history(3, 7, 5), [7, 3])
    assert [[(event.item_key, event.time_ms) for event in item_events] for item_events in events] == [
        [(7, 1000)],
        [(3, 0)],
    ]
    assert events[0][0].share == pytest.approx(1.0)


def test_equal_contributions_share_and_the_older_event_is_first() -> None:
    (events,) = contributions(history(7, 2, 7), [7])
    assert [(event.time_ms, event.share) for event in events] == [(0, pytest.approx(0.5)), (2000, pytest.approx(0.5))]


def test_negative_repeat_score_lowers_the_contribution() -> None:
    encoder = SumEncoder(100, each_adds=-2.0)
    rows = np.array([7, 3])
    assert contributions_of(encoder, catalogue(100), history(3, 7, 5), rows=rows, now_ms=10_000) == [[], []]


def test_nothing_is_made_up_for_an_item_that_no_event_lifts() -> None:
    assert contributions(history(3, 7), [50]) == [[]]


def test_an_only_event_is_all_that_speaks() -> None:
    assert contributions(history(3), [3, 50]) == [[EventContribution(3, 0, 1.0)]] * 2


def test_without_the_last_event_now_is_further_away() -> None:
    encoder = SumEncoder(10)
    contributions_of(encoder, catalogue(10), history(1, 2), rows=np.array([1]), now_ms=5_000)
    assert encoder.gaps_ms == [4_000, 4_000, 5_000]


def test_of_a_long_history_only_the_newest_events_are_left_out() -> None:
    long = history(*[1] * 5, *[2] * MAX_EVENTS)
    assert contributions(long, [1]) == [[]]
    assert len(contributions(long, [2])[0]) == 0  # each of fifty equal events is far below what is worth telling


def test_recommended_item_names_its_contributing_event() -> None:
    shop = Shop()
    shop.had("a", 0)
    shop.had("b", 10)
    answer = shop.recommender.recommend("ann", RecommendationRequest(n=1, explain=True))
    (item,) = answer.items
    assert item.item_id == "c"
    assert item.contributions == (Contribution("b", "B", NOW_MS + 10_000, pytest.approx(1.0)),)


def test_no_contributions_without_explain_or_without_a_model() -> None:
    shop = Shop()
    shop.had("a")
    assert shop.recommender.recommend("ann", RecommendationRequest(n=1)).items[0].contributions is None
    assert shop.recommender.recommend("stranger", RecommendationRequest(n=1, explain=True)).items[0].contributions == ()


def test_session_is_explained_without_unknown_items() -> None:
    shop = Shop()
    crown(shop.store)
    session = [SessionEvent("nobody knows it", NOW_MS), SessionEvent("b", NOW_MS + 1)]
    (item,) = shop.recommender.recommend_session(session, RecommendationRequest(n=1, explain=True)).items
    assert [event.item_id for event in item.contributions or ()] == ["b"]
