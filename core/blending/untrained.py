"""Untrained items: what a blend adds to the scores of items that its encoder has not been trained on.

Training on an item raises the encoder's score of it where its counts are high. An item that is newer than the training
lacks this gain, and would stay below all others. So it is added as it is on average on trained items with the same
counts: a linear regression of the gain on the features of the blend, over items that counts rank high. That needs no
events of new items, of which there are always few. Independent of stores and models. Shapes: N items, n candidates.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass

import numpy as np

from core.arrays import BoolArray, DoubleArray, FloatArray, IntArray

PRIOR_CHOICES = 10.0  # the strength of the prior of no gain, in choices

TrainedRows = Callable[[IntArray], BoolArray]  # (N,) whether the items of these rows have been trained on


def all_trained(rows: IntArray) -> BoolArray:
    """All are: where no encoder ranks, or it is not known."""
    return np.ones(len(rows), np.bool_)


@dataclass(frozen=True, slots=True)
class TrainingGain:
    """(n,) `trained`: the items that the encoder has been trained on; (n,) `gain`: its score above that without."""

    trained: BoolArray
    gain: FloatArray

    def take(self, rows: IntArray) -> TrainingGain:
        """Of some items."""
        return TrainingGain(self.trained[rows], self.gain[rows])


@dataclass(frozen=True, slots=True)
class UntrainedItems:
    """What is added for an untrained item: weights of the features of a blend but the encoder's, and a constant."""

    forward: float
    backward: float
    recent: float
    lasting: float
    events: float
    constant: float

    def times(self, weight: float) -> UntrainedItems:
        """All weights and the constant, multiplied."""
        return UntrainedItems(*(weight * value for value in astuple(self)))

    def neighbour_part(self, forward: FloatArray, backward: FloatArray) -> FloatArray:
        """(N,) the part of the logarithms of shares among followers and predecessors."""
        part: FloatArray = np.float32(self.forward) * forward + np.float32(self.backward) * backward
        return part

    def item_part(self, logs: FloatArray) -> FloatArray:
        """(N,) the part of (N, 3) features that are the same for all users (`ItemCounts.logs`), and the constant."""
        weights = np.array([self.recent, self.lasting, self.events], np.float32)
        part: FloatArray = logs @ weights + np.float32(self.constant)
        return part


def expected_gain(samples: Sequence[tuple[FloatArray, FloatArray]]) -> UntrainedItems | None:
    """The gain that training has on average; None where it is not known, or always 0.

    `samples`: of each choice (n, 5) features without the encoder's, and (n,) gains, of trained items that counts rank
    high. Each choice weighs alike.
    """
    known = [(features.astype(np.float64), gains) for features, gains in samples if gains.any()]
    if not known:
        return None
    mean = np.mean([features.mean(axis=0) for features, _ in known], axis=0)
    mean_gain = float(np.mean([gains.mean() for _, gains in known]))
    square = np.mean(
        [centred.T @ centred / len(centred) for centred in (features - mean for features, _ in known)], axis=0
    )
    product = np.mean([(features - mean).T @ (gains - mean_gain) / len(gains) for features, gains in known], axis=0)
    prior = np.diag(PRIOR_CHOICES / len(known) * np.diag(square) + 1e-9)
    weights: DoubleArray = np.linalg.solve(square + prior, product)
    return UntrainedItems(*np.append(weights, mean_gain - weights @ mean).tolist())
