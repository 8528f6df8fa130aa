"""Attribution: which item of which answer an event belongs to, decided once, in the transaction that stores the event.

An event with the id of an answer belongs to that answer's item. One without an id belongs to the newest stored answer
that showed the item to this user within a window before the event. The decision is stored as an outcome: counts can be
computed again from outcomes, also after the answers were deleted. Locks answers after users.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.clock import HOUR_MS, Clock, WallClock
from core.events.interactions import EventTypes
from core.outcomes.counting import difference, outcome_counts
from core.outcomes.item_counts import changed, item_outcome_counts, places_of
from core.ports.store import Transaction
from core.records.outcomes import Counts, Measure, Outcome, StoredAnswer, Wanted, answer_key_of
from core.records.stored import MANY_EVENTS, EventRow, event_column


@dataclass(frozen=True, slots=True)
class OutcomeType:
    """How events of a type count. `window_ms`: how long after an answer events without its id are attributed to it."""

    measure: Measure
    window_ms: int = 0


DEFAULT_OUTCOME_TYPES: Mapping[str, OutcomeType] = {
    "impression": OutcomeType(Measure.IMPRESSION),
    "view": OutcomeType(Measure.CLICK, HOUR_MS),
    "click": OutcomeType(Measure.CLICK, HOUR_MS),
    "purchase": OutcomeType(Measure.CONVERSION, 24 * HOUR_MS),
}


class Attributor:
    """Attributes the events of one process."""

    def __init__(
        self,
        types: EventTypes,
        outcome_types: Mapping[str, OutcomeType] = DEFAULT_OUTCOME_TYPES,
        *,
        clock: Clock | None = None,
    ) -> None:
        """`outcome_types`: by the name of the event type. `clock`: the wall clock, for events ahead of their answer."""
        self._types = {types.codes[name]: kind for name, kind in outcome_types.items() if name in types.codes}
        self._clock = clock or WallClock()

    def attribute(self, tx: Transaction, writer_key: int, rows: Sequence[EventRow], user_ids: Sequence[str]) -> Counts:
        """Attribute new events; returns the counts that they add. `user_ids`: of each event, as the event named it.

        An event that names an answer which is not stored (yet) is remembered for `attribute_deferred`.
        """
        searched = len(rows) < MANY_EVENTS or self._any_answer_before(tx, rows)
        if not searched and all(row.recommendation_id is None for row in rows):
            return {}
        named: list[tuple[EventRow, bytes]] = []
        unnamed: list[tuple[EventRow, str]] = []
        for row, user_id in zip(rows, user_ids, strict=True):
            kind = self._types.get(row.type_code)
            if kind is None:
                continue
            if row.recommendation_id is not None:
                key = answer_key_of(row.recommendation_id)
                if key is not None:
                    named.append((row, key))
            elif kind.window_ms and searched:
                unnamed.append((row, user_id))
        named += self._that_showed(tx, unnamed)
        if not named:
            return {}
        answers = tx.answers.lock(sorted({key for _, key in named}))
        missing = [(row.event_key, key) for row, key in named if key not in answers]
        if missing:
            tx.outcomes.defer(missing, now_ms=self._clock.now_ms())
        return self._record(tx, writer_key, [(row, answers[key]) for row, key in named if key in answers])

    def _any_answer_before(self, tx: Transaction, rows: Sequence[EventRow]) -> bool:
        """Whether any answer is recent enough for one of these events: a statement, which is worth it for many."""
        longest_ms = max((kind.window_ms for kind in self._types.values()), default=0)
        times_ms = event_column(rows, "time_ms")
        return tx.answers.any_between(int(times_ms.min()) - longest_ms, int(times_ms.max()))

    def _that_showed(self, tx: Transaction, unnamed: Sequence[tuple[EventRow, str]]) -> list[tuple[EventRow, bytes]]:
        """Events without an id, each with the key of the newest answer that it may belong to, if any."""
        wanted = [
            Wanted(user_id, row.item_key, row.time_ms - self._types[row.type_code].window_ms, row.time_ms)
            for row, user_id in unnamed
        ]
        newest = tx.answers.newest(wanted)
        return [(row, key) for (row, _), key in zip(unnamed, newest, strict=True) if key is not None]

    def attribute_deferred(self, tx: Transaction, writer_key: int, deferred: Sequence[tuple[bytes, bytes]]) -> Counts:
        """Attribute stored events whose answers came later: pairs of event key and answer key.

        Events that were undone or erased meanwhile are skipped.
        """
        event_keys = sorted(event_key for event_key, _ in deferred)
        users = sorted({row.user_key for row in tx.events.by_key(event_keys).values()})
        tx.users.lock_by_key(users)
        rows = tx.events.by_key(event_keys)
        answers = tx.answers.lock(sorted({key for _, key in deferred}))
        pairs = [(rows[event], answers[key]) for event, key in deferred if event in rows and key in answers]
        tx.outcomes.delete_deferred(event_keys)
        return self._record(tx, writer_key, pairs)

    def _record(self, tx: Transaction, writer_key: int, pairs: Sequence[tuple[EventRow, StoredAnswer]]) -> Counts:
        new = [self._outcome(row, answer) for row, answer in pairs if row.item_key in answer.item_keys]
        if not new:
            return {}
        before = tx.outcomes.of_answers(sorted({outcome.answer_key for outcome in new}))
        tx.outcomes.add(sorted(new))
        counts, places = outcome_counts(new, before=before), places_of(new, {row.event_key: row for row, _ in pairs})
        tx.outcomes.add_counts(writer_key, counts)
        tx.item_counts.add(writer_key, item_outcome_counts(new, places, before=before))
        return counts

    def _outcome(self, row: EventRow, answer: StoredAnswer) -> Outcome:
        position = answer.position_of(row.item_key)
        measure = self._types[row.type_code].measure
        of_answer = (answer.origin_key, answer.time_ms, answer.propensity_at(position))
        return Outcome(answer.key, position, measure, row.event_key, *of_answer, row.value)


def remove_outcomes(tx: Transaction, writer_key: int, rows: Sequence[EventRow]) -> None:
    """Take back the outcomes of events that are about to be deleted, of locked users, and forget deferred ones."""
    removed = sorted(row.event_key for row in rows)
    if removed:
        tx.outcomes.delete_deferred(removed)
    gone = tx.outcomes.of_events(removed)
    if not gone:
        return
    answer_keys = sorted({outcome.answer_key for outcome in gone})
    tx.answers.lock(answer_keys)
    before = tx.outcomes.of_answers(answer_keys)
    event_keys = {outcome.event_key for outcome in gone}
    after = [outcome for outcome in before if outcome.event_key not in event_keys]
    tx.outcomes.delete(sorted(event_keys))
    tx.outcomes.add_counts(writer_key, difference(outcome_counts(after), outcome_counts(before)))
    places = places_of(gone, {row.event_key: row for row in rows})
    tx.item_counts.add(writer_key, changed({}, item_outcome_counts(gone, places, before=after)))
