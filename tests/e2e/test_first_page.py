"""The first page in a real browser: it works without a complaint, and text from the catalogue stays text."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from services.browser import render
from services.up_process import up

EVIL = "<script>document.title = 'taken'</script><img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def url(shop_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A served shop whose most popular item has markup for a title."""
    folder = tmp_path_factory.mktemp("page") / "data"
    shutil.copytree(shop_template, folder)
    with up(folder) as (server, address), httpx.Client(base_url=address, timeout=30) as http:
        http.put("/v1/items/evil", json={"title": EVIL, "categories": ["<b>bold</b>"]}).raise_for_status()
        http.post("/v1/interactions", json={"user_id": "ann", "item_id": "evil", "type": "purchase"}).raise_for_status()
        server.until(lambda: http.get("/v1/items/popular").json()["items"][0]["item_id"] == "evil")
        yield address


def test_the_page_shows_the_shop_and_what_is_popular_without_a_complaint(url: str) -> None:
    page = render(url)
    status = httpx.get(f"{url}/v1/status").json()
    assert page.complaints == []
    assert status["model"]["serving"] in page.texts["facts"]
    assert f"{status['events']:,}" in page.texts["facts"]
    popular = httpx.get(f"{url}/v1/items/popular").json()["items"]
    for item in popular:
        assert item["title"] in page.texts["popular"]
    assert "problem" not in page.texts


def test_the_page_of_a_user_shows_the_recommendations_that_the_api_gives(url: str) -> None:
    page = render(f"{url}/?user=user-0001")
    answer = httpx.get(f"{url}/v1/users/user-0001/recommendations").json()
    assert page.complaints == []
    assert "source: model (ranked by the user's history)" in page.texts["why"]
    for item in answer["items"]:
        assert item["title"] in page.texts["recommended"]


def test_markup_in_a_title_is_shown_as_text(url: str) -> None:
    page = render(url)
    assert EVIL in page.texts["popular"]
    assert "<b>bold</b>" in page.texts["popular"]
    assert (page.counts["script"], page.counts.get("img", 0)) == (1, 0), "only the page's own script"
