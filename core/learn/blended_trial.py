"""Trials and calibration of blended models: each event of a slice with the live counts of its moment.

Events are read in time order; the counts at an event hold what happened before it. Shapes: N items, q queries.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from core.arrays import FloatArray
from core.blending.blend import Blend
from core.blending.calibration import calibrate, choice_of
from core.blending.features import BlendFeatures
from core.history import WindowShape
from core.learn.live_features import LiveFeatures
from core.learn.trial import SliceEncoder, TrialResult, TrialSlice, rank_each, try_model
from core.ports.encoder import Encoder, ModelBundle

BATCH = 64  # windows encoded at once


class _Query(NamedTuple):
    """A query of a slice: its number, its event, (N,) scores of the encoder, and what the counts say."""

    number: int
    event: int
    encoder: FloatArray
    live: BlendFeatures


def try_bundle(bundle: ModelBundle, trial_slice: TrialSlice, shape: WindowShape, *, half_life_ms: float) -> TrialResult:
    """The ranks of a model as it would serve: blended where it has weights. Raises `NotReady` for an empty slice."""
    if bundle.blend is None or not len(trial_slice):
        return try_model(bundle, trial_slice, shape)
    encoder = SliceEncoder(bundle.bind(trial_slice.catalogue), trial_slice, shape)
    blend = bundle.blend
    queries = _queries(encoder, trial_slice, half_life_ms)
    ranks, top = rank_each(trial_slice, ((query.number, query.live.scores(blend, query.encoder)) for query in queries))
    return TrialResult(ranks, top, encoder.ms_per_user)


def calibrated(encoder: Encoder, trial_slice: TrialSlice, shape: WindowShape, *, half_life_ms: float) -> Blend:
    """The weights that predict the events of a slice best; the encoder must not have learnt from them."""
    choices = []
    for query in _queries(SliceEncoder(encoder, trial_slice, shape), trial_slice, half_life_ms):
        allowed = trial_slice.shown.copy()
        if trial_slice.hide_seen:
            seen = trial_slice.seen(query.event)
            allowed[seen[seen >= 0]] = False
        features = query.live.matrix(query.encoder)
        choice = choice_of(features, allowed, int(trial_slice.rows[query.event]))
        choices += [choice] if choice is not None else []
    return calibrate(choices)


def _queries(encoder: SliceEncoder, trial_slice: TrialSlice, half_life_ms: float) -> Iterator[_Query]:
    """All queries in time order."""
    live = LiveFeatures(trial_slice, half_life_ms=half_life_ms)
    numbers = np.argsort(live.places[trial_slice.indices], kind="stable")
    for begin in range(0, len(numbers), BATCH):
        batch = numbers[begin : begin + BATCH].tolist()
        indices = trial_slice.indices[batch].tolist()
        windows, scores = encoder.scores(indices)
        for number, index, window, scores_N in zip(batch, indices, windows, scores, strict=True):
            yield _Query(number, index, scores_N, live.at(index, window))
