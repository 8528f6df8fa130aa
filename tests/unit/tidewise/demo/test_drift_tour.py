"""The demo's last part, against a server whose monitor, trainer and gate do what a test says."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import httpx
import pytest
from rich.console import Console

from core.interactions import Interaction
from core.items import Item
from tidewise.client import Client
from tidewise.demo.drift_guide import ALARM_PATIENCE_S, DriftGuide, visitors_of
from tidewise.demo.drift_tour import recall_drift, take_drift_tour
from tidewise.demo.shop_changes import Change
from tidewise.demo.simulator import Shop

CHANGE_MS = 1_767_100_000_000
HOUR_MS = 3_600_000


EXPLANATION = "from Tea to Gardening since 1 January; 5 of the last 6 events"


class FakeServer:
    """Raises an alarm `after` a number of questions; the gate's `verdict` None: it never comes."""

    def __init__(self, *, after: int = 0, verdict: str | None = "promote", moved: Sequence[str] = ("bob",)) -> None:
        self.after, self.verdict, self.moved = after, verdict, moved
        self.num_asked = 0

    def client(self) -> Client:
        return Client("http://shop", transport=httpx.MockTransport(self.answer))

    def answer(self, request: httpx.Request) -> httpx.Response:
        match request.url.path.strip("/").split("/"):
            case ["v1", "status"]:
                return httpx.Response(200, json={"model": {"champion": "old"}})
            case ["v1", "drift"]:
                self.num_asked += 1
                return httpx.Response(200, json={"alarms": self.alarms() if self.num_asked > self.after else []})
            case ["v1", "models"]:
                return httpx.Response(200, json={"models": self.models()})
            case ["v1", "users", user_id, "interests"]:
                found = user_id in self.moved
                told = {"detected": found, "explanation": EXPLANATION}
                return httpx.Response(
                    200, json={"user_id": user_id, "drift": told | {"target": ["Gardening"] if found else None}}
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


def told(server: FakeServer) -> tuple[str, list[Interaction]]:
    console, sent = Console(file=io.StringIO(), width=200), list[Interaction]()
    take_drift_tour(server.client(), shop(), send=sent.extend, console=console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue(), sent


def test_what_is_sent_is_what_comes_after_the_change_and_nothing_else() -> None:
    _, sent = told(FakeServer())
    assert [event.event_id for event in sent] == ["e1", "e2", "e3", "e4"]


def test_the_alarm_the_user_and_the_verdict_are_told() -> None:
    text, _ = told(FakeServer(after=1))
    for wanted in (
        "half of all visits turn to Gardening",
        "Noticed after 3 of these events, in `categories`",
        "off by 2.0 h",
        "Likely cause: events moved from Tea (20% to 9%) to Gardening (4% to 40%).",
        "bob: from Tea to Gardening since 1 January; 5 of the last 6 events.",
        "Why it was trained: drift of categories.",
        "What the gate says of new: promote, against the champion +0.02, on 900 events of 200 users.",
        "by the model that followed",
        "http://shop/#/drift",
    ):
        assert wanted in text


def test_a_refusal_is_told_and_no_other_list_is_shown() -> None:
    text, _ = told(FakeServer(verdict="refuse"))
    assert "What the gate says of new: refuse" in text
    assert "by the model that followed" not in text


def test_where_nobody_can_be_said_to_have_moved_the_tour_says_so() -> None:
    text, _ = told(FakeServer(moved=()))
    assert "No single user has come often enough since to say that they moved." in text


class HandClock:
    """Time that passes by waiting only."""

    def __init__(self) -> None:
        self.time_s = 0.0

    def now_s(self) -> float:
        return self.time_s

    def pause(self, seconds: float) -> None:
        self.time_s += seconds


def test_patience_ends() -> None:
    clock = HandClock()
    guide = DriftGuide(FakeServer(after=10**9, verdict=None).client(), now_s=clock.now_s, pause=clock.pause)
    assert guide.alarm() is None
    assert clock.time_s == pytest.approx(ALARM_PATIENCE_S, abs=1)
    assert guide.follower("old") is None


def test_who_met_the_items_most_often_comes_first() -> None:
    assert visitors_of(shop().live, {"spade"}) == ["bob", "ann"]
    assert visitors_of(shop().live, {"rake"}) == []


def test_a_later_run_tells_what_an_earlier_one_has_left() -> None:
    console = Console(file=io.StringIO(), width=200)
    recall_drift(FakeServer().client(), console)
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert "to Gardening (4% to 40%)" in text
    assert "new, trained after drift of categories: promote." in text
