"""Neighbour scores: what the followers and predecessors of a user's last items add to a blended score, and why.

Shapes: J last items, R rows with an added score, n items of an answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.arrays import FloatArray, IntArray
from core.blending.blend import LAST_DECAY, LAST_ITEMS, SHRINKAGE, Blend, neighbour_shares
from core.history import History
from core.items import Catalogue
from core.recommendation.added_scores import AddedScores
from core.transitions.counts import TransitionCounts
from core.transitions.neighbours import Neighbours


@dataclass(frozen=True, slots=True)
class NeighbourScores:
    """The added scores of one history. `last`: (J,) item keys, the newest first, with their neighbours."""

    added: AddedScores
    last: IntArray
    followers: Sequence[Neighbours]
    predecessors: Sequence[Neighbours]

    @classmethod
    def of(
        cls, blend: Blend, counts: TransitionCounts, catalogue: Catalogue, history: History, hidden: IntArray
    ) -> NeighbourScores:
        """Of the last items of a history; `hidden`: item keys that are no answers, because they were seen."""
        last = history.items[: -LAST_ITEMS - 1 : -1]
        keys = last.tolist()
        followers, predecessors = [counts.after(key) for key in keys], [counts.before(key) for key in keys]
        forward_keys, forward = neighbour_shares(followers, hidden)
        backward_keys, backward = neighbour_shares(predecessors, hidden)
        rows = catalogue.rows(np.concatenate([forward_keys, backward_keys]))
        parts = np.concatenate([blend.forward_part(forward), blend.backward_part(backward)])
        return cls(AddedScores.summed(rows, parts), last, followers, predecessors)

    def sources(self, item_keys: IntArray) -> IntArray:
        """(n,) for each item the last item that it most often stood next to, -1 where it did with none."""
        weights = LAST_DECAY ** np.arange(len(self.last))
        shares = np.zeros((max(len(self.last), 1), len(item_keys)))
        for neighbours in (self.followers, self.predecessors):
            for place, near in enumerate(neighbours):
                shares[place] += weights[place] * _counts_of(near, item_keys) / (near.total + SHRINKAGE)
        best = shares.argmax(axis=0)
        known = shares.max(axis=0) > 0
        return np.where(known, self.last[best] if len(self.last) else -1, -1)


def _counts_of(neighbours: Neighbours, item_keys: IntArray) -> FloatArray:
    if not len(neighbours.keys):
        return np.zeros(len(item_keys), np.float32)
    places = np.searchsorted(neighbours.keys, item_keys).clip(max=len(neighbours.keys) - 1)
    return np.where(neighbours.keys[places] == item_keys, neighbours.counts[places], np.float32(0))
