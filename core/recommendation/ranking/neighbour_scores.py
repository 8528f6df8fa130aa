"""Neighbour scores: what the followers and predecessors of a user's last items add to a blended score, and why.

Shapes: J last items, R rows with an added score, n items of an answer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.arrays import FloatArray, IntArray
from core.blending.blend import Blend, share_logs
from core.blending.features import LastNeighbours
from core.blending.neighbour_shares import SharePairs
from core.catalogue.items import Catalogue
from core.events.history import History
from core.recommendation.ranking.added_scores import AddedScores
from core.transitions.counts import TransitionCounts


@dataclass(frozen=True, slots=True)
class NeighbourScores:
    """The added scores of one history. `last`: (J,) its last items; `pairs`: of these and their neighbours, if any."""

    added: AddedScores
    last: IntArray
    pairs: SharePairs | None

    @classmethod
    def of(
        cls,
        blend: Blend,
        counts: TransitionCounts,
        catalogue: Catalogue,
        history: History,
        hidden: IntArray,
        gains: FloatArray,
    ) -> NeighbourScores:
        """Of the last items of a history; `hidden`: keys of the items that the user's events rule out.

        `gains`: (N,) of all items, see `Blend.gains`.
        """
        return cls.of_near(blend, LastNeighbours.of(counts, history.items), catalogue, hidden, gains)

    @classmethod
    def of_near(
        cls, blend: Blend, near: LastNeighbours, catalogue: Catalogue, hidden: IntArray, gains: FloatArray
    ) -> NeighbourScores:
        """Of the neighbours of last items."""
        shares = near.shares(hidden)
        rows = catalogue.rows(shares.keys)
        known = rows >= 0
        rows, forward, backward = rows[known], share_logs(shares.forward[known]), share_logs(shares.backward[known])
        added = blend.neighbour_part(forward, backward, gains[rows])
        return cls(AddedScores(rows, added), near.last, shares.pairs)

    def sources(self, item_keys: IntArray) -> IntArray:
        """(n,) for each of these distinct items, the last item that contributes most to its shares, else -1."""
        if self.pairs is None:
            return np.full(len(item_keys), -1)
        largest = self.pairs.largest(item_keys)
        return np.where(largest >= 0, self.last[largest], -1)
