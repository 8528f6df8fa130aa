"""Pictures of every page: of the demo's shop in all modes (`make screenshots`), else of the tests' own shop.

The demo's monitor, trainer and gate have decided what its pages show; nothing on them is planted. SCREENSHOTS names the
folder for whole pages, of which the documentation's are cut, SCREENSHOTS_OF the data folder of a demo that has run
already, if there is one.
"""

from __future__ import annotations

import itertools
import math
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from pages import page
from PIL import Image
from services.browser import DESK, PHONE
from services.up_process import quiet_environment, up

from tidewise.demo.demo import LIVE_DAYS, make_shop

# `test_dashboard_accessibility` opens the same pages in all modes for each change.
pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]
MODES = {"light": (False, DESK), "dark": (True, DESK), "phone": (False, PHONE)}
PAGES = {
    "overview": "",
    "users": "users?range=30d",
    "user": "users/USER",
    "what-if": "users/USER",
    "items": "items?range=7d",
    "item": "items/tea-001?range=30d",
    "scenarios": "scenarios",
    "experiments": "experiments",
    "experiment": "experiments/layout",
    "outcomes": "outcomes",
    "drift": "drift?range=30d",
    "models": "models",
    "ingestion": "ingestion",
}
IMAGES = Path(__file__).parents[2] / "docs" / "images"
SHOWN = re.findall(r"images/([a-z-]+)-(light|dark|phone)\.png", page("docs/dashboard.md").text)
# Without SCREENSHOTS each page is pictured once, the modes in turn; test_dashboard_accessibility opens it in all.
PICTURES = list(
    itertools.product(PAGES, MODES)
    if os.environ.get("SCREENSHOTS")
    else zip(PAGES, itertools.cycle(MODES), strict=False)
)
MAX_HEIGHT = {"light": 1250, "dark": 1250, "phone": 1500}
MAX_BYTES = 150 * 1024
COLOURS = 256
TRAFFIC_S = 70  # before pictures that are kept: a chart wants something to draw
BAD_LINES = (
    "user,item,time,type",
    "user-0012,tea-004,1700000000,view",  # looks like seconds
    "user-0044,yoga-011,1760000000000,wish",
    ",camping-007,1760000000000,view",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the pictures go: SCREENSHOTS, or nowhere that stays."""
    named = os.environ.get("SCREENSHOTS")
    chosen = Path(named) if named else tmp_path_factory.mktemp("pictures")
    chosen.mkdir(parents=True, exist_ok=True)
    return chosen


@pytest.fixture(scope="module")
def pictured(request: pytest.FixtureRequest) -> Iterator[httpx.Client]:
    """What is pictured."""
    if not os.environ.get("SCREENSHOTS"):
        yield request.getfixturevalue("shop")
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(os.environ.get("SCREENSHOTS_OF") or name)
        if not (folder / "tidewise.db").exists():
            tidewise("demo", "--exit", "--port", "0", "--data", str(folder))
        (Path(name) / "events.csv").write_text("\n".join(BAD_LINES))
        tidewise("import", "--events", f"{name}/events.csv", "--columns", "user,item,time,type", "--data", str(folder))
        with up(folder) as (_, address), httpx.Client(base_url=address, timeout=30) as http:
            send_traffic(http, for_s=TRAFFIC_S)
            yield http


def tidewise(*words: str) -> None:
    """A command of ours, to its end."""
    subprocess.run([sys.executable, "-P", "-m", "tidewise", *words], env=quiet_environment(), check=True)


def send_traffic(shop: httpx.Client, *, for_s: float) -> None:
    """What the day that was kept back had, happening now, in waves; people who ask, and some click and buy."""
    shop.put("/v1/scenarios/homepage", json={"diversity": {"at_most": {"categories": 3}}}).raise_for_status()
    arms = [{"name": "model", "share": 0.5}, {"name": "varied", "share": 0.5, "scenario": "homepage"}]
    shop.put("/v1/experiments/layout", json={"arms": arms, "description": "Lists of more kinds"}).raise_for_status()
    chance = random.Random(7)
    live = itertools.cycle(make_shop(season_days=LIVE_DAYS).live)
    began_s = time.monotonic()
    while (passed_s := time.monotonic() - began_s) < for_s:
        taken = list(itertools.islice(live, 3 + round(2 * math.sin(passed_s / 9))))
        events = [{"user_id": one.user_id, "item_id": one.item_id, "type": one.type} for one in taken]
        shop.post("/v1/interactions", json={"events": events}).raise_for_status()
        scenario = chance.choice([{}, {"scenario": "homepage"}])
        answer = shop.get(f"/v1/users/{taken[0].user_id}/recommendations", params=scenario).raise_for_status().json()
        kinds = ["click"] * (chance.random() < 0.4) + ["purchase"] * (chance.random() < 0.1)
        shown = chance.choice(answer["items"])["item_id"]
        reaction = {"user_id": taken[0].user_id, "item_id": shown, "recommendation_id": answer["recommendation_id"]}
        for kind in kinds:
            shop.post("/v1/interactions", json=reaction | {"type": kind, "value": 24.9}).raise_for_status()
        time.sleep(0.4)


@pytest.fixture(scope="module")
def mover(pictured: httpx.Client) -> str:
    """A user whose interest has moved, the one with the most events."""
    users = pictured.get("/v1/users", params={"prefix": "user-", "limit": 1000}).json()["users"]
    for user in sorted(users, key=lambda user: -user["user_seq"])[:60]:
        user_id: str = user["user_id"]
        if pictured.get(f"/v1/users/{user_id}/interests").json()["drift"]["detected"]:
            return user_id
    return users[0]["user_id"]  # type: ignore[no-any-return]


@pytest.mark.parametrize(("name", "mode"), PICTURES)
def test_a_picture_of_each_page(  # type: ignore[no-untyped-def]
    pictured: httpx.Client, reader, folder: Path, mover: str, name: str, mode: str
) -> None:
    dark, size = MODES[mode]
    tab = reader(dark=dark, size=size)
    tab.follow(f"{pictured.base_url}/#/{PAGES[name].replace('USER', mover)}")
    if name == "what-if":
        tab.page.get_by_role("button", name="What if the user clicked").nth(3).click()
        tab.page.get_by_role("list", name="What-if recommendations").wait_for()
    path = folder / f"{name}-{mode}.png"
    tab.page.screenshot(path=path, full_page=(name, mode) != ("what-if", "phone"))  # there it lies below the list
    with Image.open(path) as picture:
        assert len(picture.convert("RGB").getcolors(1 << 24) or []) > 50, "something is on it"
        if os.environ.get("SCREENSHOTS") and (name, mode) in SHOWN:
            save_cut(picture, IMAGES / path.name, max_height=MAX_HEIGHT[mode])
    assert tab.errors == []


def save_cut(picture: Image.Image, path: Path, *, max_height: int) -> None:
    """The upper part of a page, small enough for the documentation."""
    cut = picture.crop((0, 0, picture.width, min(picture.height, max_height)))
    cut.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
    assert path.stat().st_size < MAX_BYTES
