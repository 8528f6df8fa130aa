"""The dashboard where "now" is the time of the newest event, in 2003, and the days that its pages ask for."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from playwright.sync_api import Request, expect
from services.browser import LOAD_FAILURE, Tab
from services.up_process import up

from core.clock import DAY_MS, HOUR_MS
from core.records.drift import Alarm
from core.records.statuses import AlarmEnding
from core.records.stored import DeadLetter, ModelRecord
from tidewise.bootstrap import open_system
from tidewise.settings.schema import load_settings

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
NOW_MS = 1_046_454_590_000  # 2003-02-28 17:49:50 UTC
PATHS = ["", "users", "users/ann", "items", "items/tea", "scenarios", "experiments", "outcomes", "drift", "models"]
PATHS += ["ingestion"]
ITEMS = [
    {"item_id": "tea", "title": "Green tea"},
    {"item_id": "cup", "title": "Cup", "stock": 0},
    {"item_id": "pot", "title": "Pot", "available_from": NOW_MS + DAY_MS},
    {"item_id": "jug", "title": "Jug", "available_until": NOW_MS - DAY_MS},
    {
        "item_id": "mug",
        "title": "Mug",
        "stock": 3,
        "available_from": NOW_MS - DAY_MS,
        "available_until": NOW_MS + DAY_MS,
    },
]
EVENTS = [("ann", "tea", 0), ("bob", "tea", 3 * HOUR_MS), ("ann", "mug", 20 * HOUR_MS), ("ann", "tea", 40 * DAY_MS)]


@pytest.fixture(scope="module")
def old_shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A shop under the stream clock whose newest event is of 2003; a model was trained three hours ago."""
    folder = tmp_path_factory.mktemp("old-events") / "data"
    settings = load_settings(overrides={"data.folder": str(folder), "clock.mode": "stream"}, environment={})
    wall_ms = time.time_ns() // 1_000_000
    with open_system(settings) as system, system.store.transaction() as tx:
        tx.models.save(ModelRecord("axes-1", "", "retired", wall_ms - 3 * HOUR_MS, {"kind": "first"}))
        tx.dead_letters.add([DeadLetter("interactions", 0, 4, "wanted JSON", b"{", wall_ms - 3 * HOUR_MS)])
        tx.scenarios.add("homepage", {"n": 5}, author="ann", now_ms=wall_ms - 3 * HOUR_MS)
        then_ms = NOW_MS - 400 * DAY_MS
        alarm = Alarm("gaps//1", "gaps", "", then_ms, then_ms - HOUR_MS, 0.1, 0.3, 0.2, 0.4, "events came later", "")
        tx.drift.save_alarms([replace(alarm, over_ms=then_ms + DAY_MS, ending=AlarmEnding.RECOVERED)])
        tx.commit()
    with (
        up(folder, options=["--set", "clock.mode=stream"]) as (_, address),
        httpx.Client(base_url=address, timeout=30) as http,
    ):
        http.post("/v1/items", json={"items": ITEMS}).raise_for_status()
        events = [{"user_id": user, "item_id": item, "time": NOW_MS - age_ms} for user, item, age_ms in EVENTS]
        http.post("/v1/interactions?wait=applied", json={"events": events}).raise_for_status()
        assert http.get("/v1/status").json()["now"] == NOW_MS
        yield http


@pytest.fixture
def tab(reader) -> Tab:  # type: ignore[no-untyped-def]
    tab: Tab = reader()
    return tab


@pytest.mark.parametrize("path", PATHS)
def test_every_page_of_old_events_opens_without_an_error(old_shop: httpx.Client, tab: Tab, path: str) -> None:
    tab.follow(f"{old_shop.base_url}/#/{path}")
    expect(tab.page.get_by_role("heading", level=1)).to_be_visible()
    expect(tab.page.locator("main [role=alert]")).to_have_count(0)
    assert [error for error in tab.errors if LOAD_FAILURE not in error] == []


def test_a_range_ends_with_the_newest_event(old_shop: httpx.Client, tab: Tab) -> None:
    tab.follow(f"{old_shop.base_url}/#/?range=24h")
    expect(tab.page.get_by_text("Last 24 hours to Feb 28, 2003, 17:49, the time of the newest event.")).to_be_visible()
    expect(tab.page.locator("dl.stat").filter(has_text="last 24 hours; 4 in total")).to_contain_text("3")


def test_the_figures_of_an_item_end_with_the_newest_event(old_shop: httpx.Client, tab: Tab) -> None:
    tab.follow(f"{old_shop.base_url}/#/items/tea?range=90d")
    expect(tab.page.locator("dl.stat").first).to_contain_text("Events3")


def test_a_chart_says_to_which_time_it_is_drawn(old_shop: httpx.Client, tab: Tab) -> None:
    tab.follow(f"{old_shop.base_url}/#/?range=24h")
    about = "events per 15 minutes, drawn to Feb 28, 2003, 17:45, the end of the last full step"
    expect(tab.page.get_by_role("region", name="Events", exact=True)).to_contain_text(about)


@pytest.mark.parametrize("path", ["users", "ingestion"])
def test_times_of_events_are_told_from_the_newest_one(old_shop: httpx.Client, tab: Tab, path: str) -> None:
    tab.follow(f"{old_shop.base_url}/#/{path}")
    expect(tab.page.locator("main tbody time", has_text="just now").first).to_be_visible()
    expect(tab.page.get_by_text("years ago")).to_have_count(0)


@pytest.mark.parametrize("path", ["models", "scenarios", "ingestion"])
def test_times_of_the_wall_clock_are_told_from_the_wall_clock(old_shop: httpx.Client, tab: Tab, path: str) -> None:
    tab.follow(f"{old_shop.base_url}/#/{path}")
    expect(tab.page.locator("main time", has_text="3 hours ago").first).to_be_visible()


def test_an_update_of_an_item_is_told_from_the_wall_clock(old_shop: httpx.Client, tab: Tab) -> None:
    tab.follow(f"{old_shop.base_url}/#/items/jug")
    assert "years" not in tab.page.locator("dl.facts time").inner_text()


STATES = {
    "tea": "visible",
    "cup": "sold out",
    "pot": "available from Mar 1, 2003, 17:49",
    "jug": "no longer available",
    "mug": "visible",
}


@pytest.mark.parametrize(("item_id", "state"), STATES.items())
def test_an_item_says_whether_it_may_be_recommended(old_shop: httpx.Client, tab: Tab, item_id: str, state: str) -> None:
    tab.follow(f"{old_shop.base_url}/#/items/{item_id}")
    expect(tab.page.locator(".head .badge")).to_have_text([state])


def test_an_item_lists_its_stock_and_its_availability(old_shop: httpx.Client, tab: Tab) -> None:
    tab.follow(f"{old_shop.base_url}/#/items/mug")
    facts = tab.page.locator("dl.facts dd")
    expect(facts.nth(1)).to_have_text("3")
    expect(facts.nth(2)).to_have_text("from Feb 27, 2003, 17:49 until Mar 1, 2003, 17:49")


def test_the_table_of_items_says_which_are_in_no_list(old_shop: httpx.Client, tab: Tab) -> None:
    tab.follow(f"{old_shop.base_url}/#/items")
    for item_id in ("cup", "pot", "jug"):
        row = tab.page.get_by_role("region", name="Items", exact=True).get_by_role("row").filter(has_text=item_id)
        expect(row.locator(".badge")).to_have_text([STATES[item_id]])


def test_hiding_an_item_changes_nothing_else_of_it(old_shop: httpx.Client, tab: Tab) -> None:
    before = old_shop.get("/v1/items/mug").json()
    tab.follow(f"{old_shop.base_url}/#/items/mug")
    tab.page.get_by_role("button", name="Hide", exact=True).click()
    expect(tab.page.locator(".head .badge")).to_have_text(["hidden"])
    after = old_shop.get("/v1/items/mug").json()
    tab.page.get_by_role("button", name="Unhide").click()
    expect(tab.page.locator(".head .badge")).to_have_text(["visible"])
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"hidden", "revision", "updated"}


DAYS = {"1h": 2, "24h": 2, "7d": 7, "30d": 30}


@pytest.mark.parametrize(("chosen", "num_days"), DAYS.items())
def test_all_pages_count_outcomes_in_the_same_days(
    old_shop: httpx.Client, tab: Tab, chosen: str, num_days: int
) -> None:
    asked: list[str] = []

    def note(request: Request) -> None:
        if any(name in request.url for name in ("/v1/outcomes", "/v1/items/search", "/v1/items/tea/statistics")):
            asked.append(request.url)

    tab.page.on("request", note)
    for path in ("", "items", "outcomes"):
        tab.follow(f"{old_shop.base_url}/#/{path}?range={chosen}")
    tab.page.remove_listener("request", note)
    periods = [parse_qs(urlsplit(url).query) for url in asked]
    days = {(int(period["since"][0]) // DAY_MS, int(period["until"][0]) // DAY_MS) for period in periods}
    assert days == {(NOW_MS // DAY_MS - num_days + 1, NOW_MS // DAY_MS)}


@pytest.mark.parametrize("path", ["", "items", "items/tea", "outcomes"])
def test_a_page_says_which_days_it_counts(old_shop: httpx.Client, tab: Tab, path: str) -> None:
    tab.follow(f"{old_shop.base_url}/#/{path}?range=24h")
    expect(tab.page.get_by_text("today and yesterday (UTC)").first).to_be_visible()
    tab.follow(f"{old_shop.base_url}/#/{path}?range=7d")
    expect(tab.page.get_by_text("last 7 days with today (UTC)").first).to_be_visible()


@pytest.mark.parametrize("chosen", ["7d", "1y"])
def test_an_alarm_older_than_every_range_is_found_in_the_api(old_shop: httpx.Client, tab: Tab, chosen: str) -> None:
    tab.follow(f"{old_shop.base_url}/#/drift?range={chosen}")
    alarms = tab.page.get_by_role("region", name="Alarms", exact=True)
    expect(alarms.locator("p.small")).to_have_text("1 alarm of more than a year ago: GET /v1/drift lists it.")


def test_events_of_a_user_stand_below_their_date(old_shop: httpx.Client, tab: Tab) -> None:
    tab.follow(f"{old_shop.base_url}/#/users/ann")
    expect(tab.page.locator(".timeline > li.gap")).to_have_text(
        ["Feb 28, 2003", "Feb 27, 2003, 20 hours earlier", "Jan 19, 2003, 1 month earlier", "first event"]
    )


def test_the_number_of_a_users_events_is_what_is_stored(old_shop: httpx.Client, tab: Tab) -> None:
    undone = {"event_id": "by-mistake", "user_id": "ann", "item_id": "tea", "time": NOW_MS - 2 * HOUR_MS}
    old_shop.post("/v1/interactions?wait=applied", json=undone).raise_for_status()
    old_shop.delete("/v1/interactions/by-mistake").raise_for_status()
    tab.follow(f"{old_shop.base_url}/#/users/ann")
    expect(tab.page.locator(".head p")).to_have_text("3 events, the newest just now")
