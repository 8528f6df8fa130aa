"""Patches of items: the rules of RFC 7396, and clear refusals."""

from __future__ import annotations

from typing import Any

import pytest

from core.catalogue.items import MAX_ATTRIBUTES, Item
from core.catalogue.patches import parse_patch, patched
from core.errors import InvalidItem

LAMP = Item("lamp", "Camping lamp", "Bright.", ("light", "camping"), {"price": 29.5, "colour": "red"}, hidden=True)

PATCHES: dict[str, tuple[dict[str, Any], Item]] = {
    "nothing": ({}, LAMP),
    "a title": (
        {"title": "Lamp"},
        Item("lamp", "Lamp", LAMP.text, LAMP.categories, LAMP.attributes, hidden=True),
    ),
    "null empties": (
        {"title": None, "text": None, "categories": None, "attributes": None, "hidden": None},
        Item("lamp"),
    ),
    "attributes merge": (
        {"attributes": {"price": 24, "colour": None, "watts": 5}},
        Item("lamp", LAMP.title, LAMP.text, LAMP.categories, {"price": 24, "watts": 5}, hidden=True),
    ),
    "categories are replaced": (
        {"categories": ["tools"], "hidden": False},
        Item("lamp", LAMP.title, LAMP.text, ("tools",), LAMP.attributes),
    ),
}


@pytest.mark.parametrize(("patch", "expected"), PATCHES.values(), ids=PATCHES.keys())
def test_patch_changes_what_it_names(patch: dict[str, Any], expected: Item) -> None:
    assert patched(LAMP, parse_patch({"item_id": "lamp"} | patch)) == expected


def test_invalid_patch_names_its_field() -> None:
    with pytest.raises(InvalidItem, match="'colour': unknown field"):
        parse_patch({"item_id": "lamp", "colour": "red"})
    with pytest.raises(InvalidItem, match="item: wanted a JSON object"):
        parse_patch(["lamp"])


def test_patch_that_adds_too_many_attributes_is_refused() -> None:
    full = Item("lamp", attributes={f"a{index}": index for index in range(MAX_ATTRIBUTES)})
    with pytest.raises(InvalidItem, match="attributes: wanted a map of at most"):
        patched(full, {"attributes": {"one more": 1}})
