"""Added scores: what is added to the scores of a few items, on top of the inner product that every item has.

Repeat scores are of this kind: an inner product of vectors cannot express that this user had this item yesterday; a
model that learns it returns a number for each event (`Encoder.repeats`). So are those of the transition counts.
Shapes: L events, R distinct rows, N rows, B histories.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.arrays import BoolArray, FloatArray, IntArray, look_up
from core.catalogue.items import Catalogue
from core.events.history import History
from core.ports.encoder import Encoder


@dataclass(frozen=True, slots=True)
class AddedScores:
    """(R,) `rows`, ascending, and the score `added` to each."""

    rows: IntArray
    added: FloatArray

    @classmethod
    def summed(cls, rows: IntArray, added: FloatArray) -> AddedScores:
        """The sum for each distinct row; rows below 0, of unknown items, are dropped."""
        distinct, inverse = np.unique(rows, return_inverse=True)
        sums = np.bincount(inverse, added, minlength=len(distinct)).astype(np.float32)
        known = distinct >= 0
        return cls(distinct[known], sums[known])

    def plus(self, other: AddedScores) -> AddedScores:
        """The sums of both."""
        if not len(other.rows):
            return self
        return AddedScores.summed(np.append(self.rows, other.rows), np.append(self.added, other.added))

    def times(self, weight: np.float32) -> AddedScores:
        """The scores multiplied by a weight."""
        return AddedScores(self.rows, self.added * weight)

    def among(self, allowed: BoolArray) -> IntArray:
        """The allowed ones of these rows."""
        return self.rows[allowed[self.rows]]

    def at(self, rows: IntArray) -> FloatArray:
        """(N,) the added score of each of these rows, 0 where there is none."""
        indices, present = look_up(self.rows, rows)
        added = np.zeros(len(rows), np.float32)
        added[present] = self.added[indices[present]]
        return added

    def add_to(self, scores: FloatArray, rows: IntArray) -> None:
        """Add them to the (N,) scores of ascending rows, in place."""
        indices, present = look_up(rows, self.rows)
        scores[indices[present]] += self.added[present]


NOTHING_ADDED = AddedScores(np.empty(0, np.int64), np.empty(0, np.float32))


def repeat_scores(encoder: Encoder, catalogue: Catalogue, history: History) -> AddedScores:
    """What a history adds to its own items, summed over the events of an item; nothing if the model has no repeats."""
    added_L = encoder.repeats(history)
    return NOTHING_ADDED if added_L is None else AddedScores.summed(catalogue.rows(history.items), added_L)


def add_repeats(
    scores_BN: FloatArray, rows_N: IntArray, encoder: Encoder, catalogue: Catalogue, histories: Sequence[History]
) -> None:
    """Add the repeat scores of each history to its line of `scores_BN`, whose columns are ascending rows, in place."""
    for scores_N, history in zip(scores_BN, histories, strict=True):
        repeat_scores(encoder, catalogue, history).add_to(scores_N, rows_N)
