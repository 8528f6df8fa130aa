"""Calibration: fits the weights of a blend to past events by maximum likelihood.

Each event is a choice among candidates: items that one of the parts ranks high. The weights maximise the probability
of the items that came, exp(score) over the sum of exp(score) of the candidates: a conditional logit, concave in the
weights, maximised by Newton's method. A normal prior around default weights decides where events are few. The events
must be new to the encoder, and their counts those of their moment. Independent of stores and models.
Shapes: N items, C candidates of all choices, Q choices, W weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from typing import NamedTuple

import numpy as np

from core.arrays import BoolArray, DoubleArray, FloatArray, IntArray
from core.blending.blend import COUNTS_BLEND, DEFAULT_BLEND, Blend

NUM_CANDIDATES = 100  # the best by each part
RANKING_FEATURES = 4  # candidates are the best by the encoder, forward and backward shares, and recent popularity
NONNEGATIVE = 3  # the weights of the encoder and the transitions
PRIOR_CHOICES = 10.0  # the strength of the prior, in choices
MIN_CHOICES = 10  # fewer say less than the prior: the default, almost without the encoder
LEAST_ENCODER = 0.02  # an encoder that adds nothing still orders items that nothing else tells apart, as new ones
MAX_STEPS = 30
PRECISION = 1e-9  # of the mean log-likelihood


@dataclass(frozen=True, slots=True)
class Choice:
    """One event to calibrate on. `features`: (n, W) of its candidates, in the order of the weights of `Blend`.

    `answer`: the candidate that came.
    """

    features: FloatArray
    answer: int


def choice_of(features: FloatArray, allowed: BoolArray, answer: int) -> Choice | None:
    """The choice among the best of (N, W) features; None where the answer is not among them.

    `allowed`: (N,) items that may be answers. `answer`: the item that came.
    """
    rows = np.flatnonzero(allowed)
    best: set[int] = set()
    for values in features[rows, :RANKING_FEATURES].T:
        k = min(NUM_CANDIDATES, len(rows))
        if k and values.max() > values.min():
            best.update(rows[np.argpartition(-values, k - 1)[:k]].tolist())
    if answer not in best:
        return None
    candidates = np.array(sorted(best))
    return Choice(features[candidates], int(np.searchsorted(candidates, answer)))


def calibrate(choices: Sequence[Choice]) -> Blend:
    """The most probable weights given the choices and the prior."""
    if len(choices) < MIN_CHOICES:
        return replace(COUNTS_BLEND, encoder=LEAST_ENCODER)
    likelihood = _Likelihood.of(choices)
    has_encoder = bool(np.any(likelihood.features[:, 0]))
    prior = np.array(astuple(DEFAULT_BLEND if has_encoder else COUNTS_BLEND))
    free = np.ones(len(prior), np.bool_)
    free[0] = has_encoder
    weights = _maximum(likelihood, prior, free)
    while (weights[:NONNEGATIVE] < 0).any():  # a part that predicts the opposite adds nothing
        free[int(np.argmin(weights[:NONNEGATIVE]))] = False
        weights = _maximum(likelihood, prior, free)
    blend = Blend(*weights.tolist())
    return replace(blend, encoder=max(blend.encoder, LEAST_ENCODER)) if has_encoder else blend


class _Likelihood(NamedTuple):
    """(C, W) features, each of (Q,) choices beginning at `starts`, and the (Q,) places of the answers."""

    features: DoubleArray
    starts: IntArray
    answers: IntArray

    @classmethod
    def of(cls, choices: Sequence[Choice]) -> _Likelihood:
        """All choices together."""
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


def _maximum(likelihood: _Likelihood, prior: DoubleArray, free: BoolArray) -> DoubleArray:
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
