"""A replay of item transitions in time order: transition counts as they were before each event.

For offline evaluation and the gate, which rank past events with the counts of their moment. Shapes: n events.
"""

from __future__ import annotations

import numpy as np

from core.arrays import IntArray
from core.records import EventColumns
from core.transitions.counts import CountRules, TransitionCounts
from core.transitions.transition import NO_ITEM, NUM_PREVIOUS, WEEK_MS, TransitionChanges


def transition_rows(columns: EventColumns) -> IntArray:
    """(n, 6) the transition of each event, the fields of `Transition`; `columns` is sorted by (user, time, order)."""
    rows = np.full((len(columns), 3 + NUM_PREVIOUS), NO_ITEM, np.int64)
    rows[:, 0], rows[:, 1], rows[:, 2] = columns.items, columns.times_ms // WEEK_MS, 1
    for distance in range(1, NUM_PREVIOUS + 1):
        same_user = columns.users[distance:] == columns.users[:-distance]
        rows[distance:, 2 + distance] = np.where(same_user, columns.items[:-distance], NO_ITEM)
    return rows


class TransitionReplay:
    """Transition counts that advance through a log of events in time order; equal times keep the order of `columns`."""

    def __init__(self, columns: EventColumns, rules: CountRules) -> None:
        self._order = np.argsort(columns.times_ms, kind="stable")
        self._rows = transition_rows(columns)[self._order]
        self._num_applied = 0
        self.counts = TransitionCounts(rules)
        self.places = np.empty(len(columns), np.int64)  # of each event in time order
        self.places[self._order] = np.arange(len(columns))

    def advance(self, place: int) -> TransitionCounts:
        """The counts of all events before this place in time order; places never decrease from call to call."""
        if place > self._num_applied:
            rows, first = self._rows[self._num_applied : place], self._num_applied == 0
            self.counts.apply(TransitionChanges(rows, {}, restarted=first))
            self._num_applied = place
        return self.counts
