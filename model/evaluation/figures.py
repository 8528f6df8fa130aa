"""Metrics from ranks: HR, NDCG and MRR as expected over ties, slices of events, and what was compared.

Independent of models. A target that ties with others gets the mean of the metric over the ranks that they share, so
that a scorer with equal scores gets exactly the metric of a random order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from core.arrays import BoolArray, IntArray
from core.evaluation.metrics import Array, hit, mrr, ndcg
from core.evaluation.scorers import TrainingPart
from model.evaluation.protocols import TargetEvents

METRICS: Mapping[str, Callable[[Array, int], Array]] = {"HR": hit, "NDCG": ndcg, "MRR": mrr}
LONG_GAP_QUANTILE = 0.9  # of the gaps between events that were trained on


def gains(above: IntArray, equal: IntArray, metric: str, k: int) -> Array:
    """(q,) a metric at k of each target, the mean over the ranks that it shares."""
    first_k = METRICS[metric](np.arange(k, dtype=np.float64), k)
    sums = np.concatenate([[0.0], np.cumsum(first_k)])
    shared: Array = (sums[np.minimum(above + equal + 1, k)] - sums[np.minimum(above, k)]) / (equal + 1)
    return shared


def long_gap_ms(part: TrainingPart) -> int:
    """The gap that nine in ten events don't reach."""
    events = part.training_events
    gaps_ms = np.diff(events.times_ms)[np.diff(events.users) == 0]
    return int(np.quantile(gaps_ms, LONG_GAP_QUANTILE)) if len(gaps_ms) else 0


def slices(part: TrainingPart, targets: TargetEvents) -> dict[str, BoolArray]:
    """(q,) which events are of each kind. The time of the target is used here alone, never by a scorer."""
    events = part.training_events
    new_users = ~np.isin(targets.users, events.users)
    new_items = ~np.isin(targets.items, events.items)
    has_past = targets.end > targets.begin
    times_ms = targets.columns.times_ms
    gaps_ms = times_ms[targets.rows] - times_ms[np.maximum(targets.end - 1, targets.begin)]
    long_gaps = has_past & (gaps_ms > long_gap_ms(part))
    return {
        "known users": ~new_users,
        "new users": new_users,
        "new items": new_items,
        "known items": ~new_items,
        "long gaps": long_gaps,
        "repeats": _repeated(targets),
    }


def _repeated(targets: TargetEvents) -> BoolArray:
    """(q,) whether the target is an item that the history holds."""
    repeats = [
        bool((targets.columns.items[begin:end] == item).any())
        for begin, end, item in zip(targets.begin, targets.end, targets.items, strict=True)
    ]
    return np.array(repeats, np.bool_)
