"""The likelihood of choices under a conditional logit, and the weights that maximise it with a normal prior.

Concave in the weights, maximised by Newton's method. Shapes: C candidates of all choices, Q choices, W weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from core.arrays import BoolArray, DoubleArray, FloatArray, IntArray
from core.blending.untrained import TrainingGain

PRIOR_CHOICES = 10.0  # the strength of the prior, in choices
MAX_STEPS = 30
PRECISION = 1e-9  # of the mean log-likelihood


@dataclass(frozen=True, slots=True)
class Choice:
    """One event to calibrate on. `features`: (n, W) of its candidates, in the order of the weights of `Blend`.

    `answer`: the candidate that came. `training`: of the candidates; None where it is not known.
    """

    features: FloatArray
    answer: int
    training: TrainingGain | None = None


class Likelihood(NamedTuple):
    """(C, W) features, each of (Q,) choices beginning at `starts`, and the (Q,) places of the answers."""

    features: DoubleArray
    starts: IntArray
    answers: IntArray

    @classmethod
    def of(cls, choices: Sequence[Choice]) -> Likelihood:
        """All choices together; at least one."""
        lengths = np.array([len(choice.features) for choice in choices])
        starts = np.cumsum(lengths) - lengths
        answers = starts + np.array([choice.answer for choice in choices])
        return cls(np.concatenate([choice.features for choice in choices]).astype(np.float64), starts, answers)

    def at(self, weights: DoubleArray) -> tuple[float, DoubleArray]:
        """The log-likelihood, and the (C,) probabilities of the candidates."""
        scores = self.features @ weights
        lengths = np.diff(self.starts, append=len(scores))
        scores -= np.repeat(np.maximum.reduceat(scores, self.starts), lengths)
        odds = np.exp(scores)
        totals = np.add.reduceat(odds, self.starts)
        return float((scores[self.answers] - np.log(totals)).sum()), odds / np.repeat(totals, lengths)

    def derivatives(self, probabilities: DoubleArray) -> tuple[DoubleArray, DoubleArray]:
        """The (W,) gradient and (W, W) negative Hessian of the log-likelihood."""
        weighted = self.features * probabilities[:, None]
        means = np.add.reduceat(weighted, self.starts)
        gradient = (self.features[self.answers] - means).sum(axis=0)
        return gradient, self.features.T @ weighted - means.T @ means


def maximum(likelihood: Likelihood, prior: DoubleArray, free: BoolArray) -> DoubleArray:
    """The (W,) weights of the greatest penalised likelihood; those that are not free are 0."""
    precision = PRIOR_CHOICES * likelihood.features.var(axis=0) + 1e-9
    weights = np.where(free, prior, 0.0)

    def penalty(weights: DoubleArray) -> float:
        return float((precision * (weights - prior) ** 2)[free].sum() / 2)

    value, probabilities = likelihood.at(weights)
    value -= penalty(weights)
    for _ in range(MAX_STEPS):
        gradient, curvature = likelihood.derivatives(probabilities)
        gradient = (gradient - precision * (weights - prior))[free]
        curvature = (curvature + np.diag(precision))[np.ix_(free, free)]
        step = np.zeros(len(weights))
        step[free] = np.linalg.solve(curvature, gradient)
        previous, size = value, 1.0
        while size > PRECISION:
            value, probabilities = likelihood.at(weights + size * step)
            value -= penalty(weights + size * step)
            if value >= previous:
                break
            size /= 2
        weights = weights + size * step
        if value - previous <= PRECISION * len(likelihood.answers):
            break
    return weights
