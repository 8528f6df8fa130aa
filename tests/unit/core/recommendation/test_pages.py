"""Pages: a list is decided by its first answer; later pages leave out what may not be shown any more."""

from __future__ import annotations

from itertools import chain
from typing import Any

import pytest
from domain_shop import Shop, names

from core.catalogue.items import Item
from core.manage import remove_item
from core.recommendation.requests import RecommendationRequest, RecommendationResult
from core.scenarios.definition import parse_scenario


def first(shop: Shop, n: int = 2, definition: dict[str, Any] | None = None, **options: Any) -> RecommendationResult:
    scenario = None if definition is None else parse_scenario(definition, name="home")
    request = RecommendationRequest(n=n, pages_of="ann's list", scenario=scenario, **options)
    return shop.recommender.recommend("ann", request)


def following(shop: Shop, answer: RecommendationResult, n: int = 2) -> RecommendationResult:
    assert answer.rest is not None
    return shop.recommender.next_page(answer.rest, n, user_id="ann")


def pages(shop: Shop, answer: RecommendationResult, n: int = 2) -> list[list[str]]:
    """The items of an answer and of all pages that follow it."""
    listed = [names(answer)]
    while answer.rest is not None:
        answer = following(shop, answer, n)
        listed.append(names(answer))
    return listed


@pytest.fixture
def shop() -> Shop:
    shop = Shop()
    shop.had("b")
    return shop


def test_the_pages_are_the_list_that_one_answer_would_have(shop: Shop) -> None:
    assert pages(shop, first(shop)) == [["c", "d"], ["e", "f"], ["a"]]
    assert pages(shop, first(shop, n=5)) == [["c", "d", "e", "f", "a"]]
    assert shop.recommender.recommend("ann", RecommendationRequest(n=2)).rest is None, "not asked for"


def test_what_the_user_does_changes_no_page_but_removes_what_they_had(shop: Shop) -> None:
    answer = first(shop)
    shop.had("f", 1)
    shop.had("c", 2)
    assert shop.for_ann(RecommendationRequest(n=1)) == ["d"], "a new list is another one"
    assert pages(shop, answer) == [["c", "d"], ["e", "a"]]
    included = first(shop, exclude_seen=False)
    assert sorted(chain(*pages(shop, included))) == list("abcdef")


def test_an_item_that_is_removed_or_hidden_meanwhile_is_on_no_page(shop: Shop) -> None:
    answer = first(shop)
    remove_item(shop.store, "e", clock=shop.clock)
    assert pages(shop, answer) == [["c", "d"], ["f", "a"]]
    shop.catalogue(Item("f", hidden=True))
    shop.snapshots.refresh()
    assert pages(shop, answer) == [["c", "d"], ["a"]]


def test_a_later_page_says_what_the_first_one_said(shop: Shop) -> None:
    answer = first(shop, definition={"pins": [{"position": 4, "item_id": "a"}]})
    page = following(shop, answer)
    assert names(page) == ["e", "a"]
    assert [item.reason.kind if item.reason else None for item in page.items] == [None, "pin"]
    assert (page.source, page.model_version, page.scenario) == ("model", "v1", "home")
    assert page.user_seq == 1
    assert page.recommendation_id != answer.recommendation_id


def test_caps_hold_on_each_page(shop: Shop) -> None:
    definition = {"diversity": {"at_most": {"categories": 1}}, "fallback": "none"}
    assert pages(shop, first(shop, definition=definition)) == [["c", "d"], ["e", "a"], ["f"]]


def test_an_explored_list_repeats_nothing_and_keeps_its_propensities(shop: Shop) -> None:
    for _ in range(20):
        answer = first(shop, definition={"exploration": {"share": 0.5}})
        assert answer.rest is not None
        shown = [item.propensity for item in following(shop, answer).items]
        assert shown == answer.rest.propensities[:2].tolist()
        listed = list(chain(*pages(shop, answer)))
        assert sorted(listed) == ["a", "c", "d", "e", "f"]


def test_lists_without_a_user_have_pages_too(shop: Shop) -> None:
    request = RecommendationRequest(n=4, pages_of="the newest")
    answer = shop.recommender.latest(request)
    assert answer.rest is not None
    page = shop.recommender.next_page(answer.rest, 4)
    assert (names(answer), names(page), page.rest) == (["f", "e", "d", "c"], ["b", "a"], None)
