"""A new item is recommended by its content within two seconds, before any training."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import httpx
from services.up_process import up

LIMIT_S = 2.0
EVERYTHING = 500


def recommended(http: httpx.Client, user_id: str, category: str) -> dict[str, float]:
    answer = http.get(f"/v1/users/{user_id}/recommendations", params={"n": EVERYTHING, "category": category}).json()
    assert answer["source"] == "model"
    return {item["item_id"]: item["score"] for item in answer["items"]}


def test_a_new_item_is_recommended_by_its_text_within_two_seconds(shop_template: Path, tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    shutil.copytree(shop_template, folder)
    with up(folder) as (_, url), httpx.Client(base_url=url, timeout=30) as http:
        twin = http.get("/v1/items", params={"limit": 1}).json()["items"][0]
        category = twin["categories"][0]
        item = {"title": twin["title"], "text": twin["text"], "categories": twin["categories"]}
        arrived_s = time.monotonic()
        assert http.put("/v1/items/brand-new", json=item).status_code == 200
        while "brand-new" not in (scores := recommended(http, "user-0001", category)):
            assert time.monotonic() - arrived_s < LIMIT_S
        alike = http.get("/v1/items/brand-new/similar", params={"n": EVERYTHING}).json()["items"]
        bare = {"title": "?", "categories": [category]}
        assert http.put("/v1/items/bare", json=bare).status_code == 200
        while "bare" not in (scores := recommended(http, "user-0001", category)):
            assert time.monotonic() - arrived_s < 2 * LIMIT_S
    assert scores["brand-new"] != scores["bare"]  # the text decides, not only the row of unseen items
    assert twin["item_id"] in [similar["item_id"] for similar in alike[: len(alike) // 2]]
