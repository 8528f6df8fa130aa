"""Neighbour scores: what the followers and predecessors of a user's last items add to a blended score, and why.

Shapes: J last items, R rows with an added score, n items of an answer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.arrays import FloatArray, IntArray
from core.blending.blend import LAST_DECAY, SHRINKAGE, Blend
from core.blending.features import LastNeighbours
from core.catalogue.items import Catalogue
from core.events.history import History
from core.recommendation.ranking.added_scores import AddedScores
from core.transitions.counts import TransitionCounts
from core.transitions.neighbours import Neighbours


@dataclass(frozen=True, slots=True)
class NeighbourScores:
    """The added scores of one history, and the neighbours of its last items, from which they come."""

    added: AddedScores
    near: LastNeighbours

    @classmethod
    def of(
        cls, blend: Blend, counts: TransitionCounts, catalogue: Catalogue, history: History, hidden: IntArray
    ) -> NeighbourScores:
        """Of the last items of a history; `hidden`: item keys that are no answers, because they were seen."""
        return cls.of_near(blend, LastNeighbours.of(counts, history.items), catalogue, hidden)

    @classmethod
    def of_near(cls, blend: Blend, near: LastNeighbours, catalogue: Catalogue, hidden: IntArray) -> NeighbourScores:
        """Of the neighbours of last items."""
        (forward_keys, forward), (backward_keys, backward) = near.forward(hidden), near.backward(hidden)
        rows = catalogue.rows(np.concatenate([forward_keys, backward_keys]))
        parts = np.concatenate([blend.forward_part(forward), blend.backward_part(backward)])
        return cls(AddedScores.summed(rows, parts), near)

    def sources(self, item_keys: IntArray) -> IntArray:
        """(n,) for each item the last item that it most often stood next to, -1 where it did with none."""
        last = self.near.last
        weights = LAST_DECAY ** np.arange(len(last))
        shares = np.zeros((max(len(last), 1), len(item_keys)))
        for neighbours in (self.near.followers, self.near.predecessors):
            for place, of_item in enumerate(neighbours):
                shares[place] += weights[place] * _counts_of(of_item, item_keys) / (of_item.total + SHRINKAGE)
        best = shares.argmax(axis=0)
        known = shares.max(axis=0) > 0
        return np.where(known, last[best] if len(last) else -1, -1)


def _counts_of(neighbours: Neighbours, item_keys: IntArray) -> FloatArray:
    if not len(neighbours.keys):
        return np.zeros(len(item_keys), np.float32)
    places = np.searchsorted(neighbours.keys, item_keys).clip(max=len(neighbours.keys) - 1)
    return np.where(neighbours.keys[places] == item_keys, neighbours.counts[places], np.float32(0))
