"""The trial of popularity, a baseline that every model is compared with: the items with most recent events rank first.

Popularity is updated with every event before the next query, in time order, as in a live system. The other baseline,
counts without a model, is tried with the models (`core.learn.blended_trial`). Shapes: N items.
"""

from __future__ import annotations

import numpy as np

from core.learn.trial import QueryRanks, TrialResult, TrialSlice, check_not_empty

POPULARITY, COUNTS = "popularity", "transition counts"
LOWEST = -1e300  # log2 of no popularity at all: scores are finite


def try_popularity(trial_slice: TrialSlice, *, half_life_ms: float) -> TrialResult:
    """The ranks of time-decayed popularity; raises `NotReady` for an empty slice."""
    check_not_empty(trial_slice)
    times_ms = trial_slice.columns.times_ms
    order = np.argsort(times_ms, kind="stable")
    places = np.empty(len(order), np.int64)
    places[order] = np.arange(len(order))
    log2_N, num_counted = np.full(len(trial_slice.catalogue), -np.inf), 0
    ranks = QueryRanks(trial_slice)
    for number in np.argsort(places[trial_slice.indices], kind="stable").tolist():
        place = int(places[trial_slice.indices[number]])
        events = order[num_counted:place]
        known = events[trial_slice.rows[events] >= 0]
        np.logaddexp2.at(log2_N, trial_slice.rows[known], times_ms[known] / half_life_ms)
        num_counted = place
        ranks.add(number, np.maximum(log2_N, LOWEST))
    return ranks.result()
