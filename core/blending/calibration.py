"""Calibration: fits the weights of a blend to past events by maximum likelihood.

Each event is a choice among candidates: items that one of the parts ranks high. The weights maximise the probability
of the items that came, exp(score) over the sum of exp(score) of the candidates. A normal prior around default weights
decides where events are few. The events must be new to the encoder, and their counts those of their moment.

A better likelihood is not always a better top of the list: a weak encoder makes improbable items less improbable and
moves the probable ones out of place. So the encoder enters only where the blend with it ranks choices that it has not
been fitted to no lower than counts alone. Independent of stores and models. Shapes: N items, Q choices, W weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from core.arrays import BoolArray, FloatArray, IntArray
from core.blending.blend import COUNTS_BLEND, DEFAULT_BLEND, Blend
from core.blending.likelihood import Choice, Likelihood, maximum
from core.blending.untrained import TrainingGain, UntrainedItems, expected_gain
from core.evaluation.metrics import ndcg, ranks_of

MAX_CHOICES = 3000  # events that the weights are fitted to
NUM_CANDIDATES = 100  # the best by each part
RANKING_FEATURES = 4  # candidates are the best by the encoder, forward and backward shares, and recent popularity
NONNEGATIVE = 3  # the weights of the encoder and the transitions
COUNTED = np.array([0, 1, 1, 1, 1, 1], np.float32)  # features that are not the encoder's
MIN_CHOICES = 10  # fewer say less than the prior: the default, almost without the encoder
LEAST_ENCODER = 0.02  # an encoder that adds nothing still orders items that nothing else tells apart, as new ones
NUM_FOLDS = 5
TOP = 10  # the depth of the metric that decides whether the encoder enters


def choice_of(
    features: FloatArray, allowed: BoolArray, answer: int, training: TrainingGain | None = None
) -> Choice | None:
    """The choice among the best of (N, W) features; None where the answer is not among them.

    `allowed`: (N,) items that may be answers. `answer`: the item that came. `training`: of the N items.
    """
    rows = np.flatnonzero(allowed)
    candidates = rows[_best(features[rows, :RANKING_FEATURES])]
    place = int(np.searchsorted(candidates, answer))
    if place == len(candidates) or candidates[place] != answer:
        return None
    return Choice(features[candidates], place, training.take(candidates) if training else None)


def _best(features: FloatArray) -> IntArray:
    """Ascending rows of the `NUM_CANDIDATES` best by each of (N, n) features; by one that is equal for all, none."""
    best: set[int] = set()
    k = min(NUM_CANDIDATES, len(features))
    for values in features.T:
        if k and values.max() > values.min():
            best.update(np.argpartition(-values, k - 1)[:k].tolist())
    return np.array(sorted(best), np.int64)


def calibrate(choices: Sequence[Choice]) -> Blend:
    """The weights for choices in time order: of a blend with the encoder, or where that ranks lower, of counts alone.

    Counts alone leave the encoder `LEAST_ENCODER`; it is 0 where there is no encoder.
    """
    if len(choices) < MIN_CHOICES:
        return replace(COUNTS_BLEND, encoder=LEAST_ENCODER)
    if not any(np.any(choice.features[:, 0]) for choice in choices):
        return _fitted(choices, COUNTS_BLEND)
    untrained = _expected_gain(choices)
    if untrained is not None:
        choices = [_with_gain(choice, untrained) for choice in choices]
    # As without an encoder: the items that it alone ranks high are no candidates either.
    counted = [
        choice_of(choice.features * COUNTED, np.ones(len(choice.features), np.bool_), choice.answer)
        for choice in choices
    ]
    ways: tuple[tuple[Sequence[Choice | None], Blend], ...] = ((choices, DEFAULT_BLEND), (counted, COUNTS_BLEND))
    learnt, prior = max(ways, key=lambda way: _held_out_ndcg(choices, *way))
    blend = _fitted(learnt, prior)
    weight = max(blend.encoder, LEAST_ENCODER)
    return replace(blend, encoder=weight, untrained=None if untrained is None else untrained.times(weight))


def _expected_gain(choices: Sequence[Choice]) -> UntrainedItems | None:
    """What training on an item adds to the encoder's score of it, by its counts; None where it is not known."""
    samples = []
    for choice in choices:
        if choice.training is not None:
            best = _best(choice.features[:, 1:RANKING_FEATURES])
            rows = best[choice.training.trained[best]]
            samples.append((choice.features[rows, 1:], choice.training.gain[rows]))
    return expected_gain(samples)


def _with_gain(choice: Choice, untrained: UntrainedItems) -> Choice:
    """The choice with the expected gain in the encoder's scores of untrained items, where it is above 0."""
    if choice.training is None or choice.training.trained.all():
        return choice
    rows, features = np.flatnonzero(~choice.training.trained), choice.features.copy()
    known = features[rows]
    gains = untrained.neighbour_part(known[:, 1], known[:, 2]) + untrained.item_part(known[:, 3:])
    features[rows, 0] += np.maximum(gains, np.float32(0))
    return replace(choice, features=features)


def _fitted(choices: Sequence[Choice | None], prior: Blend) -> Blend:
    """The most probable weights given the choices and a prior; without the encoder where the prior has none."""
    known = [choice for choice in choices if choice is not None]
    if not known:
        return prior
    likelihood, centre = Likelihood.of(known), prior.weights
    free = np.ones(len(centre), np.bool_)
    free[0] = prior.encoder > 0
    weights = maximum(likelihood, centre, free)
    while (weights[:NONNEGATIVE] < 0).any():  # a part that predicts the opposite adds nothing
        free[int(np.argmin(weights[:NONNEGATIVE]))] = False
        weights = maximum(likelihood, centre, free)
    return Blend(*weights.tolist())


def _held_out_ndcg(choices: Sequence[Choice], learnt: Sequence[Choice | None], prior: Blend) -> float:
    """The mean NDCG of the choices, each ranked by weights that were fitted to the other folds.

    `learnt`: what is fitted to of each choice. A fold is a stretch of time, so that a visit lies in one.
    """
    gains = []
    for fold in np.array_split(np.arange(len(choices)), NUM_FOLDS):
        others = [*learnt[: fold[0]], *learnt[fold[-1] + 1 :]]
        weights = _fitted(others, prior).weights.astype(np.float32)
        gains += [_ndcg(choice, weights) for choice in choices[fold[0] : fold[-1] + 1]]
    return float(np.mean(gains))


def _ndcg(choice: Choice, weights: FloatArray) -> float:
    ranks = ranks_of((choice.features @ weights)[None], np.array([choice.answer]))
    return float(ndcg(ranks, TOP)[0])
