"""Rebuild: recomputes windows, popularity, transitions and counts from events and outcomes, and which are dislikes.

Needed after a change of the event types, the window or the half-life. One transaction. Stop other writers before
(SQLite enforces it).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import groupby
from operator import attrgetter

from core.drift.segments import EventSegments
from core.events.history import WindowShape
from core.events.interactions import EventTypes
from core.ingestion.derivation import Derivation, event_counts
from core.outcomes.counting import outcome_counts
from core.outcomes.item_counts import item_event_counts, item_outcome_counts, places_of
from core.popularity import add_log2
from core.ports.offsets import ANSWERS, REBUILD
from core.ports.store import ReadTransaction, Store, Transaction
from core.records.drift import BucketCounts
from core.records.item_counts import ItemCountKey
from core.records.outcomes import Outcome
from core.records.stored import EventRow
from core.saved_snapshots.marks import remove_marks
from core.saved_snapshots.saved_counts import COUNTS_MARKS
from core.transitions.transition import of_history


def rebuild(
    store: Store,
    *,
    types: EventTypes,
    shape: WindowShape,
    half_life_ms: float,
    meta: Mapping[str, str],
    segments: EventSegments | None = None,
    progress: Callable[[int], None],
) -> int:
    """Recompute all derived state and store its settings in `meta`; returns the number of events read.

    `progress` is called with the number of events read so far.
    """
    derivation = Derivation(types, shape, half_life_ms, segments or EventSegments())
    num_events = 0
    scores: dict[int, float] = {}
    counts: Counter[tuple[int, int]] = Counter()
    drift_counts: dict[int, BucketCounts] = {}
    with store.transaction() as tx, store.read() as read:
        _clear_derived(tx)
        writer = tx.offsets.lock(REBUILD, [0])[0]
        for stored in user_groups(read):
            rows = [row._replace(type_code=types.stored_code(row.type_code, row.value)) for row in stored]
            tx.events.save_types([row for row, old in zip(rows, stored, strict=True) if row.type_code != old.type_code])
            by_user = [list(group) for _, group in groupby(rows, attrgetter("user_key"))]
            histories = [derivation.history(user_rows) for user_rows in by_user]
            states = tx.users.by_key([user_rows[0].user_key for user_rows in by_user])
            windows = map(derivation.window, histories)
            tx.users.save([replace(state, window=window) for state, window in zip(states, windows, strict=True)])
            tx.transitions.add(writer.key, [transition for history in histories for transition in of_history(history)])
            scores |= add_log2(scores, derivation.popularity(rows))
            counts.update(event_counts(rows))
            tx.item_counts.add(writer.key, item_event_counts(rows))
            facts = tx.drift.item_facts(sorted({row.item_key for row in rows}))
            for start_ms, more in derivation.drift_counts(rows, facts).items():
                drift_counts.setdefault(start_ms, BucketCounts()).add(more)
            num_events += len(rows)
            progress(num_events)
        _save_totals(tx, writer.key, scores, counts, drift_counts)
        for outcomes, item_counts in outcome_pages(read):
            tx.outcomes.add_counts(writer.key, outcome_counts(outcomes))
            tx.item_counts.add(writer.key, item_counts)
        remove_marks(tx, COUNTS_MARKS)  # saved counts hold a log that is no more
        tx.metadata.save(meta)
        tx.commit()
    return num_events


def _clear_derived(tx: Transaction) -> None:
    """Delete everything computed from events. Events, items, sequences and what was counted of answers stay."""
    tx.users.clear_windows()
    tx.vectors.clear()
    tx.popularity.clear()
    tx.transitions.clear()
    tx.event_counts.clear()
    tx.drift.clear_counts(kept_writer=tx.offsets.lock(ANSWERS, [0])[0].key)
    tx.outcomes.clear_counts()
    tx.item_counts.clear()


def outcome_pages(read: ReadTransaction) -> Iterator[tuple[list[Outcome], Counter[ItemCountKey]]]:
    """All outcomes, those of an answer together, and their counts by item."""
    for outcomes in read.outcomes.pages():
        events = read.events.by_key([outcome.event_key for outcome in outcomes])
        yield outcomes, item_outcome_counts(outcomes, places_of(outcomes, events))


def user_groups(read: ReadTransaction) -> Iterator[list[EventRow]]:
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
