"""A replay of item transitions in time order: transition counts as they were before each event.

For offline evaluation and the gate, which rank past events with the counts of their moment. Shapes: n events.
"""

from __future__ import annotations

import numpy as np

from core.arrays import IntArray
from core.records.stored import EventColumns
from core.transitions.counts import CountRules, TransitionCounts
from core.transitions.transition import NO_ITEM, NUM_PREVIOUS, WEEK_MS, TransitionChanges

MAX_EVENTS = 2_000_000
EVENTS_AT_ONCE = 500_000


def transition_rows(columns: EventColumns, events: IntArray) -> IntArray:
    """(n, 6) the transitions of (n,) events, the fields of `Transition`; `columns` is sorted by (user, time, order)."""
    rows = np.full((len(events), 3 + NUM_PREVIOUS), NO_ITEM, np.int64)
    rows[:, 0], rows[:, 1], rows[:, 2] = columns.items[events], columns.times_ms[events] // WEEK_MS, 1
    for distance in range(1, NUM_PREVIOUS + 1):
        earlier = np.maximum(events - distance, 0)
        same_user = (events >= distance) & (columns.users[earlier] == columns.users[events])
        rows[:, 2 + distance] = np.where(same_user, columns.items[earlier], NO_ITEM)
    return rows


class TransitionReplay:
    """Transition counts that advance through a log of events in time order; equal times keep the order of `columns`.

    Counting begins with the newest `MAX_EVENTS`, which bounds memory; older events are context only.
    """

    def __init__(self, columns: EventColumns, rules: CountRules) -> None:
        self._columns = columns
        self.order: IntArray = np.argsort(columns.times_ms, kind="stable")  # the events in time order
        self._num_applied = max(0, len(columns) - MAX_EVENTS)
        self.counts = TransitionCounts(rules)
        self.places = np.empty(len(columns), np.int64)  # of each event in time order
        self.places[self.order] = np.arange(len(columns))

    def advance(self, place: int) -> TransitionCounts:
        """The counts of all events before this place in time order; places never decrease from call to call."""
        while self._num_applied < place:
            end = min(place, self._num_applied + EVENTS_AT_ONCE)
            rows = transition_rows(self._columns, self.order[self._num_applied : end])
            self.counts.apply(TransitionChanges(rows, {}, restarted=False))
            self._num_applied = end
        return self.counts
