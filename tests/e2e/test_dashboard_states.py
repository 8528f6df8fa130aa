"""The dashboard when there is nothing, far too much, a fault, no server, or a key to give."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from playwright.sync_api import Route, expect
from services.browser import DESK, PHONE, REFUSED, Tab
from services.up_process import UpProcess, up

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
PLACES = ["", "users", "users/nobody", "items", "drift", "models", "ingestion"]
KEY = "a-key-of-sixteen-characters"
LONG = "An exceedingly long name " * 40
UNBROKEN = "unbroken" * 30  # 240 characters
TIRELESS = f"tireless-{UNBROKEN}"
NUM_ITEMS, NUM_EVENTS, BATCH = 10_000, 1_000, 2_500


@pytest.fixture
def tab(open_tab) -> Tab:  # type: ignore[no-untyped-def]
    return open_tab()


# --- nothing


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with up(tmp_path_factory.mktemp("empty") / "data") as (_, address):
        yield address


EMPTY_SAYS = {
    "": "The catalogue is empty",
    "users": "Nobody has done anything yet",
    "users/nobody": "Nobody has seen this user yet",
    "items": "The catalogue is empty",
    "items/nothing": "This item is not in the catalogue",
    "drift": "Nothing has been read yet",
    "models": "No model yet",
    "ingestion": "Nothing was set aside",
    "no/such/page": "There is no such page",
}


@pytest.mark.parametrize("place", EMPTY_SAYS)
def test_where_there_is_nothing_a_page_says_so_and_what_to_do(empty: str, tab: Tab, place: str) -> None:
    tab.go(f"{empty}/#/{place}")
    expect(tab.page.locator("main")).to_contain_text(EMPTY_SAYS[place])
    assert not re.search(r"NaN|undefined|null|\[object|Infinity", tab.text)
    assert [one for one in tab.complaints if REFUSED not in one] == []


# --- far too much


@pytest.fixture(scope="module")
def huge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """10,000 items, some with names without end, and a user of 1,000 events."""
    with (
        up(tmp_path_factory.mktemp("huge") / "data") as (server, address),
        httpx.Client(base_url=address, timeout=60) as http,
    ):
        names = {0: LONG, 1: UNBROKEN}
        items = [
            {"item_id": f"item-{n:05}", "title": names.get(n, f"Thing {n}"), "categories": [f"c{n % 300}", UNBROKEN]}
            for n in range(NUM_ITEMS)
        ]
        for first in range(0, NUM_ITEMS, BATCH):
            http.post("/v1/items", json={"items": items[first : first + BATCH]}).raise_for_status()
        now_ms = time.time_ns() // 1_000_000
        events = [
            {"user_id": TIRELESS, "item_id": f"item-{n % 700:05}", "time": now_ms - (NUM_EVENTS - n) * 600_000}
            for n in range(NUM_EVENTS)
        ]
        http.post("/v1/interactions", json={"events": events}).raise_for_status()
        server.until(lambda: http.get("/v1/items/search", params={"query": "Thing 9999"}).json()["matching"] == 1)
        yield address


HUGE_PLACES = ["", "users", f"users/{quote(TIRELESS)}", "items", "items/item-00000", "items/item-00001", "drift"]


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("place", HUGE_PLACES)
def test_names_without_end_do_not_push_a_page_apart(huge: str, open_tab, place: str, size: tuple[int, int]) -> None:  # type: ignore[no-untyped-def]
    tab = open_tab(size=size)
    tab.go(f"{huge}/#/{place}")
    assert tab.overflow() == 0
    assert tab.complaints == []


def test_a_search_among_ten_thousand_items_follows_the_typing(huge: str, tab: Tab) -> None:
    tab.go(f"{huge}/#/items")
    assert "of 10,000 items" in tab.text
    words = tab.page.get_by_label("Words in title, text or id")
    words.press_sequentially("thing 9999", delay=10)
    rows = tab.page.get_by_role("region", name="Items").locator("tbody tr")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("Thing 9999")


def test_a_thousand_events_come_page_by_page(huge: str, tab: Tab) -> None:
    tab.go(f"{huge}/#/users/{quote(TIRELESS)}")
    assert "1,000 events" in tab.text
    events = tab.page.get_by_role("list", name="Events, newest first").locator("li:not(.gap)")
    expect(events).to_have_count(60)
    tab.page.get_by_role("button", name="Earlier events").click()
    expect(events).to_have_count(120)
    assert tab.complaints == []


# --- a fault


@pytest.mark.parametrize("place", PLACES)
def test_a_fault_of_the_server_is_shown_with_its_message_and_a_way_on(shop: httpx.Client, tab: Tab, place: str) -> None:
    body = {"error": {"code": "internal", "message": "the server failed while answering"}}
    tab.page.route("**/v1/**", lambda route: route.fulfill(status=500, json=body))
    tab.go(f"{shop.base_url}/#/{place}")
    expect(tab.page.get_by_role("alert").filter(has_text="the server failed while answering").first).to_be_visible()
    assert [one for one in tab.complaints if REFUSED not in one] == []
    tab.page.unroute("**/v1/**")
    tab.page.get_by_role("button", name="Try again").first.click()
    expect(tab.page.get_by_role("button", name="Try again")).to_have_count(0)
    expect(tab.page.get_by_role("heading", level=1)).to_be_visible()


def test_an_answer_that_is_no_json_is_told_in_words(shop: httpx.Client, tab: Tab) -> None:
    tab.page.route("**/v1/**", lambda route: route.fulfill(status=502, body="<html>Bad gateway</html>"))
    tab.go(f"{shop.base_url}/#/")
    expect(tab.page.get_by_text("something that is no JSON (HTTP 502)")).to_be_visible()


def test_an_answer_that_comes_late_never_covers_a_newer_one(shop: httpx.Client, tab: Tab) -> None:
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    tab.go(f"{shop.base_url}/#/items")
    tab.page.route("**/v1/items/search?query=tea*", hold)
    words = tab.page.get_by_label("Words in title, text or id")
    words.fill("tea")
    words.fill("yoga mat")
    wanted = [item["title"] for item in shop.get("/v1/items/search?query=yoga+mat&n=30").json()["items"]]
    titles = tab.page.get_by_role("region", name="Items").locator("tbody tr td:first-child")
    expect(titles).to_have_text(wanted)
    held[0].continue_()
    tab.page.wait_for_timeout(300)
    expect(titles).to_have_text(wanted)


# --- no server


def test_a_server_that_goes_away_is_told_and_its_return_too(tmp_path: Path, tab: Tab) -> None:
    with up(tmp_path / "data") as (server, address):
        tab.go(f"{address}/#/")
        banner = tab.page.locator("#connection")
        expect(banner).to_be_hidden()
        server.kill()
        expect(banner).to_contain_text("The server does not answer since")
        expect(tab.page.get_by_role("heading", level=1)).to_have_text("Overview")
        returned = UpProcess(tmp_path / "data", options=["--port", address.rpartition(":")[2]])
        try:
            returned.start_and_wait()
            expect(banner).to_be_hidden()
        finally:
            if returned.runs():
                returned.kill()


# --- a key


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("locked") / "data"
    folder.mkdir()
    (folder / "tidewise.toml").write_text(f'[server]\napi_key = "{KEY}"\nread_key = "{KEY}-to-read"\n')
    with up(folder) as (_, address):
        yield address


def give(tab: Tab, key: str) -> None:
    tab.page.get_by_label("API key").fill(key)
    tab.page.get_by_role("button", name="Use key").click()


def test_a_key_is_asked_for_once_and_kept_for_this_tab_only(locked: str, tab: Tab, open_tab) -> None:  # type: ignore[no-untyped-def]
    tab.page.goto(f"{locked}/#/")
    dialog = tab.page.get_by_role("dialog")
    expect(dialog).to_contain_text("This server asks for a key")
    tab.page.keyboard.press("Escape")
    expect(dialog).to_be_visible()
    give(tab, "not-the-key-of-this-server")
    expect(dialog).to_contain_text("That key was not accepted.")
    give(tab, KEY)
    expect(dialog).to_be_hidden()
    expect(tab.page.get_by_role("heading", level=1)).to_have_text("Overview")
    tab.page.reload()
    tab.settle()
    expect(dialog).to_be_hidden()
    assert tab.page.evaluate("localStorage.getItem('key')") is None
    other = open_tab()
    other.page.goto(f"{locked}/#/models")
    expect(other.page.get_by_role("dialog")).to_be_visible()


def test_a_key_for_reading_reads_and_what_it_may_not_do_is_told(locked: str, tab: Tab) -> None:
    httpx.put(f"{locked}/v1/items/tent", json={"title": "Tent"}, headers={"X-API-Key": KEY}).raise_for_status()
    tab.page.goto(f"{locked}/#/items/tent")
    give(tab, f"{KEY}-to-read")
    expect(tab.page.get_by_role("heading", level=1)).to_have_text("Tent")
    tab.page.get_by_role("button", name="Hide it").click()
    expect(tab.page.get_by_text("this key is for read only")).to_be_visible()
