"""Manage: change the catalogue, forget a user.

Each is one transaction; items change under a new revision that every process notices.
"""

from __future__ import annotations

from collections.abc import Sequence

from core.clock import Clock, WallClock
from core.errors import NotFound
from core.items import Item
from core.ports.store import Store

_WALL = WallClock()  # when somebody changed something is a fact of the machine, whatever time the stream lives in


def save_items(store: Store, items: Sequence[Item], *, clock: Clock = _WALL) -> int:
    """Insert or replace catalogue items; of several with one id the last counts. Returns the new revision."""
    latest = {item.item_id: item for item in items}
    with store.transaction() as tx:
        revision = tx.items.save([latest[item_id] for item_id in sorted(latest)], now_ms=clock.now_ms())
        tx.commit()
    return revision


def remove_item(store: Store, item_id: str, *, clock: Clock = _WALL) -> None:
    """Take an item out of the catalogue; raises `NotFound` where it is not in it."""
    with store.transaction() as tx:
        if not tx.items.remove([item_id], now_ms=clock.now_ms()):
            msg = f"item {item_id!r} is not in the catalogue"
            raise NotFound(msg)
        tx.commit()


def erase_user(store: Store, user_id: str, *, clock: Clock) -> None:
    """Delete everything about a user; raises `NotFound` where there was nothing.

    `clock` is the clock of the events: what happened up to its now stays forgotten if it is delivered again.
    """
    with store.transaction() as tx:
        if not tx.users.erase(user_id, now_ms=clock.now_ms()):
            msg = f"user {user_id!r} is not known"
            raise NotFound(msg)
        tx.commit()
