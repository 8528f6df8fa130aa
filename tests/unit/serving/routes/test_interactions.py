"""POST /v1/interactions: one result per event; invalid events are rejected with the field."""

from __future__ import annotations

import gzip
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
from serving_doubles import NOW_MS, Api, Shop

from core.clock import ManualClock
from serving.app import Limits, create_app


def event(**changes: Any) -> dict[str, Any]:
    return {"event_id": "e1", "user_id": "u", "item_id": "a", "time": NOW_MS} | changes


def num_events(shop: Shop) -> int:
    with shop.store.read() as read:
        return read.totals().events


def test_an_event_is_accepted_with_its_user_sequence_number(api: Api) -> None:
    reply = api.post("/v1/interactions", json=event())
    assert reply.status_code == 200
    assert reply.json()["results"] == [{"status": "accepted", "event_id": "e1", "user_seq": 1}]


def test_duplicate_events_change_nothing(api: Api, shop: Shop) -> None:
    api.post("/v1/interactions", json=event())
    second = api.post("/v1/interactions", json=event()).json()
    assert second["results"] == [{"status": "duplicate", "event_id": "e1", "user_seq": 1}]
    assert num_events(shop) == 1


def test_an_event_from_before_the_erasure_is_dropped(api: Api) -> None:
    api.post("/v1/interactions", json=event())
    api.delete("/v1/users/u")
    redelivery = api.post("/v1/interactions", json=event()).json()
    assert redelivery["results"] == [{"status": "erased", "event_id": "e1"}]


def test_valid_events_are_accepted_beside_invalid_ones(api: Api, shop: Shop) -> None:
    batch = [event(item_id=""), event(event_id="e2"), event(event_id="e3", type="teleport")]
    reply = api.post("/v1/interactions", json={"events": batch})
    body = reply.json()
    assert reply.status_code == 200
    assert [result["status"] for result in body["results"]] == ["rejected", "accepted", "rejected"]
    assert [result.get("error", {}).get("field") for result in body["results"]] == ["item_id", None, "type"]
    assert (body["accepted"], body["rejected"], num_events(shop)) == (1, 2, 1)


def test_a_batch_without_a_valid_event_is_422_with_each_problem(api: Api) -> None:
    reply = api.post("/v1/interactions", json={"events": [event(user_id=7), event(time=-5)]})
    error = reply.json()["error"]
    assert reply.status_code == 422
    assert [detail["field"] for detail in error["details"]] == ["user_id", "time"]


def test_an_event_without_id_and_time_gets_both_and_a_warning(api: Api) -> None:
    result = api.post("/v1/interactions", json={"user_id": "u", "item_id": "a"}).json()["results"][0]
    assert uuid.UUID(result["event_id"]).version == 4
    assert "sent again counts again" in result["warning"]


def test_an_event_with_time_but_no_id_is_deduplicated_by_content(api: Api) -> None:
    timed = {"user_id": "u", "item_id": "a", "time": NOW_MS}
    first, second = (api.post("/v1/interactions", json=timed).json()["results"][0] for _ in range(2))
    assert (first["status"], second["status"]) == ("accepted", "duplicate")
    assert "warning" not in first


def test_users_changed_by_a_commit_are_submitted_for_encoding(api: Api, shop: Shop) -> None:
    api.post("/v1/interactions", json={"events": [event(), event(event_id="e2", user_id="v")]})
    assert [state.seq for state in shop.changed_users] == [1, 1]


def test_a_replay_stamps_events_by_the_stream_clock() -> None:
    shop = Shop()
    streams_now = ManualClock(NOW_MS - 10**10)
    with Api(create_app(shop.with_services(clock=streams_now))) as api:
        untimed = api.post("/v1/interactions", json={"user_id": "u", "item_id": "a"})
        timed = api.post("/v1/interactions", json=event(user_id="v", time=NOW_MS + 1000))
    assert (untimed.json()["accepted"], timed.json()["accepted"]) == (1, 1)
    with shop.store.read() as read:
        users = [read.users.find(name) for name in "uv"]
    assert [user.window.last_time_ms for user in users if user] == [NOW_MS - 10**10, NOW_MS + 1000]


LONG = "x" * 10_000
BAD_EVENTS = {
    "a user id of another type": ({"user_id": 7}, "user_id", "send numbers as strings"),
    "an item id of another type": ({"item_id": ["a"]}, "item_id", "wanted a string"),
    "no user id": ({"user_id": None}, "user_id", "wanted a string"),
    "an empty user id": ({"user_id": ""}, "user_id", "wanted 1 to 256 bytes"),
    "an empty item id": ({"item_id": ""}, "item_id", "wanted 1 to 256 bytes"),
    "an id of 10 kB": ({"user_id": LONG}, "user_id", "shorten or hash"),
    "an event id of 10 kB": ({"event_id": LONG}, "event_id", "shorten or hash"),
    "a control character in an id": ({"item_id": "a\nb"}, "item_id", "remove them"),
    "a time in seconds": ({"time": NOW_MS // 1000}, "time", "multiply by 1000"),
    "a time in microseconds": ({"time": NOW_MS * 1000}, "time", "divide microseconds by 1000"),
    "a time that is text": ({"time": "yesterday"}, "time", "integer milliseconds"),
    "a time with a fraction": ({"time": NOW_MS + 0.5}, "time", "integer milliseconds"),
    "a time beyond 64 bits": ({"time": 10**30}, "time", "too large"),
    "a negative time": ({"time": -1}, "time", "send milliseconds"),
    "a time in the far future": ({"time": NOW_MS + 10**9}, "time", "correct the sender's clock"),
    "a value that is text": ({"value": "five"}, "value", "a number from -1e15 to 1e15"),
    "an unknown type": ({"type": "teleport"}, "type", "known types are"),
    "a type of another type": ({"type": {}}, "type", "unknown event type"),
    "an unknown field": ({"usr": "u"}, "usr", "known fields are"),
    "a context of lists": ({"context": {"tags": ["a"]}}, "context", "strings, finite numbers or booleans"),
    "another version": ({"version": 2}, "version", "wanted 1"),
}


@pytest.mark.parametrize(("changes", "field", "advice"), BAD_EVENTS.values(), ids=BAD_EVENTS.keys())
def test_an_invalid_event_is_422_with_the_field(
    api: Api, shop: Shop, changes: dict[str, Any], field: str, advice: str
) -> None:
    reply = api.post("/v1/interactions", json=event(**changes))
    error = reply.json()["error"]
    assert reply.status_code == 422
    assert error["field"] == field
    assert advice in error["message"]
    assert num_events(shop) == 0


BAD_BODIES = {
    "malformed JSON": (b'{"user_id": "u",', 400, "not valid JSON"),
    "an empty body": (b"", 400, "not valid JSON"),
    "NaN": (b'{"user_id": "u", "item_id": "a", "value": NaN}', 400, "without NaN"),
    "Infinity": (b'{"user_id": "u", "item_id": "a", "value": Infinity}', 400, "without NaN"),
    "a number beyond any double": (b'{"user_id": "u", "item_id": "a", "value": 1e999}', 400, "not valid JSON"),
    "bytes that are no UTF-8": (b'{"user_id": "\xff"}', 400, "UTF-8"),
    "a lone surrogate": (b'{"user_id": "\\ud800", "item_id": "a"}', 400, "surrogate"),
    "lists nested 100,000 deep": (b"[" * 100_000, 400, "not valid JSON"),
    "lists nested as deep as JSON may be": (
        b'{"events":' + b"[" * 1000 + b"]" * 1000 + b"}",
        422,
        "none of the 1 events",
    ),
    "an object nested as deep": (b'{"user_id":' * 1000 + b"1" + b"}" * 1000, 422, "wanted a string"),
    "a million empty lists": (b'{"events":[' + b"[]," * 10**6 + b"[]]}", 413, "at most 10000"),
    "a list": (b'[{"user_id": "u", "item_id": "a"}]', 422, '{"events": [...]}'),
    "text": (b'"u"', 422, "wanted a JSON object"),
    "null": (b"null", 422, "wanted a JSON object"),
    "events that are no list": (b'{"events": {}}', 422, "wanted a list"),
    "no events": (b'{"events": []}', 422, "at least one"),
    "another field beside events": (b'{"events": [{}], "wait": true}', 422, "unknown field"),
    "an event that is no object": (b'{"events": [1]}', 422, "none of the 1 events is valid"),
    "a batch of 100,000": (b'{"events": [' + b"{}," * 99_999 + b"{}]}", 413, "at most 10000"),
}


def test_a_compressed_body_is_refused_by_what_it_is(api: Api) -> None:
    body = gzip.compress(b'{"user_id": "u", "item_id": "a"}')
    reply = api.post("/v1/interactions", content=body, headers={"Content-Encoding": "gzip"})
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "malformed_json")
    assert "Content-Encoding: 'gzip'); send it uncompressed" in reply.json()["error"]["message"]


@pytest.mark.parametrize(("body", "status", "advice"), BAD_BODIES.values(), ids=BAD_BODIES.keys())
def test_an_invalid_body_is_rejected_in_the_error_shape(
    api: Api, shop: Shop, body: bytes, status: int, advice: str
) -> None:
    reply = api.post("/v1/interactions", content=body)
    assert reply.status_code == status
    assert set(reply.json()) == {"error"}
    assert advice in reply.json()["error"]["message"]
    assert num_events(shop) == 0


def test_a_body_with_too_large_a_length_is_rejected_unread(shop: Shop) -> None:
    services = shop.with_services(limits=Limits(max_body_bytes=100))
    with Api(create_app(services)) as api:
        reply = api.post("/v1/interactions", json=event(context={"note": "x" * 200}))
    assert reply.status_code == 413
    assert "split it" in reply.json()["error"]["message"]


def test_a_body_that_grows_too_large_is_rejected_without_a_length(shop: Shop) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(1000):
            yield b" " * 60

    services = shop.with_services(limits=Limits(max_body_bytes=100))
    with Api(create_app(services)) as api:
        reply = api.post("/v1/interactions", content=endless())
    assert reply.status_code == 413
    assert reply.headers["connection"] == "close"


def test_a_large_batch_is_parsed_off_the_event_loop(api: Api, shop: Shop) -> None:
    batch = [event(event_id=f"e{i}") for i in range(1000)]
    body = api.post("/v1/interactions", json={"events": batch}).json()
    assert body["accepted"] == 1000
    assert [result["user_seq"] for result in body["results"]] == list(range(1, 1001))


def test_an_undone_event_is_out_of_the_next_answer_and_stays_out(shop: Shop) -> None:
    with Api(create_app(shop.services)) as api:
        event = {"event_id": "a/1", "user_id": "ann", "item_id": "c"}
        api.post("/v1/interactions", json=event)
        undone = api.delete("/v1/interactions/a%2F1")
        again = api.post("/v1/interactions", json=event).json()
        events = api.get("/v1/users/ann/events").json()
        assert api.delete("/v1/interactions/a%2F1").json() == undone.json() == {"event_id": "a/1", "status": "undone"}
    assert (again["duplicate"], events["events"], events["user_seq"]) == (1, [], 2)
    assert shop.changed_users[-1].seq == 2, "the user is encoded again"


def test_an_unknown_event_cannot_be_undone(api: Api) -> None:
    reply = api.delete("/v1/interactions/unknown")
    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "not_found")
