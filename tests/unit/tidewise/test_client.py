"""The client of the public API: each method is one documented request."""

from __future__ import annotations

import json

import httpx

from tidewise.client import Client


def test_an_event_is_undone_by_its_encoded_id() -> None:
    requests: list[tuple[str, str]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append((request.method, request.url.raw_path.decode()))
        return httpx.Response(200, json={"event_id": "a/1", "status": "undone"})

    with Client("http://shop", transport=httpx.MockTransport(answer)) as client:
        assert client.undo("a/1")["status"] == "undone"
    assert requests == [("DELETE", "/v1/interactions/a%2F1")]


def test_users_are_merged_and_answered_together() -> None:
    requests: list[tuple[str, str, object]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append((request.method, request.url.raw_path.decode(), json.loads(request.content)))
        return httpx.Response(200, json={"users": [{"user_id": "ann"}]})

    with Client("http://shop", transport=httpx.MockTransport(answer)) as client:
        client.merge("ann", "guest/1")
        assert client.recommend_all(["ann"], n=3) == [{"user_id": "ann"}]
    assert requests == [
        ("POST", "/v1/users/ann/merge", {"from": "guest/1"}),
        ("POST", "/v1/recommendations", {"users": ["ann"], "n": 3}),
    ]


def test_patches_are_sent_as_merge_patches() -> None:
    requests: list[tuple[str, str, object]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append((request.method, request.url.raw_path.decode(), json.loads(request.content)))
        return httpx.Response(200, json={"status": "accepted"})

    with Client("http://shop", transport=httpx.MockTransport(answer)) as client:
        client.patch_item("a/b", {"hidden": True})
        client.patch_items([{"item_id": "a", "title": None}])
    assert requests == [
        ("PATCH", "/v1/items/a%2Fb", {"hidden": True}),
        ("PATCH", "/v1/items", {"items": [{"item_id": "a", "title": None}]}),
    ]


def test_scenarios_are_changed_previewed_and_named_in_requests() -> None:
    requests: list[tuple[str, str, object]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content) if request.content else None
        requests.append((request.method, request.url.raw_path.decode(), body))
        return httpx.Response(200, json={"revision": 1, "scenarios": [], "revisions": [], "items": []})

    with Client("http://shop", transport=httpx.MockTransport(answer)) as client:
        client.put_scenario("home", {"n": 3}, author="ann")
        assert (client.scenarios(), client.scenario_revisions("home")) == ([], [])
        client.revert_scenario("home", 1)
        client.delete_scenario("home")
        client.preview_scenario("ann", {"n": 2}, scenario="home")
        client.recommend("ann", scenario="home")
    assert requests == [
        ("PUT", "/v1/scenarios/home?author=ann", {"n": 3}),
        ("GET", "/v1/scenarios", None),
        ("GET", "/v1/scenarios/home/revisions", None),
        ("POST", "/v1/scenarios/home/revert", {"revision": 1}),
        ("DELETE", "/v1/scenarios/home", None),
        ("POST", "/v1/scenarios/preview", {"user_id": "ann", "definition": {"n": 2}, "scenario": "home"}),
        ("GET", "/v1/users/ann/recommendations?scenario=home", None),
    ]


def test_pages_follow_the_cursor_to_the_end() -> None:
    queries: list[dict[str, str]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        queries.append(dict(request.url.params))
        return httpx.Response(200, json={"items": [], "next": "b" if len(queries) == 1 else None})

    with Client("http://shop", transport=httpx.MockTransport(answer)) as client:
        assert len(list(client.pages("ann", n=2, scenario="home"))) == 2
    assert queries == [{"n": "2", "pages": "true", "scenario": "home"}, {"n": "2", "next": "b"}]
