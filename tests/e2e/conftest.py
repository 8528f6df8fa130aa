"""One server, one browser and one window for all modules; new windows for tests that ask for them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser
from services import dashboard_shop
from services.browser import Tab, chromium, tab
from services.one_per_run import made_once
from services.up_process import up

OpenTab = Callable[..., Tab]


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def open_tab(browser: Browser) -> Iterator[OpenTab]:
    """Opens windows; at the end none may have asked another server for anything."""
    with ExitStack() as stack:
        opened: list[Tab] = []

        def open_one(**options: object) -> Tab:
            opened.append(stack.enter_context(tab(browser, **options)))  # type: ignore[arg-type]
            return opened[-1]

        yield open_one
        assert [url for window in opened for url in window.foreign_requests] == []


@pytest.fixture(scope="package")
def reader(browser: Browser) -> Iterator[OpenTab]:
    """A window that stays open, of any size and colours, for tests that read pages or leave them as they were."""
    with tab(browser) as window:

        def reuse(**options: object) -> Tab:
            window.become(**options)  # type: ignore[arg-type]
            window.forget()
            window.errors.clear()
            return window

        yield reuse
        assert window.foreign_requests == []


@pytest.fixture(scope="session")
def dashboard_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_once(tmp_path_factory, "dashboard-shop", dashboard_shop.build)


@pytest.fixture(scope="package")
def shop(dashboard_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of a served shop that has something for every page; live traffic has begun.

    A test may delete dead letters, but neither all of them nor anything else that others look for.
    """
    folder = tmp_path_factory.mktemp("dashboard") / "data"
    shutil.copytree(dashboard_template, folder)
    still = ["--set", "drift.enabled=false"]  # the planted signals stay as they are
    with up(folder, options=still) as (server, address), httpx.Client(base_url=address, timeout=30) as http:
        events = [
            {"user_id": user_id, "item_id": dashboard_shop.EVIL_ITEM, "type": "purchase"}
            for user_id in (dashboard_shop.EVIL_USER, "ann", "bob", "ann")
        ]
        http.post("/v1/interactions", json={"events": events}).raise_for_status()
        for _ in range(40):
            http.get("/v1/users/user-0007/recommendations").raise_for_status()
        server.until(lambda: len(http.get("/v1/activity").json()["samples"]["time"]) > 1)
        yield http
