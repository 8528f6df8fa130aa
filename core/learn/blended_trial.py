"""Trials and calibration of blended models: each event of a slice with the live counts of its moment.

Events are read in time order; the counts at an event hold what happened before it. Shapes: N items, q queries.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from core.arrays import FloatArray
from core.blending.blend import Blend
from core.blending.calibration import calibrate, choice_of
from core.history import WindowShape
from core.learn.live_features import LiveFeature, LiveFeatures
from core.learn.trial import TOP, TrialResult, TrialSlice, rank, try_model
from core.ports.encoder import Encoder, ModelBundle
from core.recommendation.added_scores import add_repeats

BATCH = 64  # windows encoded at once


class _Query(NamedTuple):
    """A query of a slice: its number, its event, (N,) scores of the encoder, and what the counts say."""

    number: int
    event: int
    encoder: FloatArray
    live: LiveFeature


def try_bundle(bundle: ModelBundle, trial_slice: TrialSlice, shape: WindowShape, *, half_life_ms: float) -> TrialResult:
    """The ranks of a model as it would serve: blended where it has weights. Raises `NotReady` for an empty slice."""
    if bundle.blend is None or not len(trial_slice):
        return try_model(bundle, trial_slice, shape)
    encoder, num = bundle.bind(trial_slice.catalogue), len(trial_slice)
    ranks, top = np.empty(num), np.empty((num, min(TOP, len(trial_slice.catalogue))), np.int64)
    timer = _Timer()
    for query in _queries(encoder, trial_slice, shape, half_life_ms, timer):
        scores = query.live.scores(bundle.blend, query.encoder)
        line = slice(query.number, query.number + 1)
        ranks[line], top[line] = rank(scores[None], trial_slice, [query.event])
    return TrialResult(ranks, top, 1000 * timer.took_s / num)


def calibrated(encoder: Encoder, trial_slice: TrialSlice, shape: WindowShape, *, half_life_ms: float) -> Blend:
    """The weights that predict the events of a slice best; the encoder must not have learnt from them."""
    choices = []
    for query in _queries(encoder, trial_slice, shape, half_life_ms, _Timer()):
        allowed = trial_slice.shown.copy()
        if trial_slice.hide_seen:
            seen = trial_slice.seen(query.event)
            allowed[seen[seen >= 0]] = False
        features = query.live.matrix(query.encoder)
        choice = choice_of(features, allowed, int(trial_slice.rows[query.event]))
        choices += [choice] if choice is not None else []
    return calibrate(choices)


class _Timer:
    """How long encoding took, in seconds."""

    took_s = 0.0


def _queries(
    encoder: Encoder, trial_slice: TrialSlice, shape: WindowShape, half_life_ms: float, timer: _Timer
) -> Iterator[_Query]:
    """All queries in time order."""
    live = LiveFeatures(trial_slice, half_life_ms=half_life_ms)
    all_rows = np.arange(len(trial_slice.catalogue))
    table = encoder.items(all_rows)
    numbers = np.argsort(live.places[trial_slice.indices], kind="stable")
    for begin in range(0, len(numbers), BATCH):
        batch = numbers[begin : begin + BATCH].tolist()
        indices = trial_slice.indices[batch].tolist()
        started_s = time.perf_counter()
        windows = [trial_slice.window(index, shape) for index in indices]
        vectors = encoder.encode(windows)
        timer.took_s += time.perf_counter() - started_s
        with np.errstate(invalid="ignore", over="ignore"):
            scores = encoder.query(vectors, np.zeros(len(indices), np.int64)) @ table.T
            add_repeats(scores, all_rows, encoder, trial_slice.catalogue, windows)
        for number, index, window, scores_N in zip(batch, indices, windows, scores, strict=True):
            yield _Query(number, index, scores_N, live.at(index, window))
