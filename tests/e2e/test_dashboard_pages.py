"""The dashboard's pages in a real browser, on a live server: they show what the API says, and do what they offer."""

from __future__ import annotations

import re
from urllib.parse import quote

import httpx
import pytest
from playwright.sync_api import expect
from services.browser import PHONE, Tab
from services.dashboard_shop import CHALLENGER, EVIL, EVIL_CATEGORY, EVIL_ITEM, EVIL_USER, OLDER, REFUSED

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
USER = "user-0007"


def page_of(shop: httpx.Client, place: str = "/") -> str:
    return f"{shop.base_url}/#{place}".replace("//#", "/#")


@pytest.fixture
def tab(open_tab) -> Tab:  # type: ignore[no-untyped-def]
    return open_tab()


def test_the_overview_shows_rates_times_what_serves_and_what_is_popular(shop: httpx.Client, tab: Tab) -> None:
    tab.go(page_of(shop))
    status = shop.get("/v1/status").json()
    assert status["model"]["serving"] in tab.text
    assert f"{status['events']:,} in all" in tab.text
    assert "2 open alarms" in tab.text
    for item in shop.get("/v1/items/popular").json()["items"]:
        assert item["title"] in tab.text
    assert tab.page.locator(".u-wrap canvas").count() == 2
    assert tab.complaints == []


def test_a_chart_says_its_numbers_in_a_table_too(shop: httpx.Client, tab: Tab) -> None:
    tab.go(page_of(shop))
    tab.page.get_by_text("As a table").first.click()
    heading = tab.page.get_by_role("region", name=re.compile("per second in the last hour, as a table"))
    expect(heading.get_by_role("columnheader")).to_have_text(["Time", "events/s", "answers/s"])
    assert heading.get_by_role("row").count() > 1


def test_a_user_is_found_by_the_beginning_of_their_id_and_opened_by_the_keyboard(shop: httpx.Client, tab: Tab) -> None:
    tab.go(page_of(shop, "/users"))
    tab.page.get_by_label("User id, or how it begins").fill("user-000")
    expect(tab.page.get_by_role("link", name=re.compile("^user-000"))).to_have_count(9)
    tab.page.get_by_label("User id, or how it begins").fill(USER)
    tab.page.keyboard.press("Enter")
    expect(tab.page.get_by_role("heading", level=1)).to_have_text(USER)
    assert tab.page.title() == f"{USER} · Tidewise"
    assert tab.complaints == []


def test_a_user_s_page_shows_the_list_with_its_reasons_the_events_with_gaps_and_the_interest(
    shop: httpx.Client, tab: Tab
) -> None:
    tab.go(page_of(shop, f"/users/{USER}"))
    answer = shop.get(f"/v1/users/{USER}/recommendations", params={"explain": "full"}).json()
    shown = tab.page.get_by_role("list", name="Recommendations").get_by_role("listitem")
    for place, item in enumerate(answer["items"]):
        expect(shown.nth(place)).to_contain_text(item["title"])
        if item["contributions"]:
            expect(shown.nth(place)).to_contain_text(f"because of {item['because'][0]['title']}")
    events = shop.get(f"/v1/users/{USER}/events", params={"limit": 60}).json()["events"]
    timeline = tab.page.get_by_role("list", name="Events, newest first")
    expect(timeline.locator("li:not(.gap)")).to_have_count(len(events))
    assert re.search(r"after \d+ days? away", timeline.inner_text())
    expect(tab.page.get_by_role("img", name="Shares of each category over time")).to_be_visible()
    assert tab.complaints == []


def test_what_if_shows_the_list_after_a_click_that_never_happened_and_can_make_it_happen(
    shop: httpx.Client, tab: Tab
) -> None:
    user = "user-0012"
    tab.go(page_of(shop, f"/users/{user}"))
    before = shop.get(f"/v1/users/{user}/recommendations").json()
    tab.page.get_by_role("button", name=re.compile("What if they clicked")).nth(3).click()
    foreseen = tab.page.get_by_role("list", name="Foreseen recommendations").get_by_role("listitem")
    expect(foreseen).to_have_count(10)
    clicked = before["items"][3]
    assert clicked["title"] not in "".join(foreseen.locator(".name").all_inner_texts())
    assert shop.get(f"/v1/users/{user}/recommendations").json()["user_seq"] == before["user_seq"], "only supposed"
    titles = foreseen.locator(".name").all_inner_texts()
    tab.page.get_by_role("button", name="Send this click for real").click()
    expect(tab.page.get_by_text("Sent.")).to_be_visible()
    shown = tab.page.get_by_role("list", name="Recommendations", exact=True).locator(".name")
    expect(shown).to_have_text(titles)
    expect(tab.page.get_by_role("list", name="Events, newest first").locator("li").first).to_contain_text(
        clicked["title"]
    )
    assert tab.complaints == []


def test_on_a_phone_what_if_brings_the_list_foreseen_into_view_below_the_header(  # type: ignore[no-untyped-def]
    shop: httpx.Client, open_tab
) -> None:
    page = open_tab(size=PHONE)
    page.go(page_of(shop, f"/users/{USER}"))
    page.page.get_by_role("button", name=re.compile("What if they clicked")).first.click()
    told = page.page.get_by_text("If they clicked")
    expect(told).to_be_in_viewport(ratio=1)
    header, text = page.page.get_by_role("banner").bounding_box(), told.bounding_box()
    assert text["y"] >= header["y"] + header["height"]


def test_what_if_takes_any_item_found_by_words(shop: httpx.Client, tab: Tab) -> None:
    tab.go(page_of(shop, "/users/user-0013"))
    tab.page.get_by_label("Find an item, or take one from the list").fill("yoga mat")
    tab.page.get_by_role("list", name="Items found").get_by_role("button").first.click()
    expect(tab.page.get_by_role("list", name="Foreseen recommendations").get_by_role("listitem")).to_have_count(10)


def test_a_stranger_gets_what_is_popular_and_the_page_says_so(shop: httpx.Client, tab: Tab) -> None:
    tab.go(page_of(shop, "/users/nobody-knows-me"))
    assert "Nobody has seen this user yet" in tab.text
    assert "From popularity: the user is unknown." in tab.text


def test_items_are_found_by_words_and_category_and_lead_to_their_page(shop: httpx.Client, tab: Tab) -> None:
    tab.go(page_of(shop, "/items"))
    tab.page.get_by_label("Words in title, text or id").fill("TEA pot")
    found = tab.page.get_by_role("region", name="Items")
    titles = [
        item["title"] for item in shop.get("/v1/items/search", params={"query": "tea pot", "n": 50}).json()["items"]
    ]
    assert len(titles) > 1
    expect(found.locator("tbody tr")).to_have_count(len(titles))
    found.get_by_role("link", name=titles[0]).click()
    expect(tab.page.get_by_role("heading", level=1)).to_have_text(titles[0])
    expect(tab.page.get_by_role("list", name="Similar items").get_by_role("listitem")).to_have_count(12)
    assert tab.complaints == []


def test_an_item_is_hidden_from_every_answer_and_shown_again(shop: httpx.Client, tab: Tab) -> None:
    item = shop.get(f"/v1/users/{USER}/recommendations").json()["items"][0]
    tab.go(page_of(shop, f"/items/{item['item_id']}"))
    tab.page.get_by_role("button", name="Hide it").click()
    expect(tab.page.get_by_text("hidden from every answer", exact=True)).to_be_visible()
    answer = shop.get(f"/v1/users/{USER}/recommendations").json()
    assert item["item_id"] not in [one["item_id"] for one in answer["items"]]
    tab.go(page_of(shop, "/items"))
    tab.page.get_by_label("State").select_option("only")
    expect(tab.page.get_by_role("region", name="Items").locator("tbody tr")).to_have_count(1)
    tab.go(page_of(shop, f"/items/{item['item_id']}"))
    tab.page.get_by_role("button", name="Show it again").click()
    expect(tab.page.get_by_role("button", name="Hide it")).to_be_visible()
    assert shop.get(f"/v1/items/{item['item_id']}").json()["hidden"] is False


def test_drift_shows_alarms_in_words_the_mix_of_categories_and_each_signal(shop: httpx.Client, tab: Tab) -> None:
    tab.go(page_of(shop, "/drift"))
    alarms = tab.page.get_by_role("list", name="Alarms, newest first").get_by_role("listitem")
    expect(alarms).to_have_count(3)
    expect(alarms.first).to_contain_text("Hit rate fell from 31.0% to 17.0%")
    expect(alarms.first).to_contain_text("Events moved from Cooking to Camping.")
    expect(alarms.last).to_contain_text("New items in category Tea rose from 2.0% to 19.0%")
    for name in ("Hit rate over time", "Loss over time", "Category mix over time", "New users over time"):
        expect(tab.page.get_by_role("img", name=name, exact=True)).to_be_visible()
    mix = shop.get("/v1/drift/categories").json()
    expect(tab.page.get_by_role("img", name="Share of each category in the events, over time")).to_be_visible()
    assert mix["categories"][0] in tab.text
    assert tab.complaints == []


def test_models_show_versions_with_verdicts_and_a_promotion_is_asked_about_first(shop: httpx.Client, tab: Tab) -> None:
    tab.go(page_of(shop, "/models"))
    versions = tab.page.get_by_role("list", name="Versions, newest first").locator("> li")
    expect(versions.filter(has_text=REFUSED)).to_contain_text("against the champion -0.0310 NDCG@10")
    expect(versions.filter(has_text=OLDER).filter(has_text="retired")).to_contain_text("files gone")
    expect(tab.page.get_by_role("button", name=f"Promote {OLDER}")).to_have_count(0)
    tab.page.get_by_role("button", name=f"Promote {CHALLENGER}").click()
    tab.page.get_by_role("button", name="Cancel").click()
    assert shop.get(f"/v1/models/{CHALLENGER}").json()["status"] == "challenger"
    assert tab.complaints == []


def test_a_promoted_version_whose_files_are_damaged_is_told_and_rolled_back(shop: httpx.Client, tab: Tab) -> None:
    champion = shop.get("/v1/models").json()["serving"]
    tab.go(page_of(shop, "/models"))
    tab.page.get_by_role("button", name=f"Promote {CHALLENGER}").click()
    tab.page.get_by_role("dialog").get_by_role("button", name="Promote").click()
    expect(tab.page.get_by_text("The newest model does not serve")).to_be_visible()
    assert shop.get(f"/v1/users/{USER}/recommendations").json()["model_version"] == champion
    tab.page.get_by_role("button", name="Roll back").click()
    tab.page.get_by_role("dialog").get_by_role("button", name="Roll back").click()
    history = tab.page.get_by_role("list", name="Changes of what serves, newest first").get_by_role("listitem")
    expect(history.first).to_contain_text("rollback")
    assert shop.get("/v1/status").json()["model"]["champion"] == champion


def test_dead_letters_are_retried_and_those_that_fail_again_stay_with_the_reason(shop: httpx.Client, tab: Tab) -> None:
    tab.go(page_of(shop, "/ingestion"))
    letters = tab.page.get_by_role("region", name="Dead letters").locator("tbody tr")
    expect(letters).to_have_count(4)
    expect(letters.filter(has_text="events.csv")).to_contain_text("line 18; import the file again")
    tab.page.get_by_role("button", name="Retry all").click()
    expect(tab.page.get_by_text("3 letters retried: 1 settled, 1 new event, 2 failed again.").first).to_be_visible()
    expect(letters).to_have_count(3)
    expect(letters.filter(has_text="retried 1×")).to_have_count(2)
    letters.filter(has_text="events.csv").get_by_role("checkbox").check()
    tab.page.get_by_role("button", name="Delete chosen").click()
    tab.page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(letters).to_have_count(2)
    assert tab.complaints == []


EVIL_PLACES = [
    "/",
    "/users",
    f"/users/{quote(EVIL_USER, safe='')}",
    "/users/ann",
    "/items",
    f"/items/{EVIL_ITEM}",
    "/ingestion",
]


@pytest.mark.parametrize("place", EVIL_PLACES)
def test_markup_in_titles_ids_and_letters_is_shown_as_text(shop: httpx.Client, tab: Tab, place: str) -> None:
    tab.go(page_of(shop, place))
    tab.page.wait_for_timeout(200)  # long enough for a picture that fails to load to say so
    assert "taken" not in tab.page.title().replace(EVIL, "")
    assert tab.page.locator("main img, main script, main b:not(.legend b)").count() == 0
    assert tab.complaints == []


def test_markup_stays_readable_where_it_belongs(shop: httpx.Client, tab: Tab) -> None:
    tab.go(page_of(shop, f"/items/{EVIL_ITEM}"))
    expect(tab.page.get_by_role("heading", level=1)).to_have_text(EVIL)
    assert EVIL_CATEGORY in tab.text
    tab.go(page_of(shop, f"/users/{quote(EVIL_USER, safe='')}"))
    expect(tab.page.get_by_role("heading", level=1)).to_have_text(EVIL_USER)
    assert EVIL in tab.page.get_by_role("list", name="Events, newest first").inner_text()


def test_a_link_of_the_old_kind_leads_to_its_user(shop: httpx.Client, tab: Tab) -> None:
    tab.go(f"{shop.base_url}/?user={USER}")
    expect(tab.page.get_by_role("heading", level=1)).to_have_text(USER)


def test_the_keyboard_reaches_every_page_and_goes_on_where_the_page_begins(shop: httpx.Client, tab: Tab) -> None:
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


def test_the_theme_follows_the_system_until_one_is_chosen_and_is_remembered(shop: httpx.Client, tab: Tab) -> None:
    tab.go(page_of(shop))
    background = "getComputedStyle(document.body).backgroundColor"
    light = tab.page.evaluate(background)
    tab.page.emulate_media(color_scheme="dark")
    dark = tab.page.evaluate(background)
    assert light != dark
    tab.page.get_by_role("button", name="Theme: system").click()
    assert tab.page.evaluate(background) == light
    tab.page.reload()
    expect(tab.page.get_by_role("button", name="Theme: light")).to_be_visible()
    assert tab.page.evaluate(background) == light
