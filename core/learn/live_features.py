"""Live features: the features of a blend at the moment of each event of a slice.

For the gate, which judges a blended model with the counts of the moment, and for calibration. Shapes: N items.
"""

from __future__ import annotations

import numpy as np

from core.arrays import FloatArray, IntArray
from core.blending.blend import ItemCounts
from core.blending.features import BlendFeatures, DecayedEvents, LastNeighbours
from core.blending.neighbour_shares import LAST_ITEMS
from core.events.history import History
from core.learn.trial import TrialSlice
from core.transitions.counts import CountRules, TransitionCounts
from core.transitions.replay import TransitionReplay

RENEW_EVENTS = 32


class LiveFeatures:
    """The features of a slice's events. Events are asked for in time order; earlier ones are counted on the way."""

    def __init__(self, trial_slice: TrialSlice, *, half_life_ms: float) -> None:
        """`half_life_ms`: of recent popularity."""
        self._slice = trial_slice
        self._replay = TransitionReplay(trial_slice.columns, CountRules())
        self._recent = DecayedEvents(len(trial_slice.catalogue), half_life_ms=half_life_ms)
        self._num_counted = 0
        self._logs: FloatArray | None = None
        self._logs_place = 0
        self._latest: tuple[int, bytes, BlendFeatures] | None = None  # event, last items: models ask for the same

    @property
    def places(self) -> IntArray:
        """(n,) the place of each event in time order."""
        return self._replay.places

    def at(self, index: int, window: History) -> BlendFeatures:
        """Before an event, with the user's window at it; its place is not before that of an earlier call."""
        last = window.items[-LAST_ITEMS:].tobytes()
        if self._latest is None or self._latest[:2] != (index, last):
            self._latest = (index, last, self._features(index, window))
        return self._latest[2]

    def _features(self, index: int, window: History) -> BlendFeatures:
        place = int(self.places[index])
        counts = self._replay.advance(place)
        self._count_recent(place)
        catalogue, columns = self._slice.catalogue, self._slice.columns
        begin = int(self._slice.starts[index])
        hidden = np.unique(columns.items[begin:index]) if self._slice.hide_seen else np.empty(0, np.int64)
        near = LastNeighbours.of(counts, window.items)
        return BlendFeatures.of(near, hidden, self._item_logs(counts, place), catalogue.rows)

    def _item_logs(self, counts: TransitionCounts, place: int) -> FloatArray:
        """(N, 3) the features of items, renewed after some events, as a serving process does after some time."""
        if self._logs is None or place - self._logs_place >= RENEW_EVENTS:
            keys = self._slice.catalogue.keys
            self._logs = ItemCounts(self._recent.shares(), counts.shares(keys), counts.num_events(keys)).logs()
            self._logs_place = place
        return self._logs

    def _count_recent(self, place: int) -> None:
        if place > self._num_counted:
            events = self._replay.order[self._num_counted : place]
            self._recent.add(self._slice.rows[events], self._slice.columns.times_ms[events])
            self._num_counted = place
