"""Recommend without a stored user: anonymous sessions, given lists, similar items, popular items."""

from __future__ import annotations

import numpy as np
import pytest
from domain_doubles import NOW_MS, crown
from domain_shop import ALL, GivenVectors, Shop, names, popular_shop

from core.catalogue.filters import filter_in
from core.catalogue.items import Item
from core.errors import NotFound
from core.manage import remove_item
from core.recommendation.requests import RecommendationRequest, SessionEvent

# --- anonymous sessions


def session(*ids: str) -> list[SessionEvent]:
    return [SessionEvent(item_id, NOW_MS + 1000 * second) for second, item_id in enumerate(ids)]


def test_session_is_ranked_by_its_last_event_and_not_stored() -> None:
    shop = Shop()
    answer = shop.recommender.recommend_session(session("b", "d")[::-1], RecommendationRequest(n=20))
    assert names(answer) == ["e", "f", "a", "c"]
    assert (answer.source, answer.reason, answer.gap_ms) == ("model", "ranked by the session", 99_000)
    with shop.store.read() as read:
        assert read.totals().users == 0


def test_a_session_may_ask_for_what_it_had_again() -> None:
    assert names(Shop().recommender.recommend_session(session("b"), ALL))[-1] == "b"


def test_unknown_items_of_a_session_are_not_stored() -> None:
    shop = Shop()
    answer = shop.recommender.recommend_session(session("b", "unknown"), RecommendationRequest(n=20))
    assert names(answer) == ["a", "c", "d", "e", "f"]
    with shop.store.read() as read:
        assert read.items.by_id(["unknown"]) == {}


def test_a_long_session_is_cut_as_a_history_is() -> None:
    shop = Shop()
    shop.recommender.recommend_session(session(*"abcdef"), ALL)
    assert len(shop.bundle.encoders[-1].encoded[0]) == 4  # six events, W = 3, S = 2


def test_session_without_events_or_model_gets_popular_items() -> None:
    empty = popular_shop().recommender.recommend_session([], ALL)
    early = popular_shop(model=False).recommender.recommend_session(session("d"), RecommendationRequest(n=1))
    assert (empty.reason, names(empty)[0]) == ("the session is empty", "d")
    assert (early.reason, names(early)) == ("no model serves yet", ["b"])


# --- given lists


def test_list_is_ranked_and_excluded_items_are_named() -> None:
    shop = Shop()
    shop.had("b")
    shop.had("stub", user_id="bob")
    remove_item(shop.store, "e", clock=shop.clock)
    answer = shop.recommender.rank("ann", ["a", "unknown", "d", "e", "stub", "c", "a"])
    assert names(answer) == ["c", "d", "a"]
    assert answer.excluded == {"unknown": "unknown", "e": "removed from the catalogue", "stub": "not in the catalogue"}
    assert (answer.source, answer.user_seq, answer.gap_ms) == ("model", 1, 100_000)


def test_seen_items_of_a_given_list_are_ranked_as_well() -> None:
    shop = Shop()
    shop.had("b")
    assert names(shop.recommender.rank("ann", ["b", "a"], at_ms=NOW_MS)) == ["a", "b"]


def test_list_of_an_unknown_user_is_ranked_by_popularity() -> None:
    answer = popular_shop().recommender.rank("ann", ["a", "c", "b", "d"])
    assert (names(answer), answer.reason) == (["d", "b", "a", "c"], "the user is unknown")
    assert answer.items[-1].score is None


def test_item_newer_than_the_snapshot_is_excluded_from_a_list() -> None:
    shop = Shop()
    shop.had("b")
    shop.catalogue(Item("new"))
    assert shop.recommender.rank("ann", ["new", "c"]).excluded == {"new": "changed a moment ago"}


def test_a_list_without_any_known_item_gives_an_empty_answer() -> None:
    shop = Shop()
    shop.had("b")
    answer = shop.recommender.rank("ann", ["x", "y", "x"])
    assert (answer.items, list(answer.excluded)) == ((), ["x", "y"])


# --- similar, popular and new


def test_similarity_is_the_cosine_of_item_vectors() -> None:
    shop = Shop()
    vectors = np.array([[1, 0], [0, 3], [9, 1], [1, 9], [2, 0], [0, 1]], np.float32)
    shop.bundle = GivenVectors("v2", vectors)
    crown(shop.store, "v2", created_ms=NOW_MS + 1)
    shop.snapshots.refresh()
    answer = shop.recommender.similar("a", RecommendationRequest(n=2))
    assert names(answer) == ["e", "c"]
    assert (answer.source, answer.model_version) == ("similarity", "v2")
    assert [item.score for item in answer.items] == pytest.approx([1.0, 9 / np.sqrt(82)])


def test_item_is_not_similar_to_itself_and_filters_apply() -> None:
    shop = Shop()
    item_ids = names(shop.recommender.similar("e", RecommendationRequest(n=20, category="late", exclude=["d"])))
    assert item_ids == ["f"]


def test_an_unknown_item_has_no_similar_ones() -> None:
    with pytest.raises(NotFound, match="item 'x' is not known; add it to the catalogue first"):
        Shop().recommender.similar("x", ALL)


def test_similar_without_a_model_returns_popular_items_of_the_category() -> None:
    answer = popular_shop(model=False).recommender.similar("e", ALL)
    assert (names(answer), answer.source, answer.reason) == (["d", "f"], "popularity", "no model serves yet")


def test_similar_of_an_item_newer_than_the_snapshot_is_popularity() -> None:
    shop = popular_shop()
    shop.catalogue(Item("new", categories=("early", "no such")))
    answer = shop.recommender.similar("new", ALL)
    assert (names(answer), answer.reason) == (["b", "c", "a"], "the item is not indexed yet")


def test_popular_can_be_asked_by_category_and_time() -> None:
    answer = popular_shop().recommender.popular(RecommendationRequest(n=2, category="early", at_ms=NOW_MS + 5))
    assert (names(answer), answer.now_ms, answer.reason) == (["b", "c"], NOW_MS + 5, "time-decayed popularity")


def test_latest_items_are_ordered_by_first_seen_time() -> None:
    shop = popular_shop()
    shop.clock.advance(by_ms=1)
    shop.catalogue(Item("new", categories=("early",)))
    shop.had("older", at_s=-60)  # an event names it before the catalogue does
    shop.catalogue(Item("older"), Item("a"))
    shop.snapshots.refresh()
    answer = shop.recommender.latest(ALL)
    assert names(answer) == ["new", "f", "e", "d", "c", "b", "a", "older"]
    assert (answer.source, answer.reason) == ("latest", "the newest items of the catalogue")
    assert {item.score for item in answer.items} == {None}
    assert names(shop.recommender.latest(RecommendationRequest(n=2, category="early", exclude=["c"]))) == ["new", "b"]


# --- attributes


def test_a_wish_for_attributes_narrows_every_answer() -> None:
    shop = Shop()
    shop.catalogue(*(Item(name, attributes={"brand": "acme", "price": ord(name)}) for name in "bdf"))
    shop.catalogue(Item("c", attributes={"brand": "nord"}))
    shop.had("a")
    shop.snapshots.refresh()
    acme, cheap = (
        RecommendationRequest(where=filter_in(["brand:acme"])),
        RecommendationRequest(where=filter_in(["brand:acme", "price:..100"])),
    )
    assert names(shop.recommender.recommend("ann", acme)) == ["b", "d", "f"]
    assert names(shop.recommender.recommend("ann", cheap)) == ["b", "d"]
    assert names(shop.recommender.recommend_session(session("c"), acme)) == ["d", "f", "b"]
    assert sorted(names(shop.recommender.similar("b", acme))) == ["d", "f"]
    assert sorted(names(shop.recommender.popular(acme))) == ["b", "d", "f"]
    assert names(shop.recommender.latest(RecommendationRequest(where=filter_in(["brand:acme", "brand:nord"])))) == list(
        "fdcb"
    )
    assert names(shop.recommender.popular(RecommendationRequest(where=filter_in(["brand:acme", "colour:red"])))) == []
