"""The built documentation site is complete, and its pages load nothing from other servers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from pages import ROOT
from services.browser import chromium, tab

pytestmark = pytest.mark.site
LOADED = {"script": "src", "img": "src", "source": "src", "iframe": "src", "video": "src", "object": "data"}
LOADED_LINKS = {"stylesheet", "preload", "preconnect", "dns-prefetch", "icon", "manifest", "modulepreload"}
REMOTE = re.compile(r"(?:https?:)?//")


class Loads(HTMLParser):
    """Collects the addresses that a browser loads by itself when it opens the page."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        is_link = tag == "link" and set(values.get("rel", "").split()) & LOADED_LINKS
        attribute = "href" if is_link else LOADED.get(tag)
        if attribute and attribute in values:
            self.addresses.append(values[attribute])


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves files without a log."""

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def site(request: pytest.FixtureRequest) -> Path:
    folder = request.config.getoption("--site", default=None)
    if folder is None:
        pytest.skip("no built site given; run: make docs-test")
    return Path(folder)


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(site))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_every_markdown_page_is_in_the_site(site: Path) -> None:
    expected = {path.relative_to(ROOT / "docs").with_suffix("") for path in (ROOT / "docs").rglob("*.md")}
    expected = {path.parent / "index" if path.name == "README" else path for path in expected}
    built = {path.relative_to(site).with_suffix("") for path in site.rglob("*.html")}
    assert expected <= built


def test_lists_and_tables_are_rendered_as_such(site: Path) -> None:
    left = [
        f"{path.relative_to(site)}: {match[0]}"
        for path in site.rglob("*.html")
        for match in re.finditer(r"<p>[^<]*\n *(?:- |[1-9]\. |\|).*", path.read_text(encoding="utf-8"))
    ]
    assert left == []


def test_no_page_loads_anything_from_another_server(site: Path) -> None:
    remote = []
    for path in site.rglob("*.html"):
        loads = Loads()
        loads.feed(path.read_text(encoding="utf-8"))
        remote += [f"{path.relative_to(site)}: {url}" for url in loads.addresses if REMOTE.match(url)]
    assert remote == []


def test_no_style_loads_anything_from_another_server(site: Path) -> None:
    styles = [path.read_text(encoding="utf-8") for path in [*site.rglob("*.css"), *site.rglob("*.html")]]
    assert [
        url for style in styles for url in re.findall(r"(?:url\(|@import )[\"']?((?:https?:)?//[^)\"']+)", style)
    ] == []


def test_diagrams_are_inside_the_pages_as_svg(site: Path) -> None:
    architecture = (site / "architecture.html").read_text(encoding="utf-8")
    num_diagrams = (ROOT / "docs/architecture.md").read_text(encoding="utf-8").count("```mermaid")
    assert num_diagrams >= 4
    assert architecture.count('<figure class="diagram"') == num_diagrams
    assert not any('class="mermaid"' in path.read_text(encoding="utf-8") for path in site.rglob("*.html"))


def test_the_search_index_holds_the_pages_and_the_reference(site: Path) -> None:
    index = json.loads((site / "search/search_index.json").read_text(encoding="utf-8"))
    locations = {entry["location"].partition("#")[0] for entry in index["docs"]}
    assert {"api.html", "architecture.html", "reference/ports.html", "index.html"} <= locations


def test_search_works_in_a_browser_without_other_servers(address: str) -> None:
    with chromium() as browser, tab(browser) as opened:
        opened.page.goto(f"{address}/index.html")
        opened.page.locator("[data-md-component=search-query]").first.fill("dead letters")
        opened.page.locator(".md-search-result__item").first.wait_for()
        opened.page.goto(f"{address}/architecture.html")
        opened.page.locator("figure.diagram svg").first.wait_for()
        assert opened.foreign_requests == []
        assert opened.errors == []
