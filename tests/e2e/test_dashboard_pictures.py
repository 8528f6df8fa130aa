"""Pictures of every page, for the documentation: `make screenshots` puts them into docs/images."""

from __future__ import annotations

import itertools
import math
import os
import time
from pathlib import Path

import httpx
import pytest
from PIL import Image
from services.browser import DESK, PHONE
from services.dashboard_shop import EVIL_ITEM, simulated

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
MODES = {"light": (False, DESK), "dark": (True, DESK), "phone": (False, PHONE)}
PAGES = {
    "overview": "",
    "user": "users/USER",
    "what-if": "users/USER",
    "items": "items",
    "item": "items/tea-001",
    "drift": "drift",
    "models": "models",
    "ingestion": "ingestion",
}
MAX_HEIGHT = {"light": 1250, "dark": 1250, "phone": 1500}
MAX_BYTES = 150 * 1024
COLOURS = 256
TRAFFIC_S = 70  # before pictures that are kept: a chart wants something to draw


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the pictures go: SCREENSHOTS, or nowhere that stays."""
    named = os.environ.get("SCREENSHOTS")
    chosen = Path(named) if named else tmp_path_factory.mktemp("pictures")
    chosen.mkdir(parents=True, exist_ok=True)
    return chosen


@pytest.fixture(scope="module")
def without_evil(shop: httpx.Client) -> httpx.Client:
    """The same shop without what tries to break out of its place."""
    shop.delete(f"/v1/items/{EVIL_ITEM}").raise_for_status()
    letters = shop.get("/v1/dead-letters").json()["dead_letters"]
    evil = [letter["key"] for letter in letters if letter["source"] == "events.csv"]
    shop.post("/v1/dead-letters/discard", json={"keys": evil}).raise_for_status()
    if os.environ.get("SCREENSHOTS"):
        send_traffic(shop, for_s=TRAFFIC_S)
    return shop


def send_traffic(shop: httpx.Client, *, for_s: float) -> None:
    """What the day that was kept back had, happening now, in waves; and people who ask."""
    live = itertools.cycle(simulated(time.time_ns() // 1_000_000).live)
    began_s = time.monotonic()
    while (passed_s := time.monotonic() - began_s) < for_s:
        taken = list(itertools.islice(live, 3 + round(2 * math.sin(passed_s / 9))))
        events = [{"user_id": one.user_id, "item_id": one.item_id, "type": one.type} for one in taken]
        shop.post("/v1/interactions", json={"events": events}).raise_for_status()
        shop.get(f"/v1/users/{taken[0].user_id}/recommendations").raise_for_status()
        time.sleep(0.4)


@pytest.fixture(scope="module")
def mover(without_evil: httpx.Client) -> str:
    """A user whose interest has moved, the one with the most events."""
    users = without_evil.get("/v1/users", params={"prefix": "user-", "limit": 1000}).json()["users"]
    for user in sorted(users, key=lambda user: -user["user_seq"])[:60]:
        user_id: str = user["user_id"]
        if without_evil.get(f"/v1/users/{user_id}/interests").json()["drift"]["found"]:
            return user_id
    return users[0]["user_id"]  # type: ignore[no-any-return]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", PAGES)
def test_a_picture_of_each_page(  # type: ignore[no-untyped-def]
    without_evil: httpx.Client, open_tab, folder: Path, mover: str, name: str, mode: str
) -> None:
    dark, size = MODES[mode]
    tab = open_tab(dark=dark, size=size)
    tab.go(f"{without_evil.base_url}/#/{PAGES[name].replace('USER', mover)}")
    if name == "what-if":
        tab.page.get_by_role("button", name="What if they clicked").nth(3).click()
        tab.page.get_by_role("list", name="Foreseen recommendations").wait_for()
        tab.page.locator("main").focus()
        tab.page.evaluate("scrollTo(0, 0)")
    path = folder / f"{name}-{mode}.png"
    tab.page.screenshot(path=path, full_page=True)
    with Image.open(path) as picture:
        cut = picture.crop((0, 0, picture.width, min(picture.height, MAX_HEIGHT[mode])))
        cut.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
        assert len(cut.convert("RGB").getcolors(1 << 24) or []) > 50, "something is on it"
    assert path.stat().st_size < MAX_BYTES
    assert tab.complaints == []
