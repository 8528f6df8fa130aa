"""Trials and calibration of blended models: each event of a slice with the live counts of its moment.

Events are read in time order; the counts at an event hold what happened before it. Shapes: N items, q queries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeGuard

import numpy as np

from core.arrays import FloatArray
from core.blending.blend import COUNTS_BLEND, Blend
from core.blending.calibration import calibrate, choice_of
from core.blending.features import BlendFeatures
from core.blending.untrained import TrainingGain, all_trained
from core.events.history import History, WindowShape
from core.learn.live_features import LiveFeatures
from core.learn.trial import QueryRanks, SliceEncoder, TrialResult, TrialSlice, check_not_empty, try_model
from core.ports.encoder import Encoder, ModelBundle

BATCH = 64  # (query, model) pairs whose scores are in memory at once


# Of (b,) events: the users' histories at them, and (b, ...) scores.
_Scoring = Callable[[list[int]], tuple[list[History], FloatArray]]


class _Query(NamedTuple):
    """A query of a slice: its number, its event, and for each model its scores and what the counts say."""

    number: int
    event: int
    scored: list[tuple[FloatArray, BlendFeatures]]


class _NoEncoder:
    """In place of an encoder where counts alone rank: every score is 0, and histories are whole."""

    ms_per_user = 0.0

    def __init__(self, trial_slice: TrialSlice) -> None:
        self._slice = trial_slice
        self.trained = all_trained(np.arange(len(trial_slice.catalogue)))

    def scores(self, indices: list[int]) -> tuple[list[History], FloatArray]:
        """The users' histories at (b,) events, and (b, N) zeros."""
        histories = [self._slice.history(index) for index in indices]
        return histories, np.zeros((len(indices), len(self._slice.catalogue)), np.float32)


class _Entrant(NamedTuple):
    """A model in a trial of several."""

    blend: Blend
    encoder: SliceEncoder | _NoEncoder
    ranks: QueryRanks


def try_bundles(
    bundles: Sequence[ModelBundle | None], trial_slice: TrialSlice, shape: WindowShape, *, half_life_ms: float
) -> list[TrialResult]:
    """The ranks of models as they would serve: blended where they have weights; for None, of counts without a model.

    The live counts are replayed once for all. Raises `NotReady` for an empty slice.
    """
    check_not_empty(trial_slice)
    results = [try_model(bundle, trial_slice, shape) if _is_alone(bundle) else None for bundle in bundles]
    entrants = [_entrant(bundle, trial_slice, shape) for bundle in bundles if not _is_alone(bundle)]
    if entrants:
        for query in _queries([entrant.encoder.scores for entrant in entrants], trial_slice, half_life_ms):
            for entrant, (scores_N, live) in zip(entrants, query.scored, strict=True):
                entrant.ranks.add(query.number, live.scores(entrant.blend, scores_N, entrant.encoder.trained))
    blended = (entrant.ranks.result(ms_per_user=entrant.encoder.ms_per_user) for entrant in entrants)
    return [result or next(blended) for result in results]


def _is_alone(bundle: ModelBundle | None) -> TypeGuard[ModelBundle]:
    """Whether a model ranks without counts."""
    return bundle is not None and bundle.blend is None


def _entrant(bundle: ModelBundle | None, trial_slice: TrialSlice, shape: WindowShape) -> _Entrant:
    ranks = QueryRanks(trial_slice)
    if bundle is None:
        return _Entrant(COUNTS_BLEND, _NoEncoder(trial_slice), ranks)
    assert bundle.blend is not None
    return _Entrant(bundle.blend, SliceEncoder(bundle.bind(trial_slice.catalogue), trial_slice, shape), ranks)


def calibrated(encoder: Encoder, trial_slice: TrialSlice, shape: WindowShape, *, half_life_ms: float) -> Blend:
    """The weights that predict the events of a slice best; the encoder must not have learnt from them."""
    choices, on_slice = [], SliceEncoder(encoder, trial_slice, shape)
    for query in _queries([on_slice.scores_and_unseen], trial_slice, half_life_ms):
        allowed = trial_slice.shown.copy()
        if trial_slice.hide_seen:
            seen = trial_slice.seen(query.event)
            allowed[seen[seen >= 0]] = False
        [((scores_N, unseen_N), live)] = query.scored
        training = TrainingGain(on_slice.trained, scores_N - unseen_N)
        choice = choice_of(live.matrix(scores_N), allowed, int(trial_slice.rows[query.event]), training)
        choices += [choice] if choice is not None else []
    return calibrate(choices)


def _queries(scorings: Sequence[_Scoring], trial_slice: TrialSlice, half_life_ms: float) -> Iterator[_Query]:
    """All queries in time order."""
    live = LiveFeatures(trial_slice, half_life_ms=half_life_ms)
    numbers = np.argsort(live.places[trial_slice.indices], kind="stable")
    at_once = max(1, BATCH // len(scorings))
    for begin in range(0, len(numbers), at_once):
        batch = numbers[begin : begin + at_once].tolist()
        indices = trial_slice.indices[batch].tolist()
        scored = [scores_of(indices) for scores_of in scorings]
        for row, (number, index) in enumerate(zip(batch, indices, strict=True)):
            yield _Query(number, index, [(scores[row], live.at(index, histories[row])) for histories, scores in scored])
