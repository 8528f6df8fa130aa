"""A user's interest over HTTP: what is told is what was clicked, and a move is told as a sentence."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from serving_doubles import NOW_MS, Api, Shop

from serving.app import create_app

DAY_MS = 86_400_000


@pytest.fixture
def api() -> Iterator[Api]:
    with Api(create_app(Shop().services)) as api:
        yield api


def daily(api: Api, *item_ids: str, kind: str = "click") -> None:
    events = [
        {"user_id": "u", "item_id": item_id, "time": NOW_MS - (100 - day) * DAY_MS, "type": kind}
        for day, item_id in enumerate(item_ids)
    ]
    assert api.post("/v1/interactions", json={"events": events}).json()["accepted"] == len(events)


def test_a_move_from_odd_items_to_even_ones_is_found_and_told(api: Api) -> None:
    daily(api, *"ace" * 8, *"bdf" * 4)
    told = api.get("/v1/users/u/interests").json()
    drift = told["drift"]
    assert (drift["detected"], drift["origin"], drift["target"]) == (True, ["odd"], ["even"])
    assert drift["since"] == NOW_MS - 76 * DAY_MS
    assert drift["explanation"].endswith("12 of the last 12 events")
    assert drift["explanation"].startswith("from odd to even since ")
    assert drift["score"] > drift["threshold"] == 0.95
    assert told["topics"] == ["even", "odd"]
    assert told["short_term"]["even"] > told["long_term"]["even"]
    assert sum(bucket["events"] for bucket in told["history"]["buckets"]) == told["events"] == 36


def test_what_was_disliked_or_only_shown_is_no_interest(api: Api) -> None:
    daily(api, "a", "c", kind="dislike")
    daily(api, "a", "c", kind="impression")
    told = api.get("/v1/users/u/interests").json()
    assert (told["user_seq"], told["events"], told["topics"]) == (4, 0, [])


def test_items_that_the_catalogue_does_not_know_have_no_topic(api: Api) -> None:
    daily(api, "a", "unknown")
    told = api.get("/v1/users/u/interests").json()
    assert (told["events"], told["long_term"]) == (2, {"odd": 1.0})


def test_nobody_knows_the_interest_of_a_stranger(api: Api) -> None:
    reply = api.get("/v1/users/nobody/interests")
    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "not_found")


def test_a_question_that_nobody_would_read_is_refused(api: Api) -> None:
    daily(api, "a")
    assert api.get("/v1/users/u/interests?n=3").status_code == 422
