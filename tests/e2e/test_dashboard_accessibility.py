"""For everybody: axe-core finds no serious fault on any page, light or dark, and every page fits a phone."""

from __future__ import annotations

import httpx
import pytest
from playwright.sync_api import expect
from services.accessibility import RULES_OF_COLOUR, faults
from services.browser import PHONE
from services.dashboard_shop import EVIL_ITEM

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
PATHS = [
    "",
    "users",
    "users/user-0007",
    "users/nobody",
    "items",
    f"items/{EVIL_ITEM}",
    "scenarios",
    "experiments",
    "experiments/layout",
    "outcomes",
    "drift",
]
PATHS += ["models", "ingestion"]
MAX_HEIGHT = 4_000  # CSS pixels of a page on a phone
MAX_CPU_S = 1.0  # of the main thread, to load and draw a page
MAX_REQUESTS = 9  # of the API, by one page; the first one tells the server's now


@pytest.mark.parametrize("path", PATHS)
def test_a_page_has_no_serious_fault(shop: httpx.Client, reader, path: str) -> None:  # type: ignore[no-untyped-def]
    tab = reader()
    tab.follow(f"{shop.base_url}/#/{path}")
    for summary in tab.page.locator("details > summary:visible").all()[:3]:
        summary.click()
    assert faults(tab) == []
    tab.page.emulate_media(color_scheme="dark")
    assert faults(tab, RULES_OF_COLOUR) == []


def test_what_opens_later_has_no_serious_fault_either(shop: httpx.Client, reader) -> None:  # type: ignore[no-untyped-def]
    tab = reader()
    tab.follow(f"{shop.base_url}/#/users/user-0007")
    tab.page.get_by_role("button", name="What if the user clicked").first.click()
    expect(tab.page.get_by_role("list", name="What-if recommendations")).to_be_visible()
    assert faults(tab) == []
    tab.follow(f"{shop.base_url}/#/ingestion")
    tab.page.get_by_role("button", name="Delete all").click()
    expect(tab.page.get_by_role("dialog")).to_be_visible()
    assert faults(tab) == []
    tab.page.get_by_role("button", name="Cancel").click()


def test_pages_ask_for_little(shop: httpx.Client, open_tab) -> None:  # type: ignore[no-untyped-def]
    tab = open_tab()
    session = tab.page.context.new_cdp_session(tab.page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})  # CPU time, also on a busy machine
    for path in PATHS:
        asked: list[str] = []
        tab.page.on("request", lambda request, asked=asked: "/v1/" in request.url and asked.append(request.url))
        tab.go(f"{shop.base_url}/#/{path}")
        assert len(asked) <= MAX_REQUESTS, asked
        spent = {entry["name"]: entry["value"] for entry in session.send("Performance.getMetrics")["metrics"]}
        assert spent["TaskDuration"] <= MAX_CPU_S, path


@pytest.mark.parametrize("path", PATHS)
def test_a_page_fits_a_phone(shop: httpx.Client, reader, path: str) -> None:  # type: ignore[no-untyped-def]
    tab = reader(size=PHONE)
    tab.follow(f"{shop.base_url}/#/{path}")
    assert tab.overflow() == 0
    assert tab.height() <= MAX_HEIGHT


def test_all_pages_are_in_sight_beside_sign_out(shop: httpx.Client, reader) -> None:  # type: ignore[no-untyped-def]
    tab = reader()
    tab.follow(f"{shop.base_url}/#/scenarios")
    tab.page.evaluate("document.getElementById('sign-out').hidden = false")
    for width in (1280, 1100, 650):
        tab.become(size=(width, 860))
        hidden = tab.page.evaluate("(nav => nav.scrollWidth - nav.clientWidth)(document.querySelector('.top nav'))")
        assert hidden == 0, width
    tab.page.evaluate("document.getElementById('sign-out').hidden = true")


@pytest.mark.long
@pytest.mark.parametrize("path", PATHS)
def test_a_page_on_a_phone_has_no_serious_fault(shop: httpx.Client, reader, path: str) -> None:  # type: ignore[no-untyped-def]
    tab = reader(size=PHONE)
    tab.follow(f"{shop.base_url}/#/{path}")
    assert faults(tab) == []
