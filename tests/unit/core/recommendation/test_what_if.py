"""What if: a session taken as a user's next events, answered as if they had happened, and remembered by nobody."""

from __future__ import annotations

from domain_doubles import NOW_MS, history, user
from domain_shop import ALL, Shop, names

from core.recommendation.requests import RecommendationRequest, SessionEvent


def later(*ids: str, at_s: int = 50) -> list[SessionEvent]:
    return [SessionEvent(item_id, NOW_MS + (at_s + second) * 1000) for second, item_id in enumerate(ids)]


def test_what_if_equals_the_result_after_the_events_are_applied() -> None:
    hypothetical, actual = Shop(), Shop()
    for shop in (hypothetical, actual):
        for at_s, item_id in enumerate("abcab"):
            shop.had(item_id, at_s)
    what_if = hypothetical.recommender.recommend_session(later("d"), RecommendationRequest(n=20), user_id="ann")
    actual.had("d", 50)
    result = actual.recommender.recommend("ann", RecommendationRequest(n=20))
    assert [(item.item_id, item.score) for item in what_if.items] == [(i.item_id, i.score) for i in result.items]
    assert (what_if.gap_ms, what_if.now_ms) == (result.gap_ms, result.now_ms)
    read = hypothetical.bundle.encoders[-1].encoded[-1]
    assert read.items.tolist() == user(actual.store).window.history.items.tolist(), "the window slid as it would"


def test_nothing_of_it_is_remembered() -> None:
    shop = Shop()
    shop.had("a")
    answer = shop.recommender.recommend_session(later("b", "c"), ALL, user_id="ann")
    assert (answer.user_seq, history(shop.store)) == (1, ["a"])
    assert answer.reason == "ranked by the user's history and the session"


def test_what_the_user_had_before_stays_left_out() -> None:
    shop = Shop()
    shop.had("c")
    assert names(shop.recommender.recommend_session(later("b"), RecommendationRequest(n=20), user_id="ann")) == [
        "d",
        "e",
        "f",
        "a",
    ]


def test_a_moment_before_the_users_last_event_counts_as_that_moment() -> None:
    shop = Shop()
    shop.had("a", 90)
    answer = shop.recommender.recommend_session(later("b", at_s=10), ALL, user_id="ann")
    assert answer.gap_ms == 10_000
    assert names(answer)[0] == "c"


def test_what_if_of_an_unknown_user_is_an_anonymous_session() -> None:
    answer = Shop().recommender.recommend_session(later("b"), ALL, user_id="stranger")
    assert (answer.reason, answer.user_seq) == ("ranked by the session", None)
