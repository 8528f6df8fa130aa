"""Real headless Chromium, driven by Playwright: pages with their errors and requests.

Without Chromium the tests skip, except in CI (CI=true), where they fail.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking")
TIMEOUT_MS = 20_000  # on a machine busy with other tests
DESK, PHONE = (1280, 860), (390, 844)
LOAD_FAILURE = "Failed to load resource"  # Chromium's console message for each response that is not a success

# The page is busy from now on, not from when the browser tells it of the change.
FOLLOW = "(hash) => { document.getElementById('view').setAttribute('aria-busy', 'true'); location.hash = hash; }"

expect.set_options(timeout=TIMEOUT_MS)


@dataclass
class Tab:
    """An open page. `errors`: its errors and console messages. `foreign_requests`: requests to other servers."""

    page: Page
    errors: list[str] = field(default_factory=list)
    foreign_requests: list[str] = field(default_factory=list)

    def go(self, url: str) -> None:
        """Open a page of the dashboard and wait until it is complete."""
        self.page.goto("about:blank")  # else an address that differs behind # alone would not load anything
        self.page.goto(url)
        self.settle()

    def follow(self, url: str) -> None:
        """Open a page as a link does: where the application is loaded already, it stays, for a sixth of the work."""
        application, _, path = url.partition("#")
        if self.page.url.partition("#")[0] != application or self.page.url == url:
            self.go(url)
            return
        self.page.evaluate(FOLLOW, f"#{path}")
        self.settle()

    def become(self, *, dark: bool = False, size: tuple[int, int] = DESK) -> None:
        """Have a window's size and colours: another window would load the application again."""
        self.page.emulate_media(color_scheme="dark" if dark else "light")
        self.page.set_viewport_size({"width": size[0], "height": size[1]})

    def forget(self) -> None:
        """Delete what the pages have stored in the browser."""
        if not self.page.url.startswith("about:"):
            self.page.evaluate("localStorage.clear(); sessionStorage.clear()")

    def settle(self) -> None:
        """Wait until the page has its data."""
        expect(self.page.locator("#view[aria-busy=false]")).to_be_attached()

    @property
    def text(self) -> str:
        return self.page.locator("body").inner_text()

    def overflow(self) -> int:
        """By how many pixels the page is wider than the window."""
        width: int = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        return width

    def height(self) -> int:
        """The height of the whole page in pixels."""
        height: int = self.page.evaluate("document.documentElement.scrollHeight")
        return height


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser, for one folder of tests: while it runs, its thread can run no other event loop."""
    program = _program()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def tab(browser: Browser, *, dark: bool = False, size: tuple[int, int] = DESK, still: bool = True) -> Iterator[Tab]:
    """A new window with nothing remembered."""
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if dark else "light",
        reduced_motion="reduce" if still else None,
        timezone_id="UTC",
        locale="en-GB",
    )
    context.set_default_timeout(TIMEOUT_MS)
    try:
        page = context.new_page()
        opened = Tab(page)
        page.on("pageerror", lambda error: opened.errors.append(f"uncaught: {error}"))
        page.on(
            "console",
            lambda message: (
                message.type in ("error", "warning") and opened.errors.append(f"{message.type}: {message.text}")
            ),
        )
        page.on("request", lambda request: _note_foreign_request(opened, request.url))
        yield opened
    finally:
        context.close()


def _note_foreign_request(opened: Tab, url: str) -> None:
    if not url.startswith(("http://127.0.0.1:", "about:", "data:")):
        opened.foreign_requests.append(url)


def _program() -> str:
    # The shell draws into memory only, for a quarter of the work.
    program = next(filter(None, map(shutil.which, ("chromium-headless-shell", "chromium", "chromium-browser"))), None)
    if program is None:
        reason = "no Chromium on this machine; install it (Debian: chromium-headless-shell) to have the pages tested"
        if os.environ.get("CI", "").lower() in ("1", "true"):
            pytest.fail(reason)
        pytest.skip(reason)
    return program
