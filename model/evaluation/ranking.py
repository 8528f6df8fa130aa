"""Full ranking: every target item is ranked among all items, with the user's earlier items kept and hidden.

Independent of models. No candidates are sampled. Shapes: Q target events, B of them at once, N items.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.arrays import BoolArray, FloatArray, IntArray
from core.clock import MINUTE_MS
from core.evaluation.scorers import LiveScorer, NowScorer, Past, Scorer
from model.evaluation.protocols import Fold, TargetEvents

MAX_SCORES = 2**22  # 16 MiB of float32 at a time
MAX_TARGETS = 256
TOPS = (5, 10, 20)
MISS = 2**40  # the rank of a hidden target: behind any depth
SEEN = ("keep", "hide")  # whether the user's earlier items may be recommended
UNTOLD = ""
DRAWN, CLICK = (
    "drawn",
    "click",
)  # the request time of a model that reads the gap to now: drawn before the target, or its time

Progress = Callable[[int, int], None]  # events done, events in all


@dataclass(frozen=True, slots=True)
class TargetRanks:
    """Where each target stands: `above` items score higher, `equal` others the same; a hidden one is behind all.

    `num_shown[k]`: number of distinct items in all top-k lists.
    """

    above: IntArray
    equal: IntArray
    num_shown: Mapping[int, int]


def _silent(done: int, total: int) -> None:
    """The null object of progress callbacks."""


def rank(
    scorer: Scorer, fold: Fold, targets: TargetEvents, *, fit: bool = False, progress: Progress = _silent
) -> dict[str, TargetRanks]:
    """The ranks of all targets, by "keep" and "hide". A live scorer is fitted anew and learns the events in between.

    `fit=False`: the scorer has been fitted to this fold. Raises `ValueError` where it answers with NaN.
    """
    live = isinstance(scorer, LiveScorer)
    if fit or live:
        scorer.fit(fold.part)
    gaps_ms = request_gaps_ms(targets) if isinstance(scorer, NowScorer) and scorer.reads_now else {}
    keys = [rank_key(seen, way) for seen in SEEN for way in (UNTOLD, *gaps_ms)]
    tallies = {key: _Tally(len(targets), fold.part.num_items) for key in keys}
    num_applied = 0
    for begin, end in _blocks(targets, fold.part.num_items, live=live):
        if isinstance(scorer, LiveScorer):
            num_applied = _apply_until(scorer, targets, num_applied, int(targets.num_past[begin]))
        pasts = [targets.past(number) for number in range(begin, end)]
        for way in (UNTOLD, *gaps_ms):
            gap_arguments = {} if way == UNTOLD else {"gaps_ms": gaps_ms[way][begin:end]}
            scores_BN = scorer.scores(pasts, **gap_arguments)
            _check(scores_BN, (len(pasts), fold.part.num_items), scorer)
            targets_B = targets.items[begin:end]
            tallies[rank_key("keep", way)].note(begin, scores_BN, targets_B)
            tallies[rank_key("hide", way)].note(begin, _hidden(scores_BN, pasts), targets_B)
        progress(end, len(targets))
    return {key: tally.ranks() for key, tally in tallies.items()}


def rank_key(seen: str, way: str) -> str:
    """The key of the ranks under one treatment of earlier items, and one of the gap to now."""
    return f"{seen} {way}" if way else seen


def request_gaps_ms(targets: TargetEvents) -> dict[str, IntArray]:
    """(q,) gaps from each user's last known event to the request, floored to minutes, by when the request comes.

    "click": at the very time of the target, which no live system knows beforehand. "drawn": at a moment drawn uniformly
    between the last event and the target.
    """
    times_ms = targets.columns.times_ms
    known = targets.end > targets.begin
    gaps_ms = np.where(known, times_ms[targets.rows] - times_ms[np.maximum(targets.end - 1, 0)], 0)
    moments = np.random.default_rng(0).random(len(times_ms))[
        targets.rows
    ]  # by event, so that a sample of events keeps its moments
    return {
        DRAWN: (gaps_ms * moments).astype(np.int64) // MINUTE_MS * MINUTE_MS,
        CLICK: gaps_ms // MINUTE_MS * MINUTE_MS,
    }


def _blocks(targets: TargetEvents, num_items: int, *, live: bool) -> Iterator[tuple[int, int]]:
    """Ranges of events to rank at once: bounded in memory, and for a live scorer without an event in between."""
    size = max(1, min(MAX_TARGETS, MAX_SCORES // num_items))
    begin = 0
    while begin < len(targets):
        end = min(begin + size, len(targets))
        if live:
            same = np.searchsorted(targets.num_past[begin:end], targets.num_past[begin], side="right")
            end = begin + int(same)
        yield begin, end
        begin = end


def _apply_until(scorer: LiveScorer, targets: TargetEvents, num_applied: int, end: int) -> int:
    columns = targets.columns
    for row in targets.stream[num_applied:end]:
        scorer.apply(int(columns.users[row]), int(columns.items[row]), int(columns.times_ms[row]))
    return max(num_applied, end)


def _check(scores_BN: FloatArray, shape: tuple[int, int], scorer: Scorer) -> None:
    if scores_BN.shape != shape or np.isnan(scores_BN).any():
        name = type(scorer).__name__
        msg = f"{name}: wanted {shape} scores without NaN, got {scores_BN.shape}; this model or its training is broken"
        raise ValueError(msg)


def _hidden(scores_BN: FloatArray, pasts: Sequence[Past]) -> FloatArray:
    """The scores with each user's earlier items at minus infinity."""
    rows = np.repeat(np.arange(len(pasts)), [len(past.history) for past in pasts])
    hidden_BN = np.array(scores_BN)
    hidden_BN[rows, np.concatenate([past.history.items for past in pasts])] = -np.inf
    return hidden_BN


class _Tally:
    """Ranks of targets, and which items were in the top lists."""

    def __init__(self, num_targets: int, num_items: int) -> None:
        self._above = np.zeros(num_targets, np.int64)
        self._equal = np.zeros(num_targets, np.int64)
        self._shown: dict[int, BoolArray] = {top: np.zeros(num_items, np.bool_) for top in TOPS}

    def note(self, begin: int, scores_BN: FloatArray, targets_B: IntArray) -> None:
        """Count a block of events."""
        own_B1 = scores_BN[np.arange(len(targets_B)), targets_B][:, None]
        hidden_B = np.isneginf(own_B1[:, 0])
        part = slice(begin, begin + len(targets_B))
        self._above[part] = np.where(hidden_B, MISS, np.count_nonzero(scores_BN > own_B1, axis=1))
        self._equal[part] = np.where(hidden_B, 0, np.count_nonzero(scores_BN == own_B1, axis=1) - 1)
        best_BK = best(scores_BN, max(TOPS))
        for top, items in self._shown.items():
            items[best_BK[:, :top]] = True

    def ranks(self) -> TargetRanks:
        """What was counted."""
        return TargetRanks(self._above, self._equal, {top: int(items.sum()) for top, items in self._shown.items()})


def best(scores_BN: FloatArray, k: int) -> NDArray[np.intp]:
    """(B, k) rows of the highest scores, best first."""
    k = min(k, scores_BN.shape[1])
    found_BK = np.argpartition(scores_BN, -k, axis=1)[:, -k:]
    order_BK = np.argsort(-np.take_along_axis(scores_BN, found_BK, axis=1), axis=1, kind="stable")
    return np.take_along_axis(found_BK, order_BK, axis=1)
