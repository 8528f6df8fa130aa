"""Trials of the baselines that every model is compared with: what ranks without a model.

Transition counts, with popularity, rank for users with a history while no model serves. Both are updated with every
event before the next query, in time order, as in a live system. Shapes: N items.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from core.arrays import FloatArray
from core.blending.blend import COUNTS_BLEND
from core.evaluation.metrics import Array
from core.history import History
from core.learn.live_features import LiveFeatures
from core.learn.trial import TrialFunction, TrialResult, TrialSlice, check_not_empty, rank_each

POPULARITY, COUNTS = "popularity", "transition counts"
LOWEST = -1e300  # log2 of no popularity at all: scores are finite


def baseline_trials(*, half_life_ms: float) -> dict[str, TrialFunction]:
    """The baselines by name. `half_life_ms`: of popularity."""
    return {
        POPULARITY: partial(try_popularity, half_life_ms=half_life_ms),
        COUNTS: partial(try_counts, half_life_ms=half_life_ms),
    }


def try_popularity(trial_slice: TrialSlice, *, half_life_ms: float) -> TrialResult:
    """The ranks of time-decayed popularity."""
    times_ms = trial_slice.columns.times_ms
    order = np.argsort(times_ms, kind="stable")
    log2, num_counted = np.full(len(trial_slice.catalogue), -np.inf), 0

    def scores_before(_: int, place: int) -> Array:
        nonlocal num_counted
        events = order[num_counted:place]
        known = events[trial_slice.rows[events] >= 0]
        np.logaddexp2.at(log2, trial_slice.rows[known], times_ms[known] / half_life_ms)
        num_counted = place
        scores: Array = np.maximum(log2, LOWEST)
        return scores

    return _replay(trial_slice, scores_before)


def try_counts(trial_slice: TrialSlice, *, half_life_ms: float) -> TrialResult:
    """The ranks of transition counts and popularity, as they are served without a model."""
    live = LiveFeatures(trial_slice, half_life_ms=half_life_ms)
    no_encoder = np.zeros(len(trial_slice.catalogue), np.float32)

    def scores_before(index: int, _: int) -> FloatArray:
        past = slice(int(trial_slice.starts[index]), index)
        history = History(trial_slice.columns.items[past], trial_slice.columns.times_ms[past])
        return live.at(index, history).scores(COUNTS_BLEND, no_encoder)

    return _replay(trial_slice, scores_before)


def _replay(trial_slice: TrialSlice, scores_before: Callable[[int, int], FloatArray | Array]) -> TrialResult:
    """The ranks by (N,) scores, given a query event's index and its place in time order; queries come in that order."""
    check_not_empty(trial_slice)
    times_ms = trial_slice.columns.times_ms
    places = np.empty(len(times_ms), np.int64)
    places[np.argsort(times_ms, kind="stable")] = np.arange(len(times_ms))
    in_time_order = np.argsort(places[trial_slice.indices], kind="stable").tolist()
    indices = trial_slice.indices.tolist()
    scored = ((number, scores_before(indices[number], int(places[indices[number]]))) for number in in_time_order)
    return TrialResult(*rank_each(trial_slice, scored))
