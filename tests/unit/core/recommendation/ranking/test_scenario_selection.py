"""Answers under scenarios: what is allowed, in which order, and why each item stands where it does.

The model is of axis vectors: after an item the items behind it score highest, in catalogue order, round the end.
"""

from __future__ import annotations

import math
from typing import Any

import pytest
from domain_doubles import NOW_MS
from domain_shop import Shop, names, popular_shop
from hypothesis import given
from hypothesis import strategies as st

from core.catalogue.items import Item
from core.manage import remove_item
from core.recommendation.requests import RecommendationRequest, RecommendationResult, SessionEvent
from core.scenarios.definition import parse_scenario

DAY_MS = 86_400_000


def request(definition: dict[str, Any], n: int = 10, **options: Any) -> RecommendationRequest:
    return RecommendationRequest(n=n, scenario=parse_scenario(definition, name="home"), **options)


def answer(shop: Shop, definition: dict[str, Any], n: int = 10, **options: Any) -> RecommendationResult:
    return shop.recommender.recommend("ann", request(definition, n, **options))


def reasons(result: RecommendationResult) -> list[str | None]:
    return [item.reason.kind if item.reason else None for item in result.items]


def shop_after(item_id: str) -> Shop:
    shop = Shop()
    shop.had(item_id)
    return shop


def test_an_answer_names_its_scenario_and_items_are_shown_for_certain() -> None:
    result = answer(shop_after("b"), {})
    assert (result.scenario, names(result)) == ("home", ["c", "d", "e", "f", "a"])
    assert {item.propensity for item in result.items} == {1.0}
    assert answer(shop_after("b"), {}).source == "model"


def test_filters_of_scenario_and_request_both_hold() -> None:
    shop = shop_after("b")
    late = {"where": {"categories": "late"}, "fallback": "none"}
    assert names(answer(shop, late)) == ["d", "e", "f"]
    assert names(answer(shop, late, exclude=["e"])) == ["d", "f"]
    assert names(answer(shop, late, category="early")) == []
    assert names(shop.recommender.popular(request(late))) == ["f", "e", "d"]
    assert names(shop.recommender.latest(request(late))) == ["f", "e", "d"]
    assert names(shop.recommender.similar("d", request(late))) == ["e", "f"]
    assert names(shop.recommender.recommend_session([SessionEvent("c", NOW_MS)], request(late))) == ["d", "e", "f"]


def test_a_boost_adds_its_logarithm_to_the_scores_of_a_model() -> None:
    shop = shop_after("b")
    plain, boosted = (
        {item.item_id: item.score for item in answer(shop, {"boosts": boosts}).items if item.score is not None}
        for boosts in ([], [{"where": {"categories": "late"}, "factor": math.e}])
    )
    assert {name: boosted[name] - score for name, score in plain.items()} == pytest.approx(
        {"a": 0, "c": 0, "d": 1, "e": 1, "f": 1}
    )


def test_a_boost_multiplies_the_counts_of_popularity_and_is_a_reason() -> None:
    shop = popular_shop()  # d has two events, b has one
    by_three, by_less_than_two = ({"boosts": [{"where": {"item_id": "b"}, "factor": by}]} for by in (3, 1.9))
    assert names(shop.recommender.popular(request(by_three, n=2))) == ["b", "d"]
    assert names(shop.recommender.popular(request(by_less_than_two, n=2))) == ["d", "b"]
    best = shop.recommender.popular(request(by_three, n=1))
    assert (names(best), reasons(best)) == (["b"], ["boost"])


def test_a_strong_boost_is_a_reason_although_it_leaves_no_other_candidate() -> None:
    shop = Shop(items=tuple(f"{half}{number:02}" for half in "az" for number in range(40)), model=False)
    for number in range(40):
        shop.had(f"z{number:02}", user_id="x")
        for user_id in "xy":
            shop.had(f"a{number:02}", user_id=user_id)
    shop.snapshots.refresh()
    lifted = shop.recommender.popular(request({"boosts": [{"where": {"categories": "late"}, "factor": 1000}]}, n=2))
    assert [name[0] for name in names(lifted)] == ["z", "z"]
    assert reasons(lifted) == ["boost", "boost"]


def test_items_created_after_now_are_not_new() -> None:
    """An old log is replayed: its catalogue was imported after the time that its events are at."""
    shop, recent = popular_shop(), {"max_age_days": 30, "fallback": "none"}
    assert len(names(shop.recommender.popular(request(recent)))) == 6
    shop.clock.advance(by_ms=-DAY_MS)
    assert names(shop.recommender.popular(request(recent))) == []


def test_pins_stand_first_and_may_break_the_filter_of_the_scenario() -> None:
    shop = shop_after("b")
    pins = [{"position": 1, "item_id": "a"}, {"position": 3, "where": {"categories": "early"}}]
    result = answer(shop, {"where": {"categories": "late"}, "pins": pins}, n=4)
    assert names(result) == ["a", "d", "c", "e"]
    assert reasons(result) == ["pin", None, "pin", None]


def test_a_pin_shows_nothing_that_the_user_should_not_see() -> None:
    shop = shop_after("b")
    pinned = {"pins": [{"position": 1, "item_id": "f"}, {"position": 2, "item_id": "b"}]}
    assert names(answer(shop, pinned, n=2)) == ["f", "c"], "b was seen"
    assert names(answer(shop, pinned, n=2, exclude=["f"])) == ["c", "d"]
    remove_item(shop.store, "f", clock=shop.clock)
    assert names(answer(shop, pinned, n=1)) == ["c"], "removed a moment ago"


def test_caps_hold_unless_the_fallback_fills_the_answer() -> None:
    shop = shop_after("b")
    capped = {"diversity": {"at_most": {"categories": 1}}}
    short = answer(shop, capped | {"fallback": "none"}, n=4)
    assert names(short) == ["c", "d"]
    filled = answer(shop, capped, n=4)
    assert names(filled) == ["c", "d", "f", "e"]
    assert reasons(filled) == [None, None, "fallback", "fallback"]
    assert names(answer(shop, capped | {"fallback": "latest"}, n=5)) == ["c", "d", "f", "e", "a"]


def test_old_items_are_answers_only_of_the_fallback() -> None:
    shop = Shop()
    shop.clock.advance(by_ms=10 * DAY_MS)
    shop.catalogue(Item("new"))
    shop.had("b")
    shop.snapshots.refresh()
    assert names(answer(shop, {"max_age_days": 7, "fallback": "none"})) == ["new"]
    assert names(answer(shop, {"max_age_days": 7}, n=3)) == ["new", "f", "e"]


def test_similar_items_are_spread_by_their_vectors() -> None:
    shop = shop_after("b")  # all vectors of the model are at right angles
    assert names(answer(shop, {"diversity": {"mmr": 0.5}})) == ["c", "d", "e", "f", "a"]


def test_an_answer_explores_with_stated_propensities_and_never_repeats() -> None:
    shop = shop_after("b")
    for _ in range(20):
        result = answer(shop, {"exploration": {"share": 0.5}})
        assert sorted(names(result)) == ["a", "c", "d", "e", "f"]
        assert all(0 < item.propensity <= 1 for item in result.items)
        assert result.items[-1].propensity < 0.5, "one item is left, but it could have come earlier"


ITEMS = st.lists(st.tuples(st.sampled_from("xyz"), st.integers(0, 3)), min_size=1, max_size=12)


@given(items=ITEMS, n=st.integers(1, 12), brand=st.sampled_from("xyz"), factor=st.sampled_from([0.01, 0.5, 4, 100]))
def test_filtered_and_boosted_answers_are_those_of_brute_force(
    items: list[tuple[str, int]], n: int, brand: str, factor: float
) -> None:
    shop = Shop(items=())
    shop.catalogue(
        *(Item(f"i{row:02}", attributes={"brand": name, "size": size}) for row, (name, size) in enumerate(items))
    )
    for row in range(len(items)):
        for number in range(row % 4):
            shop.had(f"i{row:02}", user_id=f"u{number}")
    shop.snapshots.refresh()
    definition = {"where": {"not": {"size": 0}}, "boosts": [{"where": {"brand": brand}, "factor": factor}]}
    result = shop.recommender.popular(request(definition | {"fallback": "none"}, n))
    counts = {f"i{row:02}": (row % 4) * (factor if name == brand else 1) for row, (name, _) in enumerate(items)}
    allowed = [f"i{row:02}" for row, (_, size) in enumerate(items) if size]
    best = sorted(allowed, key=lambda item_id: (-counts[item_id], item_id))[:n]
    assert [counts[item_id] for item_id in names(result)] == pytest.approx([counts[item_id] for item_id in best])
