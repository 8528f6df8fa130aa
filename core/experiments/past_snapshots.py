"""Past snapshots: what serves now, with popularity and transition counts as they were at earlier moments.

A list that is computed again with the counts of now knows what users did after the first one was shown: items that they
clicked would stand higher in it, and a scenario would seem to have earned more, or other, than it could have.
Shapes: N items of the catalogue.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from core.blending.features import DecayedEvents
from core.events.interactions import EventTypes
from core.ports.store import ReadTransaction
from core.recommendation.snapshots.item_values import item_values
from core.recommendation.snapshots.snapshot import ServingSnapshot
from core.transitions.counts import CountRules
from core.transitions.replay import TransitionReplay


class PastSnapshots:
    """A snapshot at earlier moments; catalogue and model are those of the snapshot."""

    def __init__(
        self, read: ReadTransaction, snapshot: ServingSnapshot, types: EventTypes, *, until_ms: int, half_life_ms: float
    ) -> None:
        """`until_ms`: the last moment. `half_life_ms`: of popularity. Reads all windowed events before it.

        Each event adds 1 to popularity, as for the promotion gate, whatever the weight of its type.
        """
        columns = read.events.columns(type_codes=types.flagged("window"), before_ms=until_ms)
        self._snapshot = snapshot
        self._replay = TransitionReplay(columns, snapshot.counts.rules if snapshot.counts else CountRules())
        self._times_ms = columns.times_ms[self._replay.order]
        self._rows = snapshot.catalogue.rows(columns.items)[self._replay.order]
        self._recent = DecayedEvents(len(snapshot.catalogue), half_life_ms=half_life_ms)
        self._num_counted = 0

    def at(self, time_ms: int) -> ServingSnapshot:
        """With what the events before a time add up to; times never decrease from call to call."""
        place = int(np.searchsorted(self._times_ms, time_ms))
        if place > self._num_counted:
            new = slice(self._num_counted, place)
            self._recent.add(self._rows[new], self._times_ms[new])
            self._num_counted = place
        with np.errstate(divide="ignore"):
            popularity = np.log2(self._recent.shares())
        snapshot = replace(self._snapshot, popularity=popularity, arms={})
        if snapshot.counts is None:
            return snapshot
        counts, blend = self._replay.advance(place), snapshot.blend
        if blend is None:
            return replace(snapshot, counts=counts, values=None)
        values = item_values(blend, snapshot.catalogue, popularity, counts, snapshot.trained)
        return replace(snapshot, counts=counts, values=values)
