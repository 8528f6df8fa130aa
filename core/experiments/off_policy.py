"""Off-policy estimates: what a policy would have earned, from answers of another one with logged propensities.

A slot is one position of one answer. The item-position model is assumed (S. Li, Y. Abbasi-Yadkori, B. Kveton,
S. Muthukrishnan, V. Vinay, Z. Wen, "Offline evaluation of ranking policies with click models", KDD 2018): the reward of
a slot depends on user, item and position, not on the other items of the list. Each slot is then weighted by itself,

    weight = probability that the policy shows this item here / probability that the logging policy did (propensity)

and the weight has mean 1 at every position if the logging policy can show all that the policy would. Estimators:

    ips     the mean of weight * reward: unbiased, varies with large weights
    snips   per position, the sum of weight * reward / the sum of weights: varies less, slightly biased
    dr      the mean of (what a model of rewards expects) + weight * (reward - the model's): unbiased, varies less yet

Sources: D. Horvitz, D. Thompson, JASA 47, 1952; A. Swaminathan, T. Joachims, "The self-normalized estimator for
counterfactual learning", NIPS 2015; M. Dudik, J. Langford, L. Li, "Doubly robust policy evaluation", ICML 2011.
Intervals are those of `core.experiments.comparison`: users are independent, and every look is allowed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from core.arrays import DoubleArray, IntArray
from core.evaluation.metrics import Interval
from core.experiments.comparison import ERROR, MIN_USERS, boundary

MAX_WEIGHT = 1_000.0


@dataclass(frozen=True, slots=True)
class LoggedSlots:
    """S slots of logged answers. All arrays are (S,).

    `answers`, `users`: the answer and the user of a slot, as any integers. `positions`: from 1. `rewards`: 1 for a
    click, or an amount. `propensities`: the logged ones, above 0; 1 where the slot was not randomised. `chances`: the
    probability that the policy shows the slot's item at its position.
    """

    answers: IntArray
    users: IntArray
    positions: IntArray
    rewards: DoubleArray
    propensities: DoubleArray
    chances: DoubleArray

    def __post_init__(self) -> None:
        """Raises ValueError for no slots, arrays of different lengths, or propensities outside (0, 1]."""
        sizes = {len(getattr(self, name)) for name in self.__slots__}
        if len(sizes) != 1 or not sizes.pop():
            msg = "slots: wanted arrays of one length above 0"
            raise ValueError(msg)
        if not (np.all(self.propensities > 0) and np.all(self.propensities <= 1)):
            msg = "propensities: wanted numbers above 0 and at most 1"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True)
class OffPolicyEstimate:
    """The reward per answer under a policy, by each estimator; None where there are too few users for an interval.

    `effective_slots`: the number of slots without weights that would say as much, (sum w)^2 / sum w^2 (Kish).
    `coverage`: the lowest mean weight of a position. Well below 1, the policy shows what the logging policy never did,
    and no estimator can know what that earns. `clipped`: the share of slots whose weight was cut.
    """

    ips: Interval | None
    snips: Interval | None
    dr: Interval | None
    effective_slots: float
    coverage: float
    clipped: float


def estimate(
    slots: LoggedSlots,
    *,
    modelled: DoubleArray | None = None,
    expected: DoubleArray | None = None,
    max_weight: float = MAX_WEIGHT,
    error: float = ERROR,
) -> OffPolicyEstimate:
    """Estimates the reward per answer.

    For the doubly robust estimate, a model of rewards: (S,) `modelled` of the slot's item, and (S,) `expected`, the
    mean over the items that the policy would show in this slot. Without a model it is None. Weights above `max_weight`
    are clipped, which biases ips downwards by what they would add, and bounds its variance.
    """
    raw = slots.chances / slots.propensities
    weights = np.minimum(raw, max_weight)
    clusters = _Clusters(slots, error)
    _, places, sizes = np.unique(slots.positions, return_inverse=True, return_counts=True)
    totals = np.bincount(places, weights=weights)
    earned = np.bincount(places, weights=weights * slots.rewards)
    per_weight = np.divide(earned, totals, out=np.zeros_like(totals), where=totals > 0)
    # The error of a ratio is the mean of (reward - ratio) * weight / mean weight, to first order.
    scale = np.divide(sizes, totals, out=np.zeros_like(totals), where=totals > 0)[places]
    normalised = per_weight[places] + weights * (slots.rewards - per_weight[places]) * scale
    dr = None
    if modelled is not None and expected is not None:
        dr = clusters.mean(expected + weights * (slots.rewards - modelled))
    return OffPolicyEstimate(
        ips=clusters.mean(weights * slots.rewards),
        snips=clusters.mean(normalised),
        dr=dr,
        effective_slots=float(weights.sum() ** 2 / squares) if (squares := float(weights @ weights)) else 0.0,
        coverage=float((totals / sizes).min()),
        clipped=float((raw > max_weight).mean()),
    )


class _Clusters:
    """Slots grouped by user: the unit of which one is independent of the others."""

    def __init__(self, slots: LoggedSlots, error: float) -> None:
        _, self._users = np.unique(slots.users, return_inverse=True)
        firsts = np.unique(slots.answers, return_index=True)[1]
        self._num_answers = len(firsts)
        self._answers_of = np.bincount(self._users[firsts], minlength=int(self._users.max()) + 1)
        self._boundary = boundary(self._num_answers, error=error)

    def mean(self, values: DoubleArray) -> Interval | None:
        """The mean over answers of the sums of (S,) values."""
        if len(self._answers_of) < MIN_USERS:
            return None
        mean = float(values.sum()) / self._num_answers
        residuals = np.bincount(self._users, weights=values) - mean * self._answers_of
        width = math.sqrt(float(residuals @ residuals)) / self._num_answers * self._boundary
        return Interval(mean, mean - width, mean + width)
