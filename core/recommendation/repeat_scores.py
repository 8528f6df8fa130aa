"""Repeated items: what a user's own history adds to the scores of the items in it, beside the inner product.

An inner product can't say of one item that this user had it yesterday. A model that knows says it as a number for each
event (`Encoder.repeats`); here the numbers meet the rows that they belong to. Shapes: L events, R distinct rows of the
history, N rows, B histories.
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
    """(R,) `rows`, ascending, and what is `added` to the score of each."""

    rows: IntArray
    added: FloatArray

    @classmethod
    def of(cls, encoder: Encoder, catalogue: Catalogue, history: History) -> RepeatScores:
        """What a history adds; nothing where the model doesn't. Several events of an item add up."""
        added_L = encoder.repeats(history)
        if added_L is None:
            return NOTHING
        rows_L = catalogue.rows(history.items)
        rows, places_L = np.unique(rows_L, return_inverse=True)
        added = np.bincount(places_L, added_L).astype(np.float32)
        known = rows >= 0
        return cls(rows[known], added[known])

    def among(self, allowed: BoolArray) -> IntArray:
        """The rows of these that are allowed."""
        return self.rows[allowed[self.rows]]

    def at(self, rows: IntArray) -> FloatArray:
        """(N,) what is added to the scores of any rows."""
        if not len(self.rows):
            return np.zeros(len(rows), np.float32)
        places = np.searchsorted(self.rows, rows).clip(max=len(self.rows) - 1)
        return np.where(self.rows[places] == rows, self.added[places], np.float32(0))

    def add_to(self, scores: FloatArray, rows: IntArray) -> None:
        """Add to (N,) scores of ascending rows, in place."""
        places = np.searchsorted(rows, self.rows).clip(max=len(rows) - 1)
        found = rows[places] == self.rows
        scores[places[found]] += self.added[found]


NOTHING = RepeatScores(np.empty(0, np.int64), np.empty(0, np.float32))


def add_repeats(
    scores_BN: FloatArray, rows_N: IntArray, encoder: Encoder, catalogue: Catalogue, histories: Sequence[History]
) -> None:
    """Add to the scores of ascending rows, one line for each history, what the history adds; in place."""
    for scores_N, history in zip(scores_BN, histories, strict=True):
        RepeatScores.of(encoder, catalogue, history).add_to(scores_N, rows_N)
