"""Segments over HTTP, and answers that depend on the user."""

from __future__ import annotations

from serving_doubles import Api, Shop, click

from core.users.segments import save_segment


def ids(reply: object) -> list[str]:
    assert isinstance(reply, dict), reply
    return [item["item_id"] for item in reply["items"]]


def test_segments_are_put_listed_and_deleted(api: Api) -> None:
    definition = {"description": "grown up", "where": {"age": {"min": 18}}}
    change = api.put("/v1/segments/adults", json=definition).json()
    assert (change["name"], change["revision"], change["definition"]) == ("adults", 1, definition)
    assert [segment["name"] for segment in api.get("/v1/segments").json()["segments"]] == ["adults"]
    assert api.get("/v1/segments/adults").json()["definition"] == definition
    api.put("/v1/users/ann", json={"attributes": {"age": 34}})
    assert api.get("/v1/users/ann").json()["segments"] == ["adults"]
    assert api.delete("/v1/segments/adults").status_code == 200
    assert api.get("/v1/segments/adults").status_code == 404
    assert api.get("/v1/users/ann").json()["segments"] == []


def test_an_unknown_segment_is_422_in_requests_and_scenarios(api: Api) -> None:
    replies = [
        api.get("/v1/users/ann/recommendations", params={"where": "user.segment:vip"}),
        api.post("/v1/recommendations", json={"users": ["ann"], "where": {"user.segment": "vip"}}),
        api.put("/v1/scenarios/home", json={"boosts": [{"where": {"user.segment": "vip"}, "factor": 2}]}),
        api.post("/v1/scenarios/preview", json={"user_id": "ann", "definition": {"where": {"user.segment": "vip"}}}),
    ]
    assert [reply.status_code for reply in replies] == [422] * 4
    assert "known are none yet" in replies[0].json()["error"]["message"]


def test_a_request_filters_by_the_user(api: Api) -> None:
    click(api, "ann", "a")
    api.put("/v1/users/ann", json={"attributes": {"country": "de"}})
    path = "/v1/users/ann/recommendations"
    assert len(ids(api.get(path, params={"where": "user.country:de"}).json())) == 5
    assert ids(api.get(path, params={"where": "!user.country:de"}).json()) == []
    assert ids(api.get("/v1/items/popular", params={"where": "user.country:de"}).json()) == []


def test_a_scenario_answers_each_user_by_attributes(api: Api) -> None:
    for user_id, plan in (("ann", "premium"), ("bob", "basic")):
        click(api, user_id, "a")
        api.put(f"/v1/users/{user_id}", json={"attributes": {"plan": plan}})
    api.put("/v1/segments/premium", json={"where": {"plan": "premium"}})
    api.put(
        "/v1/scenarios/home",
        json={
            "where": {"or": [{"user.segment": "premium"}, {"categories": "even"}]},
            "pins": [{"position": 1, "where": {"user.segment": "premium", "item_id": "d"}}],
        },
    )
    answers = {
        user_id: ids(api.get(f"/v1/users/{user_id}/recommendations", params={"scenario": "home"}).json())
        for user_id in ("ann", "bob", "nobody")
    }
    assert answers["ann"][0] == "d"
    assert sorted(answers["ann"]) == ["b", "c", "d", "e", "f"]
    assert sorted(answers["bob"]) == ["b", "d", "f"]
    assert sorted(answers["nobody"]) == ["b", "d", "f"]


def test_a_merged_guest_has_the_attributes_of_the_user(api: Api) -> None:
    click(api, "guest", "a")
    api.put("/v1/users/ann", json={"attributes": {"plan": "premium"}})
    api.post("/v1/users/ann/merge", json={"from": "guest"})
    reply = api.get("/v1/users/guest/recommendations", params={"where": "user.plan:premium"}).json()
    assert len(ids(reply)) == 5


def test_a_segment_that_another_process_stored_just_now_is_known(api: Api, shop: Shop) -> None:
    save_segment(shop.store, "fresh", {"where": {"age": {"min": 18}}}, author="ann")
    assert api.put("/v1/scenarios/home", json={"where": {"user.segment": "fresh"}}).status_code == 200
