"""Sessions: events that a request passes inline, as a history of their own or as the next ones of a user."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.events.history import History, Window, WindowShape, append
from core.recommendation.requests import SessionEvent
from core.recommendation.snapshots.current_items import CurrentItems


def session_history(items: CurrentItems, events: Sequence[SessionEvent]) -> History:
    """The events of a session by time; an unknown item has key -1."""
    ordered = sorted(events, key=lambda event: event.time_ms)
    rows = items.catalogue.rows_of_ids([event.item_id for event in ordered])
    new = sorted({event.item_id for event, row in zip(ordered, rows.tolist(), strict=True) if row < 0})
    stored = items.read.items.by_id(new) if new else {}
    keys = [
        int(items.catalogue.keys[row]) if row >= 0 else stored[event.item_id].key if event.item_id in stored else -1
        for event, row in zip(ordered, rows.tolist(), strict=True)
    ]
    return History(np.array(keys, np.int64), np.array([event.time_ms for event in ordered], np.int64))


def continued(window: Window, session: History, shape: WindowShape) -> History:
    """A window with a session appended; earlier times of the session are raised to that of the window's last event."""
    times_ms = session.times_ms if window.last_time_ms is None else np.maximum(session.times_ms, window.last_time_ms)
    return append(window, session.items, times_ms, shape).history
