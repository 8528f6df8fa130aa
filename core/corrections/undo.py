"""Undo an event: everything is as if it had never been sent, and it stays undone when it is delivered again."""

from __future__ import annotations

from core.conflicts import retried
from core.corrections.derived import events_of, lock_corrections, replace_derived
from core.errors import NotFound
from core.events.interactions import event_key_of, shorten
from core.ingestion.derivation import Derivation
from core.ports.store import Store
from core.records.stored import UserState


def undo_event(store: Store, event_id: str, derivation: Derivation) -> UserState | None:
    """Undo an event in one transaction; returns the changed user, or None if the event was undone before.

    The user's sequence number rises, because vectors belong to it. The clock of the stream stays where the event has
    put it. Raises `NotFound` for an event that is not stored: it may still wait in the log.
    """
    return retried(lambda: _undo(store, event_id, derivation))


def _undo(store: Store, event_id: str, derivation: Derivation) -> UserState | None:
    key = event_key_of(event_id)
    with store.transaction() as tx:
        writer_key = lock_corrections(tx)
        event = tx.events.by_key([key]).get(key)
        if event is None:
            if tx.events.known([key]):
                return None
            msg = f"event {shorten(event_id)} is not stored; if it is still queued, undo it when it is applied"
            raise NotFound(msg)
        (state,) = tx.users.lock_by_key([event.user_key])
        before = events_of(tx, state)
        after = [row for row in before if row.event_key != key]
        replace_derived(tx, writer_key, derivation, before=[before], after=after)
        tx.events.undo(event)
        tx.drift.delete_sample(key)
        window = derivation.window(derivation.history(after))
        changed = UserState(state.key, state.seq + 1, window, state.erased_ms)
        tx.users.save([changed])
        tx.commit()
    return changed
