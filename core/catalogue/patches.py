"""Patches of catalogue items: JSON merge patch (RFC 7396). Independent of storage and HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.catalogue.items import Item, parse_item


def parse_patch(raw: object) -> dict[str, Any]:
    """A decoded JSON object as a patch, each field checked alone; raises `InvalidItem` with the invalid field.

    A patch names its item by `item_id`. A field that is given replaces the stored one, null empties it, and a field
    that is left out stays. `attributes` are merged by name; null removes one.
    """
    parse_item(raw)
    assert isinstance(raw, Mapping)
    return dict(raw)


def patched(item: Item, patch: Mapping[str, Any]) -> Item:
    """The item with a patch applied; raises `InvalidItem` where both together are no valid item."""
    return parse_item(merge_patch(item.fields(), patch))


def merge_patch(target: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """MergePatch of RFC 7396, section 2."""
    merged = dict(target)
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, Mapping):
            known = merged.get(name)
            merged[name] = merge_patch(known if isinstance(known, Mapping) else {}, value)
        else:
            merged[name] = value
    return merged
