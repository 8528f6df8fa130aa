"""Repeat scores: what a user's history adds to the scores of its own items, on top of the inner product.

An inner product of vectors cannot express that this user had this item yesterday. A model that learns it returns a
number for each event (`Encoder.repeats`); this module sums them by catalogue row. Shapes: L events, R distinct rows of
the history, N rows, B histories.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.arrays import BoolArray, FloatArray, IntArray
from core.history import History
from core.items import Catalogue
from core.ports.encoder import Encoder


@dataclass(frozen=True, slots=True)
class RepeatScores:
    """(R,) `rows`, ascending, and the score `added` to each."""

    rows: IntArray
    added: FloatArray

    @classmethod
    def of(cls, encoder: Encoder, catalogue: Catalogue, history: History) -> RepeatScores:
        """The repeat scores of a history, summed over the events of an item; empty if the model has none."""
        added_L = encoder.repeats(history)
        if added_L is None:
            return NO_REPEATS
        rows_L = catalogue.rows(history.items)
        rows, inverse_L = np.unique(rows_L, return_inverse=True)
        added = np.bincount(inverse_L, added_L).astype(np.float32)
        known = rows >= 0
        return cls(rows[known], added[known])

    def among(self, allowed: BoolArray) -> IntArray:
        """The allowed ones of these rows."""
        return self.rows[allowed[self.rows]]

    def at(self, rows: IntArray) -> FloatArray:
        """(N,) the added scores of any rows, 0 for others."""
        if not len(self.rows):
            return np.zeros(len(rows), np.float32)
        indices = np.searchsorted(self.rows, rows).clip(max=len(self.rows) - 1)
        return np.where(self.rows[indices] == rows, self.added[indices], np.float32(0))

    def add_to(self, scores: FloatArray, rows: IntArray) -> None:
        """Add to (N,) scores of ascending rows, in place."""
        indices = np.searchsorted(rows, self.rows).clip(max=len(rows) - 1)
        present = rows[indices] == self.rows
        scores[indices[present]] += self.added[present]


NO_REPEATS = RepeatScores(np.empty(0, np.int64), np.empty(0, np.float32))


def add_repeats(
    scores_BN: FloatArray, rows_N: IntArray, encoder: Encoder, catalogue: Catalogue, histories: Sequence[History]
) -> None:
    """Add the repeat scores of each history to its line of scores of ascending rows, in place."""
    for scores_N, history in zip(scores_BN, histories, strict=True):
        RepeatScores.of(encoder, catalogue, history).add_to(scores_N, rows_N)
