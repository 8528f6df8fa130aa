"""Headless Chromium: what stands on a page once its scripts have run, and what they complained about.

Without Chromium the tests skip, except in CI (CI=true), where they fail.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from html.parser import HTMLParser

import pytest

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--enable-logging=stderr",
    "--virtual-time-budget=4000",  # of the page's own time: enough for its first requests, before its first renewal
)
COMPLAINT = re.compile(r":CONSOLE(?::|\()\d+\)?\] (.*)")


@dataclass(frozen=True)
class Rendered:
    """`texts`: what stands in each element with an id, scripts left out. `counts`: how many elements of each kind."""

    texts: dict[str, str]
    counts: dict[str, int]
    complaints: list[str]


def render(url: str) -> Rendered:
    """Open a page, let it run, and read it."""
    with tempfile.TemporaryDirectory() as profile:
        command = [_program(), *FLAGS, f"--user-data-dir={profile}", "--dump-dom", url]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    page = _Page()
    page.feed(done.stdout)
    texts = {name: " ".join(parts) for name, parts in page.texts.items()}
    return Rendered(texts, page.counts, COMPLAINT.findall(done.stderr))


def _program() -> str:
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        reason = "no chromium on this machine; install it to have the pages tested"
        if os.environ.get("CI", "").lower() in ("1", "true"):
            pytest.fail(reason)
        pytest.skip(reason)
    return program


class _Page(HTMLParser):
    """Collects the text below each element with an id, and how many elements of each kind there are."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: dict[str, list[str]] = {}
        self.counts: dict[str, int] = {}
        self._open: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.counts[tag] = self.counts.get(tag, 0) + 1
        if tag not in ("meta", "link", "input", "br", "img"):
            self._open.append((tag, dict(attrs).get("id")))

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        if data.strip() and not any(tag in ("script", "style") for tag, _ in self._open):
            for name in {name for _, name in self._open if name}:
                self.texts.setdefault(name, []).append(data.strip())
