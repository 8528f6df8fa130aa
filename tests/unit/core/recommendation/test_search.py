"""Search: all words, any case, popular ones first."""

from __future__ import annotations

import pytest
from domain_shop import Shop

from core.catalogue.items import Item
from core.recommendation.search import search_rows


@pytest.fixture
def shop() -> Shop:
    shop = Shop(items=())
    shop.catalogue(Item("tea-1", "Green Tea", "leaves", ("Tea",)))
    shop.catalogue(Item("tea-2", "Black tea", "", ("Tea", "Sale")))
    shop.catalogue(Item("pot-1", "TEA pot", "green clay", ("Kitchen",), hidden=True))
    shop.catalogue(Item("straße", "Größe", "", ()))
    shop.had("tea-2")
    shop.snapshots.refresh()
    return shop


def found(shop: Shop, query: str, category: str | None = None) -> list[str]:
    snapshot = shop.snapshots.current()
    return [snapshot.catalogue.item_ids[row] for row in search_rows(snapshot, query.split(), category=category)]


def test_all_words_must_match_and_popular_items_come_first(shop: Shop) -> None:
    assert found(shop, "tea") == ["tea-2", "tea-1", "pot-1"]
    assert found(shop, "GREEN tea") == ["tea-1", "pot-1"]
    assert found(shop, "tea nothing") == []


def test_case_is_that_of_all_languages(shop: Shop) -> None:
    assert found(shop, "STRASSE") == found(shop, "größe") == ["straße"]


def test_a_category_narrows_and_without_words_all_of_it_is_found(shop: Shop) -> None:
    assert found(shop, "", "Tea") == ["tea-2", "tea-1"]
    assert found(shop, "green", "Kitchen") == ["pot-1"]
    assert found(shop, "green", "No such") == []
