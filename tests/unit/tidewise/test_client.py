"""The client of the public API: each method is one documented request."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import httpx
import pytest

from tidewise.async_client import AsyncClient
from tidewise.client import BATCH_EVENTS, ApiError, Client

LAMP = {"user_id": "ann", "item_id": "lamp"}


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidewise.client.PAUSE_S", 0.0)


def failing_first(
    num_failures: int, requests: list[httpx.Request], *, status: int = 0
) -> Callable[[httpx.Request], httpx.Response]:
    """A server that gives the first requests no answer, or one of this status."""

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        if len(requests) > num_failures:
            return httpx.Response(200, json={"results": [], "items": [], "revision": 1})
        if status:
            return httpx.Response(status, json={"error": {"message": "try again"}})
        msg = "connection lost"
        raise httpx.ReadError(msg)

    return answer


@pytest.mark.parametrize("status", [0, 429, 503])
def test_events_are_sent_again_under_the_same_id(status: int) -> None:
    requests: list[httpx.Request] = []
    transport = httpx.MockTransport(failing_first(2, requests, status=status))
    with Client("http://shop", transport=transport) as client:
        client.send([LAMP, {**LAMP, "time": 1_700_000_000_000}])
    bodies = [json.loads(request.content)["events"] for request in requests]
    assert bodies[0] == bodies[1] == bodies[2]
    assert ["event_id" in event for event in bodies[0]] == [True, False], "the content names an event with a time"


def test_what_may_not_be_repeated_is_sent_once() -> None:
    requests: list[httpx.Request] = []
    with Client("http://shop", transport=httpx.MockTransport(failing_first(9, requests))) as client:
        for call in (lambda: client.revert_scenario("home", 1), lambda: client.popular()):
            with pytest.raises(ApiError, match="no answer"):
                call()
    assert [request.method for request in requests] == ["POST", "GET", "GET", "GET"]


def test_many_events_are_sent_in_batches() -> None:
    requests: list[httpx.Request] = []
    with Client("http://shop", transport=httpx.MockTransport(failing_first(0, requests))) as client:
        client.send([LAMP] * (2 * BATCH_EVENTS + 1))
    assert [len(json.loads(request.content)["events"]) for request in requests] == [BATCH_EVENTS, BATCH_EVENTS, 1]


def test_the_calls_are_there_for_asyncio_at_once() -> None:
    requests: list[httpx.Request] = []
    transport = httpx.MockTransport(failing_first(1, requests))

    async def calls() -> list[object]:
        async with AsyncClient("http://shop", transport=transport) as client:
            names = ("ann", "bob")
            return list(await asyncio.gather(*(client.call(Client.recommend, name, n=2) for name in names)))

    answers = asyncio.run(calls())
    assert len(answers) == 2
    assert {request.url.path for request in requests} == {
        "/v1/users/ann/recommendations",
        "/v1/users/bob/recommendations",
    }


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
