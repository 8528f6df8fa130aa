"""Subtracts what was derived from users' events, and adds what follows from their corrected events.

All changes are rows of one internal writer, `CORRECTIONS`, which every correction locks first: corrections run one
after the other, and ingest never waits for their rows. Its popularity is subtracted from that of other
writers. A user's complete events are read, so a correction costs time in proportion to them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from core.ingestion.derivation import Derivation, event_counts
from core.outcomes.attribution import remove_outcomes
from core.outcomes.item_counts import changed, item_event_counts
from core.ports.offsets import CORRECTIONS
from core.ports.store import Transaction
from core.records.drift import BucketCounts
from core.records.stored import EventRow, UserState
from core.transitions.transition import Transition, of_history

AFTER_ALL = (2**62, 0)  # (time, sequence)


def lock_corrections(tx: Transaction) -> int:
    """Lock the writer of corrections, before any user; returns its key."""
    return tx.offsets.lock(CORRECTIONS, [0])[0].key


def events_of(tx: Transaction, state: UserState) -> list[EventRow]:
    """All events of a locked user, in history order."""
    return tx.events.history_page(state.key, before=AFTER_ALL, limit=state.seq)[::-1]


def replace_derived(
    tx: Transaction,
    writer_key: int,
    derivation: Derivation,
    *,
    before: Sequence[Sequence[EventRow]],
    after: Sequence[EventRow],
) -> None:
    """Replace what follows from the complete events of users by what follows from those of one user.

    `after` holds no event that is not in `before`. Windows are saved by the caller.
    """
    old = [row for rows in before for row in rows]
    kept = {row.event_key for row in after}
    removed = [row for row in old if row.event_key not in kept]
    remove_outcomes(tx, writer_key, removed)
    tx.popularity.add(writer_key, derivation.popularity(removed))
    tx.event_counts.add(writer_key, {name: -num for name, num in event_counts(removed).items()})
    tx.item_counts.add(writer_key, changed({}, item_event_counts(removed)))
    tx.transitions.add(writer_key, _changed_transitions(derivation, before, after))
    facts = tx.drift.item_facts(sorted({row.item_key for row in old}))
    changes = derivation.drift_counts(after, facts)
    for start_ms, counts in derivation.drift_counts(old, facts).items():
        changes.setdefault(start_ms, BucketCounts()).subtract(counts)
    tx.drift.add_counts(writer_key, {start_ms: counts for start_ms, counts in changes.items() if counts.any()})


def _changed_transitions(
    derivation: Derivation, before: Sequence[Sequence[EventRow]], after: Sequence[EventRow]
) -> list[Transition]:
    """Transitions to subtract, with sign -1, and to add; unchanged ones are left out."""
    changes = Counter(of_history(derivation.history(after)))
    changes.subtract(transition for rows in before for transition in of_history(derivation.history(rows)))
    ordered = sorted(changes.items())
    return [row._replace(sign=1 if num > 0 else -1) for row, num in ordered for _ in range(abs(num))]
