"""The catalogue over HTTP: the next answer knows each change; categories."""

from __future__ import annotations

from typing import Any

import pytest
from serving_doubles import Api, Shop

from serving.app import create_app


def recommended(api: Api) -> list[str]:
    return [item["item_id"] for item in api.get("/v1/users/stranger/recommendations").json()["items"]]


def test_a_put_item_is_stored_and_recommended(api: Api) -> None:
    item = {"title": "Tent", "text": "For two.", "categories": ["camping"], "attributes": {"price": 99.5}}
    saved = api.put("/v1/items/tent", json=item).json()
    stored = api.get("/v1/items/tent").json()
    assert saved == {"item_id": "tent", "status": "accepted", "revision": 2}
    assert item.items() <= stored.items()
    assert recommended(api)[0] == "tent"


def test_the_id_in_the_body_must_equal_the_path(api: Api) -> None:
    assert api.put("/v1/items/a", json={"item_id": "a"}).status_code == 200
    reply = api.put("/v1/items/a", json={"item_id": "b"})
    assert reply.status_code == 422
    assert "the path says 'a', the body 'b'" in reply.json()["error"]["message"]


def test_a_hidden_item_is_excluded_before_any_refresh(shop: Shop) -> None:
    with Api(create_app(shop.with_services(items_changed=lambda: None))) as api:
        api.put("/v1/items/a", json={"hidden": True})
        assert recommended(api) == list("fedcb")


def test_a_patch_hides_an_item_and_keeps_its_content(api: Api) -> None:
    before = api.get("/v1/items/a").json()
    saved = api.patch("/v1/items/a", json={"hidden": True}).json()
    assert saved == {"item_id": "a", "status": "accepted", "revision": 2}
    assert "a" not in recommended(api)
    assert api.get("/v1/items/a").json() == before | {"hidden": True, "revision": 2}


def test_limits_and_stock_exclude_an_item_and_say_why(api: Api) -> None:
    api.put("/v1/items/a", json={"available_until": "2023-01-01T00:00:00Z"})
    api.patch("/v1/items/b", json={"stock": 0})
    bad = api.patch("/v1/items/c", json={"stock": "few"})
    ranked = api.post("/v1/users/u/rank", json={"item_ids": ["a", "b", "c"]}).json()
    assert recommended(api) == list("fedc")
    assert api.get("/v1/items/a").json()["available_until"] == 1_672_531_200_000
    assert (bad.status_code, bad.json()["error"]["field"]) == (422, "stock")
    assert ranked["excluded_because"] == {"a": "was available until 2023-01-01 00:00:00 UTC", "b": "out of stock"}
    api.patch("/v1/items/b", json={"stock": None})
    assert "b" in recommended(api)


def test_a_patch_of_an_item_outside_the_catalogue_is_404(api: Api) -> None:
    api.post("/v1/interactions", json={"user_id": "u", "item_id": "stub"})
    for item_id in ("stub", "unknown"):
        assert api.patch(f"/v1/items/{item_id}", json={"hidden": True}).status_code == 404


def test_bulk_patches_have_one_result_each(api: Api) -> None:
    batch = [{"item_id": "a", "hidden": True}, {"item_id": "z", "title": "?"}, {"item_id": "b", "hidden": "no"}]
    body = api.patch("/v1/items", json={"items": batch}).json()
    assert [result["status"] for result in body["results"]] == ["accepted", "rejected", "rejected"]
    assert [body["results"][index]["error"]["code"] for index in (1, 2)] == ["not_found", "invalid_input"]
    assert (body["revision"], body["accepted"], body["rejected"]) == (2, 1, 2)


def test_a_wrong_method_names_patch(api: Api) -> None:
    reply = api.post("/v1/items/a", json={})
    assert reply.status_code == 405
    assert reply.json()["error"]["message"] == "POST is not possible here; use DELETE, GET, PATCH, PUT"


def test_a_removed_item_is_in_neither_answers_nor_the_catalogue(api: Api) -> None:
    assert api.delete("/v1/items/a").json() == {"item_id": "a", "status": "removed"}
    assert "a" not in recommended(api)
    assert api.get("/v1/items/a").status_code == 404
    assert api.delete("/v1/items/a").status_code == 404


def test_an_item_known_from_events_only_is_not_in_the_catalogue(api: Api) -> None:
    api.post("/v1/interactions", json={"user_id": "u", "item_id": "stub"})
    reply = api.get("/v1/items/stub")
    assert reply.status_code == 404
    assert "only events have named it" in reply.json()["error"]["message"]


def test_bulk_items_have_one_result_each(api: Api) -> None:
    batch = [{"item_id": "x"}, {"item_id": ""}, {"item_id": "y", "colour": "red"}, "z"]
    body = api.post("/v1/items", json={"items": batch}).json()
    assert [result["status"] for result in body["results"]] == ["accepted", "rejected", "rejected", "rejected"]
    assert (body["accepted"], body["rejected"]) == (1, 3)
    assert body["results"][2]["error"]["field"] == "colour"


def test_bulk_items_without_a_valid_one_are_422(api: Api) -> None:
    reply = api.post("/v1/items", json={"items": [{"item_id": ""}, {}]})
    assert reply.status_code == 422
    assert len(reply.json()["error"]["details"]) == 2


BAD_ITEMS = {
    "no id": ({}, "item_id"),
    "a title of another type": ({"item_id": "x", "title": 7}, "title"),
    "a text of a megabyte": ({"item_id": "x", "text": "x" * 2**20}, "text"),
    "categories as text": ({"item_id": "x", "categories": "camping"}, "categories"),
    "attributes that nest": ({"item_id": "x", "attributes": {"size": {}}}, "attributes.size"),
    "hidden as text": ({"item_id": "x", "hidden": "no"}, "hidden"),
}


@pytest.mark.parametrize(("item", "field"), BAD_ITEMS.values(), ids=BAD_ITEMS.keys())
def test_an_invalid_item_is_422_with_the_field(api: Api, item: dict[str, Any], field: str) -> None:
    reply = api.post("/v1/items", json=item)
    assert (reply.status_code, reply.json()["error"]["field"]) == (422, field)


def test_a_put_without_an_object_is_422(api: Api) -> None:
    assert api.put("/v1/items/a", json=["a"]).status_code == 422


def test_catalogue_pages_contain_each_item_once(api: Api) -> None:
    seen: list[str] = []
    after: str | None = ""
    while after is not None:
        page = api.get("/v1/items", params={"after": after, "limit": 4}).json()
        seen += [item["item_id"] for item in page["items"]]
        after = page["next_after"]
    assert seen == list("abcdef")


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=all", "page=2"])
def test_an_invalid_page_is_422(api: Api, query: str) -> None:
    assert api.get(f"/v1/items?{query}").status_code == 422


def test_an_item_named_like_a_route_is_reached_by_encoding_a_letter(api: Api) -> None:
    api.put("/v1/items/popular", json={"title": "A book called Popular"})
    api.put("/v1/items/a%2Fsimilar", json={"title": "A slash"})
    assert "items" in api.get("/v1/items/popular").json()
    assert api.get("/v1/items/%70opular").json()["title"] == "A book called Popular"
    assert api.get("/v1/items/a%2Fsimilar").json()["title"] == "A slash"


def test_categories_count_their_visible_items(api: Api) -> None:
    api.put("/v1/items/b", json={"categories": ["even"], "hidden": True})
    listed = api.get("/v1/categories").json()["categories"]
    assert listed == [{"category": "even", "items": 2}, {"category": "odd", "items": 3}]
