"""The dashboard without data, with very much data, with errors, without a server, and with an API key."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from playwright.sync_api import Route, expect
from services.browser import DESK, LOAD_FAILURE, PHONE, Tab
from services.up_process import UpProcess, up

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
PATHS = ["", "users", "users/nobody", "items", "scenarios", "experiments", "outcomes", "drift", "models", "ingestion"]
KEY = "a-key-of-sixteen-characters"
LONG = "An exceedingly long name " * 40
MAX_HEIGHT = 4000  # CSS pixels, also on a phone
UNBROKEN = "unbroken" * 30  # 240 characters
BUSY_USER = f"busy-{UNBROKEN}"
NUM_ITEMS, NUM_EVENTS, BATCH = 10_000, 1_000, 2_500


@pytest.fixture
def tab(reader) -> Iterator[Tab]:  # type: ignore[no-untyped-def]
    tab: Tab = reader()
    yield tab
    tab.page.unroute_all()


@pytest.fixture
def new_tab(open_tab) -> Tab:  # type: ignore[no-untyped-def]
    """A window in which no key was given."""
    return open_tab()


# --- no data


@pytest.fixture(scope="module")
def empty_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[UpProcess, Path, str]]:
    """A server without data, its data folder and its address."""
    folder = tmp_path_factory.mktemp("empty") / "data"
    with up(folder) as (server, address):
        yield server, folder, address


@pytest.fixture(scope="module")
def empty(empty_server: tuple[UpProcess, Path, str]) -> str:
    """The address of a server without data."""
    return empty_server[-1]


EMPTY_TEXTS = {
    "": "tidewise import --items",
    "users": "No users yet",
    "users/nobody": "No events of this user yet",
    "items": "The catalogue is empty",
    "items/nothing": "This item is not in the catalogue",
    "scenarios": "No scenario yet",
    "experiments": "No experiment yet. Store another way of answering as a scenario",
    "outcomes": "No recommendations in these days.",
    "drift": "No events have been read yet",
    "models": "No model yet",
    "ingestion": "No dead letters",
    "no/such/page": "There is no such page",
}


@pytest.mark.parametrize("path", EMPTY_TEXTS)
def test_a_page_without_data_says_so_and_what_to_do(empty: str, reader, path: str) -> None:  # type: ignore[no-untyped-def]
    tab = reader()
    tab.follow(f"{empty}/#/{path}")
    expect(tab.page.locator("main")).to_contain_text(EMPTY_TEXTS[path])
    assert not re.search(r"NaN|undefined|null|\[object|Infinity|`", tab.text)
    assert [error for error in tab.errors if LOAD_FAILURE not in error] == []


@pytest.mark.parametrize("path", ["", "models"])
def test_without_a_model_a_page_names_the_command_that_trains(empty: str, tab: Tab, path: str) -> None:
    tab.follow(f"{empty}/#/{path}")  # of a server that does not train by itself
    expect(tab.page.locator("main code", has_text="tidewise train")).to_be_visible()
    expect(tab.page.locator("main")).to_contain_text("--no-train")


# --- very much data


@pytest.fixture(scope="module")
def huge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """10,000 items, some with very long names, and a user with 1,000 events."""
    with (
        up(tmp_path_factory.mktemp("huge") / "data") as (server, address),
        httpx.Client(base_url=address, timeout=60) as http,
    ):
        names = {0: LONG, 1: UNBROKEN, 699: "x" * 10_000}
        items = [
            {"item_id": f"item-{n:05}", "title": names.get(n, f"Thing {n}"), "categories": [f"c{n % 300}", UNBROKEN]}
            for n in range(NUM_ITEMS)
        ]
        for first in range(0, NUM_ITEMS, BATCH):
            http.post("/v1/items", json={"items": items[first : first + BATCH]}).raise_for_status()
        now_ms = time.time_ns() // 1_000_000
        events = [
            {"user_id": BUSY_USER, "item_id": f"item-{n % 700:05}", "time": now_ms - (NUM_EVENTS - n) * 600_000}
            for n in range(NUM_EVENTS)
        ]
        http.post("/v1/interactions", json={"events": events}).raise_for_status()
        server.until(lambda: http.get("/v1/items/search", params={"query": "Thing 9999"}).json()["matching"] == 1)
        yield address


HUGE_PATHS = ["", "users", f"users/{quote(BUSY_USER)}", "items", "items/item-00001", "items/item-00699", "drift"]


@pytest.mark.parametrize("path", HUGE_PATHS)
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_very_long_names_do_not_break_the_layout(huge: str, reader, path: str, size: tuple[int, int]) -> None:  # type: ignore[no-untyped-def]
    tab = reader(size=size)
    tab.follow(f"{huge}/#/{path}")
    assert tab.overflow() == 0
    assert tab.height() <= MAX_HEIGHT
    assert tab.errors == []


def test_search_among_ten_thousand_items_updates_while_typing(huge: str, tab: Tab) -> None:
    tab.follow(f"{huge}/#/items")
    assert "items of 10,000, most popular first" in tab.text
    words = tab.page.get_by_label("Words in title, text or id")
    words.press_sequentially("thing 9999", delay=10)
    rows = tab.page.get_by_role("region", name="Items").locator("tbody tr")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("Thing 9999")


def test_a_thousand_events_are_paged(huge: str, tab: Tab) -> None:
    tab.follow(f"{huge}/#/users/{quote(BUSY_USER)}")
    assert "more than 25 events" in tab.text
    events = tab.page.get_by_role("list", name="Events, newest first").locator("li:not(.gap)")
    expect(events).to_have_count(25)
    tab.page.get_by_role("button", name="Earlier events").click()
    expect(events).to_have_count(50)
    assert "more than 50 events" in tab.text
    assert tab.errors == []


# --- errors


@pytest.mark.parametrize("path", PATHS)
def test_a_server_error_is_shown_with_a_retry(shop: httpx.Client, reader, path: str) -> None:  # type: ignore[no-untyped-def]
    body = {"error": {"code": "internal", "message": "the server failed while answering"}}
    tab = reader()
    tab.page.route("**/v1/**", lambda route: route.fulfill(status=500, json=body))
    tab.follow(f"{shop.base_url}/#/{path}")
    expect(tab.page.get_by_role("alert").filter(has_text="the server failed while answering").first).to_be_visible()
    assert [error for error in tab.errors if LOAD_FAILURE not in error] == []
    tab.page.unroute("**/v1/**")
    tab.page.get_by_role("button", name="Try again").first.click()
    expect(tab.page.get_by_role("button", name="Try again")).to_have_count(0)
    expect(tab.page.get_by_role("heading", level=1)).to_be_visible()


def test_an_answer_without_json_is_reported(shop: httpx.Client, tab: Tab) -> None:
    tab.page.route("**/v1/**", lambda route: route.fulfill(status=502, body="<html>Bad gateway</html>"))
    tab.follow(f"{shop.base_url}/#/")
    expect(tab.page.get_by_text("did not send JSON (HTTP 502)")).to_be_visible()


def test_a_late_answer_never_replaces_a_newer_one(shop: httpx.Client, tab: Tab) -> None:
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    tab.follow(f"{shop.base_url}/#/items")
    tab.page.route("**/v1/items/search?query=tea*", hold)
    words = tab.page.get_by_label("Words in title, text or id")
    words.fill("tea")
    words.fill("yoga mat")
    expected = [item["title"] for item in shop.get("/v1/items/search?query=yoga+mat&n=10").json()["items"]]
    titles = tab.page.get_by_role("region", name="Items").locator("tbody tr a")
    expect(titles).to_have_text(expected)
    with tab.page.expect_response("**/v1/items/search?query=tea*") as late:
        held[0].continue_()
    late.value.finished()
    tab.page.evaluate("new Promise((done) => setTimeout(done, 50))")  # the page reads the answer in tasks of its own
    expect(titles).to_have_text(expected)


# --- no server


def test_a_lost_and_restored_connection_is_reported(empty_server: tuple[UpProcess, Path, str], tab: Tab) -> None:
    """The last test of the server without data, which it kills."""
    server, folder, address = empty_server
    tab.go(f"{address}/#/")
    banner = tab.page.locator("#connection")
    expect(banner).to_be_hidden()
    server.kill()
    expect(banner).to_contain_text("No answer from the server since")
    expect(tab.page.get_by_role("heading", level=1)).to_have_text("Overview")
    with up(folder, options=["--port", address.rpartition(":")[2]]):
        expect(banner).to_be_hidden()


# --- an API key


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


def test_a_key_is_requested_once_and_kept_for_this_tab_only(locked: str, new_tab: Tab, open_tab) -> None:  # type: ignore[no-untyped-def]
    new_tab.page.goto(f"{locked}/#/")
    dialog = new_tab.page.get_by_role("dialog")
    expect(dialog).to_contain_text("Authentication required")
    new_tab.page.keyboard.press("Escape")
    expect(dialog).to_be_visible()
    give(new_tab, "not-the-key-of-this-server")
    expect(dialog).to_contain_text("The server rejected this key.")
    give(new_tab, KEY)
    expect(dialog).to_be_hidden()
    expect(new_tab.page.get_by_role("heading", level=1)).to_have_text("Overview")
    new_tab.page.reload()
    new_tab.settle()
    expect(dialog).to_be_hidden()
    assert new_tab.page.evaluate("localStorage.getItem('key')") is None
    other = open_tab()
    other.page.goto(f"{locked}/#/models")
    expect(other.page.get_by_role("dialog")).to_be_visible()


def test_a_read_key_reads_and_forbidden_actions_are_reported(locked: str, new_tab: Tab) -> None:
    httpx.put(f"{locked}/v1/items/tent", json={"title": "Tent"}, headers={"X-API-Key": KEY}).raise_for_status()
    new_tab.page.goto(f"{locked}/#/items/tent")
    give(new_tab, f"{KEY}-to-read")
    expect(new_tab.page.get_by_role("heading", level=1)).to_have_text("Tent")
    new_tab.page.get_by_role("button", name="Hide", exact=True).click()
    expect(new_tab.page.get_by_text("this key has the scope read")).to_be_visible()
