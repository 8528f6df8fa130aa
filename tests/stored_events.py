"""Users and events in a store, for the contract tests."""

from __future__ import annotations

from core.ports.store import Store
from core.records.stored import EventRow

CLICK, VIEW, IMPRESSION = 0, 1, 2


def event_key(number: int) -> bytes:
    return number.to_bytes(16, "big")


def event(number: int, *, user: int, item: int, time_ms: int, seq: int, kind: int = CLICK) -> EventRow:
    return EventRow(event_key(number), user, item, kind, time_ms, seq, None, None, None)


def insert(store: Store, *rows: EventRow) -> None:
    with store.transaction() as tx:
        tx.events.insert(sorted(rows))
        tx.commit()


def add_users(store: Store, *user_ids: str) -> dict[str, int]:
    """Create users; returns their keys."""
    with store.transaction() as tx:
        states = tx.users.lock(list(user_ids))
        tx.commit()
    return {user_id: state.key for user_id, state in states.items()}
