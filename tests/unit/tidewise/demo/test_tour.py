"""The tour and the live traffic, against a shop that answers like the API and follows the last click at once."""

import io
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from rich.console import Console

from core.events.interactions import Interaction
from tidewise.client import ApiError, Client, event_json
from tidewise.demo.guide import TIMEOUT_S, Guide
from tidewise.demo.tour import show_where_to_look, take_tour
from tidewise.live_traffic import LARGEST_BATCH, TrafficPace, replay_live

Json = dict[str, Any]


def catalogue() -> dict[str, Json]:
    """Ten items in each of two categories; tea is more popular."""
    return {
        f"{name}-{number}": {
            "item_id": f"{name}-{number}",
            "title": f"Hollinde {name} no. {number} in sand",
            "text": f"Good {name}.",
            "categories": [name],
        }
        for name in ("tea", "yoga")
        for number in range(10)
    }


class FakeApi:
    """Recommends the category of a user's last click; `lag` answers are given before a change shows."""

    def __init__(self, *, lag: int = 0, verdict: str = "accepted") -> None:
        self.items = catalogue()
        self.clicks: dict[str, list[str]] = {"regular": ["tea-9"]}
        self.events: list[Json] = []
        self.batches: list[int] = []
        self.keys: set[str | None] = set()
        self.lag = self.behind = lag
        self.verdict = verdict

    def client(self, *, api_key: str | None = None) -> Client:
        return Client("http://shop", api_key=api_key, transport=httpx.MockTransport(self.answer))

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.keys.add(request.headers.get("authorization"))
        body = json.loads(request.content) if request.content else {}
        params = request.url.params
        match request.method, request.url.path.strip("/").split("/"):
            case "POST", ["v1", "interactions"]:
                return self.post(body["events"])
            case "GET", ["v1", "users", user_id, "recommendations"]:
                return self.recommend(user_id, int(params.get("n", 10)), params.get("category"))
            case "GET", ["v1", "items", "popular"]:
                return self.listed("popularity", int(params.get("n", 10)), params.get("category"))
            case "GET", ["v1", "items", item_id, "similar"]:
                return self.listed("model", int(params.get("n", 10)), self.items[item_id]["categories"][0])
            case "GET", ["v1", "items", item_id]:
                return httpx.Response(200, json=self.items[item_id])
            case "PUT", ["v1", "items", item_id]:
                self.items[item_id] = {"item_id": item_id} | body
                self.behind = self.lag
                return httpx.Response(200, json=self.items[item_id])
            case unknown:
                return httpx.Response(404, json={"error": f"no {unknown}"})

    def post(self, events: list[Json]) -> httpx.Response:
        self.batches.append(len(events))
        self.events += events
        results = []
        for event in events:
            mine = self.clicks.setdefault(event["user_id"], [])
            mine.append(event["item_id"])
            results.append({"status": self.verdict, "user_seq": len(mine)})
        self.behind = self.lag
        return httpx.Response(200, json={"results": results})

    def recommend(self, user_id: str, n: int, category: str | None) -> httpx.Response:
        self.behind -= 1
        clicks = self.clicks.get(user_id, [])
        shown = clicks[:-1] if self.behind >= 0 else clicks
        liked = self.items[shown[-1]]["categories"][0] if shown else None
        source = "model" if shown else "popularity"
        return self.listed(source, n, category or liked, seq=len(shown) or None, hide_new=self.behind >= 0)

    def listed(
        self, source: str, n: int, category: str | None, *, seq: int | None = None, hide_new: bool = False
    ) -> httpx.Response:
        chosen = [item for item in self.items.values() if category in (None, *item["categories"])]
        chosen = [item for item in chosen if not (hide_new and item["item_id"].startswith("new-"))]
        return httpx.Response(200, json={"items": chosen[:n], "source": source, "user_seq": seq})


class HandClock:
    """A clock that only `sleep` advances."""

    def __init__(self) -> None:
        self.time_s = 0.0

    def now_s(self) -> float:
        return self.time_s

    def sleep(self, seconds: float) -> None:
        self.time_s += seconds


def guide(api: FakeApi, clock: HandClock | None = None) -> Guide:
    clock = clock or HandClock()
    return Guide(api.client(), now_s=clock.now_s, pause=clock.sleep, run="0a0a0a")


def tea_events(count: int) -> list[Interaction]:
    return [Interaction(f"e{i}", f"u{i % 7}", "tea-1", "view", 1_767_000_000_000 + i) for i in range(count)]


def quiet() -> Console:
    return Console(file=io.StringIO(), width=120)


@pytest.mark.parametrize("lag", [0, 5])
def test_a_click_of_another_category_changes_the_recommendations(lag: int) -> None:
    click = guide(FakeApi(lag=lag)).click("regular")
    assert {item["categories"][0] for item in click.before["items"]} == {"tea"}
    assert click.item["categories"] == ["yoga"]
    assert {item["categories"][0] for item in click.after["items"]} == {"yoga"}


def test_the_answer_after_a_click_reflects_it() -> None:
    api = FakeApi(lag=5)
    clock = HandClock()
    click = guide(api, clock).click("regular")
    assert click.after["user_seq"] == len(api.clicks["regular"]) == 2
    assert click.changed_ms == pytest.approx(clock.time_s * 1000)


def test_an_answer_that_never_changes_ends_the_tour_with_an_error() -> None:
    with pytest.raises(
        ApiError, match=f"timed out after {TIMEOUT_S:.0f} s waiting until the answer for regular follows the click"
    ):
        guide(FakeApi(lag=10**9)).click("regular")


def test_a_rejected_click_ends_the_tour_with_an_error() -> None:
    with pytest.raises(ApiError, match=r"did not accept the click: .*'rejected'"):
        guide(FakeApi(verdict="rejected")).click("regular")


def test_a_new_item_is_shown_at_its_rank_in_its_category() -> None:
    api = FakeApi(lag=2)
    new = guide(api).new_item(api.items["yoga-3"], "regular")
    assert new.item["title"].startswith("Hollinde yoga no. 3 in ")
    assert new.item["title"] != api.items["yoga-3"]["title"]
    assert (new.rank, new.num_ranked) == (11, 11)


def test_a_new_user_gets_popular_then_personal_items() -> None:
    guest = guide(FakeApi()).new_user()
    assert (guest.first["source"], guest.after["source"]) == ("popularity", "model")
    assert len(guest.clicks) == 2


def test_a_shop_without_categories_gets_a_clear_error() -> None:
    api = FakeApi()
    for item in api.items.values():
        item["categories"] = []
    with pytest.raises(ApiError, match="needs a shop with more items, in categories"):
        guide(api).new_user()


def test_the_tour_fits_on_one_screen_and_prints_addresses() -> None:
    console = quiet()
    tour = take_tour(FakeApi().client(), user_id="regular", console=console)
    show_where_to_look(FakeApi().client(), console)
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert len(text.splitlines()) <= 40
    for expected in ("regular", tour.click.item["title"], tour.new_item.item["title"], "guest-", "http://shop/"):
        assert expected in text


def test_live_traffic_sends_every_event_once_in_order() -> None:
    api, events = FakeApi(), tea_events(1201)
    report = replay_live([api.client()], events, pace=TrafficPace(None), console=quiet())
    assert api.events == [event_json(event) for event in events]
    assert api.batches == [LARGEST_BATCH, LARGEST_BATCH, 201]
    assert report.statuses == {"accepted": 1201}


def test_live_traffic_keeps_the_requested_rate() -> None:
    clock = HandClock()
    pace = TrafficPace(80.0, now_s=clock.now_s, sleep=clock.sleep)
    report = replay_live([FakeApi().client()], tea_events(200), pace=pace, console=quiet())
    assert report.events_per_s == pytest.approx(80, rel=0.06)


def test_batches_grow_with_the_rate_up_to_the_request_limit() -> None:
    assert (TrafficPace(1.0).batch_size, TrafficPace(80.0).batch_size, TrafficPace(1e9).batch_size) == (
        1,
        10,
        LARGEST_BATCH,
    )


def test_optional_fields_of_an_event_are_sent_only_if_set() -> None:
    event = Interaction("e", "u", "i", "rating", 5, value=3.0)
    assert event_json(event) == {
        "event_id": "e", "user_id": "u", "item_id": "i", "type": "rating", "time": 5, "value": 3.0
    }  # fmt: skip


def test_every_request_carries_the_key() -> None:
    api = FakeApi()
    api.client(api_key="secret").popular()
    assert api.keys == {"Bearer secret"}


def test_ids_are_escaped_in_addresses() -> None:
    paths = []
    handler: Callable[[httpx.Request], httpx.Response] = lambda request: (  # noqa: E731
        paths.append(request.url.raw_path) or httpx.Response(200, json={})
    )
    Client("http://shop/", transport=httpx.MockTransport(handler)).item("a/b?c é")
    assert paths == [b"/v1/items/a%2Fb%3Fc%20%C3%A9"]


def test_an_unreachable_server_is_an_error_that_says_what_to_start() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    with pytest.raises(
        ApiError, match=r"http://shop/v1/items/popular: no answer \(refused\); is `tidewise up` running"
    ):
        Client("http://shop", transport=httpx.MockTransport(refuse)).popular()


@pytest.mark.parametrize(
    ("body", "words"), [('{"error": {"code": "x", "message": "send a key"}}', "send a key"), ("<html>", "'<html>'")]
)
def test_an_error_answer_carries_the_servers_message(body: str, words: str) -> None:
    transport = httpx.MockTransport(lambda request: httpx.Response(401, text=body))
    with pytest.raises(ApiError, match=f"answered 401: {words}$"):
        Client("http://shop", transport=transport).popular()
