"""The demo's drift part, against a server with given alarms, shifts and verdicts."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import httpx
import pytest
from rich.console import Console

from core.catalogue.items import Item
from core.events.interactions import Interaction
from tidewise.client import Client
from tidewise.demo.drift_guide import ALARM_TIMEOUT_S, DriftGuide, visitors_of
from tidewise.demo.drift_tour import recall_drift, take_drift_tour
from tidewise.demo.shop_changes import Change
from tidewise.demo.simulator import Shop

CHANGE_MS = 1_767_100_000_000
HOUR_MS = 3_600_000


EXPLANATION = "from Tea to Gardening since 1 January; 5 of the last 6 events"


class FakeServer:
    """A server that raises an alarm `after` a number of requests; `verdict` None: the gate has not judged."""

    def __init__(self, *, after: int = 0, verdict: str | None = "promote", shifted: Sequence[str] = ("bob",)) -> None:
        self.after, self.verdict, self.shifted = after, verdict, shifted
        self.num_requests = 0

    def client(self) -> Client:
        return Client("http://shop", transport=httpx.MockTransport(self.answer))

    def answer(self, request: httpx.Request) -> httpx.Response:
        match request.url.path.strip("/").split("/"):
            case ["v1", "status"]:
                return httpx.Response(200, json={"model": {"champion": "old"}})
            case ["v1", "drift"]:
                self.num_requests += 1
                return httpx.Response(200, json={"alarms": self.alarms() if self.num_requests > self.after else []})
            case ["v1", "models"]:
                return httpx.Response(200, json={"models": self.models()})
            case ["v1", "users", user_id, "interests"]:
                detected = user_id in self.shifted
                drift = {"detected": detected, "explanation": EXPLANATION}
                return httpx.Response(
                    200, json={"user_id": user_id, "drift": drift | {"target": ["Gardening"] if detected else None}}
                )
            case ["v1", "users", _, "recommendations"]:
                items = [{"item_id": "spade", "title": "A spade", "categories": ["Gardening"]}]
                return httpx.Response(200, json={"items": items, "model_version": "new"})
            case unknown:
                return httpx.Response(404, json={"error": {"message": f"no {unknown}"}})

    def alarms(self) -> list[dict[str, Any]]:
        cause = "events moved from Tea (20% to 9%) to Gardening (4% to 40%)"
        times = {"onset": CHANGE_MS + 2 * HOUR_MS, "detected": CHANGE_MS + 3 * HOUR_MS}
        return [{"signal": name, "cause": cause, **times} for name in ("hit_rate", "categories")]

    def models(self) -> list[dict[str, Any]]:
        trial = {"verdict": self.verdict, "reason": "against the champion +0.02", "events": 900, "users": 200}
        lineage = {"parent": "old", "trigger": "drift of categories", "trials": [trial] if self.verdict else []}
        return [{"version": "new", "lineage": lineage}, {"version": "old", "lineage": {}}]


def shop() -> Shop:
    events = [
        Interaction(f"e{number}", user_id, "spade", "view", CHANGE_MS + hour * HOUR_MS)
        for number, (user_id, hour) in enumerate([("ann", -1), ("ann", 0), ("bob", 1), ("bob", 2), ("bob", 5)])
    ]
    items = (Item("spade", "A spade", categories=("Gardening",)),)
    return Shop(items, (), tuple(events), (), Change("season", CHANGE_MS, "Gardening"))


def run_tour(server: FakeServer) -> tuple[str, list[Interaction]]:
    console, sent = Console(file=io.StringIO(), width=200), list[Interaction]()
    take_drift_tour(server.client(), shop(), send=sent.extend, console=console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue(), sent


def test_only_the_events_after_the_change_are_sent() -> None:
    _, sent = run_tour(FakeServer())
    assert [event.event_id for event in sent] == ["e1", "e2", "e3", "e4"]


def test_alarm_affected_user_and_verdict_are_printed() -> None:
    text, _ = run_tour(FakeServer(after=1))
    for expected in (
        "half of all visits are to Gardening",
        "Detected after 3 of these events, in `categories`",
        "off by 2.0 h",
        "Likely cause: events moved from Tea (20% to 9%) to Gardening (4% to 40%).",
        "bob: from Tea to Gardening since 1 January; 5 of the last 6 events.",
        "Trigger: drift of categories.",
        "Verdict on new: promote, against the champion +0.02, on 900 events of 200 users.",
        "fine-tuned model",
        "http://shop/#/drift",
    ):
        assert expected in text


def test_a_refusal_is_printed_without_new_recommendations() -> None:
    text, _ = run_tour(FakeServer(verdict="refuse"))
    assert "Verdict on new: refuse" in text
    assert "fine-tuned model" not in text


def test_the_tour_says_where_no_user_shows_a_shift() -> None:
    text, _ = run_tour(FakeServer(shifted=()))
    assert "No single user has enough events since then to show a shift." in text


class HandClock:
    """A clock that only `pause` advances."""

    def __init__(self) -> None:
        self.time_s = 0.0

    def now_s(self) -> float:
        return self.time_s

    def pause(self, seconds: float) -> None:
        self.time_s += seconds


def test_waiting_ends_at_the_timeout() -> None:
    clock = HandClock()
    guide = DriftGuide(FakeServer(after=10**9, verdict=None).client(), now_s=clock.now_s, pause=clock.pause)
    assert guide.alarm() is None
    assert clock.time_s == pytest.approx(ALARM_TIMEOUT_S, abs=1)
    assert guide.fine_tuned_model("old") is None


def test_users_with_most_events_on_the_items_come_first() -> None:
    assert visitors_of(shop().live, {"spade"}) == ["bob", "ann"]
    assert visitors_of(shop().live, {"rake"}) == []


def test_a_later_run_prints_the_drift_of_an_earlier_one() -> None:
    console = Console(file=io.StringIO(), width=200)
    recall_drift(FakeServer().client(), console)
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert "to Gardening (4% to 40%)" in text
    assert "new, trained after drift of categories: promote." in text
