"""Users over HTTP: pages of users and events, interests, erasure."""

from __future__ import annotations

import pytest
from serving_doubles import NOW_MS, Api, Shop, click

from core.records.stored import UserShift
from serving.app import create_app

DAY_MS = 86_400_000


def test_users_are_paged_and_filtered_by_id_prefix(api: Api) -> None:
    for user_id in ("bob", "ann", "anna"):
        click(api, user_id, "a")
    page = api.get("/v1/users", params={"limit": 2}).json()
    assert [user["user_id"] for user in page["users"]] == ["ann", "anna"]
    next_page = api.get("/v1/users", params={"after": page["next_after"]}).json()
    assert next_page == {
        "users": [{"user_id": "bob", "user_seq": 1, "newest_event": NOW_MS, "interest_shift": None}],
        "next_after": None,
    }
    assert len(api.get("/v1/users", params={"prefix": "ann"}).json()["users"]) == 2


def test_users_are_paged_by_their_newest_event(api: Api) -> None:
    for user_id in ("bob", "ann", "cid"):
        click(api, user_id, "a")
    page = api.get("/v1/users", params={"order": "activity", "limit": 2}).json()
    rest = api.get("/v1/users", params={"order": "activity", "after": page["next_after"]}).json()
    assert [user["user_id"] for user in page["users"] + rest["users"]] == ["cid", "ann", "bob"]
    assert rest["next_after"] is None


def test_users_whose_interest_shifted_are_listed(api: Api, shop: Shop) -> None:
    for user_id in ("bob", "ann"):
        click(api, user_id, "a")
    with shop.store.transaction() as tx:
        tx.users.save_shifts([UserShift(tx.users.lock(["ann"])["ann"].key, NOW_MS - DAY_MS, 0.62)])
        tx.commit()
    [ann] = api.get("/v1/users", params={"order": "shift"}).json()["users"]
    assert ann["user_id"] == "ann"
    assert ann["interest_shift"] == {"since": NOW_MS - DAY_MS, "distance": 0.62}


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"order": "name"}, "order: wanted one of id, activity, shift, got 'name'"),
        ({"order": "activity", "after": "bob"}, "after: wanted next_after of an earlier page, got 'bob'"),
        ({"order": "activity", "prefix": "a"}, "prefix: wanted none with order=activity"),
    ],
)
def test_an_order_that_cannot_be_is_refused(api: Api, query: dict[str, str], message: str) -> None:
    reply = api.get("/v1/users", params=query)
    assert reply.status_code == 422
    assert message in reply.json()["error"]["message"]


def test_user_events_are_paged_newest_first_with_their_gaps(api: Api) -> None:
    click(api, "ann", "a", 0)
    click(api, "ann", "b", 5, "view")
    click(api, "ann", "c", 65)
    first = api.get("/v1/users/ann/events", params={"limit": 2}).json()
    rows = [
        (event["item_id"], event["title"], event["type"], event["gap_ms"], event["user_seq"])
        for event in first["events"]
    ]
    assert rows == [("c", "Item c", "click", 60_000, 3), ("b", "Item b", "view", 5_000, 2)]
    last = api.get("/v1/users/ann/events", params={"limit": 2, "before": first["next_before"]}).json()
    assert [(event["item_id"], event["gap_ms"]) for event in last["events"]] == [("a", None)]
    assert (first["user_seq"], last["next_before"]) == (3, None)


@pytest.mark.parametrize(("name", "sent"), [(".", ".;"), ("..", "..;"), ("x;", "x;")])
def test_ids_that_clients_remove_from_paths_are_sent_with_a_semicolon(api: Api, name: str, sent: str) -> None:
    click(api, name, "a")
    assert api.get(f"/v1/users/{sent}/events").json()["user_id"] == name


def test_events_of_a_user_with_a_slash_and_of_an_unknown_user(api: Api) -> None:
    click(api, "a/b", "a")
    assert api.get("/v1/users/a%2Fb/events").json()["user_id"] == "a/b"
    assert api.get("/v1/users/nobody/events").status_code == 404


@pytest.mark.parametrize("before", ["1", "1.x", "-1.2", "1.2.3", "9" * 30 + ".1"])
def test_an_invalid_page_position_is_422(api: Api, before: str) -> None:
    click(api, "ann", "a")
    reply = api.get("/v1/users/ann/events", params={"before": before})
    assert (reply.status_code, reply.json()["error"]["field"]) == (422, "before")


def daily(api: Api, *item_ids: str, kind: str = "click") -> None:
    events = [
        {"user_id": "u", "item_id": item_id, "time": NOW_MS - (100 - day) * DAY_MS, "type": kind}
        for day, item_id in enumerate(item_ids)
    ]
    assert api.post("/v1/interactions", json={"events": events}).json()["accepted"] == len(events)


def test_a_shift_from_odd_to_even_items_is_detected(api: Api) -> None:
    daily(api, *"ace" * 8, *"bdf" * 4)
    body = api.get("/v1/users/u/interests").json()
    drift = body["drift"]
    assert (drift["detected"], drift["origin"], drift["target"]) == (True, ["odd"], ["even"])
    assert drift["since"] == NOW_MS - 76 * DAY_MS
    assert drift["explanation"].endswith("12 of the last 12 events")
    assert drift["explanation"].startswith("from odd to even since ")
    assert drift["score"] > drift["threshold"] == 0.95
    assert body["topics"] == ["even", "odd"]
    assert body["short_term"]["even"] > body["long_term"]["even"]
    assert sum(bucket["events"] for bucket in body["history"]["buckets"]) == body["events"] == 36


def test_the_shifts_of_users_are_those_of_their_pages(api: Api, shop: Shop) -> None:
    daily(api, *"ace" * 8, *"bdf" * 4)
    click(api, "calm", "a")
    shifted = api.get("/v1/users/u/interests").json()["drift"]
    with shop.store.read() as read:
        keys = [user.key for user_id in ("u", "calm") if (user := read.users.find(user_id))]
    first, second = shop.services.interests.shifts_of(keys)
    assert (first.since_ms, round(first.distance or 0, 4)) == (shifted["since"], shifted["distance"])
    assert second == UserShift(keys[1], None, None)


def test_dislikes_and_impressions_are_no_interest(api: Api) -> None:
    daily(api, "a", "c", kind="dislike")
    daily(api, "a", "c", kind="impression")
    body = api.get("/v1/users/u/interests").json()
    assert (body["user_seq"], body["events"], body["topics"]) == (4, 0, [])


def test_uncatalogued_items_have_no_topic(api: Api) -> None:
    daily(api, "a", "unknown")
    body = api.get("/v1/users/u/interests").json()
    assert (body["events"], body["long_term"]) == (2, {"odd": 1.0})


def test_interests_of_an_unknown_user_are_404(api: Api) -> None:
    reply = api.get("/v1/users/nobody/interests")
    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "not_found")


def test_unknown_parameters_of_interests_are_422(api: Api) -> None:
    daily(api, "a")
    assert api.get("/v1/users/u/interests?n=3").status_code == 422


def test_an_erased_user_is_unknown_again(api: Api) -> None:
    api.post("/v1/interactions", json={"user_id": "u", "item_id": "a", "time": NOW_MS})
    assert api.delete("/v1/users/u").json() == {"user_id": "u", "status": "erased"}
    assert api.get("/v1/users/u/recommendations").json()["reason"] == "the user is unknown"
    assert api.delete("/v1/users/u").status_code == 404


def test_a_guest_who_signs_in_keeps_the_history(shop: Shop) -> None:
    with Api(create_app(shop.services)) as api:
        api.post("/v1/interactions", json={"event_id": "g", "user_id": "guest/1", "item_id": "b"})
        merged = api.post("/v1/users/ann/merge", json={"from": "guest/1"})
        answers = [api.get(f"/v1/users/{name}/recommendations?n=1").json() for name in ("ann", "guest%2F1")]
    assert merged.json() == {"user_id": "ann", "from": "guest/1", "status": "merged", "events": 1, "user_seq": 2}
    assert [answer["items"][0]["item_id"] for answer in answers] == ["c", "c"]
    assert shop.changed_users[-1].seq == 2, "the user is encoded again"


@pytest.mark.parametrize("body", [{}, {"from": "ann"}, {"from": 7}, {"from": ""}])
def test_an_invalid_merge_names_from(api: Api, body: dict[str, object]) -> None:
    reply = api.post("/v1/users/ann/merge", json=body)
    assert (reply.status_code, reply.json()["error"]["field"]) == (422, "from")


def test_attributes_are_put_patched_and_read(api: Api) -> None:
    reply = api.put("/v1/users/a%2Fb", json={"attributes": {"country": "de", "age": 34}})
    assert reply.json() == {"user_id": "a/b", "status": "accepted"}
    api.patch("/v1/users/a%2Fb", json={"attributes": {"age": None, "plan": "x"}})
    user = api.get("/v1/users/a%2Fb").json()
    assert user == {
        "user_id": "a/b",
        "user_seq": 0,
        "newest_event": None,
        "attributes": {"country": "de", "plan": "x"},
        "segments": [],
    }
    assert api.get("/v1/users/nobody").status_code == 404


def test_many_users_have_an_outcome_each(api: Api) -> None:
    users = [{"user_id": "ann", "attributes": {"plan": "x"}}, {"user_id": "bob", "attributes": {"plan": ["x"]}}]
    for reply in (api.post("/v1/users", json={"users": users}), api.patch("/v1/users", json={"users": users})):
        outcome = reply.json()
        assert (outcome["accepted"], outcome["rejected"]) == (1, 1)
        assert outcome["results"][0] == {"status": "accepted", "user_id": "ann"}
        assert outcome["results"][1]["error"]["field"] == "attributes.plan"
    assert api.get("/v1/users/ann").json()["attributes"] == {"plan": "x"}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"attributes": {"plan": {"x": 1}}}, "attributes.plan"),
        ({"attributes": 3}, "attributes"),
        ({"plan": "x"}, "plan"),
        ({"attributes": {"segment": "x"}}, "attributes.segment"),
        ({"user_id": "bob"}, "user_id"),
    ],
)
def test_invalid_attributes_are_422(api: Api, body: dict[str, object], field: str) -> None:
    reply = api.put("/v1/users/ann", json=body)
    assert (reply.status_code, reply.json()["error"]["field"]) == (422, field)
    assert api.get("/v1/users/ann").status_code == 404
