"""Pictures of every page, for the documentation: `make screenshots` puts them into docs/images."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from PIL import Image
from services.browser import DESK, PHONE
from services.dashboard_shop import EVIL_ITEM

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
MODES = {"light": (False, DESK), "dark": (True, DESK), "phone": (False, PHONE)}
PAGES = {
    "overview": "",
    "user": "users/user-0019",
    "what-if": "users/user-0019",
    "items": "items",
    "item": "items/tea-001",
    "drift": "drift",
    "models": "models",
    "ingestion": "ingestion",
}
MAX_HEIGHT = {"light": 1250, "dark": 1250, "phone": 1500}
MAX_BYTES = 150 * 1024
COLOURS = 128


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the pictures go: SCREENSHOTS, or nowhere that stays."""
    named = os.environ.get("SCREENSHOTS")
    chosen = Path(named) if named else tmp_path_factory.mktemp("pictures")
    chosen.mkdir(parents=True, exist_ok=True)
    return chosen


@pytest.fixture(scope="module")
def without_evil(shop: httpx.Client) -> Iterator[httpx.Client]:
    """The same shop without what tries to break out of its place."""
    shop.delete(f"/v1/items/{EVIL_ITEM}").raise_for_status()
    letters = shop.get("/v1/dead-letters").json()["dead_letters"]
    evil = [letter["key"] for letter in letters if letter["source"] == "events.csv"]
    shop.post("/v1/dead-letters/discard", json={"keys": evil}).raise_for_status()
    yield shop


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", PAGES)
def test_a_picture_of_each_page(without_evil: httpx.Client, open_tab, folder: Path, name: str, mode: str) -> None:  # type: ignore[no-untyped-def]
    dark, size = MODES[mode]
    tab = open_tab(dark=dark, size=size)
    tab.go(f"{without_evil.base_url}/#/{PAGES[name]}")
    if name == "what-if":
        tab.page.get_by_role("button", name="What if they clicked").nth(3).click()
        tab.page.get_by_role("list", name="Foreseen recommendations").wait_for()
        tab.page.locator("main").focus()
    path = folder / f"{name}-{mode}.png"
    tab.page.screenshot(path=path, full_page=True)
    with Image.open(path) as picture:
        cut = picture.crop((0, 0, picture.width, min(picture.height, MAX_HEIGHT[mode])))
        cut.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
        assert len(cut.convert("RGB").getcolors(1 << 24) or []) > 50, "something is on it"
    assert path.stat().st_size < MAX_BYTES
    assert tab.complaints == []
