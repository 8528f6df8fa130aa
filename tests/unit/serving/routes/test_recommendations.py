"""Recommendations over HTTP: the items, their source, and invalid requests."""

from __future__ import annotations

from typing import Any

import pytest
from serving_doubles import NOW_MS, Api, Shop

from serving.app import Limits, create_app


def click(api: Api, item_id: str, *, user_id: str = "u", time_ms: int = NOW_MS, kind: str = "click") -> None:
    event = {"user_id": user_id, "item_id": item_id, "time": time_ms, "type": kind}
    assert api.post("/v1/interactions", json=event).json()["accepted"] == 1


def ids(answer: dict[str, Any]) -> list[str]:
    return [item["item_id"] for item in answer["items"]]


def test_the_next_recommendation_knows_a_click(api: Api) -> None:
    click(api, "a")
    before = api.get("/v1/users/u/recommendations?n=2").json()
    click(api, "c", time_ms=NOW_MS + 1)
    after = api.get("/v1/users/u/recommendations?n=2").json()
    assert (ids(before), before["user_seq"]) == (["b", "c"], 1)
    assert (ids(after), after["user_seq"]) == (["d", "e"], 2)


def test_an_answer_has_source_version_gap_and_age(api: Api, shop: Shop) -> None:
    click(api, "a")
    shop.clock.advance(by_ms=5_000)
    answer = api.get("/v1/users/u/recommendations").json()
    assert len(answer.pop("recommendation_id")) == 32
    answer.pop("items")
    assert answer == {
        "user_id": "u",
        "source": "model",
        "reason": "ranked by the user's history",
        "model_version": "axes-1",
        "user_seq": 1,
        "gap_ms": 5_000,
        "age_ms": 5_000,
        "now": NOW_MS + 5_000,
    }


def test_at_moves_the_gap_but_not_the_age(api: Api, shop: Shop) -> None:
    click(api, "a")
    shop.clock.advance(by_ms=5_000)
    answer = api.get(f"/v1/users/u/recommendations?at={NOW_MS + 60_000}").json()
    assert (answer["gap_ms"], answer["age_ms"], answer["now"]) == (60_000, 5_000, NOW_MS + 60_000)


def test_at_before_the_last_event_gives_gap_zero_and_no_age(api: Api) -> None:
    click(api, "a")
    answer = api.get(f"/v1/users/u/recommendations?at={NOW_MS - 60_000}").json()
    assert (answer["gap_ms"], answer["age_ms"]) == (0, None)


@pytest.mark.parametrize(
    "path",
    [
        "/v1/users/u/recommendations?category=x&category=y",
        "/v1/users/u/recommendations?n=2&n=3",
        "/v1/items?limit=1&limit=2",
        "/v1/items/search?query=a&query=b",
        "/v1/users?prefix=a&prefix=b",
        "/v1/drift?days=1&days=2",
    ],
)
def test_a_repeated_query_parameter_is_refused(api: Api, path: str) -> None:
    name = path.partition("?")[2].partition("=")[0]
    answer = api.get(path)
    assert (answer.status_code, answer.json()["error"]["field"]) == (422, name)
    assert answer.json()["error"]["message"].startswith(f"{name}: wanted one value, got [")


def test_where_and_exclude_may_be_repeated(api: Api) -> None:
    click(api, "a")
    assert ids(api.get("/v1/users/u/recommendations?n=2&exclude=b&exclude=c").json()) == ["d", "e"]


def test_an_unknown_user_gets_popularity_with_the_reason(api: Api) -> None:
    click(api, "e", user_id="somebody else")
    api.put("/v1/items/z", json={"title": "makes the snapshot fresh"})
    answer = api.get("/v1/users/stranger/recommendations?n=1").json()
    assert (ids(answer), answer["source"], answer["reason"]) == (["e"], "popularity", "the user is unknown")


def test_without_a_model_popularity_serves() -> None:
    with Api(create_app(Shop(model=False).services)) as api:
        click(api, "a")
        answer = api.get("/v1/users/u/recommendations").json()
    assert (answer["source"], answer["reason"]) == ("popularity", "no model serves yet")


def test_request_options_are_applied(api: Api) -> None:
    click(api, "a")
    path = "/v1/users/u/recommendations"
    assert ids(api.get(f"{path}?n=1").json()) == ["b"]
    assert ids(api.get(f"{path}?category=odd").json()) == ["c", "e"]
    assert ids(api.get(f"{path}?exclude=b,c&exclude=d").json()) == ["e", "f"]
    assert "a" not in ids(api.get(path).json())
    assert "a" in ids(api.get(f"{path}?seen=include").json())


def test_attribute_filters_work_in_query_and_body(api: Api) -> None:
    for item_id, price in (("b", 10), ("d", 20), ("f", 30)):
        api.put(f"/v1/items/{item_id}", json={"attributes": {"brand": "acme", "price": price}})
    click(api, "a")
    path = "/v1/users/u/recommendations"
    assert ids(api.get(f"{path}?where=brand:acme").json()) == ["b", "d", "f"]
    assert ids(api.get(f"{path}?where=brand:acme&where=price:15..").json()) == ["d", "f"]
    assert ids(api.get("/v1/items/latest?where=price:10&where=price:20").json()) == ["d", "b"]
    wish = {"events": [{"item_id": "a"}], "where": {"brand": "acme", "price": {"max": 20}}}
    assert ids(api.post("/v1/recommendations", json=wish).json()) == ["b", "d"]


def test_an_item_with_a_comma_in_its_id_can_be_excluded(api: Api) -> None:
    api.put("/v1/items/g,h", json={})
    click(api, "f")
    assert ids(api.get("/v1/users/u/recommendations?n=1").json()) == ["g,h"]
    assert "g,h" not in ids(api.get("/v1/users/u/recommendations?exclude=g%2Ch").json())


def test_a_disliked_item_is_excluded_even_with_seen_items(api: Api) -> None:
    click(api, "a")
    click(api, "b", kind="dislike")
    assert "b" not in ids(api.get("/v1/users/u/recommendations?seen=include").json())


def test_seen_items_can_be_included_by_default(shop: Shop) -> None:
    with Api(create_app(shop.with_services(exclude_seen=False))) as api:
        click(api, "a")
        assert "a" in ids(api.get("/v1/users/u/recommendations").json())
        assert "a" not in ids(api.get("/v1/users/u/recommendations?seen=exclude").json())


def test_an_inline_session_is_answered_and_not_stored(api: Api) -> None:
    answer = api.post("/v1/recommendations", json={"events": [{"item_id": "c"}], "n": 2}).json()
    assert (ids(answer), answer["reason"]) == (["d", "e"], "ranked by the session")
    assert api.get("/v1/status").json()["events"] == 0


def test_a_session_is_ordered_by_time(api: Api) -> None:
    events = [{"item_id": "c", "time": NOW_MS}, {"item_id": "a", "time": NOW_MS - 1}]
    assert ids(api.post("/v1/recommendations", json={"events": events, "n": 1}).json()) == ["d"]


def test_an_empty_session_gets_popularity(api: Api) -> None:
    answer = api.post("/v1/recommendations", json={}).json()
    assert (answer["source"], answer["reason"]) == ("popularity", "the session is empty")


def test_rank_lists_excluded_items(api: Api) -> None:
    click(api, "c")
    answer = api.post("/v1/users/u/rank", json={"item_ids": ["f", "nowhere", "d", "e"]}).json()
    assert ids(answer) == ["d", "e", "f"]
    assert answer["excluded"] == ["nowhere"]


def test_similar_items_exclude_the_item_itself(api: Api) -> None:
    answer = api.get("/v1/items/a/similar?n=10").json()
    assert answer["source"] == "similarity"
    assert sorted(ids(answer)) == list("bcdef")


def test_similar_to_an_unknown_item_is_404(api: Api) -> None:
    reply = api.get("/v1/items/nowhere/similar")
    assert reply.status_code == 404
    assert reply.json()["error"]["message"] == "item 'nowhere' is not known; add it to the catalogue first"


STRANGE_IDS = ["a/b", "a/recommendations", "/", "ü ñ 日本", "a?b#c%2F", "100%", "'; drop table users; --", "x" * 256]


@pytest.mark.parametrize("user_id", STRANGE_IDS)
def test_any_percent_encoded_id_works_in_a_path(api: Api, user_id: str) -> None:
    click(api, "a", user_id=user_id)
    answer = api.get(f"/v1/users/{encoded(user_id)}/recommendations").json()
    assert (answer["user_id"], answer["user_seq"]) == (user_id, 1)
    assert api.delete(f"/v1/users/{encoded(user_id)}").json() == {"user_id": user_id, "status": "erased"}


def encoded(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode())


BAD_QUERIES = {
    "n=0": ("n", "wanted 1 to 500, got 0"),
    "n=501": ("n", "wanted 1 to 500, got 501"),
    "n=ten": ("n", "wanted a whole number"),
    "n=1.5": ("n", "wanted a whole number"),
    "n=NaN": ("n", "wanted a whole number"),
    f"n={'9' * 5000}": ("n", "wanted a whole number"),
    "at=1700000000": ("at", "multiply by 1000"),
    "at=-1": ("at", "milliseconds"),
    "at=soon": ("at", "wanted a whole number"),
    "seen=maybe": ("seen", "wanted exclude or include"),
    "category=": ("category", "wanted 1 to 256 bytes"),
    f"exclude={'x' * 10_000}": ("exclude", "256 bytes"),
    f"exclude={','.join(map(str, range(2000)))}": ("exclude", "at most 1000 ids"),
    "where=brand": ("where", "wanted NAME:VALUE or NAME:LOW..HIGH"),
    "exlude=a": ("exlude", "known fields are n, category, where, exclude, at, seen"),
}


@pytest.mark.parametrize(("query", "problem"), BAD_QUERIES.items(), ids=[query[:12] for query in BAD_QUERIES])
def test_an_invalid_query_is_422_with_the_field(api: Api, query: str, problem: tuple[str, str]) -> None:
    field, advice = problem
    reply = api.get(f"/v1/users/u/recommendations?{query}")
    error = reply.json()["error"]
    assert reply.status_code == 422
    assert error["field"] == field
    assert advice in error["message"]


BAD_BODIES: dict[str, tuple[str, Any, str]] = {
    "a session that is a list": ("/v1/recommendations", [], "wanted a JSON object with user_id, events, users, n"),
    "session events of another type": ("/v1/recommendations", {"events": "a"}, "wanted a list"),
    "a session event of another type": ("/v1/recommendations", {"events": ["a"]}, "wanted objects"),
    "a session event with an unknown field": ("/v1/recommendations", {"events": [{"item": "a"}]}, "unknown field"),
    "a session event in seconds": ("/v1/recommendations", {"events": [{"item_id": "a", "time": 17}]}, "seconds"),
    "a session of 2,000": ("/v1/recommendations", {"events": [{"item_id": "a"}] * 2000}, "at most 1000"),
    "n as text": ("/v1/recommendations", {"n": "5"}, "n: wanted a whole number"),
    "n as a boolean": ("/v1/recommendations", {"n": True}, "n: wanted a whole number"),
    "exclude as text": ("/v1/recommendations", {"exclude": "a"}, "exclude: wanted a list"),
    "where as text": ("/v1/recommendations", {"where": "brand:acme"}, "where: wanted an object"),
    "seen as a list": ("/v1/recommendations", {"seen": []}, "seen: wanted exclude or include"),
    "no items to rank": ("/v1/users/u/rank", {}, "item_ids: wanted a list"),
    "an empty id to rank": ("/v1/users/u/rank", {"item_ids": [""]}, "item_ids: wanted 1 to 256"),
    "a time that is text": ("/v1/users/u/rank", {"item_ids": ["a"], "at": "now"}, "at: wanted integer"),
}


@pytest.mark.parametrize(("path", "body", "advice"), BAD_BODIES.values(), ids=BAD_BODIES.keys())
def test_an_invalid_session_or_ranking_is_422(api: Api, path: str, body: Any, advice: str) -> None:
    reply = api.post(path, json=body)
    assert reply.status_code == 422
    assert advice in reply.json()["error"]["message"]


def test_an_empty_id_in_a_path_is_422(api: Api) -> None:
    assert api.get("/v1/users//recommendations").json()["error"]["field"] == "user_id"


def test_a_path_that_is_no_utf8_is_422(api: Api) -> None:
    reply = api.get("/v1/users/%FF/recommendations")
    assert reply.status_code == 422
    assert "percent-encoded UTF-8" in reply.json()["error"]["message"]


def test_a_full_query_queue_is_503_overloaded(shop: Shop) -> None:
    with Api(create_app(shop.with_services(limits=Limits(max_waiting_reads=0)))) as api:
        reply = api.get("/v1/items/popular")
    assert (reply.status_code, reply.headers["retry-after"]) == (503, "1")
    assert reply.json()["error"]["code"] == "overloaded"


def test_what_if_for_a_user_stores_nothing(api: Api) -> None:
    click(api, "a", user_id="ann")
    body = {"user_id": "ann", "events": [{"item_id": "d"}], "n": 1}
    answer = api.post("/v1/recommendations", json=body).json()
    assert (answer["items"][0]["item_id"], answer["user_id"], answer["user_seq"]) == ("e", "ann", 1)
    assert len(api.get("/v1/users/ann/events").json()["events"]) == 1


def test_contributions_are_sent_only_with_explain(api: Api) -> None:
    click(api, "a", user_id="ann")
    url = "/v1/users/ann/recommendations"
    explained = api.get(url, params={"n": 1, "explain": "full"}).json()["items"][0]
    assert explained["contributions"] == [{"item_id": "a", "title": "Item a", "time": NOW_MS, "share": 1.0}]
    assert "contributions" not in api.get(url).json()["items"][0]
    assert api.get(url, params={"explain": "yes"}).json()["error"]["field"] == "explain"


def test_several_users_get_their_answers_in_one_request(api: Api) -> None:
    api.post("/v1/interactions", json={"user_id": "ann", "item_id": "b"})
    answers = api.post("/v1/recommendations", json={"users": ["ann", "stranger"], "n": 2}).json()["users"]
    alone = [api.get(f"/v1/users/{answer['user_id']}/recommendations?n=2").json() for answer in answers]
    assert [answer["user_id"] for answer in answers] == ["ann", "stranger"]
    assert [answer["items"] for answer in answers] == [answer["items"] for answer in alone]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"users": ["u"] * 101}, "users"),
        ({"users": "ann"}, "users"),
        ({"users": ["ann"], "user_id": "bob"}, "user_id"),
        ({"users": ["ann"], "events": []}, "events"),
    ],
)
def test_an_invalid_request_for_several_users_names_its_field(api: Api, body: dict[str, object], field: str) -> None:
    reply = api.post("/v1/recommendations", json=body)
    assert (reply.status_code, reply.json()["error"]["field"]) == (422, field)


# --- pages


def test_following_next_shows_the_whole_list_once() -> None:
    with Api(create_app(Shop().services)) as api:
        click(api, "a", user_id="ann")
        path, listed = "/v1/users/ann/recommendations", []
        answer = api.get(f"{path}?n=2&pages=true").json()
        while True:
            listed += [item["item_id"] for item in answer["items"]]
            if answer["next"] is None:
                break
            click(api, listed[-1], user_id="ann")
            answer = api.get(f"{path}?n=2&next={answer['next']}").json()
        assert listed == ["b", "c", "d", "e", "f"]


def test_a_cursor_of_another_list_or_with_other_parameters_is_refused() -> None:
    with Api(create_app(Shop().services)) as api:
        cursor = api.get("/v1/items/latest?n=2&pages=true").json()["next"]
        assert len(api.get(f"/v1/items/latest?next={cursor}").json()["items"]) == 4
        for url, field in (
            (f"/v1/items/popular?next={cursor}", "next"),
            (f"/v1/items/latest?next={cursor}&category=odd", "category"),
            (f"/v1/items/latest?next={cursor}x", "next"),
            ("/v1/items/latest?pages=many", "pages"),
        ):
            reply = api.get(url)
            assert (reply.status_code, reply.json()["error"]["field"]) == (422, field)
        assert "next" not in api.get("/v1/items/latest").json()


def test_a_question_is_smaller_than_a_batch_of_events(api: Api) -> None:
    reply = api.post("/v1/recommendations", content=b'{"events": []' + b" " * 3 * 2**20 + b"}")
    assert (reply.status_code, reply.json()["error"]["code"]) == (413, "too_large")
