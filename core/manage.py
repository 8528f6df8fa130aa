"""Catalogue changes, each in one transaction.

Every catalogue change creates a revision; all processes refresh when they read a new one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from core.catalogue.items import Item
from core.catalogue.patches import patched
from core.clock import Clock, WallClock
from core.errors import InvalidItem, NotFound
from core.ports.store import Store

_WALL = WallClock()  # catalogue changes have wall-clock times, also while an old log is replayed


def save_items(store: Store, items: Sequence[Item], *, clock: Clock = _WALL) -> int:
    """Insert or replace catalogue items; of items with the same id the last wins. Returns the new revision."""
    latest = {item.item_id: item for item in items}
    with store.transaction() as tx:
        revision = tx.items.save([latest[item_id] for item_id in sorted(latest)], now_ms=clock.now_ms())
        tx.commit()
    return revision


def patch_items(
    store: Store, patches: Sequence[Mapping[str, Any]], *, clock: Clock = _WALL
) -> tuple[int, list[InvalidItem | NotFound | None]]:
    """Apply patches (see `core.catalogue.patches`) in order, under one new revision.

    Returns the catalogue's revision and for each patch None, or why it was not applied: its item is not in the
    catalogue, or would not be valid.
    """
    problems: list[InvalidItem | NotFound | None] = []
    with store.transaction() as tx:
        tx.items.lock_revision()
        stored = tx.items.by_id(sorted({patch["item_id"] for patch in patches}))
        listed = {item_id: entry.item for item_id, entry in stored.items() if entry.in_catalogue}
        changed: dict[str, Item] = {}
        for patch in patches:
            item_id = patch["item_id"]
            try:
                if item_id not in listed:
                    msg = f"item {item_id!r} is not in the catalogue; PUT it to add it"
                    raise NotFound(msg)
                listed[item_id] = changed[item_id] = patched(listed[item_id], patch)
                problems.append(None)
            except (InvalidItem, NotFound) as error:
                problems.append(error)
        revision = tx.items.save([changed[item_id] for item_id in sorted(changed)], now_ms=clock.now_ms())
        if changed:
            tx.commit()
    return revision, problems


def remove_item(store: Store, item_id: str, *, clock: Clock = _WALL) -> None:
    """Remove an item from the catalogue; raises `NotFound` if it is not in it."""
    with store.transaction() as tx:
        if not tx.items.remove([item_id], now_ms=clock.now_ms()):
            msg = f"item {item_id!r} is not in the catalogue"
            raise NotFound(msg)
        tx.commit()
