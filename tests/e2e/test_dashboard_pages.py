"""The dashboard's pages in a real browser, on a live server: they show the API's data, and their actions work."""

from __future__ import annotations

import re
import time
from urllib.parse import quote

import httpx
import pytest
from PIL import Image
from playwright.sync_api import Request, expect
from services.browser import PHONE, Tab
from services.dashboard_shop import CHALLENGER, DAY_MS, EVIL, EVIL_CATEGORY, EVIL_ITEM, EVIL_USER, OLDER, REFUSED

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
USER = "user-0007"
SESSION_GAP_MS = 30 * 60_000
GAP = re.compile(r", [1-9]\d* (minute|hour|day|month)s? earlier$")


def page_of(shop: httpx.Client, path: str = "/") -> str:
    return f"{shop.base_url}/#{path}".replace("//#", "/#")


@pytest.fixture
def tab(reader) -> Tab:  # type: ignore[no-untyped-def]
    tab: Tab = reader()
    return tab


@pytest.fixture
def new_tab(open_tab) -> Tab:  # type: ignore[no-untyped-def]
    """A window for a test that changes its clock or its colours."""
    return open_tab()


def test_overview_shows_the_state_the_figures_and_popular_items(shop: httpx.Client, tab: Tab) -> None:
    tab.follow(page_of(shop, "/?range=30d"))
    status = shop.get("/v1/status").json()
    expect(tab.page.get_by_title(status["model"]["serving"])).to_have_text(re.compile("training|fine-tune"))
    assert f"{status['events']:,} in total" in tab.text
    state = tab.page.get_by_role("region", name="State")
    expect(state).to_contain_text("Needs attention")
    expect(state.get_by_role("link", name=re.compile("^2 open alarms"))).to_have_attribute("href", "#/drift")
    expect(state.get_by_role("link", name=re.compile("dead letters? w(as|ere) not applied$"))).to_be_visible()
    for item in shop.get("/v1/items/popular").json()["items"]:
        assert item["title"] in tab.text
    assert tab.page.locator(".u-wrap canvas").count() == 2
    assert tab.errors == []


def test_a_chart_has_its_data_as_a_table(shop: httpx.Client, tab: Tab) -> None:
    tab.follow(page_of(shop, "/?range=30d"))
    tab.page.get_by_text("As a table").first.click()
    heading = tab.page.get_by_role("region", name="Events over time, by type, as a table")
    expect(heading.get_by_role("columnheader")).to_have_text(["Time", "view", "cart", "purchase"])
    assert heading.get_by_role("row").count() > 1
    expect(tab.page.get_by_role("list", name="Events over time, by type: marks")).to_contain_text("promotion of")


def test_a_chart_is_saved_as_csv_and_as_a_picture(shop: httpx.Client, tab: Tab) -> None:
    tab.go(page_of(shop, "/?range=30d"))
    tab.page.get_by_text("As a table or file").first.click()
    files = []
    for name in ("Save as CSV", "Save as picture"):
        with tab.page.expect_download() as download:
            tab.page.get_by_role("button", name=name).first.click()
        files.append(download.value)
    assert [file.suggested_filename for file in files] == [
        "events-over-time-by-type.csv",
        "events-over-time-by-type.png",
    ]
    lines = files[0].path().read_text().splitlines()
    assert lines[0] == "time,view,cart,purchase"
    assert all(re.fullmatch(r"\d{4}-[\d-]+T[\d:.]+Z(,\d+){3}", line) for line in lines[1:])
    with Image.open(files[1].path()) as picture:
        assert picture.width > 300
        assert len(picture.convert("RGB").getcolors(1 << 24) or []) > 50, "something is on it"
    assert tab.errors == []


def test_a_name_that_looks_like_a_formula_is_text_in_the_file_of_a_chart(shop: httpx.Client, tab: Tab) -> None:
    tab.follow(page_of(shop, "/"))
    lines = [{"name": name, "values": [-1]} for name in ("=1+1", "+a", "@b", "Tea = hot", 'so "called"')]
    module = "import('/pages/scripts/chart_files.js')"
    text = tab.page.evaluate(f"(lines) => {module}.then(({{ csvOf }}) => csvOf({{ times: [0], lines }}))", lines)
    assert text.splitlines() == [
        """time,'=1+1,'+a,'@b,Tea = hot,"so ""called""\"""",
        "1970-01-01T00:00:00.000Z,-1,-1,-1,-1,-1",
    ]


def test_a_user_is_found_by_id_prefix_and_opened_by_keyboard(shop: httpx.Client, tab: Tab) -> None:
    tab.follow(page_of(shop, "/users"))
    tab.page.get_by_label("User id or prefix").fill("user-000")
    expect(tab.page.get_by_role("link", name=re.compile("^user-000"))).to_have_count(9)
    tab.page.get_by_label("User id or prefix").fill(USER)
    tab.page.keyboard.press("Enter")
    expect(tab.page.get_by_role("heading", level=1)).to_have_text(USER)
    assert tab.page.title() == f"{USER} · Tidewise"
    assert tab.errors == []


def test_users_are_listed_by_their_newest_event_and_by_shifts_of_interest(shop: httpx.Client, tab: Tab) -> None:
    tab.follow(page_of(shop, "/users"))
    rows = tab.page.get_by_role("region", name="Users").locator("tbody tr")
    newest = shop.get("/v1/users", params={"order": "activity", "limit": 25}).json()["users"]
    expect(rows.locator("a")).to_have_text([user["user_id"] for user in newest])
    tab.page.get_by_role("columnheader", name="Shift of interest").get_by_role("button").press("Enter")
    expect(rows.first).to_contain_text("62% moved")
    expect(rows.locator("a")).to_have_text([USER])
    expect(tab.page.locator("th[aria-sort=descending] button")).to_be_focused()
    expect(tab.page.get_by_label("Order by")).to_have_value("shift")
    assert tab.errors == []


def test_a_user_page_shows_recommendations_events_and_interests(shop: httpx.Client, tab: Tab) -> None:
    tab.follow(page_of(shop, f"/users/{USER}"))
    answer = shop.get(f"/v1/users/{USER}/recommendations", params={"explain": "full"}).json()
    shown = tab.page.get_by_role("list", name="Recommendations").get_by_role("listitem")
    for index, item in enumerate(answer["items"]):
        expect(shown.nth(index)).to_contain_text(item["title"])
        if item.get("reason", {}).get("kind", "history") != "history":
            expect(shown.nth(index)).to_contain_text(item["reason"]["text"])
        elif item["contributions"]:
            expect(shown.nth(index)).to_contain_text(f"based on {item['contributions'][0]['title']}")
    events = shop.get(f"/v1/users/{USER}/events", params={"limit": 25}).json()["events"]
    timeline = tab.page.get_by_role("list", name="Events, newest first")
    expect(timeline.locator("li:not(.gap)")).to_have_count(len(events))
    gaps_ms = [event["gap_ms"] for event in events[:-1]]
    between_sessions = [gap_ms for gap_ms in gaps_ms if gap_ms >= SESSION_GAP_MS]
    assert between_sessions
    gap_lines = timeline.locator("li.gap", has_text=GAP)
    expect(gap_lines).to_have_count(len(between_sessions))
    expect(tab.page.get_by_role("img", name="Shares of each category over time")).to_be_visible()
    assert tab.errors == []


def test_what_a_users_page_asks_for_is_timed_apart_and_not_recorded(shop: httpx.Client, tab: Tab) -> None:
    def timed() -> list[str]:
        lines = shop.get("/metrics").text.splitlines()
        counts = [line for line in lines if line.startswith("tidewise_http_request_seconds_count") and "/v1/" in line]
        return [line for line in counts if 'client="dashboard"' not in line]

    asked: list[Request] = []
    tab.page.on("request", lambda request: "/v1/" in request.url and asked.append(request))
    before = timed()
    tab.follow(page_of(shop, f"/users/{USER}"))
    tab.page.get_by_role("button", name=re.compile("What if the user clicked")).first.click()
    expect(tab.page.get_by_role("list", name="What-if recommendations")).to_be_visible()
    assert timed() == before
    answers = [request for request in asked if "recommendations" in request.url]
    assert [request.method for request in answers] == ["GET", "POST"]
    assert "record=false" in answers[0].url
    assert answers[1].post_data_json["record"] is False


def test_what_if_predicts_the_list_after_a_click_and_can_send_it(shop: httpx.Client, tab: Tab) -> None:
    user = "user-0012"
    tab.follow(page_of(shop, f"/users/{user}"))
    before = shop.get(f"/v1/users/{user}/recommendations").json()
    tab.page.get_by_role("button", name=re.compile("What if the user clicked")).nth(3).click()
    predicted = tab.page.get_by_role("list", name="What-if recommendations").get_by_role("listitem")
    expect(predicted).to_have_count(10)
    clicked = before["items"][3]
    assert clicked["title"] not in "".join(predicted.locator(".name").all_inner_texts())
    assert shop.get(f"/v1/users/{user}/recommendations").json()["user_seq"] == before["user_seq"], "nothing is stored"
    titles = predicted.locator(".name").all_inner_texts()
    tab.page.get_by_role("button", name="Send this click").click()
    expect(tab.page.get_by_text("Sent.")).to_be_visible()
    shown = tab.page.get_by_role("list", name="Recommendations", exact=True).locator(".name")
    expect(shown).to_have_text(titles)
    newest = tab.page.get_by_role("list", name="Events, newest first").locator("li:not(.gap)").first
    expect(newest).to_contain_text(clicked["title"])
    assert tab.errors == []


def test_what_if_scrolls_into_view_below_the_header_on_a_phone(  # type: ignore[no-untyped-def]
    shop: httpx.Client, reader
) -> None:
    page = reader(size=PHONE)
    page.follow(page_of(shop, f"/users/{USER}"))
    page.page.get_by_role("button", name=re.compile("What if the user clicked")).first.click()
    note = page.page.get_by_text("recommendations would be")
    expect(note).to_be_in_viewport(ratio=1)
    header, text = page.page.get_by_role("banner").bounding_box(), note.bounding_box()
    assert text["y"] >= header["y"] + header["height"]


def test_what_if_accepts_any_item_found_by_search(shop: httpx.Client, tab: Tab) -> None:
    tab.follow(page_of(shop, "/users/user-0013"))
    tab.page.get_by_label("Search for an item, or use the list").fill("yoga mat")
    tab.page.get_by_role("list", name="Search results").get_by_role("button").first.click()
    expect(tab.page.get_by_role("list", name="What-if recommendations").get_by_role("listitem")).to_have_count(10)


@pytest.mark.parametrize("name", [".", ".."])
def test_dots_are_ids_as_any_other(shop: httpx.Client, tab: Tab, name: str) -> None:
    shop.post("/v1/items", json={"item_id": name, "title": f"Item {name}"}).raise_for_status()
    tab.follow(page_of(shop, f"/items/{name}"))
    expect(tab.page.get_by_role("heading", level=1)).to_have_text(f"Item {name}")
    tab.follow(page_of(shop, f"/users/{name}"))
    assert "No events of this user yet" in tab.text


TICKS = """async (ticks) => {
    const { UNITS } = await import(new URL("pages/scripts/format.js", location.href));
    return ticks.map(([unit, value, step]) => UNITS[unit].tick(value, step));
}"""


def test_ticks_have_a_unit_and_the_digits_that_tell_them_apart(shop: httpx.Client, tab: Tab) -> None:
    tab.follow(page_of(shop))
    ticks = [
        ("share", 0, 0.001),
        ("share", 0.002, 0.001),
        ("share", 0.5, 0.25),
        ("perSecond", 0.25, 0.25),
        ("milliseconds", 20, 10),
        ("count", 12_000, 2_000),
    ]
    assert tab.page.evaluate(TICKS, ticks) == ["0%", "0.2%", "50%", "0.25/s", "20 ms", "12K"]


def test_an_unknown_user_gets_popular_items(shop: httpx.Client, tab: Tab) -> None:
    tab.follow(page_of(shop, "/users/nobody-knows-me"))
    assert "No events of this user yet" in tab.text
    assert "Source popularity: the user is unknown." in tab.text


def test_items_are_found_by_words_and_open_their_page(shop: httpx.Client, tab: Tab) -> None:
    tab.follow(page_of(shop, "/items"))
    tab.page.get_by_label("Words in title, text or id").fill("TEA pot")
    results = tab.page.get_by_role("region", name="Items")
    titles = [
        item["title"] for item in shop.get("/v1/items/search", params={"query": "tea pot", "n": 10}).json()["items"]
    ]
    assert len(titles) > 1
    expect(results.locator("tbody tr")).to_have_count(len(titles))
    tab.page.get_by_label("Words in title, text or id").fill("")
    shown = tab.page.get_by_role("columnheader", name="Shown")
    shown.get_by_role("button").click()
    expect(shown).to_have_attribute("aria-sort", "descending")
    most_shown = shop.get("/v1/items/tea-001").json()["title"]
    expect(results.locator("tbody tr").first).to_contain_text(most_shown)
    expect(results.locator("tbody tr").first).to_contain_text(re.compile(r"\d\.\d%"))
    shown.get_by_role("button").press("Enter")
    expect(shown).to_have_attribute("aria-sort", "ascending")
    expect(tab.page.get_by_text("least shown first")).to_be_visible()
    expect(results.get_by_role("link", name=most_shown)).to_have_count(0)
    shown.get_by_role("button").press("Enter")
    results.get_by_role("link", name=most_shown).click()
    expect(tab.page.get_by_role("heading", level=1)).to_have_text(most_shown)
    expect(tab.page.get_by_role("region", name="Clicked and bought").locator("canvas")).to_be_visible()
    expect(tab.page.get_by_role("list", name="Similar items").get_by_role("listitem")).to_have_count(12)
    assert tab.errors == []


def test_an_item_is_hidden_and_unhidden(shop: httpx.Client, tab: Tab) -> None:
    item = shop.get(f"/v1/users/{USER}/recommendations").json()["items"][0]
    tab.follow(page_of(shop, f"/items/{item['item_id']}"))
    tab.page.get_by_role("button", name="Hide", exact=True).click()
    expect(tab.page.get_by_text("hidden", exact=True)).to_be_visible()
    answer = shop.get(f"/v1/users/{USER}/recommendations").json()
    assert item["item_id"] not in [shown["item_id"] for shown in answer["items"]]
    tab.follow(page_of(shop, "/items"))
    tab.page.get_by_label("State").select_option("only")
    expect(tab.page.get_by_role("region", name="Items").locator("tbody tr")).to_have_count(1)
    tab.follow(page_of(shop, f"/items/{item['item_id']}"))
    tab.page.get_by_role("button", name="Unhide").click()
    expect(tab.page.get_by_role("button", name="Hide", exact=True)).to_be_visible()
    assert shop.get(f"/v1/items/{item['item_id']}").json()["hidden"] is False


def test_a_scenario_is_previewed_stored_and_taken_back(shop: httpx.Client, tab: Tab) -> None:
    tab.follow(page_of(shop, "/scenarios"))
    items = [item["item_id"] for item in shop.get("/v1/items/popular?record=false").json()["items"]]
    tab.page.get_by_role("combobox", name="Name").fill("homepage")
    tab.page.get_by_label("Preview for the user").fill(USER)
    tab.page.get_by_role("textbox", name="Definition").fill('{"n": 0}')
    tab.page.get_by_role("button", name="Preview", exact=True).click()
    expect(tab.page.get_by_role("alert").filter(has_text="n: wanted a whole number")).to_be_visible()
    definition = f'{{"n": 3, "seen": "include", "pins": [{{"position": 1, "item_id": "{items[-1]}"}}]}}'
    tab.page.get_by_role("textbox", name="Definition").fill(definition)
    tab.page.get_by_role("button", name="Preview", exact=True).click()
    expect(tab.page.get_by_role("list", name=re.compile("^Now")).get_by_role("listitem")).to_have_count(10)
    proposed = tab.page.get_by_role("list", name=re.compile("^Proposed")).get_by_role("listitem")
    expect(proposed.first).to_contain_text("pinned by the scenario")
    expect(proposed).to_have_count(3)
    assert shop.get("/v1/scenarios").json() == {"scenarios": []}, "a preview stores nothing"
    tab.page.get_by_role("button", name="Store").click()
    expect(tab.page.get_by_text("Revision 1", exact=True)).to_be_visible()
    tab.page.get_by_role("textbox", name="Definition").fill('{"n": 4}')
    tab.page.get_by_role("button", name="Store").click()
    tab.page.get_by_role("button", name="Take back to revision 1").click()
    tab.page.get_by_role("dialog").get_by_role("button", name="Take back").click()
    expect(tab.page.get_by_text("Revision 3", exact=True)).to_be_visible()
    assert shop.get("/v1/scenarios/homepage").json()["definition"]["n"] == 3
    shop.delete("/v1/scenarios/homepage")


def test_an_experiment_shows_its_arms_its_verdict_and_stops(shop: httpx.Client, tab: Tab) -> None:
    tab.follow(page_of(shop, "/experiments"))
    row = tab.page.get_by_role("region", name="Experiments, by name").get_by_role("row").nth(1)
    expect(row).to_contain_text("running")
    expect(row).to_contain_text("a 50%, b 50%")
    tab.page.get_by_role("link", name="layout").click()
    control, wide = shop.get("/v1/experiments/layout/results").json()["arms"]
    difference = wide["metrics"]["click_through_rate"]["difference"]
    compared = tab.page.get_by_role("list", name="Arms compared with the control")
    expect(compared).to_contain_text(f"better b +{100 * difference['mean']:.2f} points")
    expect(compared).to_contain_text(
        f"between +{100 * difference['low']:.2f} points and +{100 * difference['high']:.2f} points"
    )
    expect(tab.page.get_by_text(f"The numbers of users fit the shares: {control['users']} in a")).to_be_visible()
    expect(tab.page.get_by_role("img", name="Difference in click-through rate to the control, by day")).to_be_visible()
    tab.page.get_by_role("button", name="Stop").click()
    tab.page.get_by_role("dialog").get_by_role("button", name="Stop").click()
    expect(tab.page.get_by_role("button", name="Start again")).to_be_visible()
    assert shop.get("/v1/experiments/layout").json()["state"] == "ended"
    for name in ("homepage", "wide"):  # that its arms name
        shop.put(f"/v1/scenarios/{name}", json={"n": 5}).raise_for_status()
    tab.page.get_by_role("button", name="Start again").click()
    expect(tab.page.get_by_role("button", name="Stop")).to_be_visible()
    assert shop.get("/v1/experiments/layout/results").json()["arms"][0]["users"] == control["users"]
    for name in ("homepage", "wide"):
        shop.delete(f"/v1/scenarios/{name}").raise_for_status()
    assert tab.errors == []


def test_the_steps_to_an_experiment_are_sentences_without_gaps(shop: httpx.Client, tab: Tab) -> None:
    tab.follow(page_of(shop, "/experiments"))
    steps = tab.page.get_by_role("region", name="How to begin").locator("li")
    assert [step.inner_text() for step in steps.all()][0::3] == [
        "1. Store a scenario",
        "4. See all rates in Outcomes by arm",
    ]


def test_an_experiment_is_stored_from_its_definition(shop: httpx.Client, tab: Tab) -> None:
    tab.follow(page_of(shop, "/experiments"))
    tab.page.get_by_role("textbox", name="Name").fill("halves")
    tab.page.get_by_role("textbox", name="Definition").fill('{"arms": []}')
    tab.page.get_by_role("button", name="Store").click()
    expect(tab.page.get_by_role("alert").filter(has_text="arms: wanted two to 10 arms")).to_be_visible()
    later = '{"arms": [{"name": "one", "share": 0.1}, {"name": "two", "share": 0.1}], "start": 4102444800000}'
    tab.page.get_by_role("textbox", name="Definition").fill(later)
    tab.page.get_by_role("button", name="Store").click()
    expect(tab.page.get_by_role("row", name="halves")).to_contain_text("scheduled")
    shop.delete("/v1/experiments/halves").raise_for_status()


def test_outcomes_show_rates_by_day_and_by_what_is_chosen(shop: httpx.Client, tab: Tab) -> None:
    tab.follow(page_of(shop, "/outcomes?range=30d"))
    total = shop.get("/v1/outcomes", params={"since": time.time_ns() // 1_000_000 - 29 * DAY_MS}).json()["total"]
    assert f"{total['impressions']:,}" in tab.text
    assert f"{total['ctr']['value']:.2%}" in tab.text
    assert tab.page.locator(".u-wrap canvas").count() == 1
    tab.page.get_by_label("by", exact=True).select_option("arm")
    expect(tab.page.get_by_role("cell", name="layout/b")).to_be_visible()
    tab.page.get_by_label("revenue per user").check()
    expect(tab.page.get_by_role("columnheader", name="Per user")).to_be_visible()
    tab.page.get_by_label("by", exact=True).select_option("position")
    expect(tab.page.get_by_role("region", name="Outcomes by position").get_by_role("row")).to_have_count(11)
    assert tab.errors == []


def test_items_are_paged_and_hidden_together(shop: httpx.Client, tab: Tab) -> None:
    found = [item["item_id"] for item in shop.get("/v1/items/search", params={"n": 11}).json()["items"]]
    tab.follow(page_of(shop, "/items"))
    tab.page.get_by_role("button", name="Next").click()
    expect(tab.page.get_by_label(f"Select {found[10]}", exact=True)).to_be_visible()
    tab.page.get_by_role("button", name="Previous").click()
    for item_id in found[8:10]:
        tab.page.get_by_label(f"Select {item_id}", exact=True).check()
    tab.page.get_by_role("button", name="Hide selected", exact=True).click()
    expect(tab.page.get_by_role("region", name="Items").get_by_text("hidden", exact=True)).to_have_count(2)
    for item_id in found[8:10]:
        assert shop.get(f"/v1/items/{item_id}").json()["hidden"]
        shop.patch(f"/v1/items/{item_id}", json={"hidden": False}).raise_for_status()
    assert tab.errors == []


def test_a_price_has_two_decimals_or_none(shop: httpx.Client, tab: Tab) -> None:
    found = shop.get("/v1/items/search", params={"n": 3}).json()["items"]
    for item, price in zip(found, (15.4, 15, 1234.567), strict=True):
        shop.patch(f"/v1/items/{item['item_id']}", json={"attributes": {"price": price}}).raise_for_status()
    tab.follow(page_of(shop, "/items"))
    rows = tab.page.get_by_role("region", name="Items").locator("tbody tr")
    for row, text in enumerate(("15.40", "15", "1,234.57")):
        expect(rows.nth(row).get_by_role("cell", name=text, exact=True)).to_be_visible()
    assert tab.errors == []


def test_drift_shows_alarms_category_mix_and_signals(shop: httpx.Client, tab: Tab) -> None:
    tab.follow(page_of(shop, "/drift?range=30d"))
    verdicts = tab.page.get_by_role("region", name="Verdicts, by signal").get_by_role("row")
    expect(verdicts.filter(has_text="Hit rate")).to_contain_text("moved 2 days ago")
    expect(verdicts.filter(has_text="New users")).to_contain_text("no alarm")
    alarms = tab.page.get_by_role("list", name="Alarms, newest first").get_by_role("listitem")
    expect(alarms).to_have_count(3)
    expect(alarms.first).to_contain_text("Hit rate fell from 31.0% to 17.0%")
    expect(alarms.first).to_contain_text("Events moved from Cooking to Camping.")
    expect(alarms.last).to_contain_text("Events of new items in category Tea rose from 2.0% to 19.0%")
    tab.page.get_by_text("1 more signal without an alarm").click()
    for name in ("Hit rate over time", "Loss over time", "Category mix over time", "New users over time"):
        expect(tab.page.get_by_role("img", name=name, exact=True)).to_be_visible()
    now_ms = time.time_ns() // 1_000_000
    report = shop.get("/v1/interests", params={"since": now_ms - 30 * DAY_MS, "until": now_ms}).json()
    expect(tab.page.get_by_role("img", name="Share of each category in the events, over time")).to_be_visible()
    assert report["categories"][0]["name"] in tab.text
    assert (
        f"{report['reference']['events']:,} events" in tab.page.get_by_role("region", name="What changed").inner_text()
    )
    expect(tab.page.get_by_role("region", name="Segments of all events").get_by_role("row")).to_have_count(3)
    tab.follow(page_of(shop, "/drift?range=7d"))
    expect(alarms).to_have_count(2)
    expect(tab.page.get_by_text("1 earlier alarm: choose a longer time range")).to_be_visible()
    assert tab.errors == []


def test_models_show_verdicts_and_promotion_asks_for_confirmation(shop: httpx.Client, tab: Tab) -> None:
    tab.follow(page_of(shop, "/models"))
    versions = tab.page.get_by_role("list", name="Versions, newest first").locator("> li")
    expect(versions.filter(has_text=REFUSED)).to_contain_text("against the champion -0.0310 NDCG@10")
    versions.filter(has_text=REFUSED).get_by_text("Comparison").click()
    compared = tab.page.get_by_role("region", name=re.compile("NDCG@10 of fine-tune 1, .* and of others")).get_by_role(
        "row"
    )
    expect(compared.filter(has_text="transition counts")).to_contain_text("0.2104 [0.1995, 0.2223]")
    expect(versions.filter(has_text=OLDER).filter(has_text="retired")).to_contain_text("files deleted")
    expect(tab.page.get_by_role("button", name=f"Promote {OLDER}")).to_have_count(0)
    tab.page.get_by_role("button", name=f"Promote {CHALLENGER}").click()
    tab.page.get_by_role("button", name="Cancel").click()
    assert shop.get(f"/v1/models/{CHALLENGER}").json()["status"] == "challenger"
    assert tab.errors == []


def test_a_damaged_champion_is_reported_and_rolled_back(shop: httpx.Client, tab: Tab) -> None:
    champion = shop.get("/v1/models").json()["serving"]
    tab.follow(page_of(shop, "/models"))
    tab.page.get_by_role("button", name=f"Promote {CHALLENGER}").click()
    tab.page.get_by_role("dialog").get_by_role("button", name="Promote").click()
    expect(tab.page.get_by_text("The champion could not be loaded")).to_be_visible()
    assert shop.get(f"/v1/users/{USER}/recommendations").json()["model_version"] == champion
    tab.page.get_by_role("button", name="Roll back").click()
    tab.page.get_by_role("dialog").get_by_role("button", name="Roll back").click()
    history = tab.page.get_by_role("list", name="Promotions, newest first").get_by_role("listitem")
    expect(history.first).to_contain_text("rollback")
    assert shop.get("/v1/status").json()["model"]["champion"] == champion


def test_dead_letters_that_fail_again_remain_after_a_retry(shop: httpx.Client, tab: Tab) -> None:
    tab.follow(page_of(shop, "/ingestion"))
    rows = tab.page.get_by_role("region", name="Dead letters").locator("tbody tr")
    expect(rows).to_have_count(4)
    expect(rows.filter(has_text="events.csv")).to_contain_text("line 18; import the file again")
    tab.page.get_by_role("button", name="Retry all").click()
    expect(
        tab.page.get_by_text("3 dead letters retried: 1 succeeded, 1 new event, 2 failed again.").first
    ).to_be_visible()
    expect(rows).to_have_count(3)
    expect(rows.filter(has_text="retried 1×")).to_have_count(2)
    rows.filter(has_text="events.csv").get_by_role("checkbox").check()
    tab.page.get_by_role("button", name="Delete selected").click()
    tab.page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(rows).to_have_count(2)
    assert tab.errors == []


EVIL_PATHS = [
    "/",
    "/users",
    f"/users/{quote(EVIL_USER, safe='')}",
    "/users/ann",
    "/items",
    f"/items/{EVIL_ITEM}",
    "/ingestion",
]


@pytest.mark.parametrize("path", EVIL_PATHS)
def test_markup_from_outside_is_shown_as_text(shop: httpx.Client, reader, path: str) -> None:  # type: ignore[no-untyped-def]
    tab = reader()
    tab.follow(page_of(shop, path))
    tab.page.wait_for_function("[...document.images].every((image) => image.complete)")
    assert "taken" not in tab.page.title().replace(EVIL, "")
    assert tab.page.locator("main img, main script, main b:not(.legend b)").count() == 0
    assert tab.errors == []


def test_markup_in_ids_and_titles_stays_readable(shop: httpx.Client, tab: Tab) -> None:
    tab.follow(page_of(shop, f"/items/{EVIL_ITEM}"))
    expect(tab.page.get_by_role("heading", level=1)).to_have_text(EVIL)
    assert EVIL_CATEGORY in tab.text
    tab.follow(page_of(shop, f"/users/{quote(EVIL_USER, safe='')}"))
    expect(tab.page.get_by_role("heading", level=1)).to_have_text(EVIL_USER)
    assert EVIL in tab.page.get_by_role("list", name="Events, newest first").inner_text()


def test_a_link_with_a_user_parameter_opens_the_user_page(shop: httpx.Client, tab: Tab) -> None:
    tab.follow(f"{shop.base_url}/?user={USER}")
    expect(tab.page.get_by_role("heading", level=1)).to_have_text(USER)


def test_one_time_range_is_kept_by_all_pages_and_chosen_by_keyboard(shop: httpx.Client, tab: Tab) -> None:
    tab.follow(page_of(shop, "/drift?range=7d"))
    chosen = tab.page.get_by_label("Time range")
    expect(chosen).to_have_value("7d")
    tab.page.keyboard.press("]")
    expect(chosen).to_have_value("30d")
    tab.page.wait_for_url("**/#/drift?range=30d")
    tab.page.get_by_role("link", name="Ingestion").click()
    expect(tab.page.get_by_text("events per 6 hours")).to_be_visible()
    tab.page.wait_for_url("**/#/ingestion?range=30d")
    chosen.select_option("1h")
    expect(tab.page.get_by_text("events per 5 minutes")).to_be_visible()
    assert tab.errors == []


def test_a_hidden_tab_asks_for_nothing(shop: httpx.Client, new_tab: Tab) -> None:
    new_tab.page.clock.install()
    new_tab.go(page_of(shop))
    asked: list[str] = []
    new_tab.page.on("request", lambda request: asked.append(request.url))
    new_tab.page.evaluate("Object.defineProperty(document, 'hidden', { get: () => window.isAway, configurable: true })")
    new_tab.page.evaluate("window.isAway = true")
    new_tab.page.clock.run_for(60_000)
    assert asked == []
    with new_tab.page.expect_request("**/v1/timeline*"):
        new_tab.page.evaluate("window.isAway = false; document.dispatchEvent(new Event('visibilitychange'))")


def test_pages_are_reached_by_keyboard_and_focus_moves_to_the_content(shop: httpx.Client, tab: Tab) -> None:
    tab.go(page_of(shop))
    tab.page.keyboard.press("Tab")
    expect(tab.page.get_by_text("Skip to content")).to_be_focused()
    for _ in range(3):
        tab.page.keyboard.press("Tab")
    expect(tab.page.get_by_role("link", name="Users", exact=True)).to_be_focused()
    tab.page.keyboard.press("Enter")
    expect(tab.page.get_by_role("heading", level=1)).to_have_text("Users")
    expect(tab.page.locator("main")).to_be_focused()
    expect(tab.page.get_by_role("link", name="Users", exact=True)).to_have_attribute("aria-current", "page")


def test_the_theme_follows_the_system_until_selected_then_persists(shop: httpx.Client, new_tab: Tab) -> None:
    new_tab.go(page_of(shop))
    background = "getComputedStyle(document.body).backgroundColor"
    light = new_tab.page.evaluate(background)
    new_tab.page.emulate_media(color_scheme="dark")
    dark = new_tab.page.evaluate(background)
    assert light != dark
    new_tab.page.get_by_role("button", name="Theme: system").click()
    assert new_tab.page.evaluate(background) == light
    new_tab.page.reload()
    expect(new_tab.page.get_by_role("button", name="Theme: light")).to_be_visible()
    assert new_tab.page.evaluate(background) == light
