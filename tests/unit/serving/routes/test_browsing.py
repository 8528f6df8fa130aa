"""Looking around over HTTP: users and what they did, items by words, dead letters, ingestion, activity."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence

import pytest
from serving_doubles import NOW_MS, Api, Shop

from core.clock import ManualClock
from core.errors import StreamUnavailable
from core.ingestion.sources import StreamSource
from core.interactions import Interaction
from core.records import DeadLetter
from serving.app import create_app
from serving.runtime.activity import ActivitySampler
from serving.runtime.services import DeadLetterDecoder


class NamedLog:
    """A log that has a name and takes nothing."""

    name = "interactions"

    def publish(self, events: Sequence[Interaction]) -> Sequence[object]:
        msg = "the log is away"
        raise StreamUnavailable(msg)


def click(api: Api, user_id: str, item_id: str, at_s: int = 0, kind: str = "click") -> None:
    event = {"user_id": user_id, "item_id": item_id, "type": kind, "time": NOW_MS + at_s * 1000}
    assert api.post("/v1/interactions", json=event).status_code == 200


# --- users


def test_users_are_listed_page_by_page_and_by_the_beginning_of_their_id(api: Api) -> None:
    for user_id in ("bob", "ann", "anna"):
        click(api, user_id, "a")
    first = api.get("/v1/users", params={"limit": 2}).json()
    assert [user["user_id"] for user in first["users"]] == ["ann", "anna"]
    rest = api.get("/v1/users", params={"after": first["next_after"]}).json()
    assert rest == {"users": [{"user_id": "bob", "user_seq": 1, "newest_event": NOW_MS}], "next_after": None}
    assert len(api.get("/v1/users", params={"prefix": "ann"}).json()["users"]) == 2


def test_a_users_events_come_newest_first_with_the_gap_before_each_even_across_pages(api: Api) -> None:
    click(api, "ann", "a", 0)
    click(api, "ann", "b", 5, "view")
    click(api, "ann", "c", 65)
    first = api.get("/v1/users/ann/events", params={"limit": 2}).json()
    shown = [(one["item_id"], one["title"], one["type"], one["gap_ms"], one["user_seq"]) for one in first["events"]]
    assert shown == [("c", "Item c", "click", 60_000, 3), ("b", "Item b", "view", 5_000, 2)]
    last = api.get("/v1/users/ann/events", params={"limit": 2, "before": first["next_before"]}).json()
    assert [(one["item_id"], one["gap_ms"]) for one in last["events"]] == [("a", None)]
    assert (first["user_seq"], last["next_before"]) == (3, None)


def test_a_user_with_a_slash_and_the_events_of_nobody(api: Api) -> None:
    click(api, "a/b", "a")
    assert api.get("/v1/users/a%2Fb/events").json()["user_id"] == "a/b"
    assert api.get("/v1/users/nobody/events").status_code == 404


@pytest.mark.parametrize("before", ["1", "1.x", "-1.2", "1.2.3", "9" * 30 + ".1"])
def test_a_page_that_begins_nowhere_is_refused(api: Api, before: str) -> None:
    click(api, "ann", "a")
    reply = api.get("/v1/users/ann/events", params={"before": before})
    assert (reply.status_code, reply.json()["error"]["field"]) == (422, "before")


# --- what if, and why


def test_what_if_is_asked_in_the_body_and_leaves_no_trace(api: Api) -> None:
    click(api, "ann", "a")
    body = {"user_id": "ann", "events": [{"item_id": "d"}], "n": 1}
    answer = api.post("/v1/recommendations", json=body).json()
    assert (answer["items"][0]["item_id"], answer["user_id"], answer["user_seq"]) == ("e", "ann", 1)
    assert len(api.get("/v1/users/ann/events").json()["events"]) == 1


def test_full_explanations_come_only_where_they_are_asked_for(api: Api) -> None:
    click(api, "ann", "a")
    url = "/v1/users/ann/recommendations"
    explained = api.get(url, params={"n": 1, "explain": "full"}).json()["items"][0]
    assert explained["contributions"] == [{"item_id": "a", "title": "Item a", "time": NOW_MS, "share": 1.0}]
    assert "contributions" not in api.get(url).json()["items"][0]
    assert api.get(url, params={"explain": "yes"}).json()["error"]["field"] == "explain"


# --- items


def test_items_are_found_by_words_hidden_ones_too_but_not_what_only_events_have_named(api: Api) -> None:
    click(api, "ann", "item stub")
    api.put("/v1/items/b", json={"title": "Item b", "hidden": True})
    found = api.get("/v1/items/search", params={"query": "ITEM", "n": 3}).json()
    assert [item["item_id"] for item in found["items"]] == ["a", "b", "c"]
    assert [item["hidden"] for item in found["items"]] == [False, True, False]
    assert api.get("/v1/items/search", params={"category": "even"}).json()["matching"] == 2
    assert [one["item_id"] for one in api.get("/v1/items/search?hidden=only").json()["items"]] == ["b"]
    assert api.get("/v1/items/search?hidden=no").json()["error"]["field"] == "hidden"
    assert api.get("/v1/items/search", params={"query": "x" * 201}).status_code == 422


def test_categories_come_with_the_number_of_items_that_may_be_recommended(api: Api) -> None:
    api.put("/v1/items/b", json={"categories": ["even"], "hidden": True})
    listed = api.get("/v1/categories").json()["categories"]
    assert listed == [{"category": "even", "items": 2}, {"category": "odd", "items": 3}]


# --- dead letters


def decode(letter: DeadLetter) -> tuple[Sequence[Interaction], Sequence[str]]:
    if b"bad" in letter.payload:
        return [], ["still bad"]
    return [Interaction(f"letter-{letter.key}", "ann", "a", "click", NOW_MS)], []


def keep(shop: Shop, *letters: tuple[str, bytes]) -> list[int]:
    with shop.store.transaction() as tx:
        tx.dead_letters.add(
            [DeadLetter(source, 0, at, "no user", payload, NOW_MS) for at, (source, payload) in enumerate(letters)]
        )
        tx.commit()
    with shop.store.read() as read:
        return [one.key or 0 for one in read.dead_letters.page()]


def test_letters_are_shown_newest_first_and_say_whether_they_can_be_retried(shop: Shop) -> None:
    keep(shop, ("topic", b'{"a": 1}'), ("log.csv", b"\xff"))
    services = shop.with_services(dead_letter_decoder=DeadLetterDecoder(decode, ("topic",)))
    with Api(create_app(services)) as api:
        told = api.get("/v1/dead-letters").json()
    assert told["total"] == 2
    assert [(one["source"], one["retryable"]) for one in told["dead_letters"]] == [("log.csv", False), ("topic", True)]
    assert (told["dead_letters"][0]["payload_base64"], told["dead_letters"][1]["payload"]) == ("/w==", '{"a": 1}')


def test_a_retry_settles_what_can_be_read_now_and_tells_why_the_rest_stays(shop: Shop) -> None:
    keys = keep(shop, ("topic", b"good"), ("topic", b"bad"), ("log.csv", b"good"))
    services = shop.with_services(dead_letter_decoder=DeadLetterDecoder(decode, ("topic",)))
    with Api(create_app(services)) as api:
        one = api.post("/v1/dead-letters/retry", json={"keys": [keys[1]]}).json()
        everything = api.post("/v1/dead-letters/retry", json={"all": True}).json()
        left = api.get("/v1/dead-letters").json()
    assert (one["retried"], one["failed"], one["failures"][0]["reason"]) == (1, 1, "still bad")
    assert [everything[name] for name in ("retried", "succeeded", "accepted", "failed")] == [2, 1, 1, 1]
    assert [letter["retries"] for letter in left["dead_letters"]] == [0, 2]


def test_letters_are_discarded_by_key_or_all(shop: Shop, api: Api) -> None:
    keys = keep(shop, ("topic", b"1"), ("topic", b"2"), ("log.csv", b"3"))
    assert api.post("/v1/dead-letters/discard", json={"keys": [keys[0]]}).json() == {"discarded": 1}
    assert api.post("/v1/dead-letters/discard", json={"all": True}).json() == {"discarded": 2}


@pytest.mark.parametrize(
    "body", [{}, {"keys": []}, {"keys": ["1"]}, {"keys": [True]}, {"keys": [2**63]}, {"all": 1}, []]
)
def test_which_letters_must_be_said(api: Api, body: object) -> None:
    for action in ("retry", "discard"):
        assert api.post(f"/v1/dead-letters/{action}", content=json.dumps(body)).status_code == 422


# --- ingestion and activity


def test_without_a_log_ingestion_tells_who_writes(api: Api) -> None:
    click(api, "ann", "a", 5)
    told = api.get("/v1/ingestion").json()
    assert (told["topic"], told["lag"], told["problem"]) == (None, None, None)
    assert [(one["name"], one["newest_event"]) for one in told["writers"]] == [("http", NOW_MS + 5000)]


def test_with_a_log_each_partition_tells_its_lag_even_one_of_which_nothing_was_applied(shop: Shop) -> None:
    source = StreamSource("interactions", 1, [7], 7, 7)
    shop.services.ingestor.ingest([Interaction("e", "ann", "a", "click", NOW_MS)], source)

    def ends(applied: Mapping[int, int]) -> Mapping[int, tuple[int, int]]:
        return {0: (0, 4), 1: (applied[1] + 1, 10)}

    with Api(create_app(shop.with_services(log=NamedLog(), log_end_offsets=ends))) as api:
        told = api.get("/v1/ingestion").json()
    lags = {one["partition"]: (one["applied_offset"], one["lag"]) for one in told["writers"]}
    assert (told["topic"], told["lag"], lags) == ("interactions", 6, {1: (7, 2), 0: (None, 4)})


def test_a_log_that_is_away_is_a_problem_to_tell_not_an_error(shop: Shop) -> None:
    def away(_applied: Mapping[int, int]) -> Mapping[int, tuple[int, int]]:
        msg = "no broker answers"
        raise StreamUnavailable(msg)

    with Api(create_app(shop.with_services(log=NamedLog(), log_end_offsets=away))) as api:
        told = api.get("/v1/ingestion")
    assert (told.status_code, told.json()["lag"], told.json()["problem"]) == (200, None, "no broker answers")


def sampler_of(shop: Shop) -> ActivitySampler:
    return ActivitySampler(shop.store, num_waiting=lambda: 3, now_ms=ManualClock(NOW_MS).now_ms, period_s=5)


def test_a_sample_tells_rates_and_times_since_the_one_before(shop: Shop, api: Api) -> None:
    sampler = sampler_of(shop)
    click(api, "ann", "a")
    sampler.sample(100.0)
    assert sampler.columns()["time"] == [], "the first one only begins"
    for at_s in range(4):
        click(api, "bob", "b", at_s + 1)
    for took_s in (0.010, 0.020, 0.030):
        sampler.add_recommendation(took_s)
    sampler.add_applied(0.004)
    sampler.sample(102.0)
    sampler.sample(104.0)
    assert sampler.columns() == {
        "time": [NOW_MS, NOW_MS],
        "events_per_s": [2.0, 0.0],
        "recommendations_per_s": [1.5, 0.0],
        "recommendation_p50_ms": [20.0, None],
        "recommendation_p99_ms": [29.8, None],
        "freshness_p50_ms": [4.0, None],
        "freshness_p99_ms": [4.0, None],
        "waiting_events": [3, 3],
    }


def test_an_hour_of_samples_is_kept(shop: Shop) -> None:
    sampler = sampler_of(shop)
    for at in range(800):
        sampler.sample(at * 5.0)
    assert len(sampler.columns()["time"]) == 720


def test_only_personal_answers_and_applied_events_count_as_activity(shop: Shop) -> None:
    app = create_app(shop.services)
    with Api(app) as api:
        click(api, "ann", "a")
        for url in (
            "/v1/users/ann/recommendations",
            "/v1/items/popular",
            "/v1/status",
            "/v1/users/ann/recommendations?n=0",
        ):
            api.get(url)
        sampler = app.state.engine.activity
        sampler.sample(time.monotonic() + 1)
        columns = sampler.columns()
    assert (columns["recommendations_per_s"][-1] > 0, columns["freshness_p50_ms"][-1] > 0) == (True, True)
    assert columns["recommendation_p50_ms"][-1] == columns["recommendation_p99_ms"][-1], "one recommendation"
