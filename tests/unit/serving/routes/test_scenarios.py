"""Scenarios over HTTP: a change serves at once, requests add to a scenario, and a preview stores nothing."""

from __future__ import annotations

from typing import Any

import pytest
from serving_doubles import NOW_MS, Api, Shop, click

from core.errors import StoreUnavailable
from core.scenarios.current import CurrentScenarios
from core.scenarios.manage import save_scenario
from core.users.segments import save_segment
from serving.app import create_app
from serving.http.security import Scope, required_scope


@pytest.fixture
def api(api: Api) -> Api:
    click(api, "ann", "a")
    return api


def put(api: Api, name: str, definition: dict[str, Any], author: str = "eve") -> dict[str, Any]:
    reply = api.put(f"/v1/scenarios/{name}?author={author}", json=definition)
    assert reply.status_code == 200, reply.text
    answer: dict[str, Any] = reply.json()
    return answer


def item_ids(api: Api, path: str) -> list[str]:
    reply = api.get(path)
    assert reply.status_code == 200, reply.text
    return [item["item_id"] for item in reply.json()["items"]]


def test_a_stored_scenario_serves_on_every_route_that_recommends(api: Api) -> None:
    put(api, "even", {"where": {"categories": "even"}, "n": 2})
    assert item_ids(api, "/v1/users/ann/recommendations?scenario=even") == ["b", "d"]
    assert item_ids(api, "/v1/items/latest?scenario=even") == ["f", "d"]
    assert item_ids(api, "/v1/items/popular?scenario=even") == ["f", "d"]
    assert item_ids(api, "/v1/items/b/similar?scenario=even") == ["d", "f"]
    assert item_ids(api, "/v1/items/trending?scenario=even") == ["f", "d"], "nothing gains: the fallback"
    session = {"events": [{"item_id": "c"}], "scenario": "even"}
    answer = api.post("/v1/recommendations", json=session).json()
    assert ([item["item_id"] for item in answer["items"]], answer["scenario"]) == (["d", "f"], "even")
    (of_ann,) = api.post("/v1/recommendations", json={"users": ["ann"], "scenario": "even"}).json()["users"]
    assert [item["item_id"] for item in of_ann["items"]] == ["b", "d"]


def test_what_the_request_says_wins_or_adds(api: Api) -> None:
    put(api, "even", {"where": {"categories": "even"}, "n": 2, "seen": "include"})
    click(api, "bob", "b")
    user = "/v1/users/bob/recommendations?scenario=even"
    assert item_ids(api, user) == ["d", "f"]
    assert item_ids(api, f"{user}&n=3") == ["d", "f", "b"]
    assert item_ids(api, f"{user}&n=3&seen=exclude&exclude=f") == ["d"]


def test_an_unknown_scenario_is_an_error_that_names_the_known(api: Api) -> None:
    put(api, "home", {})
    reply = api.get("/v1/users/ann/recommendations?scenario=hom")
    assert (reply.status_code, reply.json()["error"]["field"]) == (422, "scenario")
    assert "known are home" in reply.json()["error"]["message"]


def test_a_wrong_definition_is_refused_with_its_field(api: Api) -> None:
    for definition, field in (({"boosts": [{"factor": 2}]}, "boosts[0].where"), ({"colour": 1}, "colour")):
        reply = api.put("/v1/scenarios/home", json=definition)
        assert (reply.status_code, reply.json()["error"]["field"]) == (422, field)
    assert api.put("/v1/scenarios/Home", json={}).json()["error"]["field"] == "name"
    assert api.get("/v1/scenarios").json() == {"scenarios": []}


def test_a_change_is_listed_and_taken_back(api: Api) -> None:
    put(api, "home", {"n": 1})
    put(api, "home", {"n": 2}, author="bob")
    assert api.post("/v1/scenarios/home/revert?author=eve", json={"revision": 1}).json()["revision"] == 3
    assert len(item_ids(api, "/v1/users/ann/recommendations?scenario=home")) == 1
    changes = api.get("/v1/scenarios/home/revisions").json()["revisions"]
    assert [(change["revision"], change["author"], change["definition"]) for change in changes] == [
        (3, "eve", {"n": 1}),
        (2, "bob", {"n": 2}),
        (1, "eve", {"n": 1}),
    ]
    assert {change["time"] for change in changes} == {NOW_MS}


def test_what_is_not_stored_is_not_found(api: Api) -> None:
    for reply in (
        api.get("/v1/scenarios/home"),
        api.delete("/v1/scenarios/home"),
        api.get("/v1/scenarios/home/revisions"),
        api.post("/v1/scenarios/home/revert", json={"revision": 1}),
    ):
        assert (reply.status_code, reply.json()["error"]["code"]) == (404, "not_found")
    assert api.post("/v1/scenarios/home/revert", json={"revision": "1"}).json()["error"]["field"] == "revision"


def test_a_stored_scenario_hides_that_of_the_settings_until_it_is_deleted(shop: Shop) -> None:
    scenarios = CurrentScenarios(shop.store, settings={"home": {"n": 1}})
    with Api(create_app(shop.with_services(scenarios=scenarios))) as api:
        assert api.get("/v1/scenarios/home").json()["origin"] == "settings"
        assert api.delete("/v1/scenarios/home").status_code == 404, "only a stored one is deleted here"
        put(api, "home", {"n": 2})
        assert api.get("/v1/scenarios/home").json()["origin"] == "stored"
        api.delete("/v1/scenarios/home")
        assert api.get("/v1/scenarios/home").json()["definition"] == {"n": 1}


def test_what_another_process_has_just_stored_is_known_to_every_request(api: Api, shop: Shop) -> None:
    save_scenario(shop.store, "home", {"n": 1}, author="another process")
    assert len(item_ids(api, "/v1/users/ann/recommendations?scenario=home")) == 1
    save_scenario(shop.store, "cart", {"n": 2}, author="another process")
    save_segment(shop.store, "vip", {"where": {"country": "de"}}, author="another process")
    body = {"user_id": "ann", "events": [{"item_id": "a"}], "scenario": "cart", "where": {"user.segment": "vip"}}
    assert api.post("/v1/recommendations", json=body).status_code == 200
    save_scenario(shop.store, "cart", {"n": 3}, author="another process")
    assert api.get("/v1/scenarios/cart").json()["definition"] == {"n": 3}
    assert [entry["name"] for entry in api.get("/v1/scenarios").json()["scenarios"]] == ["cart", "home"]
    assert api.get("/v1/segments/vip").status_code == 200
    assert api.get("/v1/users/ann/recommendations?scenario=none").status_code == 422


def test_without_the_database_known_scenarios_are_listed(api: Api, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    put(api, "home", {"n": 1})
    monkeypatch.setattr(shop.services.scenarios, "follow", unavailable)
    assert api.get("/v1/scenarios/home").status_code == 200
    assert api.get("/v1/users/ann/recommendations?scenario=none").status_code == 422


def unavailable() -> bool:
    raise StoreUnavailable("the database is away")


def test_a_preview_answers_side_by_side_and_stores_nothing(api: Api) -> None:
    put(api, "home", {"n": 1})
    body = {"user_id": "ann", "definition": {"n": 2, "pins": [{"position": 1, "item_id": "f"}]}}
    plain = api.post("/v1/scenarios/preview", json=body).json()
    assert [len(plain[name]["items"]) for name in ("current", "proposed")] == [5, 2]
    both = api.post("/v1/scenarios/preview", json=body | {"scenario": "home"}).json()
    assert [item["item_id"] for item in both["current"]["items"]] == ["b"]
    assert [item["item_id"] for item in both["proposed"]["items"]] == ["f", "b"]
    assert [entry["name"] for entry in api.get("/v1/scenarios").json()["scenarios"]] == ["home"]
    assert api.post("/v1/scenarios/preview", json={"user_id": "ann"}).json()["error"]["field"] == "definition"


def test_a_preview_needs_a_reading_key_a_change_that_of_an_administrator() -> None:
    assert required_scope("POST", "/v1/scenarios/preview") == Scope.READ
    assert required_scope("GET", "/v1/scenarios/home") == Scope.READ
    for method, path in (("PUT", "/v1/scenarios/home"), ("POST", "/v1/scenarios/home/revert")):
        assert required_scope(method, path) == Scope.ADMIN
