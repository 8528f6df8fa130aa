"""Search in the catalogue, and what became of items, over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from serving_doubles import NOW_MS, Api, Shop, click

from core.clock import DAY_MS
from serving.app import create_app


@pytest.fixture
def shown() -> Iterator[Api]:
    """Item a was shown five times and clicked twice, item b shown once and clicked once."""
    shop = Shop()
    with Api(create_app(shop.services)) as api:
        for number in range(5):
            answer = api.post(f"/v1/users/u{number}/rank", json={"item_ids": ["a"]}).json()
            if number < 2:
                click_answer(api, f"u{number}", "a", answer)
        click_answer(api, "ann", "b", api.post("/v1/users/ann/rank", json={"item_ids": ["b"]}).json())
        shop.answers.flush()
        yield api


def click_answer(api: Api, user_id: str, item_id: str, answer: dict[str, Any]) -> None:
    event = {"user_id": user_id, "item_id": item_id, "type": "click", "time": NOW_MS}
    api.post("/v1/interactions", json=event | {"recommendation_id": answer["recommendation_id"]})


def test_search_finds_catalogue_items_by_words_hidden_ones_included(api: Api) -> None:
    click(api, "ann", "item stub")
    api.put("/v1/items/b", json={"title": "Item b", "hidden": True})
    results = api.get("/v1/items/search", params={"query": "ITEM", "n": 3}).json()
    assert [item["item_id"] for item in results["items"]] == ["a", "b", "c"]
    assert [item["hidden"] for item in results["items"]] == [False, True, False]
    next_page = api.get("/v1/items/search", params={"query": "ITEM", "n": 3, "offset": results["next_offset"]}).json()
    assert [item["item_id"] for item in next_page["items"]] == ["d", "e", "f"]
    assert next_page["next_offset"] is None
    assert api.get("/v1/items/search?offset=-1").json()["error"]["field"] == "offset"
    assert api.get("/v1/items/search", params={"category": "even"}).json()["matching"] == 2
    assert [item["item_id"] for item in api.get("/v1/items/search?hidden=only").json()["items"]] == ["b"]
    assert api.get("/v1/items/search?hidden=no").json()["error"]["field"] == "hidden"
    assert api.get("/v1/items/search", params={"query": "x" * 201}).status_code == 422


def test_items_found_say_what_became_of_them(shown: Api) -> None:
    items = shown.get("/v1/items/search", params={"since": NOW_MS}).json()["items"]
    statistics = {item["item_id"]: item["statistics"] for item in items}
    numbers = {name: (one["events"], one["impressions"], one["clicks"]) for name, one in statistics.items()}
    assert (numbers["a"], numbers["b"]) == ((2, 5, 2), (1, 1, 1))
    assert statistics["a"]["ctr"]["value"] == 0.4
    assert numbers["c"] == (0, 0, 0)
    assert statistics["c"]["ctr"] is None
    assert "statistics" not in shown.get("/v1/items/search").json()["items"][0]


@pytest.mark.parametrize(("order", "first"), [("events", "a"), ("impressions", "a"), ("clicks", "a")])
def test_items_are_found_in_the_order_of_a_number(shown: Api, order: str, first: str) -> None:
    assert shown.get("/v1/items/search", params={"sort": order}).json()["items"][0]["item_id"] == first


@pytest.mark.parametrize("order", ["popularity", "events"])
def test_ascending_the_lowest_come_first(shown: Api, order: str) -> None:
    query = {"sort": order, "since": NOW_MS}
    highest_first = shown.get("/v1/items/search", params=query).json()["items"]
    lowest_first = shown.get("/v1/items/search", params={**query, "direction": "ascending"}).json()["items"]
    assert lowest_first[-1] == highest_first[0]
    assert len(lowest_first) == len(highest_first) > 1


def test_the_trend_compares_whole_days_with_those_before(api: Api) -> None:
    for day, num in ((1, 15), (2, 10)):
        for number in range(num):
            event = {"user_id": f"u{day}-{number}", "item_id": "c", "type": "click", "time": NOW_MS - day * DAY_MS}
            api.post("/v1/interactions", json=event)
    found = api.get("/v1/items/search", params={"sort": "trend", "since": NOW_MS - DAY_MS}).json()["items"]
    assert [item["statistics"]["trend"] for item in found[:2]] == [0.5, None], "15 events after 10"
    assert found[0]["item_id"] == "c"


def test_an_item_has_its_numbers_by_day(shown: Api) -> None:
    history = shown.get("/v1/items/a/statistics", params={"since": NOW_MS - DAY_MS, "until": NOW_MS}).json()
    assert history["days"] == ["2023-11-13", "2023-11-14"]
    assert history["events"] == {"click": [0, 2]}
    assert (history["impressions"], history["clicks"], history["conversions"]) == ([0, 5], [0, 2], [0, 0])
    assert history["total"]["impressions"] == 5
    assert shown.get("/v1/items/nobody-knows-it/statistics").status_code == 404


@pytest.mark.parametrize(
    ("field", "query"), [("sort", "sort=age"), ("direction", "direction=up"), ("since", f"since=0&until={NOW_MS}")]
)
def test_a_wrong_order_or_too_long_a_period_is_refused(api: Api, field: str, query: str) -> None:
    assert api.get(f"/v1/items/search?{query}").json()["error"]["field"] == field
