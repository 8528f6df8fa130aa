"""The reference of the API at /docs, in a real browser: complete, linked, and from this server alone."""

from __future__ import annotations

import httpx
import pytest
from playwright.sync_api import expect
from services.accessibility import RULES_OF_COLOUR, faults
from services.browser import PHONE, Tab

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
REPEATED_IDS = """() => {
    const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
    return ids.filter((id, index) => ids.indexOf(id) !== index);
}"""
# Of each section: routes and types are alike, and axe-core takes 35 s of CPU for all 181 of them.
LEAVE_THREE = "document.querySelectorAll('details:nth-of-type(n+4)').forEach((part) => part.remove())"


@pytest.fixture
def address(shop: httpx.Client) -> str:
    return str(shop.base_url)


@pytest.fixture
def tab(address: str, reader) -> Tab:  # type: ignore[no-untyped-def]
    tab: Tab = reader()
    tab.go(f"{address}/docs")
    return tab


def test_every_route_and_schema_is_shown(address: str, tab: Tab) -> None:
    document = httpx.get(f"{address}/openapi.json").json()
    routes = [f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods]
    shown = tab.page.locator("details > summary > code").all_inner_texts()
    assert sorted(shown) == sorted([*routes, *document["components"]["schemas"]])
    assert tab.errors == []


def test_a_route_tells_its_parameters_and_links_to_its_types(tab: Tab) -> None:
    merge = tab.page.locator("details", has_text="POST /v1/users/{user_id}/merge").first
    merge.locator("summary").click()
    expect(merge).to_contain_text("user_id required path")
    merge.get_by_role("link", name="UsersMerged").click()
    merged = tab.page.locator("#schema-UsersMerged")
    expect(merged).to_have_attribute("open", "")
    expect(merged).to_contain_text("user_seq")
    assert tab.errors == []


def test_names_in_backticks_are_shown_as_code(tab: Tab) -> None:
    assert "`" not in (tab.page.locator("main").text_content() or "")
    expect(tab.page.locator(".head code")).to_have_text("ErrorReply")


def test_it_has_no_serious_fault_and_fits_a_phone(address: str, tab: Tab, reader) -> None:  # type: ignore[no-untyped-def]
    for summary in tab.page.locator("details > summary").all()[:3]:
        summary.click()
    assert tab.page.evaluate(REPEATED_IDS) == []
    tab.page.evaluate(LEAVE_THREE)
    assert faults(tab) == []
    tab.page.emulate_media(color_scheme="dark")
    assert faults(tab, RULES_OF_COLOUR) == []
    phone = reader(size=PHONE)
    phone.go(f"{address}/docs")
    assert phone.overflow() == 0
