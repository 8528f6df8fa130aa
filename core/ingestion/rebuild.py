"""Rebuild: recomputes windows, popularity, item transitions and counts from the interactions.

Needed after a change of the event types, the window or the half-life. One transaction. Stop other writers before
(SQLite enforces it).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import groupby
from operator import attrgetter

import numpy as np

from core.drift.counting import count
from core.drift_records import BUCKET_MS, BucketCounts
from core.history import History, WindowShape, windows_of
from core.interactions import EventTypes
from core.popularity import add_log2, decayed_log2
from core.ports.offsets import REBUILD
from core.ports.store import ReadTransaction, Store, Transaction
from core.records import EventRow, UserState
from core.transitions.transition import of_history


def rebuild(
    store: Store,
    *,
    types: EventTypes,
    shape: WindowShape,
    half_life_ms: float,
    meta: Mapping[str, str],
    progress: Callable[[int], None],
) -> int:
    """Recompute all derived state and store its settings in `meta`; returns the number of events read.

    `progress` is called with the number of events read so far.
    """
    num_events = 0
    scores: dict[int, float] = {}
    counts: Counter[tuple[int, int]] = Counter()
    drift_counts: dict[int, BucketCounts] = {}
    with store.transaction() as tx, store.read() as read:
        _clear_derived(tx)
        writer = tx.offsets.lock(REBUILD, [0])[0]
        for rows in _user_groups(read):
            by_user = [list(group) for _, group in groupby(rows, attrgetter("user_key"))]
            histories = [_history(user_rows, types) for user_rows in by_user]
            tx.users.save([_state(*pair, shape) for pair in zip(by_user, histories, strict=True)])
            tx.transitions.add(writer.key, [transition for history in histories for transition in of_history(history)])
            scores |= add_log2(scores, _popularity(rows, types, half_life_ms))
            counts.update((row.time_ms // BUCKET_MS * BUCKET_MS, row.type_code) for row in rows)
            _add_drift_counts(drift_counts, tx, rows, types)
            num_events += len(rows)
            progress(num_events)
        _save_totals(tx, writer.key, scores, counts, drift_counts)
        tx.metadata.save(meta)
        tx.commit()
    return num_events


def _clear_derived(tx: Transaction) -> None:
    """Delete everything computed from events. Events, items and sequences stay."""
    tx.users.clear_windows()
    tx.vectors.clear()
    tx.popularity.clear()
    tx.transitions.clear()
    tx.event_counts.clear()
    tx.drift.clear_counts()


def _user_groups(read: ReadTransaction) -> Iterator[list[EventRow]]:
    """All events in groups that do not split a user."""
    rows: list[EventRow] = []
    for chunk in read.events.pages():
        rows += chunk
        last_user = rows[-1].user_key
        complete = [row for row in rows if row.user_key != last_user]
        if complete:
            yield complete
            rows = [row for row in rows if row.user_key == last_user]
    if rows:
        yield rows


def _history(rows: list[EventRow], types: EventTypes) -> History:
    """The windowed events of one user."""
    codes = types.flagged("window")
    windowed = [row for row in rows if row.type_code in codes]
    items = np.array([row.item_key for row in windowed], np.int64)
    return History(items, np.array([row.time_ms for row in windowed], np.int64))


def _state(rows: list[EventRow], history: History, shape: WindowShape) -> UserState:
    seq = max(row.user_seq for row in rows)
    return UserState(rows[0].user_key, seq, windows_of(history.items, history.times_ms, shape))


def _popularity(rows: list[EventRow], types: EventTypes, half_life_ms: float) -> dict[int, float]:
    weights = [kind.weight for kind in types.table]
    counted = [row for row in rows if weights[row.type_code] > 0]
    keys, times = [row.item_key for row in counted], [row.time_ms for row in counted]
    return decayed_log2(keys, times, [weights[row.type_code] for row in counted], half_life_ms=half_life_ms)


def _add_drift_counts(
    drift_counts: dict[int, BucketCounts], tx: Transaction, rows: list[EventRow], types: EventTypes
) -> None:
    """Add what ingest would have counted for drift monitoring."""
    new_users = {key: UserState(key) for key in {row.user_key for row in rows}}
    facts = tx.drift.item_facts(sorted({row.item_key for row in rows}))
    more = count(rows, new_users, facts, window_codes=types.flagged("window"))
    for start_ms, counts in more.items():
        drift_counts.setdefault(start_ms, BucketCounts()).add(counts)


def _save_totals(
    tx: Transaction,
    writer_key: int,
    scores: Mapping[int, float],
    counts: Mapping[tuple[int, int], int],
    drift_counts: Mapping[int, BucketCounts],
) -> None:
    tx.drift.add_counts(writer_key, drift_counts)
    tx.popularity.add(writer_key, scores)
    tx.event_counts.add(writer_key, counts)
