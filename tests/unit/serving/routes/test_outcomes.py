"""Outcomes over HTTP: answers are remembered, events are attributed to them, and reports say so."""

from __future__ import annotations

from typing import Any

import pytest
from serving_doubles import NOW_MS, Api, Shop

from serving.app import create_app


@pytest.fixture
def shop() -> Shop:
    return Shop()


def totals(api: Api, shop: Shop, **query: str) -> dict[str, Any]:
    shop.answers.flush()
    reply = api.get("/v1/outcomes", params=query)
    assert reply.status_code == 200, reply.text
    document: dict[str, Any] = reply.json()
    return document


def test_a_click_with_the_id_of_an_answer_counts_for_it(shop: Shop) -> None:
    with Api(create_app(shop.services)) as api:
        answer = api.get("/v1/users/ann/recommendations?n=3").json()
        item_id = answer["items"][1]["item_id"]
        click = {"user_id": "ann", "item_id": item_id, "type": "click", "time": NOW_MS}
        api.post("/v1/interactions", json=click | {"recommendation_id": answer["recommendation_id"]})
        by_position = totals(api, shop, by="position")["rows"]
        total = totals(api, shop)["total"]
    assert [(row["group"], row["impressions"], row["clicks"]) for row in by_position] == [
        (1, 1, 0),
        (2, 1, 1),
        (3, 1, 0),
    ]
    assert (total["answers"], total["impressions"], total["clicks"], total["coverage"]) == (1, 3, 1, 0.5)
    assert total["ctr"]["low"] < total["ctr"]["value"] < total["ctr"]["high"]


def test_users_are_counted_where_they_are_asked_for(shop: Shop) -> None:
    with Api(create_app(shop.services)) as api:
        for user_id in ("ann", "ann", "bob"):
            api.get(f"/v1/users/{user_id}/recommendations?n=3")
        document = totals(api, shop, per="user")
        plain = totals(api, shop)
    assert [(row["group"], row["answers"], row["users"]) for row in document["rows"]] == [("", 3, 2)]
    assert (document["total"]["users"], document["total"]["revenue_per_user"]) == (2, None)
    assert plain["total"]["users"] is None


def test_lists_count_under_their_names(shop: Shop) -> None:
    with Api(create_app(shop.services)) as api:
        api.get("/v1/users/ann/recommendations")
        api.post("/v1/recommendations", json={"events": [{"item_id": "a"}]})
        api.post("/v1/recommendations", json={"users": ["ann", "bob"]})
        api.post("/v1/users/ann/rank", json={"item_ids": ["a", "b"]})
        for name in ("a/similar", "popular", "latest"):
            api.get(f"/v1/items/{name}")
        rows = totals(api, shop)["rows"]
    assert {row["group"]: row["answers"] for row in rows} == {
        "": 4,
        "rank": 1,
        "similar": 1,
        "popular": 1,
        "latest": 1,
    }


def test_answers_of_another_time_or_with_record_false_are_not_remembered(shop: Shop) -> None:
    with Api(create_app(shop.services)) as api:
        api.get(f"/v1/users/ann/recommendations?at={NOW_MS}")
        api.get("/v1/users/ann/recommendations?record=false")
        api.post("/v1/recommendations", json={"record": False})
        assert totals(api, shop)["total"]["answers"] == 0
        assert api.get("/v1/users/ann/recommendations?record=no").json()["error"]["field"] == "record"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("by=colour", "by"),
        ("per=session", "per"),
        ("since=yesterday", "since"),
        ("since=2023-11-14&until=2023-11-13", "since"),
        ("days=3", "days"),
    ],
)
def test_bad_parameters_are_named(shop: Shop, query: str, field: str) -> None:
    with Api(create_app(shop.services)) as api:
        reply = api.get(f"/v1/outcomes?{query}")
    assert (reply.status_code, reply.json()["error"]["field"]) == (422, field)
